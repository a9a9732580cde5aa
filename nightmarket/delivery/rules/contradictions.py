"""Rules that cannot hold together, known from what they say alone: no shop's data is needed.

What only the data can tell (a pinned product of a hidden brand) is settled there: the limit holds, the pin gives way,
and both rules are named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from nightmarket.delivery.rules.declared import (
    Cap,
    Hide,
    Pin,
    RuleAudience,
    Selection,
    ShopRule,
    SoldIn,
    path_of,
    plain,
)


@dataclass(frozen=True)
class Clash:
    """Two rules that cannot hold together, by their numbers from 0; `other` is the rule itself where it is alone.

    rule   the one to change
    words  what is wrong; {} stands for where the other one is
    """

    rule: int
    other: int
    words: str


def clashes(rules: Sequence[ShopRule], num_places: int) -> Iterator[Clash]:
    """Every contradiction among the rules, for lists of `num_places` products."""
    for number, rule in enumerate(rules):
        if isinstance(rule, Pin) and max(rule.place) > num_places:
            words = (
                f"place {max(rule.place)} is pinned, and a list has {num_places} (score.num_recommendations in {{}})"
            )
            yield Clash(number, number, words)
    for first, second in combinations(range(len(rules)), 2):
        if meet(rules[first], rules[second]):
            yield from _of_two(rules, first, second)
            yield from _of_two(rules, second, first)
    yield from _caps_below_pins(rules)


def _of_two(rules: Sequence[ShopRule], first: int, second: int) -> Iterator[Clash]:
    """What a pin has against another rule; the later one of two is to change."""
    pin, other = rules[first], rules[second]
    if not isinstance(pin, Pin):
        return
    last, before = max(first, second), min(first, second)
    if isinstance(other, Hide) and _share(pin.pin, other.hide):
        yield Clash(last, before, "products are pinned and hidden at the same time, see {}; take one of the rules away")
    if isinstance(other, SoldIn) and covers(other.products, pin.pin):
        markets, sold_in = pin.audience.named().get("market"), set(map(plain, other.sold_in))
        if markets and not markets & sold_in:
            yield Clash(
                last, before, "products are pinned in a market where they are not sold by {}; change one of them"
            )
    if isinstance(other, Pin) and first < second and set(pin.place) & set(other.place):
        place = min(set(pin.place) & set(other.place))
        yield Clash(last, before, f"place {place} is pinned already by {{}}; name another place")


def _caps_below_pins(rules: Sequence[ShopRule]) -> Iterator[Clash]:
    """Caps under which pins fall that somebody meets on the same day: more places than the cap allows."""
    for number, cap in enumerate(rules):
        if not isinstance(cap, Cap):
            continue
        counted: dict[object, tuple[ShopRule, int]] = {}
        for at, pin in enumerate(rules):
            if not isinstance(pin, Pin) or not (cap.products is None or covers(cap.products, pin.pin)):
                continue
            if (what := _counted_as(cap, pin.pin)) is None:
                continue
            together, places = counted.get(what, (cap, 0))
            if not meet(together, pin):
                continue
            counted[what] = _both(together, pin), places + len(pin.place)
            if counted[what][1] > cap.cap:
                many = f"{counted[what][1]} places are pinned and the cap is {cap.cap}"
                yield Clash(max(number, at), min(number, at), f"{many}, see {{}}; raise the cap or take places away")
                break


def _both(first: ShopRule, second: ShopRule) -> ShopRule:
    """A rule that holds for whom, and on the days on which, both hold."""
    mine, theirs = first.audience.named(), second.audience.named()
    narrowed = {
        name: tuple(
            sorted(mine.get(name, theirs.get(name, frozenset())) & theirs.get(name, mine.get(name, frozenset())))
        )
        for name in mine.keys() | theirs.keys()
    }
    begins = max(_day(first.valid_from, date.min), _day(second.valid_from, date.min))
    ends = min(_day(first.valid_until, date.max), _day(second.valid_until, date.max))
    return ShopRule(audience=RuleAudience(**narrowed), valid_from=begins, valid_until=ends)


def _counted_as(cap: Cap, pinned: Selection) -> object:
    """What a cap counts all of the pinned products as; None where that is not certain."""
    if cap.per == "all":
        return "all"
    if cap.per == "brand" and pinned.brand and len({*map(plain, pinned.brand)}) == 1:
        return plain(pinned.brand[0])
    if pinned.category and len(pinned.category) == 1:
        path = path_of(pinned.category[0])
        depth = {"department": 1, "category": 2}.get(cap.per, len(path) + 1)
        if ">" in pinned.category[0] and len(path) >= depth:
            return path[:depth]
    return None


def covers(wide: Selection, narrow: Selection) -> bool:
    """Whether every product of `narrow` is certainly one of `wide`."""
    given = narrow.named()
    return all(name in given and _each_within(name, given[name], values) for name, values in wide.named().items())


def _share(pinned: Selection, hidden: Selection) -> bool:
    """Whether all of the pinned products are hidden, or one that both name by its id."""
    mine, theirs = pinned.named(), hidden.named()
    return covers(hidden, pinned) or (mine.keys() == theirs.keys() == {"id"} and bool({*mine["id"]} & {*theirs["id"]}))


def _each_within(name: str, narrow: Any, wide: Any) -> bool:
    if name == "category":
        return all(any(_below(inner, outer) for outer in wide) for inner in narrow)
    if name == "attribute":
        return narrow == wide
    if name in ("id", "group"):
        return {*narrow} <= {*wide}
    return {*map(plain, narrow)} <= {*map(plain, wide)}


def _below(inner: str, outer: str) -> bool:
    """Whether a category path lies at or below another; a name alone is at any level."""
    mine, theirs = path_of(inner), path_of(outer)
    if len(theirs) == 1:
        return theirs[0] in mine
    return len(mine) > 1 and mine[: len(theirs)] == theirs


def meet(first: ShopRule, second: ShopRule) -> bool:
    """Whether there is a day and a customer for whom both hold."""
    days = _day(first.valid_from, date.min) <= _day(second.valid_until, date.max)
    days &= _day(second.valid_from, date.min) <= _day(first.valid_until, date.max)
    return days and may_meet(first.audience, second.audience)


def may_meet(first: RuleAudience, second: RuleAudience) -> bool:
    """Whether a customer may be in both audiences."""
    mine, theirs = first.named(), second.named()
    return all(mine[name] & theirs[name] for name in mine.keys() & theirs.keys())


def _day(day: date | None, without: date) -> date:
    return day or without
