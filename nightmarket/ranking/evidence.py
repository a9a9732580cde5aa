"""Everything that is known at an origin, refit from the histories up to it; nothing here sees a later week.

The same statistics are kept at four levels (product, product line, kind, category), because what a product lacks in
history its line or kind may have.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.histories import Histories
from nightmarket.ranking.catalogue import Catalogue

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
ACTIVE_WEEKS = 13
MIN_BUYERS = 2


@dataclass(frozen=True)
class Promotions:
    """Share of channels that displayed or mailed an item in a week; P rows."""

    item: Ints
    week: Ints
    display: Floats
    mailer: Floats

    def mean(self, num_items: int, first: int, last: int) -> tuple[Floats, Floats]:
        """(I,) mean display and mailer shares over the weeks first..last."""
        inside = (self.week >= first) & (self.week <= last)
        weeks = max(last - first + 1, 1)
        shares = [
            (np.bincount(self.item[inside], weights[inside], num_items) / weeks).astype(np.float32)
            for weights in (self.display, self.mailer)
        ]
        return shares[0], shares[1]


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

    key: NDArray[np.int64]
    num_codes: int
    num: Floats
    fresh: Floats
    brief: Floats
    first: Ints
    last: Ints
    days: Floats
    spend: Floats
    units: Floats

    @property
    def customer(self) -> Ints:
        """(P,) the customer of each pair."""
        return (self.key // self.num_codes).astype(np.int32)

    @property
    def code(self) -> Ints:
        """(P,) the code of each pair."""
        return (self.key % self.num_codes).astype(np.int32)

    @cached_property
    def gap(self) -> Floats:
        """(P,) mean days between two days of purchase; NaN where there was one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = (self.last - self.first) / (self.days - 1)
        return np.where(self.days > 1, gap, np.nan).astype(np.float32)

    def find(self, customer: Ints, code: Ints) -> NDArray[np.int64]:
        """(N,) row of each asked pair, -1 where it never occurred."""
        if self.key.size == 0:
            return np.full(customer.size, -1)
        asked = customer.astype(np.int64) * self.num_codes + code
        row = np.minimum(np.searchsorted(self.key, asked), self.key.size - 1)
        return np.where(self.key[row] == asked, row, -1)


def pairs(histories: Histories, codes: Ints, num_codes: int, last_day: int) -> Pairs:
    """Aggregate purchase lines by customer and code of the item.

    codes  (I,) the level's code of each item
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
    age = (last_day - day).astype(np.float32)

    def total(values: NDArray) -> Floats:
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


@dataclass(frozen=True)
class Evidence:
    """What is known at the end of week `origin`."""

    histories: Histories
    catalogue: Catalogue
    origin: int
    promotions: Promotions

    @property
    def last_day(self) -> int:
        """The day after the origin's last day, from which ages are counted."""
        return 7 * self.origin + 11

    @cached_property
    def levels(self) -> dict[str, Pairs]:
        """Statistics per customer at each level."""
        c = self.catalogue
        own = np.arange(c.num_items, dtype=np.int32)
        codes = {"item": own, "line": c.line, "kind": c.kind, "category": c.category, "maker": c.maker}
        return {
            name: pairs(self.histories, code, int(code.max(initial=0)) + 1, self.last_day)
            for name, code in codes.items()
        }

    @cached_property
    def customer_fresh(self) -> Floats:
        """(C,) fresh baskets of each customer summed over products; above 0, so that it can divide."""
        own = self.levels["item"]
        total = np.bincount(own.customer, own.fresh, self.histories.num_customers)
        return np.maximum(total, 1e-6).astype(np.float32)

    @cached_property
    def customer_range(self) -> NDArray[np.int64]:
        """(C,) distinct products that each customer ever bought."""
        return np.bincount(self.levels["item"].customer, minlength=self.histories.num_customers)

    @cached_property
    def customer_recent(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(C,), (C,) distinct products of each customer's last 8 weeks: those bought for the first time, and all."""
        own, since, num = self.levels["item"], self.last_day - 57, self.histories.num_customers
        return np.bincount(own.customer, own.first > since, num), np.bincount(own.customer, own.last > since, num)

    @cached_property
    def sold(self) -> NDArray[np.bool_]:
        """(I,) recommendable and sold at least once."""
        sold = np.zeros(self.catalogue.num_items, bool)
        sold[self.histories.item] = True
        return sold & self.catalogue.recommendable

    @cached_property
    def buyers(self) -> dict[str, Floats]:
        """(I,) distinct customers who bought each item in the last 2, 4, 13 weeks and ever."""
        spans = {"2w": 2, "4w": 4, "13w": 13}
        found = {
            name: self.histories.between(self.origin - weeks + 1, self.origin).matrix().getnnz(axis=0)
            for name, weeks in spans.items()
        }
        found["ever"] = self.histories.matrix().getnnz(axis=0)
        return {name: values.astype(np.float32) for name, values in found.items()}

    @cached_property
    def active(self) -> Ints:
        """Items that the collaborative sources choose from: sold lately, to more than one customer. If that leaves
        nothing, all that were ever sold."""
        lately = self.sold & (self.buyers["13w"] > 0) & (self.buyers["ever"] >= MIN_BUYERS)
        chosen = lately if lately.any() else self.sold
        return np.flatnonzero(chosen).astype(np.int32)
