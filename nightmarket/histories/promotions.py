"""What was displayed and mailed, and when. Promotions are known by the calendar week."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.calendar import week_of


@dataclass(frozen=True)
class Promotions:
    """Share of channels that displayed or mailed an item in a calendar week; P rows."""

    item: Int32s
    week: Int32s
    display: Float32s
    mailer: Float32s

    def mean(self, num_items: int, first: int, last: int) -> tuple[Float32s, Float32s]:
        """(I,) mean display and mailer shares over the weeks first..last."""
        inside = (self.week >= first) & (self.week <= last)
        weeks = max(last - first + 1, 1)
        shares = [
            (np.bincount(self.item[inside], weights[inside], num_items) / weeks).astype(np.float32)
            for weights in (self.display, self.mailer)
        ]
        return shares[0], shares[1]

    def shown(self, num_items: int, first: int, last: int) -> dict[str, Float32s]:
        """(I,) over the weeks first..last: the `first` and the `last` in which an item was displayed or mailed at all,
        NaN for never, how many `weeks` that were, and the largest shares of one week, `display` and `mailer`."""
        inside = (self.week >= first) & (self.week <= last) & ((self.display > 0) | (self.mailer > 0))
        item, week = self.item[inside], self.week[inside].astype(np.float32)
        begin, end = (np.full(num_items, value, np.float32) for value in (np.inf, -np.inf))
        np.minimum.at(begin, item, week)
        np.maximum.at(end, item, week)
        columns = {name: np.where(np.isfinite(ends), ends, np.nan) for name, ends in (("first", begin), ("last", end))}
        columns["weeks"] = np.bincount(item, minlength=num_items).astype(np.float32)
        for name, shares in (("display", self.display), ("mailer", self.mailer)):
            columns[name] = np.zeros(num_items, np.float32)
            np.maximum.at(columns[name], item, shares[inside])
        return columns

    def covers(self, first: int, last: int) -> bool:
        """Whether every one of the weeks first..last has promotions."""
        return set(range(first, last + 1)) <= set(np.unique(self.week).tolist())


def coming_weeks(cut: int, days: int) -> tuple[int, int]:
    """First and last calendar week of the promotion plan for the `days` after the cut: those that begin after it."""
    return week_of(cut) + 1, week_of(cut) - (-days // 7)
