"""Why each product of an answer is there, in a sentence that is true of the visitor and of what others did."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from nightmarket.contracts.arrays import Int32s
from nightmarket.histories.interactions import BOUGHT, CARTED, LOOKED
from nightmarket.ranking.explanations.wording import LANGUAGES, Language
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.shop import YOUNG_DAYS

MOST_PAST = 10
"""Items of earlier visits that a reason may name, the last ones."""


def reasons(
    asked: Asked, items: Int32s, titles: Sequence[str], kinds: Sequence[str], language: Literal["en", "zh"]
) -> list[str]:
    """One for each item (M,): what the visitor did with the item itself, else what it was met with, else what it is.

    titles, kinds  (I,)  names of items and of their kinds
    """
    words = LANGUAGES[language]
    kinds_now = set(asked.shop.catalogue.kind[asked.now[0]].tolist())
    popular, listed = set(asked.shop.popular.tolist()), set(asked.visit.listed.tolist())
    of_pairs = _pairs(asked, items, titles, words)
    said = []
    for place, item in enumerate(items.tolist()):
        text = _own(asked, item, words) or of_pairs[place]
        if text is None and asked.shop.catalogue.kind[item] in kinds_now and kinds[item]:
            text = words.say("visit_kind", kind=kinds[item])
        if text is None and item in listed:
            text = words.say("visit_listed")
        if text is None and item in popular:
            text = words.say("visit_popular")
        if text is None and 0 <= asked.visit.day - asked.shop.first_day[item] <= YOUNG_DAYS:
            text = words.say("visit_new")
        said.append(text or words.say("visit_taste" if asked.visit.item.size else "visit_shop"))
    return said


def _own(asked: Asked, item: int, words: Language) -> str | None:
    """What the visitor did with it in earlier visits."""
    visit = asked.visit
    rows = np.flatnonzero((visit.item == item) & ~visit.session)
    if rows.size == 0:
        return None
    kind, age = visit.kind[rows], words.span(int(visit.ago[rows[-1]]))
    bought = np.flatnonzero(np.isin(kind, BOUGHT))
    since = kind[bought[-1] + 1 :] if bought.size else kind
    if np.isin(since, CARTED).any():
        return words.say("cart", age=age)
    if np.isin(since, LOOKED).any():
        return words.say("looked_once", age=age)
    num = int(bought.size)
    return (
        words.say("repeat_once", age=age) if num == 1 else words.say("repeat", times=words.count("times", num), age=age)
    )


def _pairs(asked: Asked, items: Int32s, titles: Sequence[str], words: Language) -> list[str | None]:
    """What each item is met with, or taken after, of what the visitor did: the strongest pair."""
    shop, visit = asked.shop, asked.visit
    here = visit.session
    bought = np.isin(visit.kind, BOUGHT)
    order = np.argsort(items)
    ordered, back, ones = items[order], np.argsort(order), np.ones(1, np.float32)
    told: list[tuple[float, str] | None] = [None] * items.size
    rows = np.flatnonzero(here)[::-1].tolist() + np.flatnonzero(~here)[::-1][:MOST_PAST].tolist()
    for row in rows:
        several = (shop.near, shop.leads) if here[row] or not bought[row] else (shop.near, shop.follows)
        values = np.max([near.sums(visit.item[row : row + 1], ones, ordered) for near in several], axis=0)[back]
        values = values * (1.0 if here[row] else 0.3)
        for place in np.flatnonzero(values > 0).tolist():
            best = told[place]
            if best is None or values[place] > best[0]:
                told[place] = (float(values[place]), _named(asked, row, titles, words))
    return [pair[1] if pair else None for pair in told]


def _named(asked: Asked, row: int, titles: Sequence[str], words: Language) -> str:
    """The sentence about an event of the visitor's, whose item the recommended one was met with."""
    visit = asked.visit
    title, kind = titles[visit.item[row]], visit.kind[row]
    when = "now" if visit.session[row] else "earlier"
    how = "bought" if kind in BOUGHT else "carted" if kind in CARTED else "looked"
    return words.say(f"visit_{how}_{when}", it=title, age=words.span(int(visit.ago[row])))
