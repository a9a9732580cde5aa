"""Facts of two made-up shops to write about, one English, one Chinese."""

from datetime import date
from typing import Any

from nightmarket.copywriting.facts import Facts, Kind, Offer, Product

START, END = date(2018, 1, 8), date(2018, 1, 14)


def offer(kind: Kind = "discount", scope: str = "coffee", **terms: Any) -> Offer:
    """An offer of one week in January 2018."""
    return Offer(kind, scope, START, END, **terms)


def english(terms: Offer | None = None, *, is_new: bool = False) -> Facts:
    """A pack of coffee at a corner shop."""
    return Facts("en", "Corner Market", "USD", Product("Roast coffee", "Larkfield", "coffee", 7.5, is_new), terms)


def chinese(terms: Offer | None = None, *, is_new: bool = False) -> Facts:
    """Milk at a corner shop."""
    return Facts("zh", "街角超市", "CNY", Product("有机纯牛奶", "云岭", "牛奶", 29.9, is_new), terms)


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
