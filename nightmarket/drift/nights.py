"""Which days each night looks at: its last seven full days, and the weeks that its model was trained on.

Tonight is judged by the nights inside the champion's training window. Each of them is looked at exactly as tonight is,
with a reference as long and as far back as that of a model trained that night. So a threshold holds whatever goes from
week to week in this shop, its seasons of some weeks and its customers who stay the same: days stay together in weeks,
and rows are never shuffled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Int64s

WEEK = 7
REFERENCE_DAYS = 8 * WEEK
"""The last weeks of the training window that a night is compared with."""
MIN_NIGHTS = 12 * WEEK
"""Fewer past nights than this give no threshold."""


@dataclass(frozen=True)
class Nights:
    """T nights, tonight last: bounds of their days, as places in D days, the stops excluded.

    stop       (T,)  current: [stop - 7, stop)
    reference  (T,)  reference: [reference - REFERENCE_DAYS, reference)
    """

    stop: Int64s
    reference: Int64s

    def __len__(self) -> int:
        return int(self.stop.size)

    @property
    def testable(self) -> bool:
        """Whether there are enough past nights."""
        return len(self) > MIN_NIGHTS

    def sums(self, daily: NDArray) -> tuple[NDArray, NDArray]:
        """Sums over the days of current and reference, each (T, K), of numbers per day (D, K)."""
        total = np.concatenate([np.zeros((1, *daily.shape[1:])), np.cumsum(daily, axis=0, dtype=np.float64)])
        start, first = self.stop - WEEK, self.reference - REFERENCE_DAYS
        return total[self.stop] - total[start], total[self.reference] - total[first]

    def weekdays(self, daily: NDArray) -> tuple[NDArray, NDArray]:
        """The week's days, and the median of the reference's days of the same weekday, each (T, 7), of (D,)."""
        days = self.stop[:, None] - WEEK + np.arange(WEEK)
        weeks = np.arange(REFERENCE_DAYS // WEEK)[:, None]
        # the reference need not end on the weekday before the week begins
        first = self.reference[:, None] - REFERENCE_DAYS
        aligned = first + (days - first) % WEEK
        usual = np.median(daily[aligned[:, None, :] + WEEK * weeks], axis=1)
        return daily[days].astype(np.float64), usual


def nights(num_days: int, trained: int, gap: int) -> Nights:
    """Tonight, and the nights inside the training window before it.

    num_days  D, days on record; the last is last night's full day
    trained   how many of them the champion learned from, the first ones
    gap       days between the end of the training window and tonight's week for a model trained tonight
    """
    past = np.arange(REFERENCE_DAYS + gap + WEEK, trained + 1)
    stop = np.append(past, num_days)
    reference = np.append(past - WEEK - gap, trained)
    usable = reference >= REFERENCE_DAYS
    return Nights(stop[usable], reference[usable])
