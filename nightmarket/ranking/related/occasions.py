"""What was bought on one occasion: O occasions, I items, C customers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s, Values
from nightmarket.histories.histories import Histories

DAYS = 28
"""In which what a customer buys is one occasion, where baskets hold one product."""
MIXED = 0.1
"""Share of baskets with several products from which on baskets say what goes together."""
PAIRS = 100_000
"""Pairs of products that are compared together."""


@dataclass(frozen=True)
class Occasions:
    """items (O, I) ones; day, customer (O,)."""

    items: sparse.csr_matrix
    day: Int32s
    customer: Int32s

    @classmethod
    def of(cls, lines: Histories, today: int) -> "Occasions":
        """Baskets; where fewer than MIXED of them hold several products, what a customer bought within DAYS, counted
        back from the day `today`."""
        made = cls._by(lines, lines.basket.astype(np.int64))
        if np.mean(np.diff(made.items.indptr) > 1) >= MIXED if len(lines) else True:
            return made
        block = (today - 1 - lines.day) // DAYS
        return cls._by(lines, lines.customer.astype(np.int64) * (int(block.max()) + 1) + block)

    @classmethod
    def _by(cls, lines: Histories, key: Int64s) -> "Occasions":
        names, row = np.unique(key, return_inverse=True)
        ones = np.ones(len(lines), np.float32)
        items = sparse.coo_matrix((ones, (row, lines.item)), shape=(names.size, lines.num_items)).tocsr()
        items.data[:] = 1
        day, customer = np.zeros(names.size, np.int32), np.zeros(names.size, np.int32)
        day[row], customer[row] = lines.day, lines.customer
        return cls(items, day, customer)

    @cached_property
    def sizes(self) -> Int64s:
        """(O,) products of each."""
        return np.diff(self.items.indptr).astype(np.int64)

    def weights(self, today: int, half_life: float) -> Float32s:
        """(O,) 1, halved for every `half_life` days of age."""
        return np.exp2((self.day - today) / half_life).astype(np.float32)

    def more_than_by_habit(self, items: Int32s, others: Int32s) -> Bools:
        """(N,) pairs of items (N,), others (N,) that were bought on one occasion at least as often as they would be,
        did the same customers take the two independently of each other; never a pair that was not bought together.

        Who takes the one on most days on which they do not take the other buys it instead of the other.
        """
        by_item = self.items.T.tocsr()
        num = np.bincount(self.customer)
        of_customer = sparse.coo_matrix(
            (np.ones(self.customer.size, np.float32), (self.customer, np.arange(self.customer.size))),
            shape=(num.size, self.customer.size),
        )
        habits = (of_customer.tocsr() @ self.items).T.tocsr()
        shares = (habits @ sparse.diags_array((1 / np.maximum(num, 1)).astype(np.float32))).tocsr()
        out = np.zeros(items.size, bool)
        for start in range(0, items.size, PAIRS):
            here = slice(start, start + PAIRS)
            together = _dots(by_item[items[here]], by_item[others[here]])
            out[here] = (together > 0) & (together >= _dots(habits[items[here]], shares[others[here]]) - 1e-6)
        return out


def _dots(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Values:
    """(N,) the products of rows."""
    return np.asarray(left.multiply(right).sum(axis=1)).ravel()
