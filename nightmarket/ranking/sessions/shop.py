"""What the night knows of the shop, as arrays that fit a request: made once, read for every answer.

I items, C customers, K kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int8s, Int32s, Int64s, Values
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import BOUGHT, CARTED, KINDS, LOOKED, Interactions
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.sessions import co_visits
from nightmarket.ranking.sessions.co_visits import CoVisits
from nightmarket.ranking.sessions.visits import DAY

LEVELS = ("kind", "category", "line", "maker", "brand", "text", "size")
MOST_PAST = 40
"""Events that are remembered of a customer, the last ones."""
OF_KIND, YOUNG_OF_KIND = 100, 50
"""Products of a kind that are proposed: those that most was done with lately, and the newest."""
YOUNG_DAYS = 28
POPULAR = 60
HALF_LIFE = 7.0
"""Days in which what is in demand halves."""


@dataclass(frozen=True)
class Ragged:
    """Rows of different length: row r is item[indptr[r]:indptr[r+1]]."""

    indptr: Int64s
    item: Int32s

    def row(self, row: int) -> Int32s:
        """One of them."""
        return self.item[self.indptr[row] : self.indptr[row + 1]]

    def rows(self, which: Int32s) -> Int32s:
        """The rows one after the other."""
        parts = [self.row(row) for row in which.tolist()]
        return np.concatenate(parts) if parts else self.item[:0]


@dataclass(frozen=True)
class LastEvents:
    """The last events of each customer, oldest first: customer c's are [indptr[c]:indptr[c+1]]."""

    indptr: Int64s
    item: Int32s
    kind: Int8s
    second: Int64s

    def of(self, customer: int) -> tuple[Int32s, Int8s, Int64s]:
        """Items, kinds, seconds of one customer; none for a customer below 0."""
        rows = slice(self.indptr[customer], self.indptr[customer + 1]) if customer >= 0 else slice(0)
        return self.item[rows], self.kind[rows], self.second[rows]


@dataclass(frozen=True)
class SessionShop:
    """All that an answer is made from, but the order that was learned.

    near, leads, follows  what is met with, taken after, and done after a purchase of each item
    factors       of items and visitors; None where purchases alone are recorded
    of_kind       items of each kind, those that most was done with lately first
    young         items of each kind that are new, newest first
    popular       (P,) items of the whole shop
    products      (I, F) PRODUCT, what is known of each item by itself
    """

    catalogue: Catalogue
    cut: int
    near: CoVisits
    leads: CoVisits
    follows: CoVisits
    factors: Factors | None
    of_kind: Ragged
    young: Ragged
    popular: Int32s
    popularity: Float32s
    products: Float32s
    first_day: Int32s
    past: LastEvents

    def tensors(self) -> dict[str, Values]:
        """All of it but the catalogue, by name."""
        parts: dict[str, Any] = {"near": self.near, "leads": self.leads, "follows": self.follows}
        parts |= {"of_kind": self.of_kind, "young": self.young, "past": self.past}
        made = {f"{part}.{name}": values for part, of in parts.items() for name, values in vars(of).items()}
        made |= {name: getattr(self, name) for name in _PLAIN} | {"cut": np.array([self.cut], np.int32)}
        if self.factors is not None:
            made |= {f"factors.{name}": values for name, values in self.factors.tensors().items()}
        return made

    @classmethod
    def of(cls, tensors: Mapping[str, Values], catalogue: Catalogue) -> "SessionShop":
        """The reverse of `tensors`."""

        def part(name: str) -> dict[str, Any]:
            return {key.partition(".")[2]: values for key, values in tensors.items() if key.startswith(f"{name}.")}

        known = part("factors")
        return cls(
            catalogue=catalogue,
            cut=int(tensors["cut"][0]),
            near=CoVisits(**part("near")),
            leads=CoVisits(**part("leads")),
            follows=CoVisits(**part("follows")),
            of_kind=Ragged(**part("of_kind")),
            young=Ragged(**part("young")),
            past=LastEvents(**part("past")),
            factors=Factors.of(known) if known else None,
            **{name: tensors[name] for name in _PLAIN},
        )

    @cached_property
    def level_keys(self) -> Int64s:
        """(LEVELS, I) keys of the codes at each level, no two levels with one in common; a product whose code is not
        known is of no other's."""
        codes = np.stack([self.catalogue.codes(level) for level in LEVELS]).astype(np.int64)
        keys = np.where(codes >= 0, codes, -1 - np.arange(codes.shape[1]))
        return np.asarray(keys + (np.arange(len(LEVELS))[:, None] << 40))

    @cached_property
    def log_price(self) -> Float32s:
        """(I,) logarithm of the list price, NaN where there is none."""
        price = self.catalogue.list_price
        return np.log(np.where(price > 0, price, np.nan)).astype(np.float32)

    def on_sale(self, items: Int32s, day: int) -> Bools:
        """(N,) which items can be had on a day."""
        return self.catalogue.on_sale(day, items)


_PLAIN = ("popular", "popularity", "products", "first_day")
PRODUCT = ("popular", "looks_1w", "looks_4w", "carts_4w", "bought_4w", "trend", "conversion", "cart_rate", "of_kind")


def as_events(histories: Histories) -> Interactions:
    """Purchase lines as events whose sessions are the baskets, for shops that record nothing else."""
    order = np.lexsort((histories.basket, histories.customer))
    session = np.unique(histories.basket[order], return_inverse=True)[1].astype(np.int32)
    day = histories.day[order]
    kind = np.full(day.size, KINDS.index("purchase"), np.int8)
    customer, item = histories.customer[order], histories.item[order]
    second = day.astype(np.int64) * DAY
    return Interactions(customer, item, day, second, kind, session, histories.num_customers, histories.num_items)


def build(statistics: PointInTimeStatistics, factors: Factors | None) -> SessionShop:
    """What is known at the end of the day `statistics.cut`."""
    events = statistics.events if statistics.behaves else as_events(statistics.histories)
    catalogue, today = statistics.catalogue, statistics.today
    popularity = np.bincount(events.item, events.strengths(today, HALF_LIFE), catalogue.num_items).astype(np.float32)
    kept = np.flatnonzero(catalogue.recommendable & (catalogue.until_day > statistics.cut))
    age = statistics.age[kept]
    kinds = int(catalogue.kind.max(initial=-1)) + 1
    young = kept[~(age > YOUNG_DAYS)]
    first = np.where(catalogue.from_day < NEVER, catalogue.from_day, statistics.first_days)
    np.minimum.at(first, events.item, events.day)
    best = kept[np.argsort(-popularity[kept], kind="stable")]
    return SessionShop(
        catalogue,
        statistics.cut,
        co_visits.in_session(events, today),
        co_visits.leading(events, today) if statistics.behaves else CoVisits.none(catalogue.num_items),
        co_visits.following(events, today),
        factors,
        _by_kind(catalogue.kind, kept, -popularity[kept], kinds, OF_KIND),
        _by_kind(catalogue.kind, young, -first[young], kinds, YOUNG_OF_KIND),
        best[:POPULAR].astype(np.int32),
        popularity,
        _products(events, catalogue, today, popularity),
        first.astype(np.int32),
        remembered(events),
    )


def _by_kind(kind: Int32s, items: Int64s, order: Values, num_kinds: int, most: int) -> Ragged:
    """At most so many of the items of each kind, those first that are least in `order`."""
    items = items[np.lexsort((items, order, kind[items]))]
    of = kind[items]
    place = np.arange(items.size) - np.searchsorted(of, of)
    chosen = items[place < most].astype(np.int32)
    return Ragged(np.searchsorted(kind[chosen], np.arange(num_kinds + 1)).astype(np.int64), chosen)


def remembered(events: Interactions, most: int = MOST_PAST) -> LastEvents:
    """The last `most` events of each customer."""
    bounds = np.searchsorted(events.customer, np.arange(events.num_customers + 1))
    last = bounds[1:][np.maximum(events.customer, 0)]
    kept = (events.customer >= 0) & (np.arange(len(events)) >= last - most)
    num = np.bincount(events.customer[kept], minlength=events.num_customers)
    indptr = np.append(0, np.cumsum(num)).astype(np.int64)
    return LastEvents(indptr, events.item[kept], events.kind[kept], events.second[kept])


def _products(events: Interactions, catalogue: Catalogue, today: int, popularity: Float32s) -> Float32s:
    """(I, F) columns PRODUCT."""
    num = catalogue.num_items

    def count(kinds: tuple[int, ...], days: int) -> Float32s:
        rows = np.isin(events.kind, kinds) & (events.day >= today - days)
        return np.bincount(events.item[rows], minlength=num).astype(np.float32)

    looks, carts, bought = count(LOOKED, 91), count(CARTED, 91), count(BOUGHT, 91)
    usual = [(of.sum() + 1) / (looks.sum() + 100) for of in (bought, carts)]
    of_kind = np.bincount(catalogue.kind, popularity)
    columns = (
        popularity,
        count(LOOKED, 7),
        count(LOOKED, 28),
        count(CARTED, 28),
        count(BOUGHT, 28),
        count(LOOKED, 7) / np.maximum(count(LOOKED, 28), 1),
        (bought + 50 * usual[0]) / (looks + 50),
        (carts + 50 * usual[1]) / (looks + 50),
        popularity / np.maximum(of_kind[catalogue.kind], 1e-6),
    )
    assert len(columns) == len(PRODUCT)
    return np.stack(columns, axis=1).astype(np.float32)
