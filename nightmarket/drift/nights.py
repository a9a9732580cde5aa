"""The max-T drift test: tonight beside the past nights of the training window.

A night is its last seven full days beside the weeks that its model was trained on. Tonight is compared with the nights
inside the champion's training window; each of them is looked at exactly as tonight is, with a reference as long and as
far back as that of a model trained that night. So a threshold holds whatever goes from week to week in this shop, its
seasons of some weeks and its customers who stay the same: days stay together in weeks, and rows are never shuffled.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nightmarket.contracts.arrays import Bools, Float64s, Int64s

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


WILD = 6.0
"""Steps above the median night."""
SURE = 0.9
"""Of shops, so many alarm on no more than `alpha` of their nights while nothing changes."""


@dataclass(frozen=True)
class MaxT:
    """T nights, tonight last; S statistics.

    scores   (S, T)  robust steps above the statistic's median night, NaN where nothing could be said
    unsettled  (S,) statistics that are left out: too many of their past nights were far off
    largest  (T,)    over the statistics; -inf where none could be said
    limit    what fewer than `alpha` of this shop's nights lie above: a statistic above it has drifted
    p        share of the nights, tonight included, whose largest score is at least tonight's
    """

    scores: Float64s
    unsettled: Bools
    largest: Float64s
    limit: float
    p: float

    @property
    def drifted(self) -> Bools:
        """(S,) which statistics lie above the limit tonight."""
        return np.nan_to_num(self.scores[:, -1], nan=-np.inf) > self.limit


def max_t(values: Float64s, alpha: float) -> MaxT:
    """Max-T over the statistics (Westfall and Young, 1993), with past nights in the place of permutations.

    values  (S, T)  how far off each statistic was on each night, tonight last, on a scale on which the smallest step
                    that counts is 1; NaN where nothing could be said
    alpha   false alarms per night that are accepted, over all statistics together

    Each statistic is set on a scale of its own nights, tonight included, by median and median deviation; the
    largest score of a night is compared with the largest scores of the others, so that many columns
    raise no more alarms than one. A statistic that was WILD on more than `alpha` of its own past nights would set the
    limit for all others, so it is left out.
    Neighbouring nights are alike, so a year holds few independent ones, and the night that `alpha` of the past lie
    above is known poorly: half of all shops would alarm more often. So the limit lies at least at the upper bound of
    what `alpha` of the weeks' furthest nights lie above.
    """
    enough = np.isfinite(values).sum(axis=1) > MIN_NIGHTS
    values = np.where(enough[:, None], values, np.nan)
    centre = _median(values)
    scale = np.maximum(1.4826 * _median(np.abs(values - centre)), 1.0)
    scores: Float64s = (values - centre) / scale
    wild = np.nan_to_num(scores[:, :-1], nan=-np.inf) > WILD
    unsettled: Bools = np.asarray(wild.sum(axis=1) > alpha * scores.shape[1])
    scores[unsettled] = np.nan
    largest = np.where(np.isnan(scores), -np.inf, scores).max(axis=0, initial=-np.inf)
    past = np.sort(largest[:-1])[::-1]
    allowed = math.floor(alpha * largest.size)
    limit = math.inf
    if 1 <= allowed <= past.size:
        limit = max(float(past[allowed - 1]), _extreme(largest[:-1], alpha))
    at_least = int((past >= largest[-1]).sum()) + 1
    return MaxT(scores, unsettled, largest, limit, at_least / largest.size)


def _extreme(largest: Float64s, alpha: float) -> float:
    """Upper bound (one-sided, SURE) of what `alpha` of the weeks' maxima lie above, of nights (T,).

    Maxima of weeks are taken as Gumbel, fitted by moments; the bound's width is that of the fitted quantile (Kite,
    Frequency and Risk Analyses in Hydrology, 1977).
    """
    weeks = largest[largest.size % WEEK :].reshape(-1, WEEK).max(axis=1)
    weeks = weeks[np.isfinite(weeks)]
    if weeks.size < 2:
        return math.inf
    factor = -math.sqrt(6) / math.pi * (float(np.euler_gamma) + math.log(-math.log1p(-alpha)))
    width = math.sqrt((1 + 1.1396 * factor + 1.1 * factor**2) / weeks.size)
    return float(weeks.mean() + weeks.std(ddof=1) * (factor + float(norm.ppf(SURE)) * width))


def _median(values: Float64s) -> Float64s:
    """(S, 1) medians that leave NaN out; 0 for a row of nothing else."""
    empty = np.asarray(np.isnan(values).all(axis=1))
    return np.asarray(np.nanmedian(np.where(empty[:, None], 0.0, values), axis=1, keepdims=True))
