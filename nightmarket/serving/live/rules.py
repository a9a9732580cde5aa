"""The shop's rules at the moment of an answer: R rules, I items, C customers.

The state half of a bundle has every rule of the file that may be valid on a day to come, as arrays over its products.
`LiveRules.on` gives those of a day, with what is in stock by then; `choosing.choose` makes lists that keep them, the
same function that makes those of a night.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Int32s, Int64s, Values
from nightmarket.delivery.rules.declared import VERBS, LeastStock, plain, verbs_of
from nightmarket.delivery.rules.tonight import HeldRule, NightRules, Recipients, family
from nightmarket.histories.calendar import date_of
from nightmarket.serving.live.stock import StockNow

NAME = "rules"
_OF_ITEMS = ("items", "value", "order")


@dataclass(frozen=True)
class LastBought:
    """The last day on which each customer bought each product: customer c's are [indptr[c]:indptr[c+1]]."""

    indptr: Int64s
    item: Int32s
    day: Int32s

    @classmethod
    def of(cls, customer: Int32s, item: Int32s, day: Int32s, num_customers: int) -> "LastBought":
        """Of purchases (N,)."""
        order = np.lexsort((-day, item, customer))
        customer, item, day = customer[order], item[order], day[order]
        latest = (np.diff(customer, prepend=-1) != 0) | (np.diff(item, prepend=-1) != 0)
        customer = customer[latest]
        indptr = np.searchsorted(customer, np.arange(num_customers + 1)).astype(np.int64)
        return cls(indptr, item[latest].astype(np.int32), day[latest].astype(np.int32))

    def row(self, customer: int) -> tuple[Int32s, Int32s]:
        """Items and days of one customer; none below 0."""
        rows = slice(self.indptr[customer], self.indptr[customer + 1]) if customer >= 0 else slice(0)
        return self.item[rows], self.day[rows]


@dataclass(frozen=True)
class LiveRules:
    """All that a bundle knows of the shop's rules.

    rules    those of every day
    markets  names as rules compare them
    market   (C,) the customer's, -1 where it is not known
    bought   of customers whose purchases count
    """

    rules: NightRules
    markets: tuple[str, ...]
    market: Int32s
    bought: LastBought
    _now: dict[str, Any] = field(default_factory=dict, compare=False)

    def on(self, day: int, stock: StockNow) -> NightRules | None:
        """Those that are valid on a day, with this stock; None where none is. The last ones are remembered."""
        now = self._now.get("of")
        if now is None or now[0] != day or now[1] is not stock:
            today = date_of(day)
            held = tuple(_stocked(held, stock) for held in self.rules.held if held.rule.holds_on(today))
            now = self._now["of"] = (day, stock, replace(self.rules, held=held) if held else None)
        valid: NightRules | None = now[2]
        return valid

    def market_of(self, code: int, said: str | None) -> str | None:
        """The market of a customer, as rules compare it, or the one that the site says; None where nobody knows."""
        own = int(self.market[code]) if code >= 0 else -1
        return plain(said) if said is not None else self.markets[own] if own >= 0 else None

    def recipient(
        self, code: int, age: float, market: str | None, channel: str | None, day: int, since: tuple[Int32s, Int32s]
    ) -> Recipients:
        """Somebody whose list is made.

        code   of the customer, -1 for one of whom no purchases are used
        age    years, NaN where it is not known
        since  what they bought since the night, and on which days
        """
        item, bought_on = (np.append(*both) for both in zip(self.bought.row(code), since, strict=True))
        ago = np.maximum(day - bought_on, 0).astype(np.int32)
        rows = np.zeros(item.size, np.int32)
        return Recipients(np.array([market], object), np.array([age]), channel, (rows, item.astype(np.int32), ago))

    def arrays(self) -> dict[str, Values]:
        """For the state half."""
        made: dict[str, Values] = {f"{NAME}.market": self.market}
        made |= {f"{NAME}.bought.{name}": values for name, values in vars(self.bought).items()}
        made |= {f"{NAME}.codes.{level}": codes for level, codes in self.rules.codes.items()}
        for held in self.rules.held:
            parts = {name: getattr(held, name) for name in _OF_ITEMS}
            made |= {f"{NAME}.{held.number}.{name}": part for name, part in parts.items() if part is not None}
        return made

    def facts(self) -> dict[str, Any]:
        """What is no array."""
        rules = [{"number": held.number, "rule": held.rule.model_dump(mode="json")} for held in self.rules.held]
        return {"rules": rules, "markets": list(self.markets), "knows_markets": self.rules.knows_markets}

    @classmethod
    def read(
        cls, arrays: Mapping[str, Values], facts: Mapping[str, Any], group: Int32s, popular: Int32s
    ) -> "LiveRules":
        """The reverse.

        group    (I,) products that are one in several sizes and colours, -1 for one of its own
        popular  what lists are filled up with, best first
        """
        held = []
        for entry in facts["rules"]:
            number, said = entry["number"], entry["rule"]
            rule = VERBS[verbs_of(said)[0]].model_validate(said)
            parts = {name: arrays.get(f"{NAME}.{number}.{name}") for name in _OF_ITEMS}
            held.append(HeldRule(number, rule, **parts))  # type: ignore[arg-type]  # items are always there
        codes = {key.rpartition(".")[2]: values for key, values in arrays.items() if key.startswith(f"{NAME}.codes.")}
        rules = NightRules(tuple(held), family(group), group, popular, codes, facts["knows_markets"])
        bought = LastBought(*(arrays[f"{NAME}.bought.{name}"] for name in ("indptr", "item", "day")))
        return cls(rules, tuple(facts["markets"]), arrays[f"{NAME}.market"], bought)


def _stocked(held: HeldRule, stock: StockNow) -> HeldRule:
    """A rule with what is in stock by now: `value` of a LeastStock has the night's units of the products it means."""
    if not isinstance(held.rule, LeastStock) or not stock.item.size:
        return held
    assert held.value is not None
    units = np.array(held.value)
    meant = ~np.isneginf(units[stock.item])
    units[stock.item[meant]] = stock.units[meant]
    return replace(held, items=(units < held.rule.least_stock) & ~np.isneginf(units))
