"""The rules as arrays over the products of a night: which pairs of a customer and a product they allow.

Shapes: R rules, B customers whose lists are made, I items, N pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int8s, Int32s, Values
from nightmarket.delivery.deliverable import ADULT
from nightmarket.delivery.rules.contradictions import meet
from nightmarket.delivery.rules.declared import (
    LEVELS,
    WISHES,
    Bury,
    Cap,
    Hide,
    LeastAge,
    LeastStock,
    Margin,
    NotAgain,
    Pin,
    RuleAudience,
    ShopRule,
    SoldIn,
    plain,
)
from nightmarket.delivery.rules.selecting import Tell, selected

YES, NO, MAYBE = 1, 0, -1
"""Whether a customer is in an audience; MAYBE where what it asks for is not known of them."""
FEW = 5
"""Products with a known margin, without which there is no spread of margins."""


@dataclass(frozen=True)
class Recipients:
    """Whose lists are made: B customers, by row.

    market   (B,) as compared (`declared.plain`), None where it is not known
    age      (B,) years, NaN where it is not known
    channel  where the lists are shown; None: it is not known, as of the lists of a night
    bought   three arrays (M,): row, item, days since (0: today, or later) of what they bought
    """

    market: Values
    age: Float64s
    channel: str | None = None
    bought: tuple[Int32s, Int32s, Int32s] | None = None

    @classmethod
    def unknown(cls, num: int = 1, channel: str | None = None) -> "Recipients":
        """Of whom nothing is known."""
        nothing = np.full(num, None, object)
        return cls(nothing, np.full(num, np.nan), channel)

    @property
    def num(self) -> int:
        """B."""
        return int(self.age.size)


@dataclass(frozen=True)
class HeldRule:
    """A rule of tonight.

    number  its place in the file, from 0
    items   (I,) the products that it speaks of
    value   (I,) of NotAgain the days within which a product is not offered again, of Margin how far a product's margin
            lies above the mean, in spreads, times the weight, of LeastStock the units of what it speaks of, NaN where
            they are not known and -inf for other products; None else
    order   of Pin by ids the products in the order in which they are written; None else
    """

    number: int
    rule: ShopRule
    items: Bools
    value: Float64s | None = None
    order: Int32s | None = None


@dataclass(frozen=True)
class NightProducts:
    """What rules look at besides the words: row i is item i.

    table    the products as `prepare` writes them
    group    (I,) products that are one in several sizes and colours, -1 for one of its own
    popular  (P,) what can be had tonight, most popular first
    cycles   () → (I,) days within which who bought a product does not need it again, 0 where that is not known; asked
             where a rule needs them
    knows_markets  whether any customer's market is known; where none is, markets decide nothing
    """

    table: pd.DataFrame
    group: Int32s
    popular: Int32s
    cycles: Callable[[], Float32s]
    knows_markets: bool = True


@dataclass(frozen=True)
class NightRules:
    """The rules that are valid tonight.

    family   (I,) a number that sizes and colours of one product share
    popular  (P,) what lists are filled up with, best first
    codes    level → (I,) what a cap per brand or level counts; -1 for a product without one
    notes    what is odd: a rule that means no product, a pin that a limit leaves nothing
    """

    held: tuple[HeldRule, ...]
    family: Int32s
    group: Int32s
    popular: Int32s
    codes: dict[str, Int32s]
    knows_markets: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        rules: Sequence[ShopRule],
        products: NightProducts,
        today: date | None,
        where: Callable[[int, str], str],
    ) -> "NightRules":
        """Those of the rules that are valid on `today`; None: all.

        where  (number of a rule, key or "") → where that stands in the file

        Raises InputError for an attribute that no product has.
        """
        held, notes = [], []
        for number, rule in enumerate(rules):
            if today is not None and not rule.holds_on(today):
                continue

            def at(key: str, number: int = number) -> str:
                return where(number, key)

            def tell(key: str, words: str, number: int = number) -> None:
                notes.append(f"{where(number, key)}: {key}: {words}")

            items = selected(rule.about, products.table, at, tell)
            held.append(_held(HeldRule(number, rule, items), products, tell))
        levels = {rule.rule.per for rule in held if isinstance(rule.rule, Cap)} - {"all"}
        codes = {str(level): _codes(products.table, str(level)) for level in sorted(levels)}
        return cls(
            tuple(held),
            family(products.group),
            products.group,
            products.popular,
            codes,
            products.knows_markets,
            tuple(notes),
        )

    @property
    def num_items(self) -> int:
        """I."""
        return int(self.family.size)

    def holds(self, rule: ShopRule, who: Recipients) -> Bools:
        """(B,) for whose lists a rule holds: a wish for those in its audience, a limit for those who may be, too."""
        member = members(rule.audience, who)
        return np.asarray(member == YES if isinstance(rule, WISHES) else member != NO)

    def allowed(self, who: Recipients, row: Int32s, item: Int32s) -> Bools:
        """(N,) which products the rules allow in the lists of which of the customers.

        row, item  (N,)  a customer among `who`, a product
        """
        out = np.ones(item.size, bool)
        for held in self.held:
            rule = held.rule
            if not isinstance(rule, Hide | LeastAge | SoldIn | LeastStock | NotAgain):
                continue
            at = np.flatnonzero(held.items[item] & self.holds(rule, who)[row])
            if at.size:
                out[at] &= self._kept(held, who, row[at], item[at])
        return out

    def buried(self, who: Recipients, items: Int32s) -> Bools:
        """(K,) which of the items come after all others in the list of the first of `who`."""
        out = np.zeros(items.size, bool)
        for held in self.held:
            if isinstance(held.rule, Bury) and self.holds(held.rule, who)[0]:
                out |= held.items[items]
        return out

    def _kept(self, held: HeldRule, who: Recipients, row: Int32s, item: Int32s) -> Bools:
        """(N,) which pairs stay of those that a rule speaks of."""
        rule = held.rule
        if isinstance(rule, LeastAge):
            return np.asarray(np.nan_to_num(who.age, nan=ADULT - 1)[row] >= rule.least_age)
        if isinstance(rule, SoldIn):
            here = np.array([market in {*map(plain, rule.sold_in)} for market in who.market], bool)
            return np.asarray(here[row] | (not self.knows_markets))
        if isinstance(rule, NotAgain):
            assert held.value is not None
            return np.asarray(self._ago(who, row, item) >= held.value[item])
        return np.zeros(item.size, bool)  # hidden, or too few in stock

    def _ago(self, who: Recipients, row: Int32s, item: Int32s) -> Float64s:
        """(N,) days since each customer bought each product, in any size; infinite for what they never bought."""
        if who.bought is None or not who.bought[0].size:
            return np.full(item.size, np.inf)
        bought_row, bought_item, days = who.bought
        num = np.int64(self.num_items * 2)
        key = bought_row.astype(np.int64) * num + self.family[bought_item]
        order = np.lexsort((days, key))
        key, days = key[order], days[order]
        asked = row.astype(np.int64) * num + self.family[item]
        place = np.minimum(np.searchsorted(key, asked), key.size - 1)  # the first of a key is the latest purchase
        return np.where(key[place] == asked, days[place].astype(np.float64), np.inf)

    def clashing(self, where: Callable[[int, str], str]) -> list[str]:
        """Pins that a limit of tonight leaves no product, with where both stand: the limit holds."""
        out = []
        for pin in (held for held in self.held if isinstance(held.rule, Pin) and held.items.any()):
            for limit in self.held:
                rule = limit.rule
                hidden = isinstance(rule, Hide | LeastStock) and not (pin.items & ~limit.items).any()
                if hidden and meet(pin.rule, rule):
                    words = "the pinned products are all hidden or too few in stock tonight by"
                    out.append(f"{where(pin.number, '')}: {words} {where(limit.number, '')}; the place goes to another")
        return out


def _held(held: HeldRule, products: NightProducts, tell: Tell) -> HeldRule:
    """A rule with what it needs of the products besides which they are."""
    rule, items = held.rule, held.items
    if isinstance(rule, LeastStock):
        units = np.where(items, _units(products.table), -np.inf)
        return replace(held, items=items & (units < rule.least_stock), value=units)
    if isinstance(rule, Margin):
        return replace(held, value=_margins(products.table, items, rule.margin, tell))
    if isinstance(rule, Pin) and rule.pin.id is not None:
        code = {product: item for item, product in enumerate(products.table["product_id"].astype(str))}
        order = [code[product] for product in dict.fromkeys(rule.pin.id) if product in code and items[code[product]]]
        return replace(held, order=np.array(order, np.int32))
    if isinstance(rule, NotAgain):
        days = products.cycles() if rule.not_again == "cycle" else np.full(items.size, rule.not_again, np.float32)
        if items.any() and not days[items].any():
            tell("not_again", "too few purchases to tell how soon a product is bought again; name a number of days")
        return replace(held, value=days.astype(np.float64))
    return held


def family(group: Int32s) -> Int32s:
    """(I,) a number that sizes and colours of one product share.

    group  (I,) -1 for a product of its own
    """
    own = np.arange(group.size, dtype=np.int32)
    return np.where(group >= 0, group, int(group.max(initial=-1)) + 1 + own).astype(np.int32)


def members(audience: RuleAudience, who: Recipients) -> Int8s:
    """(B,) YES, NO or MAYBE: whether each is in an audience."""
    out = np.full(who.num, YES, np.int8)
    channel = np.full(who.num, None if who.channel is None else plain(who.channel), object)
    of_key = {"market": who.market, "channel": channel}
    for key, wanted in audience.named().items():
        answers = [MAYBE if value is None else YES if value in wanted else NO for value in of_key[key]]
        answer = np.array(answers, np.int8)
        out = np.where((out == NO) | (answer == NO), NO, np.minimum(out, answer)).astype(np.int8)
    return out


def _units(products: pd.DataFrame) -> Float64s:
    """(I,) in stock, NaN where that is not known."""
    if "stock" not in products:
        return np.full(len(products), np.nan)
    return np.asarray(products["stock"].to_numpy(np.float64, na_value=np.nan))


def _margins(products: pd.DataFrame, items: Bools, weight: float, tell: Tell) -> Float64s:
    """(I,) how far each margin, as a share of the price, lies above their mean, in spreads, times the weight; 0 where
    price or cost is not known."""
    out = np.zeros(items.size)
    if "cost" not in products:
        tell("margin", "no product has a cost, so it changes nothing; bring the column cost of products")
        return out
    price, cost = (products[name].to_numpy(np.float64, na_value=np.nan) for name in ("price", "cost"))
    share = np.where(price > 0, (price - cost) / np.where(price > 0, price, 1.0), np.nan)
    known = items & np.isfinite(share)
    spread = float(np.std(share[known])) if known.sum() >= FEW else 0.0
    if spread < 1e-9:
        tell("margin", f"{int(known.sum()):,} products have a price and a cost, all of one margin; it changes nothing")
        return out
    out[known] = weight * np.clip((share[known] - share[known].mean()) / spread, -3, 3)
    return out


def _codes(products: pd.DataFrame, level: str) -> Int32s:
    """(I,) a number for each brand, maker or place in the category path; -1 for a product without one."""
    names = LEVELS[: LEVELS.index(level) + 1] if level in LEVELS else (level,)
    text = pd.Series("", products.index)
    for name in names:
        text = text + "\x1f" + products[name].fillna("").astype(str).map(plain)
    codes = pd.factorize(text)[0].astype(np.int32)
    return np.where((text == "\x1f" * len(names)).to_numpy(bool), -1, codes).astype(np.int32)
