"""Everything that is known at a cut in time, refit from the histories up to it; nothing here sees a later day.

What is known of products is held for all of them. What is known of customers is made for a slice of them at a time, so
that memory does not grow with their number. The same statistics are kept at several levels (product, its sizes and
colours, product line, kind, category, maker), because what a product lacks in history its line or kind may have.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s, Values
from nightmarket.evaluation.protocol import LAUNCH_DAYS, RARE_BUYERS
from nightmarket.histories.calendar import NEVER, week_of, weeks_before
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import Interactions
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking.pairs import Pairs, pairs
from nightmarket.ranking.preference import Preferences, fit
from nightmarket.ranking.sizes import SizeShares
from nightmarket.ranking.touches import Touches, touches

LEVELS = ("item", "group", "line", "kind", "category", "maker")
SPANS = {"2w": 2, "4w": 4, "13w": 13}
ATTENTION_HALF_LIFE = 7.0
"""Days in which what was done with a product halves as a sign of what people are after."""
DRAW_HALF_LIFE = 30.0
"""Days in which what was done with a product halves as a sign of how many it draws."""
DRAW_PRIOR = 0.2
"""Of that sign at which it counts half beside that of all products."""
MIN_BUYERS = 2
NEW_WEEKS = 8
_STEP = 4096


@dataclass(frozen=True)
class PointInTimeStatistics:
    """What is known at the end of the day `cut`.

    interactions  of all kinds; None or none where the shop records purchases alone
    terms         (T, F) unit rows of the products' texts; None where nothing asks for them
    vectors       (I, K) rows of length 1 of the shop's own vectors; None where nothing asks for them
    described     (I, D) see preference.described; None where nothing asks for it
    coming_days   days after the cut on which an announced product may come on sale to count as on sale
    """

    histories: Histories
    catalogue: Catalogue
    cut: int
    promotions: Promotions
    interactions: Interactions | None = None
    terms: sparse.csr_matrix | None = None
    coming_days: int = 0
    vectors: Float32s | None = None
    described: Float32s | None = None

    @property
    def today(self) -> int:
        """The day after the cut, from which ages in days are counted."""
        return self.cut + 1

    @property
    def week(self) -> int:
        """The calendar week that the cut lies in: promotions are known by the week."""
        return week_of(self.cut)

    def last_weeks(self, weeks: int, histories: Histories | None = None) -> Histories:
        """The lines of the last weeks before the cut, of all customers or of the given histories."""
        lines = self.histories if histories is None else histories
        return lines.between(self.today - 7 * weeks, self.cut)

    def weeks_ago(self, days: Int32s) -> Int32s:
        """(N,) whole weeks that days lie before the cut, 0 for the last seven; below 0 for days after it."""
        return weeks_before(days, self.cut)

    def customers(self, rows: slice) -> "Customers":
        """What is known of the customers of a slice."""
        return Customers(self, rows)

    def slices(self, step: int) -> Iterator[slice]:
        """All customers, `step` at a time."""
        num = self.histories.num_customers
        for start in range(0, num, step):
            yield slice(start, min(start + step, num))

    @cached_property
    def _totals(self) -> dict[str, Int64s]:
        """(I,) per item: distinct customers of the last weeks and ever, of two days or more, and their baskets."""
        num_items = self.catalogue.num_items
        totals = {name: np.zeros(num_items, np.int64) for name in (*SPANS, "ever", "again", "baskets")}
        for rows in self.slices(_STEP):
            own = self.customers(rows).levels["item"]
            for name, weeks in SPANS.items():
                lately = own.last >= self.today - 7 * weeks
                totals[name] += np.bincount(own.code[lately], minlength=num_items)
            totals["ever"] += np.bincount(own.code, minlength=num_items)
            totals["again"] += np.bincount(own.code[own.days > 1], minlength=num_items)
            totals["baskets"] += np.bincount(own.code, own.num, num_items).astype(np.int64)
        return totals

    @cached_property
    def buyers(self) -> dict[str, Float32s]:
        """(I,) distinct customers who bought each item in the last 2, 4, 13 weeks and ever."""
        return {name: self._totals[name].astype(np.float32) for name in (*SPANS, "ever")}

    @property
    def again(self) -> Int64s:
        """(I,) customers who bought the item on two days or more."""
        return self._totals["again"]

    @property
    def baskets(self) -> Int64s:
        """(I,) baskets that held the item."""
        return self._totals["baskets"]

    @cached_property
    def first_days(self) -> Int32s:
        """(I,) the day of each item's first sale; NEVER for items never sold."""
        return self.histories.first_days()

    @cached_property
    def sold(self) -> Bools:
        """(I,) recommendable and sold at least once."""
        sold = np.zeros(self.catalogue.num_items, bool)
        sold[self.histories.item] = True
        return sold & self.catalogue.recommendable

    @cached_property
    def known(self) -> Bools:
        """(C,) customers who did anything up to the cut."""
        known = np.zeros(self.histories.num_customers, bool)
        known[self.histories.customer] = True
        known[self.events.customer[self.events.customer >= 0]] = True
        return known

    @property
    def behaves(self) -> bool:
        """Whether more than purchases is known."""
        return self.interactions is not None and len(self.interactions) > 0

    @cached_property
    def events(self) -> Interactions:
        """Interactions up to the cut, none where the shop records purchases alone."""
        return self.interactions or Interactions.none(self.histories.num_customers, self.catalogue.num_items)

    @cached_property
    def attention(self) -> Float32s:
        """(I,) strength of what everybody, guests too, did with each item lately."""
        strength = self.events.strengths(self.today, ATTENTION_HALF_LIFE)
        return np.bincount(self.events.item, strength, self.catalogue.num_items).astype(np.float32)

    @cached_property
    def grouped_attention(self) -> Float32s:
        """(I,) the same of each item in all sizes and colours together."""
        groups = self.catalogue.group
        return np.bincount(groups, self.attention).astype(np.float32)[groups]

    @cached_property
    def draw(self) -> Float32s:
        """(I,) strength of what everybody did lately with each item, in all sizes and colours, for the time that it was
        on sale, over that of all together: 1 for what nobody can have met yet."""
        group, strength = self.catalogue.group, self.events.strengths(self.today, DRAW_HALF_LIFE)
        done = np.maximum(np.bincount(group[self.events.item], strength, int(group.max(initial=0)) + 1), 0)
        days = np.zeros(done.size)
        np.maximum.at(days, group, np.nan_to_num(self.age))
        there = 1 - np.exp2(-np.maximum(days, 0) / DRAW_HALF_LIFE)
        usual = done.sum() / max(there.sum(), 1e-9)
        rate = (done + DRAW_PRIOR * usual) / (max(usual, 1e-9) * (there + DRAW_PRIOR))
        return (rate if usual > 0 else np.ones(done.size))[group].astype(np.float32)

    @cached_property
    def age(self) -> Float32s:
        """(I,) days on sale: since the day that the shop names, else since the first event; below 1 for what is
        announced, NaN for what nobody has seen."""
        first = self.first_days.copy()
        np.minimum.at(first, self.events.item, self.events.day)
        known = self.catalogue.from_day
        first = np.where(known < NEVER, known, first)
        return np.where(first < NEVER, self.today - first, np.nan).astype(np.float32)

    @cached_property
    def listed(self) -> Bools:
        """(I,) recommendable, not ended, and sold or seen before or on sale by the day that the shop names; where looks
        are recorded also what the shop names no day of and nobody has met."""
        return self._offered & (self.sold | (self.age > -self.coming_days) | self._unmet)

    @property
    def _unmet(self) -> Bools:
        """(I,) without a day of their own and without an event: a catalogue says no more of what it has just taken
        in. Of purchases alone it cannot be told from what nobody wants."""
        return np.isnan(self.age) & self.behaves

    @property
    def _offered(self) -> Bools:
        """(I,) recommendable, and not ended by the cut: what ends later is not known yet."""
        return self.catalogue.recommendable & (self.catalogue.until_day > self.cut)

    @cached_property
    def lively(self) -> Int32s:
        """Listed items that somebody did something with in the last 13 weeks, or that are new."""
        lately = np.zeros(self.catalogue.num_items, bool)
        lately[self.events.item[self.events.day >= self.today - 7 * 13]] = True
        lately[self.last_weeks(13).item] = True
        chosen = self.listed & (lately | ~(self.age > LAUNCH_DAYS))
        return np.flatnonzero(chosen if chosen.any() else self.listed).astype(np.int32)

    @cached_property
    def first_of_group(self) -> Int32s:
        """(I,) the first of each item's sizes and colours."""
        return self.catalogue.first_of_group()

    @cached_property
    def grouped_events(self) -> Interactions:
        """Events as if all were done with the first of an item's sizes and colours."""
        return replace(self.events, item=self.first_of_group[self.events.item])

    @cached_property
    def preference(self) -> Preferences | None:
        """What customers prefer within kinds; None where nothing says it."""
        return None if self.described is None else fit(self.events, self.today, self.described, self.catalogue)

    @cached_property
    def sizes(self) -> SizeShares | None:
        """Which sizes customers take; None in a shop without sizes."""
        return SizeShares.of(self.catalogue, self.events, self.today)

    def usual_shares(self, level: str) -> Float32s:
        """(K,) share of all looks and carts of the last 13 weeks at each code of a level."""
        if level not in self._usual:
            codes = self.catalogue.codes(level)
            code = codes[self.events.item[self.events.day >= self.today - 7 * 13]]
            counts = np.bincount(code[code >= 0], minlength=int(codes.max(initial=0)) + 1) + 1.0
            self._usual[level] = (counts / counts.sum()).astype(np.float32)
        return self._usual[level]

    @cached_property
    def _usual(self) -> dict[str, Float32s]:
        return {}

    def launched(self, announced_days: int = 0) -> Int32s:
        """Items that are at most LAUNCH_DAYS old, sold or not, and those announced for the next days."""
        young = (self.age <= LAUNCH_DAYS) & (self.age > -announced_days) | self._unmet
        return np.flatnonzero(young & self._offered).astype(np.int32)

    @cached_property
    def active(self) -> Int32s:
        """Items that the collaborative generators choose from: sold lately, to more than one customer. If that leaves
        nothing, all that were ever sold."""
        sold = self.sold & self._offered
        lately = sold & (self.buyers["13w"] > 0) & (self.buyers["ever"] >= MIN_BUYERS)
        chosen = lately if lately.any() else sold
        return np.flatnonzero(chosen).astype(np.int32)

    @cached_property
    def rare(self) -> Int32s:
        """Items that were sold, to fewer than RARE_BUYERS customers ever."""
        return np.flatnonzero(self.sold & self._offered & (self.buyers["ever"] < RARE_BUYERS)).astype(np.int32)


class Customers:
    """What is known of the customers `rows` at the cut; B customers, counted from 0 inside the slice."""

    def __init__(self, statistics: PointInTimeStatistics, rows: slice) -> None:
        self.statistics = statistics
        self.rows = rows
        lines = statistics.histories.of(rows)
        self.lines: Histories = replace(
            lines, customer=lines.customer - rows.start, num_customers=rows.stop - rows.start
        )
        self.levels = _Levels(self)
        self.events = statistics.events.of(rows)
        self.grouped_events = replace(self.events, item=statistics.first_of_group[self.events.item])
        self.touches = _Touches(self)

    @property
    def num(self) -> int:
        """B."""
        return self.lines.num_customers

    @cached_property
    def fresh(self) -> Float32s:
        """(B,) fresh baskets summed over products; above 0, so that it can divide."""
        own = self.levels["item"]
        return np.maximum(np.bincount(own.customer, own.fresh, self.num), 1e-6).astype(np.float32)

    @cached_property
    def variety(self) -> Int64s:
        """(B,) distinct products ever bought."""
        return np.bincount(self.levels["item"].customer, minlength=self.num)

    @cached_property
    def recent(self) -> tuple[Values, Values]:
        """(B,), (B,) distinct products of the last 8 weeks: those bought for the first time, and all."""
        own, since = self.levels["item"], self.statistics.cut - 7 * NEW_WEEKS
        return np.bincount(own.customer, own.first > since, self.num), np.bincount(
            own.customer, own.last > since, self.num
        )

    @cached_property
    def adopted(self) -> Int64s:
        """(B,) lines of the last 8 weeks with a product that came on sale in that week or the week before."""
        lines, weeks_ago = self.lines, self.statistics.weeks_ago
        bought, came = weeks_ago(lines.day), weeks_ago(self.statistics.first_days)[lines.item]
        early = (bought < NEW_WEEKS) & (came <= bought + 1)
        return np.bincount(lines.customer[early], minlength=self.num)


class _Levels(dict[str, Pairs]):
    """Statistics per customer at each level, made on first use."""

    def __init__(self, customers: Customers) -> None:
        super().__init__()
        self._customers = customers

    def __missing__(self, level: str) -> Pairs:
        statistics = self._customers.statistics
        codes = statistics.catalogue.codes(level)
        self[level] = pairs(self._customers.lines, codes, int(codes.max(initial=0)) + 1, statistics.today)
        return self[level]


class _Touches(dict[str, Touches]):
    """What customers looked at and put into carts at each level, made on first use."""

    def __init__(self, customers: Customers) -> None:
        super().__init__()
        self._customers = customers

    def __missing__(self, level: str) -> Touches:
        statistics = self._customers.statistics
        codes = statistics.catalogue.codes(level)
        self[level] = touches(self._customers.events, codes, int(codes.max(initial=0)) + 1, statistics.today)
        return self[level]
