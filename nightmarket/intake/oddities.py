"""Machines among customers, clocks that were never set, and exports that came twice: by counts alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Int64s

GAP_DAYS = 400
"""Longer than a season shop is closed."""
SET = 7_305
"""Days from 1970 to 1990: clocks that were never set begin in 1970 or 1980."""
FEW = 0.01
"""Share of all rows that may lie before a gap and still be an error of the clock."""
MIN_PEOPLE = 20
BLOCK = 20
"""Rows in the same order as before, from which on they are an export that came twice and no habit."""


def begin(day: Int64s, num: Int64s) -> int | None:
    """The day on which the history begins, where something lies long before it; else None.

    day, num  (D,)  days since 1970-01-01 with rows, ascending, and how many
    """
    if not day.size:
        return None
    before = np.cumsum(num) - num
    gaps = np.append(0, np.diff(day))
    few = np.maximum(FEW * num.sum(), 1)
    jumps = (gaps > GAP_DAYS) & ((before <= few) | (day - gaps < SET))
    candidates = np.flatnonzero(jumps)
    return int(day[candidates[-1]]) if candidates.size else None


def machines(num: Int64s, busiest: Int64s, hours: Int64s) -> Bools:
    """(C,) which customers are none: they do far more than all others, or hardly ever sleep.

    num, busiest  (C,)  events of each, all of them and on their busiest day
    hours         (C,)  hours of one day with events, on a day of a hundred or more
    """
    if num.size < MIN_PEOPLE:
        return np.zeros(num.size, bool)
    usual, most = np.quantile(num, 0.95), np.quantile(busiest, 0.95)
    restless = (busiest >= 500) & (busiest >= 20 * most)
    huge = (num >= 1_000) & (num >= 50 * usual)
    return restless | huge | ((hours >= 21) & (num >= 10 * usual))


@dataclass(frozen=True)
class Repeats:
    """Rows that say exactly what another says, in the file's order; N rows.

    row       (N,)  place in the file
    content   (N,)  code of what the row says
    day       (N,)  days since 1970-01-01; -1 for none
    named     (N,)  whether it names a customer or a basket: others may well repeat
    nth       (N,)  how many rows of this content came before
    num       (N,)  rows of this content
    distance  (N,)  rows since the one before with this content; 0 for the first
    """

    row: Int64s
    content: Int64s
    day: Int64s
    named: Bools
    nth: Int64s
    num: Int64s
    distance: Int64s

    @classmethod
    def of(cls, row: Int64s, content: Int64s, day: Int64s, named: Bools) -> "Repeats":
        """row ascending"""
        order = np.lexsort((row, content))
        first = np.append(True, np.diff(content[order]) != 0)
        start = np.maximum.accumulate(np.where(first, np.arange(row.size), 0))
        nth, distance = np.empty_like(row), np.empty_like(row)
        nth[order] = np.arange(row.size) - start
        distance[order] = np.where(first, 0, np.diff(row[order], prepend=0))
        return cls(row, content, day, named, nth, np.bincount(content)[content], distance)

    def in_blocks(self) -> Bools:
        """(N,) rows of a block of BLOCK or more different ones that follow each other as they did before."""
        later = self.nth > 0
        begins = (np.diff(self.row, prepend=-2) != 1) | (np.diff(self.distance, prepend=-1) != 0) | ~later
        block = np.cumsum(begins) - 1
        pairs = np.unique(np.stack([block[later], self.content[later]]), axis=1)[0]
        different = np.bincount(pairs, minlength=int(block[-1]) + 1)
        return later & (different[block] >= BLOCK)

    def on_doubled_days(self, distinct: Mapping[int, int]) -> Bools:
        """(N,) rows too many on days on which nearly everything came twice or more, however it is sorted.

        distinct  day → how many different rows it has

        On the days before and after, which an export may hold in part, whatever repeats counts as too many.
        """
        repeated, factor = {}, {}
        for day in np.unique(self.day[self.day >= 0]):
            here = (self.day == day) & (self.nth == 0)
            repeated[int(day)] = int((here & self.named).sum())
            factor[int(day)] = int(np.quantile(self.num[here], 0.05))
        doubled = _runs(distinct, repeated)
        beside = {day + step for day in doubled for step in (-1, 1)} - doubled
        times = np.array([max(factor[day], 2) if day in doubled else 1 for day in self.day.tolist()])
        near = np.array([day in beside for day in self.day.tolist()])
        return self.named & (((times > 1) & (self.nth >= np.maximum(self.num // times, 1))) | (near & (self.nth > 0)))


def _runs(distinct: Mapping[int, int], repeated: Mapping[int, int]) -> set[int]:
    """Days of runs on which at least 95 in 100 of BLOCK or more different rows are repeated."""
    doubled: set[int] = set()
    run: list[int] = []
    for day in [*sorted(distinct), None]:
        if day is not None and repeated.get(day, 0) >= 0.95 * distinct[day]:
            run.append(day)
            continue
        if sum(distinct[other] for other in run) >= BLOCK:
            doubled |= set(run)
        run = []
    return doubled
