"""What the night wrote, loaded once, to answer visitors: ids in, ids and reasons out.

from tasks.models.live import Live
shop = Live.load()
shop.answer([("p000012", "view", datetime.now(UTC))], customer="c000007")
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int32s
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.histories.calendar import day_of
from nightmarket.histories.catalogue import catalogue as codes_of
from nightmarket.histories.interactions import KINDS
from nightmarket.ranking.sessions.answers import answer
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.learning import GOALS, SessionOrder, SessionOrders
from nightmarket.ranking.sessions.reasons import ShownNames, reasons
from nightmarket.ranking.sessions.shop import Ragged, SessionShop
from nightmarket.ranking.sessions.visits import Visit
from tasks.campaigns import tonight
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared

LEVELS = ("department", "category", "type")
Event = tuple[str, str, datetime]
"""product_id, kind as in the contract of events, when (with a time zone)."""


class Recommended(NamedTuple):
    """One place of an answer."""

    product_id: str
    title: str
    score: float
    reason: str


@dataclass(frozen=True)
class Live:
    """I items, C customers.

    listed  the list of the night of each customer
    goods   what may be offered to whom tonight
    """

    shop: SessionShop
    orders: SessionOrders
    product_ids: Any
    titles: list[str]
    kinds: list[str]
    pages: dict[str, Int32s]
    item_of: dict[str, int]
    customer_of: dict[str, int]
    listed: Ragged
    time_zone: ZoneInfo
    goods: Deliverable

    @classmethod
    def load(cls, root: Path = Path()) -> "Live":
        """From the artifacts of a checkout. Raises InputError where `sessions` has not run."""
        data = Prepared(root)
        folder, products = catalogue.SESSIONS.at(root), data.products
        facts = storage.read_json(folder / "sessions.json")
        path = [products[level].fillna("").astype(str) for level in LEVELS]
        item_of = {product: item for item, product in enumerate(products["product_id"])}
        customer_of = {customer: code for code, customer in enumerate(data.customers["customer_id"])}
        return cls(
            SessionShop.of(storage.read_tensors(folder / "shop.safetensors"), codes_of(products)),
            SessionOrders(**{goal: _order(folder / f"{goal}.txt", facts[goal]) for goal in GOALS}),
            products["product_id"].to_numpy(object),
            products["title"].fillna("").astype(str).tolist(),
            [next((name for name in reversed(names) if name), "") for names in zip(*path, strict=True)],
            _pages(path),
            item_of,
            customer_of,
            _lists(root, item_of, customer_of),
            ZoneInfo(data.windows.time_zone),
            tonight.deliverable(data),
        )

    def answer(
        self,
        events: Sequence[Event] = (),
        customer: str | None = None,
        category: str | None = None,
        now: datetime | None = None,
        num: int = 10,
        gone: Sequence[str] = (),
        again: bool = False,
        language: Literal["en", "zh"] = "en",
    ) -> list[Recommended]:
        """Products for a visitor, best first.

        events    what they did since the night, oldest first; products that the night does not know are left aside
        customer  None for a guest; of whom the night knows nothing is answered as a guest is
        category  the page that they are on: a category path as the products have it, "shoes > boots"
        now       None: this moment
        gone      products that cannot be had just now
        again     the answer may hold what they met in this visit, and is ordered by what will be carted or bought

        Raises InputError for a category that no product has and a kind that no event has.
        """
        moment = now or datetime.now(UTC)
        return self.rank(self.visit(events, customer, category, moment, gone), num, again, language)

    def visit(
        self,
        events: Sequence[Event],
        customer: str | None,
        category: str | None,
        now: datetime,
        gone: Sequence[str] = (),
    ) -> Visit:
        """The question in codes: what the night remembers of the customer, and what happened since."""
        if category is not None and category not in self.pages:
            raise InputError(f"category: no product has this path; one that there is: '{next(iter(self.pages), '')}'")
        unknown = sorted({kind for _, kind, _ in events if kind not in KINDS})
        if unknown:
            raise InputError(f"events: no event is of the kind '{unknown[0]}'; {', '.join(KINDS)}")
        known = [
            (self.item_of[product], KINDS.index(kind), when)
            for product, kind, when in events
            if product in self.item_of
        ]
        code = self.customer_of.get(customer, -1) if customer is not None else -1
        item, kind, second = self.shop.past.of(code)
        return Visit(
            np.append(item, [item for item, _, _ in known]).astype(np.int32),
            np.append(kind, [kind for _, kind, _ in known]).astype(np.int8),
            np.append(second, [int(when.timestamp()) for _, _, when in known]).astype(np.int64),
            int(now.timestamp()),
            day_of(now.astimezone(self.time_zone).date()),
            self.listed.rows(np.array([code], np.int32)) if code >= 0 else self.listed.item[:0],
            None if category is None else self.pages[category],
            np.concatenate([self._withheld(code), self._items(gone)]),
        )

    def _items(self, products: Sequence[str]) -> Int32s:
        return np.array([self.item_of[product] for product in products if product in self.item_of], np.int32)

    def _withheld(self, code: int) -> Int32s:
        """Items on sale that this visitor may not be offered: not in stock tonight, or not for their market or age."""
        every = np.arange(len(self.titles), dtype=np.int32)
        if code < 0:
            return every[self._not_for_anybody]
        return every[~self.goods.sold_to(np.full(every.size, code, np.int32), every)]

    @cached_property
    def _not_for_anybody(self) -> Bools:
        return np.logical_not(self.goods.for_anybody())

    def rank(
        self, visit: Visit, num: int, again: bool = False, language: Literal["en", "zh"] = "en"
    ) -> list[Recommended]:
        """The answer to a question in codes."""
        best = answer(self.shop, self.orders, visit, num * self.goods.most_of_a_group, again)
        group = self.goods.group[best.items]
        first = np.isin(np.arange(group.size), np.unique(group, return_index=True)[1])
        kept = np.flatnonzero(first | (group < 0))[:num]  # one of several sizes
        items, score = best.items[kept], best.score[kept]
        said = reasons(Asked(self.shop, visit), items, ShownNames(self.titles, self.kinds, language))
        rows = zip(items.tolist(), score.tolist(), said, strict=True)
        return [Recommended(self.product_ids[item], self.titles[item], score, reason) for item, score, reason in rows]


def _order(forest: Path, facts: dict[str, Any]) -> SessionOrder:
    return SessionOrder.of(facts, forest.read_text(encoding="utf-8") if forest.exists() else None)


def _pages(path: list[pd.Series]) -> dict[str, Int32s]:
    """The items of each category path, of every length."""
    pages: dict[str, Int32s] = {}
    name = path[0]
    for depth, level in enumerate(path):
        if depth:
            name = (name + " > " + level).where(level != "", "")
        items = pd.Series(np.arange(len(name), dtype=np.int32)).groupby(name.to_numpy())
        pages |= {key: codes.to_numpy(np.int32) for key, codes in items if key}
    return pages


def _lists(root: Path, item_of: dict[str, int], customer_of: dict[str, int]) -> Ragged:
    """The night's lists in codes; empty ones where there are none tonight."""
    table = catalogue.RECOMMENDATIONS.at(root)
    if not table.path.exists():
        return Ragged(np.zeros(len(customer_of) + 1, np.int64), np.zeros(0, np.int32))
    lists = table.read(["customer_id", "rank", "product_id"]).to_pandas()
    customer = lists["customer_id"].map(customer_of)
    lists = (
        lists.assign(customer=customer, item=lists["product_id"].map(item_of))
        .dropna()
        .sort_values(["customer", "rank"])
    )
    num = np.bincount(lists["customer"].to_numpy(np.int64), minlength=len(customer_of))
    return Ragged(np.append(0, np.cumsum(num)).astype(np.int64), lists["item"].to_numpy(np.int32))
