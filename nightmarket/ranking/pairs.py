"""Statistics of (customer, code) pairs: what a customer has done with a product, a line, a kind."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s, Values
from nightmarket.histories.histories import Histories


@dataclass(frozen=True)
class Pairs:
    """Statistics of (customer, code) pairs that occur; P pairs sorted by key.

    num        baskets with the code
    fresh      the same, halved for every 90 days of age
    brief      the same, halved for every 21 days
    first, last  days
    days       distinct days
    spend, units  sums
    """

    key: Int64s
    num_codes: int
    num: Float32s
    fresh: Float32s
    brief: Float32s
    first: Int32s
    last: Int32s
    days: Float32s
    spend: Float32s
    units: Float32s

    @property
    def customer(self) -> Int32s:
        """(P,) the customer of each pair."""
        return (self.key // self.num_codes).astype(np.int32)

    @property
    def code(self) -> Int32s:
        """(P,) the code of each pair."""
        return (self.key % self.num_codes).astype(np.int32)

    @cached_property
    def gap(self) -> Float32s:
        """(P,) mean days between two days of purchase; NaN where there was one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = (self.last - self.first) / (self.days - 1)
        return np.where(self.days > 1, gap, np.nan).astype(np.float32)

    def find(self, customer: Int32s, code: Int32s) -> Int64s:
        """(N,) row of each asked pair, -1 where it never occurred."""
        if self.key.size == 0:
            return np.full(customer.size, -1)
        asked = customer.astype(np.int64) * self.num_codes + code
        row = np.minimum(np.searchsorted(self.key, asked), self.key.size - 1)
        return np.where(self.key[row] == asked, row, -1)


def pairs(histories: Histories, codes: Int32s, num_codes: int, today: int) -> Pairs:
    """Aggregate purchase lines by customer and code of the item.

    codes  (I,) the level's code of each item
    today  the day that ages are counted from
    """
    key = histories.customer.astype(np.int64) * num_codes + codes[histories.item]
    order = np.lexsort((histories.basket, key))  # baskets are numbered in time
    key, day = key[order], histories.day[order]
    if key.size == 0:
        none, whole = np.zeros(0, np.float32), np.zeros(0, np.int32)
        return Pairs(key, num_codes, none, none, none, whole, whole, none, none, none)
    basket = histories.basket[order]
    new_key = np.diff(key, prepend=-1) != 0
    new_basket = new_key | (np.diff(basket, prepend=-1) != 0)
    new_day = new_key | (np.diff(day, prepend=-1) != 0)
    start = np.flatnonzero(new_key)
    end = np.append(start[1:], key.size) - 1
    age = (today - day).astype(np.float32)

    def total(values: Values) -> Float32s:
        return np.add.reduceat(values.astype(np.float64), start).astype(np.float32)

    return Pairs(
        key=key[start],
        num_codes=num_codes,
        num=total(new_basket),
        fresh=total(new_basket * np.exp2(-age / 90)),
        brief=total(new_basket * np.exp2(-age / 21)),
        first=day[start],
        last=day[end],
        days=total(new_day),
        spend=total(histories.value[order]),
        units=total(histories.quantity[order]),
    )


def take(values: Values, row: Int64s, missing: float) -> Float32s:
    """(N,) values at the rows that `Pairs.find` gave, `missing` where it gave -1."""
    if values.size == 0:
        return np.full(row.size, missing, np.float32)
    taken = values[np.maximum(row, 0)].astype(np.float32)
    taken[row < 0] = missing
    return taken
