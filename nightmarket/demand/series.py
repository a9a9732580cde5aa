"""Units per product type and complete week."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.histories.calendar import first_day, last_complete_week, last_day
from nightmarket.histories.histories import Histories

CLASSES = ("smooth", "erratic", "intermittent", "lumpy")


@dataclass(frozen=True)
class Weekly:
    """K types with a sale, W complete weeks.

    kinds  (K,)  paths of the type, levels joined by " > "
    units  (K, W)  0 in weeks without a sale
    start  (K,)  index of the first week with a sale
    first_week  number of the first week
    """

    kinds: tuple[str, ...]
    units: Float64s
    start: Int64s
    first_week: int

    @property
    def last_week(self) -> int:
        """The last complete week."""
        return self.first_week + self.units.shape[1] - 1

    def until(self, weeks: int) -> "Weekly":
        """The first `weeks` weeks, with the types that were sold by then."""
        known = self.start < weeks
        kinds = tuple(kind for kind, there in zip(self.kinds, known, strict=True) if there)
        return Weekly(kinds, self.units[known, :weeks], self.start[known], self.first_week)


def kind_paths(products: pd.DataFrame) -> pd.Series:
    """The path of each product's type: department, category, type, without levels that repeat the one above."""
    levels = products[["department", "category", "type"]].fillna("").astype(str)
    category = levels["department"].where(
        levels["department"] == levels["category"], levels["department"] + " > " + levels["category"]
    )
    return category.where(levels["category"] == levels["type"], category + " > " + levels["type"])


def weekly(lines: Histories, kind: Int64s, names: list[str], last_week: int | None = None) -> Weekly:
    """Sum units by type and complete week.

    kind       (I,) code of each product's type, into `names`
    last_week  a complete week to end with; None: the last that has as many trading days as usual

    A first week that began late is left out as well.
    """
    pairs = np.unique(np.stack([lines.week, lines.day]), axis=1)[0]
    weeks, days = np.unique(pairs, return_counts=True)
    last = last_complete_week(dict(zip(weeks.tolist(), days.tolist(), strict=True))) if last_week is None else last_week
    usual = np.median(days)
    first = int(weeks[0]) + int(days[0] < usual)
    width = last - first + 1
    if width < 1:
        return Weekly((), np.zeros((0, 0)), np.zeros(0, np.int64), first)
    inside = lines.between(first_day(first), last_day(last))
    cell = kind[inside.item] * width + (inside.week - first)
    units = np.bincount(cell, weights=inside.quantity, minlength=len(names) * width).reshape(len(names), width)
    sold = units.sum(axis=1) > 0
    kinds = tuple(name for name, there in zip(names, sold, strict=True) if there)
    units = units[sold].astype(np.float64)
    return Weekly(kinds, units, (units > 0).argmax(axis=1), first)


def classes(history: Weekly) -> Int64s:
    """(K,) index into CLASSES after Syntetos, Boylan & Croston (2005).

    By the mean interval between weeks with sales since the first (1.32) and the squared coefficient of variation of
    the units in them (.49).
    """
    units = history.units
    sold = units > 0
    num = np.maximum(sold.sum(axis=1), 1)
    interval = (units.shape[1] - history.start) / num
    mean = units.sum(axis=1) / num
    spread = np.maximum((units**2).sum(axis=1) / num - mean**2, 0)
    varied = spread / np.maximum(mean, 1e-9) ** 2 >= 0.49
    return 2 * (interval >= 1.32).astype(np.int64) + varied
