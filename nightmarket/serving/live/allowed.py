"""What one visitor may be shown at one moment: N items."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int32s, Int64s
from nightmarket.delivery.deliverable import ADULT
from nightmarket.delivery.rules.tonight import NightRules, Recipients
from nightmarket.ranking.sessions.visits import DAY
from nightmarket.serving.live.bundle import LiveBundle
from nightmarket.serving.live.questions import IMPRESSION, Ask
from nightmarket.serving.live.stock import StockNow
from nightmarket.serving.live.strings import CodedNames

MOST_SHOWN = 5
"""Times that a product is shown in a row without anything done with it; then it rests."""
CHUNK = 2048
NO_MARKET = -1


@dataclass(frozen=True)
class Allowed:
    """Hard limits and filters of a question.

    day          the shop's local day
    market       its number; NO_MARKET where nobody knows it
    everywhere   nobody in this shop has a market, and the question names none: nothing is left out for it
    brand        its number, -1 for every brand
    price        lowest and highest, None for every price
    never        ascending items that this answer may not hold
    stock        what changed since the night
    rules, who   of the shop, and whom they see; None where none is valid
    """

    bundle: LiveBundle
    day: int
    age: float
    market: int
    everywhere: bool
    category: int
    brand: int
    price: tuple[float, float] | None
    never: Int32s
    stock: StockNow
    rules: NightRules | None
    who: Recipients | None

    @classmethod
    def of(
        cls, bundle: LiveBundle, ask: Ask, code: int, day: int, never: Int32s, stock: StockNow,
        rules: NightRules | None, who: Recipients | None,
    ) -> "Allowed":  # fmt: skip
        """Raises InputError for a category or a brand that no product has.

        code   of the customer, -1 for a guest
        never  items that are left out for what the visitor did
        """
        goods = bundle.goods
        market = int(goods.market[code]) if code >= 0 else NO_MARKET
        if ask.market is not None:
            name = ask.market.strip().casefold()
            market = goods.markets.index(name) if name in goods.markets else len(goods.markets)
        age = float(goods.age[code]) if code >= 0 else np.nan
        bounds = (ask.price_from, ask.price_to)
        return cls(
            bundle,
            day,
            ADULT - 1 if np.isnan(age) else age,
            market,
            market == NO_MARKET and not bundle.facts["has_markets"],
            _number(bundle.page_names, ask.category, "category"),
            _number(bundle.brand_names, ask.brand, "brand"),
            None if bounds == (None, None) else (bounds[0] or 0.0, np.inf if bounds[1] is None else bounds[1]),
            np.concatenate([never, bundle.products.find_all(ask.leave_out)]).astype(np.int32),
            stock,
            rules,
            who,
        )

    def __call__(self, items: Int32s) -> Bools:
        """(N,) which of the items may be shown; what has not begun or has ended too is left out."""
        goods, catalogue = self.bundle.goods, self.bundle.shop.catalogue
        kept = catalogue.on_sale(self.day, items) & (goods.least_age[items] <= self.age)
        kept &= self.stock.holds(items, goods.on_sale[items])
        if goods.sold_in.size and not self.everywhere:
            sold = goods.sold_in[items]
            kept &= ~sold.any(axis=1) | (sold[:, self.market] if self.market != NO_MARKET else False)
        if self.never.size:
            kept &= ~np.isin(items, self.never)
        kept &= self._fits(items)
        if self.rules is not None and self.who is not None:
            rows = np.flatnonzero(kept)
            kept[rows] = self.rules.allowed(self.who, np.zeros(rows.size, np.int32), items[rows])
        return np.asarray(kept)

    def _fits(self, items: Int32s) -> Bools:
        """(N,) which items the filters of the question let through."""
        fits = np.ones(items.size, bool)
        catalogue = self.bundle.shop.catalogue
        if self.category >= 0:
            fits &= (self.bundle.pages_of[:, items] == self.category).any(axis=0)
        if self.brand >= 0:
            fits &= catalogue.brand[items] == self.brand
        if self.price is not None:
            price = catalogue.list_price[items]
            fits &= (price >= self.price[0]) & (price <= self.price[1])
        return fits

    @property
    def narrow(self) -> bool:
        """Whether the question holds the answer to some products."""
        return self.category >= 0 or self.brand >= 0 or self.price is not None

    @property
    def in_demand(self) -> Int32s:
        """Items of the page or the brand, or of the whole shop, the first one most in demand."""
        if self.category >= 0:
            return self.bundle.pages.row(self.category)
        return self.bundle.brands.row(self.brand) if self.brand >= 0 else self.bundle.demand

    def popular(self, count: int) -> Int32s:
        """The `count` items most in demand that may be shown, the first one first; fewer where there are fewer."""
        items, chosen = self.in_demand, list[Int32s]()
        for part in _chunks(items):
            chosen.append(part[self(part)])
            if sum(part.size for part in chosen) >= count:
                break
        return np.concatenate([items[:0], *chosen])[:count]


def _chunks(items: Int32s) -> Iterator[Int32s]:
    for begin in range(0, items.size, CHUNK):
        yield items[begin : begin + CHUNK]


def _number(names: CodedNames, wanted: str | None, what: str) -> int:
    if wanted is None:
        return -1
    code = names.find(wanted)
    if code < 0:
        example = names.texts[0] if len(names) else ""
        raise InputError(f"{what}: no product has this one; one that there is: '{example}'")
    return code


def tired_of(bundle: LiveBundle, ask: Ask) -> Int32s:
    """Items that were shown MOST_SHOWN times and more since anything was done with them."""
    shown: dict[str, int] = {}
    for event in ask.events:
        shown[event.product] = shown.get(event.product, 0) + 1 if event.kind == IMPRESSION else 0
    return bundle.products.find_all(product for product, times in shown.items() if times >= MOST_SHOWN)


def not_due(bundle: LiveBundle, code: int, item: Int32s, second: Int64s, now: float) -> Int32s:
    """Items bought within their cycle, by the night and since; one may stand there several times.

    code          of the customer, -1 for one of whom nothing is used
    item, second  (P,) purchases since the night
    """
    items, _, seconds = bundle.bought.of(code)
    items, seconds = np.append(items, item).astype(np.int32), np.append(seconds, second)
    return items[now - seconds < bundle.cycle[items] * DAY]
