"""Facts of two made-up shops to write about, one English, one Chinese."""

from datetime import date
from typing import Any

from nightmarket.copywriting.facts import CopyFacts, CopyOffer, Kind, Product

START, END = date(2018, 1, 8), date(2018, 1, 14)


def offer(kind: Kind = "discount", scope: str = "coffee", **terms: Any) -> CopyOffer:
    """An offer of one week in January 2018."""
    return CopyOffer(kind, scope, START, END, **terms)


def english(terms: CopyOffer | None = None, *, is_new: bool = False) -> CopyFacts:
    """A pack of coffee at a corner shop."""
    return CopyFacts("en", "Corner Market", "USD", Product("Roast coffee", "Larkfield", "coffee", 7.5, is_new), terms)


def chinese(terms: CopyOffer | None = None, *, is_new: bool = False) -> CopyFacts:
    """Milk at a corner shop."""
    return CopyFacts("zh", "街角超市", "CNY", Product("有机纯牛奶", "云岭", "牛奶", 29.9, is_new), terms)


CATALOGUE = (
    "Roast coffee",
    "Larkfield",
    "coffee",
    "Green tea",
    "Bluefin",
    "Happy",
    "有机纯牛奶",
    "云岭",
    "牛奶",
    "东北大米",
    "金穗",
)
"""Names that both shops know."""
