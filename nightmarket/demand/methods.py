"""Level forecasts for all series at once: each gives one figure per series, the units of every coming week.

units (K, W), start (K,) index of each series' first sale; what lies before it does not count.
"""

from collections.abc import Callable

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s

GRID = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6)
AGGREGATIONS = (1, 2, 4, 8)


def naive(units: Float64s, start: Int64s) -> Float64s:
    """As many as last week."""
    return units[:, -1].copy()


def mean_of(weeks: int) -> Callable[[Float64s, Int64s], Float64s]:
    """The mean of the last `weeks` weeks, of fewer where the series is younger."""

    def mean(units: Float64s, start: Int64s) -> Float64s:
        span = min(weeks, units.shape[1])
        counted = np.minimum(units.shape[1] - start, span)
        return np.asarray(units[:, -span:].sum(axis=1) / np.maximum(counted, 1))

    return mean


def smoothed(units: Float64s, start: Int64s) -> Float64s:
    """Simple exponential smoothing, each series with the rate of GRID that forecast its past weeks best."""
    best, least = np.zeros(len(units)), np.full(len(units), np.inf)
    for rate in GRID:
        level, errors = _smooth(units, start, rate)
        better = errors < least
        best, least = np.where(better, level, best), np.where(better, errors, least)
    return best


def aggregated(units: Float64s, start: Int64s) -> Float64s:
    """IMAPA (Petropoulos & Kourentzes, 2015): smoothing of sums over 1, 2, 4, 8 weeks, per week, averaged."""
    width = units.shape[1]
    levels = []
    for step in AGGREGATIONS:
        blocks = width // step
        if blocks < 3 and step > 1:
            break
        sums = units[:, width - blocks * step :].reshape(len(units), blocks, step).sum(axis=2)
        # a block that holds weeks before the first sale would count them as zeros
        first = np.maximum(-(-(start - (width - blocks * step)) // step), 0)
        levels.append(smoothed(sums, np.minimum(first, blocks - 1)) / step)
    return np.asarray(np.mean(levels, axis=0))


def tsb(units: Float64s, start: Int64s, rate: float = 0.1) -> Float64s:
    """Teunter, Syntetos & Babai (2011): chance of a sale times its size, both smoothed; falls when sales stop."""
    chance, size = np.zeros(len(units)), np.zeros(len(units))
    for week in range(units.shape[1]):
        now, sold = units[:, week], units[:, week] > 0
        begins, on = start == week, start < week
        size = np.where(begins, now, np.where(on & sold, size + rate * (now - size), size))
        chance = np.where(begins, 1.0, np.where(on, chance + rate * (sold - chance), chance))
    return chance * size


def sba(units: Float64s, start: Int64s, rate: float = 0.1) -> Float64s:
    """Croston's (1972) size over interval with the correction of Syntetos & Boylan (2005)."""
    size, gap, since = np.zeros(len(units)), np.ones(len(units)), np.zeros(len(units))
    for week in range(units.shape[1]):
        now, sold = units[:, week], units[:, week] > 0
        begins, on = start == week, (start < week) & sold
        since = np.where(start < week, since + 1, 0)
        size = np.where(begins, now, np.where(on, size + rate * (now - size), size))
        gap = np.where(on, gap + rate * (since - gap), gap)
        since = np.where(sold, 0, since)
    return (1 - rate / 2) * size / np.maximum(gap, 1)


def _smooth(units: Float64s, start: Int64s, rate: float) -> tuple[Float64s, Float64s]:
    """(K,) last level, and mean squared one-step error."""
    level, errors = np.zeros(len(units)), np.zeros(len(units))
    for week in range(units.shape[1]):
        error = np.where(start < week, units[:, week] - level, 0.0)
        errors += error**2
        level = np.where(start == week, units[:, week], level + rate * error)
    return level, errors / np.maximum(units.shape[1] - 1 - start, 1)


METHODS: dict[str, Callable[[Float64s, Int64s], Float64s]] = {
    "naive": naive,
    "mean of 4 weeks": mean_of(4),
    "mean of 13 weeks": mean_of(13),
    "mean of 26 weeks": mean_of(26),
    "smoothing": smoothed,
    "IMAPA": aggregated,
    "TSB": tsb,
    "SBA": sba,
}


def seasonal_naive(units: Float64s, weeks: Int64s, coming: Int64s, season: int) -> Float64s:
    """(K, H) as many as `season` weeks before each coming week; a horizon longer than the season repeats it.

    weeks   (W,)  number of each column's week; one that is missing gives way to the one before it
    coming  (H,)  numbers of the weeks to come
    """
    back = coming - season * -(-(coming - weeks[-1]) // season)
    return units[:, np.maximum(np.searchsorted(weeks, back, side="right") - 1, 0)]
