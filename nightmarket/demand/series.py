"""Units per product type and complete week."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Float64s, Int32s, Int64s
from nightmarket.histories.calendar import MONDAY, first_day, last_complete_week, last_day
from nightmarket.histories.histories import Histories

LEAST_CLOSED, RARE_GAP = 7, 4
"""A shop was closed where nothing was sold for so many days, and for so many times its usual longest gap."""
CLASSES = ("smooth", "erratic", "intermittent", "lumpy")


@dataclass(frozen=True)
class Weekly:
    """K types with a sale, W complete weeks in which the shop was open.

    kinds  (K,)  paths of the type, levels joined by " > "
    units  (K, W)  0 in weeks without a sale
    start  (K,)  index of the first week with a sale
    first_week  number of the first week
    closed  numbers of the weeks between first and last without a column: the shop was closed on some of their days
    """

    kinds: tuple[str, ...]
    units: Float64s
    start: Int64s
    first_week: int
    closed: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def last_week(self) -> int:
        """The last complete week."""
        return self.first_week + self.units.shape[1] + self.closed.size - 1

    @property
    def weeks(self) -> Int64s:
        """(W,) number of the week of each column."""
        return np.setdiff1d(np.arange(self.first_week, self.last_week + 1), self.closed)

    def until(self, weeks: int) -> "Weekly":
        """The first `weeks` weeks, with the types that were sold by then."""
        known = self.start < weeks
        kinds = tuple(kind for kind, there in zip(self.kinds, known, strict=True) if there)
        closed = self.closed[self.closed < self.weeks[weeks - 1]] if weeks and self.closed.size else self.closed[:0]
        return Weekly(kinds, self.units[known, :weeks], self.start[known], self.first_week, closed)


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

    A first week that began late is left out as well, and so are weeks in which the shop was closed: that nobody could
    buy says nothing of what they want.
    """
    pairs = np.unique(np.stack([lines.week, lines.day]), axis=1)[0]
    weeks, days = np.unique(pairs, return_counts=True)
    last = last_complete_week(dict(zip(weeks.tolist(), days.tolist(), strict=True))) if last_week is None else last_week
    usual = np.median(days)
    first = int(weeks[0]) + int(days[0] < usual)
    closed = closed_weeks(np.unique(lines.day))
    while first in closed:
        first += 1
    width = last - first + 1
    if width < 1:
        return Weekly((), np.zeros((0, 0)), np.zeros(0, np.int64), first)
    inside = lines.between(first_day(first), last_day(last))
    cell = kind[inside.item] * width + (inside.week - first)
    units = np.bincount(cell, weights=inside.quantity, minlength=len(names) * width).reshape(len(names), width)
    sold = units.sum(axis=1) > 0
    kinds = tuple(name for name, there in zip(names, sold, strict=True) if there)
    closed = closed[(closed > first) & (closed < last)]
    units = np.delete(units[sold], closed - first, axis=1).astype(np.float64)
    return Weekly(kinds, units, (units > 0).argmax(axis=1), first, closed)


def closed_weeks(days: Int32s) -> Int64s:
    """Numbers of the weeks with a day on which the shop was closed, from its days with a sale, ascending."""
    return np.unique((closed_days(days) - MONDAY) // 7)


def closed_days(days: Int32s) -> Int64s:
    """The days on which the shop was closed, ascending, from its days with a sale.

    A gap is a closure where it is long by the shop's own rhythm: a shop that sells something once a week is not closed
    in between.
    """
    gaps = np.diff(days)
    if gaps.size == 0:
        return np.zeros(0, np.int64)
    silent = np.flatnonzero(gaps > max(LEAST_CLOSED, RARE_GAP * np.quantile(gaps, 0.95)))
    inside = [np.arange(days[i] + 1, days[i + 1]) for i in silent.tolist()]
    return np.concatenate([np.zeros(0, np.int64), *inside])


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
