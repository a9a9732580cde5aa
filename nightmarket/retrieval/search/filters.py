"""Which products a search may find at all: brand, category, price, what was sold recently.

Shapes: I items.
"""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int64s

LEVELS = ("department", "category", "type")
_NEAR = 3


@dataclass(frozen=True)
class Filters:
    """What a product must have; the defaults let every recommendable product through.

    brands      one of these, any case; empty: any
    category    name of a department, category or type, or a path of them joined by ' > ', any case; empty: any
    min_price   currency, at least
    max_price   currency, at most; None: no limit. A product without a price has no place between limits
    sold_weeks  sold in so many of the last weeks; None: also what never sold
    """

    brands: tuple[str, ...] = ()
    category: str = ""
    min_price: float = 0.0
    max_price: float | None = None
    sold_weeks: int | None = None

    def allowed(self, products: pd.DataFrame, last_sold: NDArray, last_week: int) -> Bools:
        """(I,) the products that pass.

        products   brand, department, category, type, price, recommendable
        last_sold  (I,) week of each product's last sale; anything below the first week for one that never sold
        last_week  the last week with sales

        Raises InputError for a brand or a category that the catalogue does not have, with the nearest names, and for
        a price range that holds nothing.
        """
        passed = products["recommendable"].to_numpy(bool).copy()
        if self.brands:
            passed &= _holds(products["brand"], self.brands)
        if self.category.strip():
            passed &= self._in_category(products)
        if self.max_price is not None and self.max_price < self.min_price:
            raise InputError(f"max_price: {self.max_price:g} is below min_price, {self.min_price:g}")
        if self.min_price > 0 or self.max_price is not None:
            price = products["price"].to_numpy(np.float64)
            passed &= (price >= self.min_price) & (price <= (np.inf if self.max_price is None else self.max_price))
        if self.sold_weeks is not None:
            passed &= last_sold > last_week - self.sold_weeks
        return passed

    def _in_category(self, products: pd.DataFrame) -> Bools:
        wanted = [_folded(part) for part in self.category.split(">") if part.strip()]
        level = {name: _coded(products[name]) for name in LEVELS}
        for first in range(len(LEVELS) - len(wanted) + 1):
            matches = [_equal(level[LEVELS[first + i]], part) for i, part in enumerate(wanted)]
            if (rows := np.logical_and.reduce(matches)).any():
                return rows
        names = {name for code, known in level.values() for name in known}
        raise InputError(f"category: the catalogue has no '{self.category.strip()}'{near(wanted[-1], names)}")


def near(word: str, names: set[str]) -> str:
    """`; near it: …` with the names that are spelt most alike, or that hold the word; empty where none does."""
    held = sorted((name for name in names if word and word in name), key=lambda name: (len(name), name))
    alike = difflib.get_close_matches(word, sorted(names), n=_NEAR, cutoff=0.6)
    names_near = list(dict.fromkeys([*alike, *held]))[:_NEAR]
    return f"; near it: {', '.join(names_near)}" if names_near else ""


def _holds(column: pd.Series, wanted: tuple[str, ...]) -> Bools:
    code, names = _coded(column)
    for brand in wanted:
        if _folded(brand) not in names:
            raise InputError(f"brand: the catalogue has no '{brand}'{near(_folded(brand), set(names))}")
    rows = [names.index(_folded(brand)) for brand in wanted]
    return np.isin(code, rows)


def _equal(coded: tuple[Int64s, list[str]], name: str) -> Bools:
    code, names = coded
    return code == names.index(name) if name in names else np.zeros(len(code), bool)


def _coded(column: pd.Series) -> tuple[Int64s, list[str]]:
    """Codes of the folded values, -1 where null, and the values."""
    code, values = pd.factorize(column)
    folded = [_folded(str(value)) for value in values]
    names = list(dict.fromkeys(folded))
    place = {name: at for at, name in enumerate(names)}
    return np.array([*(place[name] for name in folded), -1])[code], names


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
