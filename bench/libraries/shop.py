"""What a peer is given and what it gives back. Runs in the peers' environment and in ours: numpy and scipy alone.

Shapes: C customers, I items, N purchase lines, L launched items, B customers asked for, K places.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int32]
Scores = NDArray[np.float32]
LEVELS = ("department", "category", "kind", "line", "maker")
TASKS = ("all", "new", "launch")


@dataclass(frozen=True)
class Shop:
    """Everything known at the end of the day `cut`; no line is younger. Lines are sorted by customer, then day.

    customer, item, week, day, basket  (N,)  as in nightmarket.histories.Histories; baskets are numbered in time
    quantity, value                    (N,)  units; currency
    department … maker                 (I,)  codes of the products, sold or not
    launching                          (L,)  products that come on sale in the target days; who buys them is not known
    """

    customer: Ints
    item: Ints
    week: Ints
    day: Ints
    basket: Ints
    quantity: NDArray[np.float32]
    value: NDArray[np.float32]
    department: Ints
    category: Ints
    kind: Ints
    line: Ints
    maker: Ints
    launching: Ints
    cut: int
    num_customers: int
    num_items: int

    @property
    def sold(self) -> NDArray[np.bool_]:
        """(I,) items with a purchase: what may be recommended for `all` and `new`."""
        seen = np.zeros(self.num_items, bool)
        seen[self.item] = True
        return seen

    def frequent(self, num: int) -> NDArray[np.bool_]:
        """(N,) lines of the products with at least `num` lines."""
        return np.bincount(self.item, minlength=self.num_items)[self.item] >= num

    def sequence(self, lines: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """(M,) the given lines by customer, then basket, those of a basket in random order.

        As exported a basket is sorted by product, which a model of sequences learns in place of what is bought next.
        """
        chance = np.random.default_rng(seed).permutation(lines.size)
        return lines[np.lexsort((chance, self.basket[lines], self.customer[lines]))]

    def matrix(self, weights: NDArray[np.float32] | None = None) -> sparse.csr_matrix:
        """(C, I) sums per customer and item of the weights (N,), by default the number of lines."""
        data = np.ones(self.item.size, np.float32) if weights is None else weights
        shape = (self.num_customers, self.num_items)
        sums = sparse.coo_matrix((data, (self.customer, self.item)), shape=shape).tocsr()
        sums.sort_indices()
        return sums

    def weighted(self, weight: str) -> sparse.csr_matrix:
        """(C, I) strength of each pair: `binary` 1, `log` log(1 + lines), `recent` lines halved for every 90 days."""
        if weight == "recent":
            return self.matrix(np.exp2((self.day - self.cut) / 90).astype(np.float32))
        strength = self.matrix()
        if weight == "binary":
            strength.data[:] = 1
        elif weight == "log":
            strength.data = np.log1p(strength.data)
        else:
            raise ValueError(f"weight is {weight!r}; it may be binary, log or recent")
        return strength

    def save(self, path: Path) -> None:
        """Write one npz file without pickles."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Shop":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name] if stored[name].ndim else int(stored[name]) for name in stored.files})


class Library(Protocol):
    """One adapter per library: settings and seed in the constructor, `fit` once, then `recommend`."""

    def fit(self, shop: Shop) -> None:
        """Learn from the lines; nothing else is ever shown."""

    def recommend(self, customers: Ints, num: int, task: str) -> Ints:
        """(B, K) items, best first, -1 where the list is shorter; what each task admits says `admitted`."""


def admitted(shop: Shop, task: str) -> NDArray[np.bool_]:
    """(I,) items that a task's lists may hold; `new` leaves out each customer's own purchases besides."""
    if task != "launch":
        return shop.sold
    launched = np.zeros(shop.num_items, bool)
    launched[shop.launching] = True
    return launched


def best_items(scores_BI: Scores, num: int) -> Ints:
    """(B, num) items with the highest finite scores, best first, ties to the lower code; -1 where there are fewer."""
    best = np.full((scores_BI.shape[0], num), -1, np.int32)
    kept = min(num, scores_BI.shape[1])
    if kept == 0:
        return best
    border = np.partition(scores_BI, -kept, axis=1)[:, -kept]
    for row, (scores, least) in enumerate(zip(scores_BI, border, strict=True)):
        item = np.flatnonzero((scores >= least) & np.isfinite(scores))
        item = item[np.argsort(-scores[item], kind="stable")][:kept]
        best[row, : item.size] = item
    return best


class Scoring:
    """A peer that scores the whole catalogue: subclasses give `learn` and `scores`, the tasks' rules are kept here."""

    shop: Shop

    def fit(self, shop: Shop) -> None:
        """Learn from the shop."""
        self.shop = shop
        self._asked: Ints | None = None
        self._bought = shop.matrix()
        self._admitted = {task: admitted(shop, task) for task in TASKS}
        self.learn(shop)

    def learn(self, shop: Shop) -> None:
        """Fit the model."""
        raise NotImplementedError

    def scores(self, customers: Ints) -> Scores:
        """(B, I) higher is better; -inf for what the model does not know."""
        raise NotImplementedError

    def recommend(self, customers: Ints, num: int, task: str) -> Ints:
        """(B, K) the best admitted items; the scores are kept for the next task of the same batch."""
        if self._asked is not customers:
            self._asked, self._scores = customers, self.scores(customers)
        scores = np.where(self._admitted[task], self._scores, -np.inf).astype(np.float32, copy=False)
        if task == "new":
            own = self._bought[customers]
            scores[np.repeat(np.arange(customers.size), np.diff(own.indptr)), own.indices] = -np.inf
        return best_items(scores, num)


def batches(shop: Shop, size: int = 256) -> Iterator[Ints]:
    """All customers in runs of `size`."""
    everyone = np.arange(shop.num_customers, dtype=np.int32)
    for start in range(0, everyone.size, size):
        yield everyone[start : start + size]


def lists(library: Library, shop: Shop, task: str, num: int = 20, batch: int = 256) -> Ints:
    """(C, num) every customer's list."""
    return np.concatenate([library.recommend(customers, num, task) for customers in batches(shop, batch)])
