"""What each family can say of a row, and only if it is true and says something there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.evaluation.protocol import LAUNCH_DAYS
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.wording import Language

Said = list[str | None]
MIN_BUYERS = 5
"""Customers below which popularity is not worth a word."""
MIN_SHARE = 0.05
"""Change of a price below which it is not worth a word."""
LEAST_TO_KIND = 0.5
"""A product that costs less than half of what the kind costs is a smaller pack, not a bargain."""
MIN_LOYAL = 0.3
NEW_WEEKS = 8
"""Weeks since the first sale in which a product is called new."""
RISING = 1.25


@dataclass(frozen=True)
class Rows:
    """N recommended pairs: the ranker's features by name, and the facts around them."""

    values: dict[str, Float32s]
    customer: Int32s
    item: Int32s
    facts: Facts
    language: Language

    def take(self, rows: Int64s) -> "Rows":
        """The rows at the given places."""
        values = {name: column[rows] for name, column in self.values.items()}
        return Rows(values, self.customer[rows], self.item[rows], self.facts, self.language)

    def of(self, name: str) -> Iterator[float]:
        """A feature's values, NaN where the ranker does not know the feature."""
        column = self.values.get(name)
        return iter(np.full(self.item.size, np.nan).tolist() if column is None else column.tolist())

    @property
    def launching(self) -> list[bool]:
        """Whether nobody had bought the row's item, unless it has been on sale for longer than a launch."""
        statistics = self.facts.statistics
        unsold = statistics.buyers["ever"][self.item] == 0
        launching: list[bool] = (unsold & ~(statistics.age[self.item] > LAUNCH_DAYS)).tolist()
        return launching


def _repeat(rows: Rows) -> Said:
    said: Said = []
    say, count, span = rows.language.say, rows.language.count, rows.language.span
    for num, age, gap in zip(rows.of("item_num"), rows.of("item_age"), rows.of("item_gap"), strict=False):
        if not (num >= 1 and age >= 0):
            said.append(None)
        elif num >= 3 and gap >= 1:
            said.append(say("repeat_often", times=count("times", num), gap=span(gap), age=span(age)))
        elif num >= 2:
            said.append(say("repeat", times=count("times", num), age=span(age)))
        else:
            said.append(say("repeat_once", age=span(age)))
    return said


def _cart(rows: Rows) -> Said:
    language = rows.language
    return [
        language.say("cart", age=language.span(age)) if waiting >= 1 and age >= 0 else None
        for waiting, age in zip(rows.of("waiting"), rows.of("item_seen_ago"), strict=True)
    ]


def _looked(rows: Rows) -> Said:
    language = rows.language
    said: Said = []
    columns = zip(rows.of("visits"), rows.of("item_looked_long"), rows.of("item_seen_ago"), strict=True)
    for visits, looks, age in columns:
        if not (visits >= 1 and looks > 0 and age >= 0):
            said.append(None)
            continue
        key = "looked" if visits >= 2 else "looked_once"
        said.append(language.say(key, visits=language.count("visits", visits), age=language.span(age)))
    return said


def _looked_like(rows: Rows) -> Said:
    """A product of the same kind that the customer looked at, the likest by its words."""
    own, visits = rows.facts.looked_like(rows.customer, rows.item)
    titles, language = rows.facts.titles, rows.language
    return [
        language.say("looked_like", it=titles[mine], visits=language.count("visits", num)) if mine >= 0 else None
        for mine, num in zip(own.tolist(), visits.tolist(), strict=True)
    ]


def _text(rows: Rows) -> Said:
    return _like(rows, "text", "text", "text", "launch_like")


def _line(rows: Rows) -> Said:
    """The same kind and maker, or else the same maker; nothing where the maker is not known."""
    known = rows.facts.has_maker[rows.item]
    line = _like(rows, "line", "line", "line_twin", "launch_like")
    maker = _like(rows, "maker", "maker", "line_twin", "launch_maker")
    return [
        (first or second) if known else None for first, second, known in zip(line, maker, known.tolist(), strict=True)
    ]


def _like(rows: Rows, level: str, sold: str, twin: str, launch: str) -> Said:
    """A sentence on the customer's own product of the same level; `twin` where both have one title."""
    own, baskets = rows.facts.own_like(level, rows.customer, rows.item)
    titles = rows.facts.titles
    said: Said = []
    for mine, num, item, new in zip(own.tolist(), baskets.tolist(), rows.item.tolist(), rows.launching, strict=True):
        if mine < 0:
            said.append(None)
            continue
        key = launch if new else (twin if titles[mine] == titles[item] else sold)
        said.append(rows.language.say(key, it=titles[mine], times=rows.language.count("times", num)))
    return said


def _kind(rows: Rows) -> Said:
    say, count, span = rows.language.say, rows.language.count, rows.language.span
    columns = [list(rows.of(f"{level}_{name}")) for level in ("kind", "category") for name in ("num", "age", "due")]
    said: Said = []
    for i, (item, new) in enumerate(zip(rows.item.tolist(), rows.launching, strict=True)):
        text = None
        for (num, age, due), names in zip(
            ([column[i] for column in columns[:3]], [column[i] for column in columns[3:]]),
            (rows.facts.kinds, rows.facts.categories),
            strict=True,
        ):
            if text or not num >= 2:
                continue
            kind = _name(names[item], rows.language)
            gap = age / due if due > 0 else 0.0
            if new:
                text = say("launch_kind", kind=kind, baskets=count("baskets", num))
            elif num >= 3 and gap >= 1:
                text = say("kind_often", kind=kind, gap=span(gap), age=span(age))
            elif age >= 0:
                text = say("kind", kind=kind, baskets=count("baskets", num), age=span(age))
        said.append(text)
    return said


def _name(kind: str, language: Language) -> str:
    """A kind inside a sentence: capitals are set small, a missing name becomes "this kind"."""
    return (kind.lower() if kind.isupper() else kind) or language.say("this_kind")


def _goes_with(rows: Rows) -> Said:
    partner, together = rows.facts.goes_with(rows.customer, rows.item)
    titles, language = rows.facts.titles, rows.language
    return [
        language.say("goes_with", it=titles[mine], times=language.count("times", num)) if mine >= 0 else None
        for mine, num in zip(partner.tolist(), together.tolist(), strict=True)
    ]


def _popular(rows: Rows) -> Said:
    """With how many more than in the 4 weeks before, where it is a good deal more."""
    language, before = rows.language, rows.facts.buyers_before[rows.item].tolist()
    said: Said = []
    for num, was in zip(rows.of("buyers_4w"), before, strict=False):
        if not num >= MIN_BUYERS:
            said.append(None)
            continue
        more = num - was
        key = "popular_rising" if more >= MIN_BUYERS and num >= RISING * was else "popular"
        said.append(language.say(key, customers=language.count("customers", num), more=f"{more:,.0f}"))
    return said


def _loyal(rows: Rows) -> Said:
    language = rows.language
    return [
        language.say("loyal", share=_percent(again), customers=language.count("customers", num))
        if num >= 2 * MIN_BUYERS and again >= MIN_LOYAL
        else None
        for num, again in zip(rows.of("buyers_ever"), rows.of("repeat"), strict=False)
    ]


def _shop(rows: Rows) -> Said:
    language, num_buyers = rows.language, rows.facts.shop_buyers(rows.customer, rows.item)
    return [
        language.say("shop", customers=language.count("customers", num)) if num >= MIN_BUYERS else None
        for num in num_buyers.tolist()
    ]


def _price(rows: Rows) -> Said:
    language, kinds = rows.language, rows.facts.kinds
    said: Said = []
    columns = zip(rows.item.tolist(), rows.of("price_to_kind"), rows.of("price_now"), rows.of("discount"), strict=False)
    for item, to_kind, now, off in columns:
        if LEAST_TO_KIND <= to_kind <= 1 - MIN_SHARE:
            kind = _name(kinds[item], language)
            said.append(language.say("price_kind", share=_percent(1 - to_kind), kind=kind))
        elif now <= 1 - MIN_SHARE:
            said.append(language.say("price_now", share=_percent(1 - now)))
        elif off >= MIN_SHARE:
            said.append(language.say("discount", share=_percent(off)))
        else:
            said.append(None)
    return said


def _promotion(rows: Rows) -> Said:
    keys = ("plan_mailer", "plan_display", "mailer", "display")
    columns = list(zip(*(list(rows.of(key)) for key in keys), strict=True))
    return [
        next((rows.language.say(key) for key, share in zip(keys, row, strict=True) if share > 0), None)
        for row in columns
    ]


def _new(rows: Rows) -> Said:
    """On sale for a few weeks; like one of the customer's own where there is one."""
    own, baskets = rows.facts.own_like("text", rows.customer, rows.item)
    line, num_line = rows.facts.own_like("line", rows.customer, rows.item)
    use = (own < 0) & rows.facts.has_maker[rows.item]
    own, baskets = np.where(use, line, own), np.where(use, num_line, baskets)
    language, titles = rows.language, rows.facts.titles
    said: Said = []
    for weeks, mine, num in zip(rows.of("sold_for"), own.tolist(), baskets.tolist(), strict=False):
        if not 1 <= weeks <= NEW_WEEKS:
            said.append(None)
            continue
        age = language.count("weeks", weeks)
        if mine >= 0:
            said.append(language.say("new_like", weeks=age, it=titles[mine], times=language.count("times", num)))
        else:
            said.append(language.say("new", weeks=age))
    return said


def _percent(share: float) -> str:
    return f"{round(100 * share)}%"


CLAIMS: dict[str, Callable[[Rows], Said]] = {
    "repeat": _repeat,
    "cart": _cart,
    "looked": _looked,
    "looked_like": _looked_like,
    "text": _text,
    "line": _line,
    "kind": _kind,
    "goes_with": _goes_with,
    "popular": _popular,
    "loyal": _loyal,
    "shop": _shop,
    "price": _price,
    "promotion": _promotion,
    "new": _new,
}
"""By family, in the order of FAMILIES; families that are missing here never make a reason."""
