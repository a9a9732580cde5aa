"""Why each product of an answer is there, in a sentence that is true of the visitor and of what others did."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
import yaml

from nightmarket.contracts.arrays import Int32s
from nightmarket.histories.interactions import BOUGHT, CARTED
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.sessions.features import IS_BOUGHT, IS_CART, IS_LOOK, Asked
from nightmarket.ranking.sessions.shop import YOUNG_DAYS

MOST_PAST = 10
"""Events of earlier visits that a reason may name, the last ones."""
EARLIER = 0.3
"""What a pair with an event of an earlier visit counts beside one of this visit."""
SENTENCES = yaml.safe_load(files(__package__).joinpath("wording.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class ShownNames:
    """What products are called.

    titles, kinds  (I,)  of each item, and of its kind; empty where the shop has none
    language       of the reasons
    """

    titles: Sequence[str]
    kinds: Sequence[str]
    language: Literal["en", "zh"] = "en"

    def say(self, key: str, **fields: str) -> str:
        """A sentence of this room's."""
        sentence: str = SENTENCES[self.language][key]
        return sentence.format(**fields)


def reasons(asked: Asked, items: Int32s, names: ShownNames) -> list[str]:
    """One for each item (M,): what the visitor did with the item itself, else what it was met with, else what it is."""
    shop, visit = asked.shop, asked.visit
    kind = shop.catalogue.kind
    kinds_now = set(kind[asked.now[0]].tolist())
    popular, listed = set(shop.popular.tolist()), set(visit.listed.tolist())
    earlier = _earlier(asked)
    own = {item: text for item in items.tolist() if item in earlier and (text := _own(asked, earlier[item], names))}
    left = np.array([item for item in items.tolist() if item not in own], np.int32)
    of_pairs = dict(zip(left.tolist(), _pairs(asked, left, names), strict=True))
    said = []
    for item in items.tolist():
        text = own.get(item) or of_pairs.get(item)
        if text is None and kind[item] in kinds_now and names.kinds[item]:
            text = names.say("kind", kind=names.kinds[item])
        if text is None:
            young = 0 <= visit.day - shop.first_day[item] <= YOUNG_DAYS
            holds = {"listed": item in listed, "popular": item in popular, "new": young, "taste": visit.item.size > 0}
            text = names.say(next((key for key, true in holds.items() if true), "shop"))
        said.append(text)
    return said


def _earlier(asked: Asked) -> dict[int, list[int]]:
    """Rows of the events of earlier visits, oldest first, by their item."""
    rows: dict[int, list[int]] = {}
    for row in np.flatnonzero(~asked.visit.session).tolist():
        rows.setdefault(int(asked.visit.item[row]), []).append(row)
    return rows


def _own(asked: Asked, rows: list[int], names: ShownNames) -> str | None:
    """What the visitor did in earlier visits with the item of these events."""
    visit, words = asked.visit, LANGUAGES[names.language]
    kind, age = visit.kind[rows], words.span(int(visit.ago[rows[-1]]))
    bought = np.flatnonzero(IS_BOUGHT[kind])
    since = kind[bought[-1] + 1 :] if bought.size else kind
    if IS_CART[since].any():
        return words.say("cart", age=age)
    if IS_LOOK[since].any():
        return words.say("looked_once", age=age)
    num = int(bought.size)
    times = words.count("times", num)
    return words.say("repeat", times=times, age=age) if num > 1 else words.say("repeat_once", age=age) if num else None


def _pairs(asked: Asked, items: Int32s, names: ShownNames) -> list[str | None]:
    """What each item is met with, or taken after, of what the visitor did: the strongest pair, the last of equals."""
    shop, visit = asked.shop, asked.visit
    here, bought = visit.session, IS_BOUGHT[visit.kind]
    rows = np.concatenate([np.flatnonzero(here)[::-1], np.flatnonzero(~here)[::-1][:MOST_PAST]])
    if not rows.size or not items.size:
        return [None] * items.size
    order = np.argsort(items)
    met, leads = visit.item[rows], here[rows] | ~bought[rows]
    later = np.zeros((rows.size, items.size), np.float32)
    later[leads] = shop.leads.values(met[leads], items[order])
    later[~leads] = shop.follows.values(met[~leads], items[order])
    values = np.maximum(shop.near.values(met, items[order]), later)
    values *= np.where(here[rows], 1.0, EARLIER).astype(np.float32)[:, None]
    strongest = values.argmax(axis=0)
    told = np.where(values.max(axis=0) > 0, rows[strongest], -1)[np.argsort(order)]
    sentences = {row: _named(asked, row, names) for row in set(told.tolist()) if row >= 0}
    return [sentences.get(row) for row in told.tolist()]


def _named(asked: Asked, row: int, names: ShownNames) -> str | None:
    """The sentence about an event of the visitor's, whose item the recommended one was met with."""
    visit = asked.visit
    title, kind = names.titles[visit.item[row]], visit.kind[row]
    when = "now" if visit.session[row] else "earlier"
    how = "bought" if kind in BOUGHT else "carted" if kind in CARTED else "looked"
    age = LANGUAGES[names.language].span(int(visit.ago[row]))
    return names.say(f"{how}_{when}", it=title, age=age) if title else None
