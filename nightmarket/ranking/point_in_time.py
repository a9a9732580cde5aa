"""Everything that is known at an origin, refit from the histories up to it; nothing here sees a later week.

What is known of products is held for all of them. What is known of customers is made for a slice of them at a time, so
that memory does not grow with their number. The same statistics are kept at several levels (product, products of the
same text, product line, kind, category, maker), because what a product lacks in history its line or kind may have.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.histories import Histories
from nightmarket.ranking.catalogue import Catalogue
from nightmarket.ranking.pairs import Pairs, pairs

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
LEVELS = ("item", "text", "line", "kind", "category", "maker")
SPANS = {"2w": 2, "4w": 4, "13w": 13}
MIN_BUYERS = 2
RARE_BUYERS = 10
NEW_WEEKS = 8
_STEP = 4096


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

    def shown(self, num_items: int, first: int, last: int) -> dict[str, Floats]:
        """(I,) over the weeks first..last: the `first` and the `last` in which an item was displayed or mailed at all,
        NaN for never, how many `weeks` that were, and the largest shares of one week, `display` and `mailer`."""
        inside = (self.week >= first) & (self.week <= last) & ((self.display > 0) | (self.mailer > 0))
        item, week = self.item[inside], self.week[inside].astype(np.float32)
        begin, end = (np.full(num_items, value, np.float32) for value in (np.inf, -np.inf))
        np.minimum.at(begin, item, week)
        np.maximum.at(end, item, week)
        found = {name: np.where(np.isfinite(ends), ends, np.nan) for name, ends in (("first", begin), ("last", end))}
        found["weeks"] = np.bincount(item, minlength=num_items).astype(np.float32)
        for name, shares in (("display", self.display), ("mailer", self.mailer)):
            found[name] = np.zeros(num_items, np.float32)
            np.maximum.at(found[name], item, shares[inside])
        return found

    def covers(self, first: int, last: int) -> bool:
        """Whether every one of the weeks first..last has promotions."""
        return set(range(first, last + 1)) <= set(np.unique(self.week).tolist())


@dataclass(frozen=True)
class PointInTimeStatistics:
    """What is known at the end of week `origin`."""

    histories: Histories
    catalogue: Catalogue
    origin: int
    promotions: Promotions

    @property
    def last_day(self) -> int:
        """The day after the origin's last day, from which ages are counted."""
        return 7 * self.origin + 11

    def customers(self, rows: slice) -> "Customers":
        """What is known of the customers of a slice."""
        return Customers(self, rows)

    def slices(self, step: int) -> Iterator[slice]:
        """All customers, `step` at a time."""
        num = self.histories.num_customers
        for start in range(0, num, step):
            yield slice(start, min(start + step, num))

    @cached_property
    def _totals(self) -> dict[str, NDArray[np.int64]]:
        """(I,) per item: distinct customers of the last weeks and ever, of two days or more, and their baskets."""
        num_items = self.catalogue.num_items
        totals = {name: np.zeros(num_items, np.int64) for name in (*SPANS, "ever", "again", "baskets")}
        for rows in self.slices(_STEP):
            own = self.customers(rows).levels["item"]
            for name, weeks in SPANS.items():
                lately = own.last >= self.last_day - 7 * weeks
                totals[name] += np.bincount(own.code[lately], minlength=num_items)
            totals["ever"] += np.bincount(own.code, minlength=num_items)
            totals["again"] += np.bincount(own.code[own.days > 1], minlength=num_items)
            totals["baskets"] += np.bincount(own.code, own.num, num_items).astype(np.int64)
        return totals

    @cached_property
    def buyers(self) -> dict[str, Floats]:
        """(I,) distinct customers who bought each item in the last 2, 4, 13 weeks and ever."""
        return {name: self._totals[name].astype(np.float32) for name in (*SPANS, "ever")}

    @property
    def again(self) -> NDArray[np.int64]:
        """(I,) customers who bought the item on two days or more."""
        return self._totals["again"]

    @property
    def baskets(self) -> NDArray[np.int64]:
        """(I,) baskets that held the item."""
        return self._totals["baskets"]

    @cached_property
    def first_weeks(self) -> Ints:
        """(I,) the week of each item's first sale; 2147483647 for items never sold."""
        return self.histories.first_weeks()

    @cached_property
    def sold(self) -> NDArray[np.bool_]:
        """(I,) recommendable and sold at least once."""
        sold = np.zeros(self.catalogue.num_items, bool)
        sold[self.histories.item] = True
        return sold & self.catalogue.recommendable

    @cached_property
    def active(self) -> Ints:
        """Items that the collaborative generators choose from: sold lately, to more than one customer. If that leaves
        nothing, all that were ever sold."""
        lately = self.sold & (self.buyers["13w"] > 0) & (self.buyers["ever"] >= MIN_BUYERS)
        chosen = lately if lately.any() else self.sold
        return np.flatnonzero(chosen).astype(np.int32)

    @cached_property
    def rare(self) -> Ints:
        """Items that were sold, to fewer than RARE_BUYERS customers ever."""
        return np.flatnonzero(self.sold & (self.buyers["ever"] < RARE_BUYERS)).astype(np.int32)


class Customers:
    """What is known of the customers `rows` at the origin; B customers, counted from 0 inside the slice."""

    def __init__(self, statistics: PointInTimeStatistics, rows: slice) -> None:
        self.statistics = statistics
        self.rows = rows
        lines = statistics.histories.of(rows)
        self.lines: Histories = replace(
            lines, customer=lines.customer - rows.start, num_customers=rows.stop - rows.start
        )
        self.levels = _Levels(self)

    @property
    def num(self) -> int:
        """B."""
        return self.lines.num_customers

    @cached_property
    def fresh(self) -> Floats:
        """(B,) fresh baskets summed over products; above 0, so that it can divide."""
        own = self.levels["item"]
        return np.maximum(np.bincount(own.customer, own.fresh, self.num), 1e-6).astype(np.float32)

    @cached_property
    def variety(self) -> NDArray[np.int64]:
        """(B,) distinct products ever bought."""
        return np.bincount(self.levels["item"].customer, minlength=self.num)

    @cached_property
    def recent(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(B,), (B,) distinct products of the last 8 weeks: those bought for the first time, and all."""
        own, since = self.levels["item"], self.statistics.last_day - 57
        return np.bincount(own.customer, own.first > since, self.num), np.bincount(
            own.customer, own.last > since, self.num
        )

    @cached_property
    def adopted(self) -> NDArray[np.int64]:
        """(B,) lines of the last 8 weeks with a product that came on sale in that week or the week before."""
        lines, first = self.lines, self.statistics.first_weeks
        lately = lines.week > self.statistics.origin - NEW_WEEKS
        early = lately & (first[lines.item] >= lines.week - 1)
        return np.bincount(lines.customer[early], minlength=self.num)


class _Levels(dict[str, Pairs]):
    """Statistics per customer at each level, made on first use."""

    def __init__(self, customers: Customers) -> None:
        super().__init__()
        self._customers = customers

    def __missing__(self, level: str) -> Pairs:
        statistics = self._customers.statistics
        codes = statistics.catalogue.codes(level)
        self[level] = pairs(self._customers.lines, codes, int(codes.max(initial=0)) + 1, statistics.last_day)
        return self[level]
