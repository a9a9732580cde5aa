"""Which order each task's lists are delivered in: the forest's, that of a simple score which does better here, or both.

Judged as a night will be, on the newest window that trains, before the test window, by a forest that learned from
windows which had ended when it began: a forest that learned from other customers of the same window knows what was in
fashion in it. Where no window ended so early, on customers whom the forest did not learn from. As a night's lists are
for customers whom the shop knows, those alone are judged of whom something was known at the cut.
The forest stands back for a simple score where the evidence is clear: over all windows together the upper bound of the
paired difference (forest - simple score) lies below zero, and three windows of four agree (all, where there are fewer).
Where it is not clearly ahead either, both are joined by their places in the list where that did better than the forest:
orders that are level err in different places. What is popular asks for no evidence: where the forest is not clearly
ahead of it, it joins them, and orders the lists alone where the joined orders did no better.
Shapes: J judged customers, N candidates, F features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s
from nightmarket.evaluation.intervals import Interval, bootstrap
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import RARE_BUYERS, Targets, Task
from nightmarket.ranking import lists

FOREST = "forest"
AND = " + "
"""Between the names of orders that are joined."""
FUSION = 60
"""Of reciprocal rank fusion: the constant of its paper (Cormack, Clarke & Büttcher, 2009)."""
FIRST_NEW = ", new first"
"""Ends the name of a simple score that puts what the customer never bought before all else."""
PLACES = 10
AGREE = 0.75
MIN_CUSTOMERS = 30
MOST_CUSTOMERS = 1200
"""Judged at each cut."""
SEED = 17
UNKNOWN = -1e30
"""The score of what a simple score says nothing of: below all that is known."""
POPULARITY = ("score_popular", f"score_popular{FIRST_NEW}")
SIMPLE = ("buyers_4w", "buyers_13w", "item_fresh", "item_looked_long")
Recipe = Mapping[str, str]
"""{task: FOREST, the column of features that orders its lists, or several orders that are joined, with AND between
them}; tasks left out take the forest."""


@dataclass(frozen=True)
class HeldOut:
    """Every candidate of customers who bought in a window that the judged forest did not learn from.

    names      (F,)
    customer   (N,)   0 to J - 1, ascending
    item       (N,)
    features   (N, F)
    targets    of each task that these candidates answer, for the J customers
    who        (J,)   codes of the customers
    """

    names: Sequence[str]
    customer: Int32s
    item: Int32s
    features: Float32s
    targets: Mapping[Task, Targets]
    who: Int32s

    def column(self, name: str) -> Float64s:
        """(N,) a feature as a score: what it does not know comes last."""
        return simple(name, self.features, self.names)

    def ndcg(self, task: Task, score: Float64s) -> Float64s:
        """(J,) NDCG of the lists in the order of a score (N,); NaN for customers without a target."""
        rows = self._rows(task)
        ranked = np.full((self.who.size, PLACES), -1, np.int32)
        lists.fill(ranked, self.customer[rows], self.item[rows], score[rows])
        wanted = self.targets[task]
        return rank_metrics(ranked, wanted.indptr, wanted.items, (PLACES,))[f"ndcg@{PLACES}"]

    def fills(self, task: Task, name: str) -> bool:
        """Whether a feature knows a whole list of half of the customers, or all that they can be given: what it does
        not know is in no order at all."""
        rows, num = self._rows(task), self.who.size
        told = ~np.isnan(self.features[rows, self.names.index(name.removesuffix(FIRST_NEW))])
        there = np.bincount(self.customer[rows], minlength=num)
        enough = np.bincount(self.customer[rows], told, num) >= np.minimum(there, PLACES)
        return bool((there > 0).any() and enough[there > 0].mean() >= 0.5)

    def _rows(self, task: Task) -> Bools:
        if task in (Task.ALL, Task.LAUNCH):
            return np.ones(self.item.size, bool)
        new: Bools = self.features[:, self.names.index("item_num")] == 0
        if task == Task.RARE:
            new &= self.features[:, self.names.index("buyers_ever")] < RARE_BUYERS
        return new


INTERVALS = ("forest", "simple", "joined", "difference")


@dataclass(frozen=True)
class Ordering:
    """What a task's lists are ordered by; how the best simple score and both together did beside the forest, and
    (forest - simple) over all windows and in each."""

    order: str
    rival: str
    forest: Interval
    simple: Interval
    joined: Interval
    difference: Interval
    windows: tuple[float, ...]

    @property
    def clear(self) -> bool:
        """Whether the simple score is better beyond chance, in enough windows."""
        agree = np.mean([mean < 0 for mean in self.windows])
        return self.difference.high < 0 and bool(agree >= (AGREE if len(self.windows) > 3 else 1.0))

    def content(self) -> dict[str, Any]:
        """As JSON-ready values."""
        intervals = {name: getattr(self, name)._asdict() for name in INTERVALS}
        return {"order": self.order, "rival": self.rival, "windows": list(self.windows)} | intervals


def of_customers(wanted: Targets, who: Int32s) -> Targets:
    """The targets of some customers (J,), who are counted from 0."""
    num = np.diff(wanted.indptr)[who]
    indptr = np.append(0, np.cumsum(num)).astype(np.int64)
    at = np.repeat(wanted.indptr[who] - indptr[:-1], num) + np.arange(indptr[-1])
    return Targets(indptr, wanted.items[at])


def rivals(names: Sequence[str]) -> list[str]:
    """The columns of features that order a list by themselves."""
    return [name for name in names if name.startswith("score_") or name in SIMPLE]


def simple(name: str, features: Float32s, names: Sequence[str]) -> Float64s:
    """(N,) a column of features (N, F) as a score: what it does not know below all else, and with FIRST_NEW what the
    customer bought before just as far down."""
    values = features[:, names.index(name.removesuffix(FIRST_NEW))]
    last = np.isnan(values)
    if name.endswith(FIRST_NEW):
        last |= features[:, names.index("item_num")] > 0
    return np.where(last, UNKNOWN, values).astype(np.float64)


def choose(
    task: Task, held: Sequence[HeldOut], forest: Callable[[HeldOut], Float64s], rivals: Sequence[str]
) -> Ordering | None:
    """The order of one task's lists; None where too few customers can be judged to say anything."""
    ours = [part.ndcg(task, forest(part)) for part in held]
    rivals = [name for name in rivals if all(part.fills(task, name) for part in held)]
    if task == Task.ALL:  # where nobody buys a product twice, an order that knows it
        rivals += [f"{name}{FIRST_NEW}" for name in rivals]
    if sum(int((~np.isnan(values)).sum()) for values in ours) < MIN_CUSTOMERS or not rivals:
        return None
    of_rivals = {name: [part.ndcg(task, part.column(name)) for part in held] for name in rivals}
    ranked = sorted(rivals, key=lambda name: -float(np.nanmean(np.concatenate(of_rivals[name]))))
    best, popular = ranked[0], next((name for name in ranked if name in POPULARITY), None)
    doubtful = popular is not None and _by_customer(_less(ours, of_rivals[popular]), held).low <= 0
    level = [best, popular] if popular is not None and doubtful and popular != best else [best]
    together = [part.ndcg(task, fused(part.customer, forest(part), *map(part.column, level))) for part in held]
    forests, joined = _by_customer(ours, held), _by_customer(together, held)

    def by(order: str, rival: str) -> Ordering:
        gaps = _less(ours, of_rivals[rival])
        means = tuple(float(np.nanmean(gap)) for gap in gaps if (~np.isnan(gap)).any())
        simple, difference = _by_customer(of_rivals[rival], held), _by_customer(gaps, held)
        return Ordering(order, rival, forests, simple, joined, difference, means)

    of_best = by(best, best)
    if of_best.clear or of_best.difference.low > 0:
        return of_best if of_best.clear else by(FOREST, best)
    if popular is not None and doubtful and _by_customer(of_rivals[popular], held).value >= joined.value:
        return by(popular, popular)
    return by(AND.join([FOREST, *level]) if doubtful or joined.value > forests.value else FOREST, best)


def _less(ours: Sequence[Float64s], theirs: Sequence[Float64s]) -> list[Float64s]:
    return [mine - other for mine, other in zip(ours, theirs, strict=True)]


def fused(customer: Int32s, *scores: Float64s) -> Float64s:
    """(N,) reciprocal rank fusion of several scores (N,) of each customer's candidates: sum of 1 / (FUSION + place).

    customer  (N,) ascending

    A candidate that a score knows nothing of gets nothing from it.
    """
    total = np.zeros(customer.size)
    for score in scores:
        order = np.lexsort((-score, customer))
        place = np.arange(customer.size) - np.searchsorted(customer, customer)
        total[order] += np.where(score[order] > UNKNOWN, 1 / (FUSION + 1 + place), 0.0)
    return total


def _by_customer(values: Sequence[Float64s], held: Sequence[HeldOut]) -> Interval:
    """Mean over customers and windows; a customer is drawn with all of their windows."""
    value, who = np.concatenate(values), np.concatenate([part.who for part in held])
    seen = ~np.isnan(value)
    codes = np.unique(who[seen], return_inverse=True)[1]
    return bootstrap(np.bincount(codes, value[seen]) / np.maximum(np.bincount(codes), 1), SEED)
