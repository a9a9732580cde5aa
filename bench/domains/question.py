"""What a recommender is given at a cut, and what its lists must find.

Shapes: C customers, P products, N events, B customers asked for, K places of a list. Days are days since 1970-01-01.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s, Values
from nightmarket.evaluation.protocol import LAUNCH_DAYS, Window

TASKS = ("all", "new", "launch")
DAY_US = 86_400_000_000
NEVER = 1 << 30


@dataclass(frozen=True)
class Shop:
    """A shop's tables with codes, sorted by time.

    tables        as the contract has them; times without zone are local
    customer_ids  (C,) customers with an id, sorted
    product_ids   (P,) as in tables["products"]
    customer      (N,) -1 for guests
    product       (N,) -1 for a search
    day, kind     (N,) kinds as texts
    first, end    (P,) days: on sale from `first` until before `end`
    """

    name: str
    tables: dict[str, pa.Table]
    customer_ids: Values
    product_ids: Values
    customer: Int32s
    product: Int32s
    day: Int32s
    kind: Values
    first: Int32s
    end: Int32s

    @classmethod
    def read(cls, name: str, tables: dict[str, pa.Table]) -> "Shop":
        """Number customers and products; `available_from` and `available_until` are what they are when given."""
        events = tables["events"].sort_by("timestamp")
        products = tables["products"]
        ids = [events["customer_id"]] + ([tables["customers"]["customer_id"]] if "customers" in tables else [])
        customer_ids = np.unique(np.concatenate([_texts(pc.unique(column.drop_null())) for column in ids]))
        product_ids = _texts(products["product_id"])
        days = [
            _days(products, column, absent)
            for column, absent in (("available_from", -NEVER), ("available_until", NEVER))
        ]
        return cls(
            name,
            tables | {"events": events},
            customer_ids,
            product_ids,
            _codes(events["customer_id"], customer_ids),
            _codes(events["product_id"], product_ids),
            (events["timestamp"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() // DAY_US).astype(np.int32),
            _texts(events["kind"]),
            *days,
        )

    @property
    def last_day(self) -> int:
        """Of the events."""
        return int(self.day[-1])

    def active(self, window: Window) -> Bools:
        """(P,) on sale at the cut, or announced: on sale from a day of the window on."""
        return (self.first <= window.last_target) & (self.end > window.cut)

    def launching(self, window: Window) -> Bools:
        """(P,) active, and at most LAUNCH_DAYS on sale at the cut or announced."""
        return self.active(window) & (self.first > window.cut - LAUNCH_DAYS)


def _texts(column: pa.Array | pa.ChunkedArray) -> Values:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object).astype(str)


def _codes(column: pa.ChunkedArray, ids: Values) -> Int32s:
    """(N,) places of the ids, -1 for nulls and unknown ones."""
    places = pc.index_in(column.combine_chunks(), pa.array(ids.tolist(), column.type))
    return places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)


def _days(products: pa.Table, column: str, absent: int) -> Int32s:
    if column not in products.column_names:
        return np.full(products.num_rows, absent, np.int32)
    days = pc.floor(pc.divide(products[column].cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), DAY_US))
    return days.fill_null(absent).to_numpy().astype(np.int32)


@dataclass(frozen=True)
class Question:
    """Who buys what in the window? Nothing in here lies after the cut but what was announced: plans of promotions, and
    products that come on sale.

    asked  (B,) places of the customers whose lists count, in shop.customer_ids
    """

    shop: Shop
    window: Window
    asked: Int64s
    known: Bools = field(repr=False)
    """(N,) events up to the cut"""

    @classmethod
    def of(cls, shop: Shop, window: Window, asked: Int64s) -> "Question":
        """At the window's cut."""
        return cls(shop, window, asked, shop.day <= window.cut)

    @cached_property
    def active(self) -> Bools:
        """(P,) what the lists of `all` and `new` may hold."""
        return self.shop.active(self.window)

    @cached_property
    def launching(self) -> Bools:
        """(P,) what the lists of `launch` may hold."""
        return self.shop.launching(self.window)

    def matrix(self, weights: Mapping[str, float], half_life: float | None = None) -> sparse.csr_matrix:
        """(C, P) sums of the events' weights by kind, halved for every `half_life` days before the cut."""
        shop = self.shop
        value = np.zeros(shop.kind.size, np.float32)
        for kind, weight in weights.items():
            value[shop.kind == kind] = weight
        rows = np.flatnonzero(self.known & (value != 0) & (shop.customer >= 0) & (shop.product >= 0))
        data = value[rows]
        if half_life is not None:
            data = data * np.exp2((shop.day[rows] - self.window.cut) / half_life).astype(np.float32)
        shape = (shop.customer_ids.size, shop.product_ids.size)
        counts = sparse.coo_matrix((data, (shop.customer[rows], shop.product[rows])), shape=shape).tocsr()
        counts.sort_indices()
        return counts

    @cached_property
    def bought(self) -> sparse.csr_matrix:
        """(C, P) purchases up to the cut."""
        return self.matrix({"purchase": 1.0})

    def popularity(self, days: int = 28) -> Float32s:
        """(P,) purchases of the last days, ties by all purchases, then by views."""
        shop = self.shop
        bought = self.known & (shop.kind == "purchase") & (shop.product >= 0)
        recent = bought & (shop.day > self.window.cut - days)
        seen = self.known & (shop.product >= 0) & (shop.day > self.window.cut - days)
        size = shop.product_ids.size
        counts = [np.bincount(shop.product[rows], minlength=size) for rows in (recent, bought, seen)]
        return (counts[0] + 1e-3 * counts[1] + 1e-6 * counts[2]).astype(np.float32)

    def tables(self) -> dict[str, pa.Table]:
        """The shop's tables as they were at the cut: no later event, no product that is not announced yet."""
        shop = self.shop
        products = shop.tables["products"].filter(pa.array(shop.first <= self.window.last_target))
        if "available_until" in products.column_names:
            over = shop.end[shop.first <= self.window.last_target] <= self.window.cut
            ended = pc.if_else(
                pa.array(over), products["available_until"], pa.scalar(None, products["available_until"].type)
            )
            products = products.set_column(products.column_names.index("available_until"), "available_until", ended)
        return shop.tables | {"products": products, "events": shop.tables["events"].filter(pa.array(self.known))}

    def write(self, folder: Path) -> None:
        """`tables` as a retailer would bring them, for `snapshot.source: folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet")


class Recommender(Protocol):
    """Where a recommender plugs in, ours and others: it gets the question and returns its lists."""

    def __call__(self, question: Question, num: int) -> Mapping[str, Int32s]:
        """(B, num) per task, for the customers question.asked: places in question.shop.product_ids, best first, -1
        where the list is shorter. A task that it has no answer to is left out. `all` and `launch` may hold products
        that are `active` and `launching`; `new` holds active ones that the customer never bought."""


@dataclass(frozen=True)
class Targets:
    """Distinct products that the customers asked for bought in the window, per task: those of customer b are
    items[task][indptr[task][b]:indptr[task][b + 1]]."""

    asked: Int64s
    indptr: dict[str, Int64s]
    items: dict[str, Int32s]


def targets(shop: Shop, window: Window) -> Targets:
    """What is bought in a window, by everybody who buys in it and has an id."""
    inside = (shop.day >= window.first_target) & (shop.day <= window.last_target)
    rows = np.flatnonzero(inside & (shop.kind == "purchase") & (shop.customer >= 0) & (shop.product >= 0))
    pairs = np.unique(np.stack([shop.customer[rows], shop.product[rows]]), axis=1)
    asked, place = np.unique(pairs[0], return_inverse=True)
    product = pairs[1]
    before = Question.of(shop, window, asked.astype(np.int64)).bought
    owned = np.asarray(before[pairs[0], product]).ravel() > 0 if product.size else np.zeros(0, bool)
    chosen = {"all": np.ones(product.size, bool), "new": ~owned, "launch": shop.launching(window)[product]}
    indptr = {
        task: np.searchsorted(place[kept], np.arange(asked.size + 1)).astype(np.int64) for task, kept in chosen.items()
    }
    return Targets(asked.astype(np.int64), indptr, {task: product[kept] for task, kept in chosen.items()})
