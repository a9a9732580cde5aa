"""Labels of a catalogue as customers would say them: "REFRGRATD JUICES/DRNKS" is "refrigerated juices and drinks".

Also what an offer is called: one name, true of all that it covers, for the plan and for the texts.
"""

import re
from collections.abc import Sequence

_WORDS = {
    "frzn": "frozen", "froz": "frozen", "refrg": "refrigerated", "refrig": "refrigerated", "refrgratd": "refrigerated",
    "refrigeratd": "refrigerated", "drnk": "drink", "drnks": "drinks", "dnrs": "dinners", "bev": "beverages",
    "veg": "vegetables", "vegs": "vegetables", "choc": "chocolate", "prod": "products", "prods": "products",
    "pdts": "products", "access": "accessories", "accs": "accessories", "asst": "assorted", "hh": "household",
    "hsehld": "household", "bkry": "bakery", "brkfst": "breakfast", "cndy": "candy", "ckies": "cookies",
    "crkrs": "crackers", "chkn": "chicken", "bf": "beef", "sndwch": "sandwich", "snk": "snack", "snks": "snacks",
    "ppr": "paper", "pntbttr": "peanut butter", "yog": "yogurt", "conv": "convenience", "pkgd": "packaged",
    "w": "with", "wo": "without", "dom": "domestic", "imp": "imported", "org": "organic", "nat": "natural",
    "reg": "regular", "sgl": "single",
}  # fmt: skip
"""Abbreviations of the trade."""
_EMPTY = {"all", "category"}
"""Words that say nothing."""
_TRADE = {"fluid", "misc", "miscellaneous", "other", "shelf", "stable", "pkg"}
"""Words that mean something to the trade alone; without one a label says more than it did."""
_GENERIC = {"product", "products", "items", "goods"}
_LINKS = {"of", "in", "to", "on", "or"}
_MOST = 3
_LONGEST = 36
"""Characters of a name that leave room for an offer in the shortest form of a text."""
_INITIALS = {"tv", "cd", "dvd", "usb", "led", "lcd", "pc", "bbq", "diy", "uk", "usa", "xl", "ssd", "3d", "4k"}
"""Initials that everybody knows."""
ANYTHING = {"en": "selected products", "zh": "指定商品"}


def customer_words(label: str | None) -> str:
    """The label in small letters and whole words; one that is not in capitals stays as it is, but for its blanks."""
    text = " ".join((label or "").split())
    if not text.isupper():
        return text
    if not text.isascii():
        return text.lower()
    parts = list(dict.fromkeys(words for part in _parts(text) if (words := _tidy(part))))
    kept = [part for part in parts if not set(part.split()) <= _TRADE | _EMPTY] or parts
    return _listed(kept, "and") if kept else text.lower()


def widened(label: str | None) -> bool:
    """Whether its words name more than the label did: "milk products" of "FLUID MILK PRODUCTS", "cheese" of "OTHER
    CHEESE"."""
    text = " ".join((label or "").split())
    if not text.isupper() or not text.isascii():
        return False
    return "(" in text or any(set(_words(part)) & _TRADE for part in _parts(text))


def _parts(text: str) -> list[str]:
    text = re.sub(r"\([^)]*\)?", " ", text.lower())
    text = re.sub(r"\bw/\s*", "with ", re.sub(r"\bw/o\s*", "without ", text))
    return re.split(r"\s*[/&+]\s*|\s+-\s+", text)


def _words(part: str) -> list[str]:
    return [word for text in part.split() if (word := text.strip(".,:;-"))]


def _tidy(part: str) -> str:
    words = [word.upper() if word in _INITIALS else _WORDS.get(word, word) for word in _words(part)]
    plain = [word for word in words if word not in _TRADE | _EMPTY]
    return " ".join(plain if any(word not in _GENERIC for word in plain) else words)


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _said(label: str, name: str) -> bool:
    """Whether people would know the words that were made of a label: none is an abbreviation."""
    if name == label or not label.isascii():
        return True
    words = [word for word in name.replace(",", " ").split() if word.lower() not in _INITIALS]
    return all(len(word) >= (2 if word in _LINKS else 3) and re.search("[aeiouy]", word) for word in words)


def covered(levels: Sequence[Sequence[tuple[str, bool]]]) -> dict[str, str]:
    """locale → what an offer applies to.

    levels  from the finest to the coarsest, the labels of its products with whether it holds for all products of each

    A few kinds are named; of many the group that holds them; what is offered in part is "selected".
    """
    for labels in levels:
        kinds = [label for label, _ in labels if label]
        names = [customer_words(label) for label in kinds]
        if not kinds or len(kinds) < len(labels) or len(kinds) > _MOST or len(set(names)) < len(names):
            continue
        if not all(_said(label, name) for label, name in zip(kinds, names, strict=True)):
            continue
        whole = all(every and not widened(label) for label, every in labels)
        en, zh = _listed(names, "and"), "、".join(names)
        called = {"en": en if whole else f"selected {en}", "zh": zh if whole else f"指定{zh}"}
        if len(called["en"]) <= _LONGEST:
            return called
    return dict(ANYTHING)


def scope(label: str) -> dict[str, str]:
    """locale → what an offer on everything under one label applies to."""
    name = customer_words(label)
    return {"en": f"selected {name}", "zh": f"指定{name}"} if widened(label) else {"en": name, "zh": name}
