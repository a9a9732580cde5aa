"""Is tonight further off than its own past nights were? One answer for all columns together."""

import math
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.drift.nights import MIN_NIGHTS

WILD = 6.0
"""Steps above the median night."""


@dataclass(frozen=True)
class Verdict:
    """T nights, tonight last; S statistics.

    scores   (S, T)  robust steps above the statistic's median night, NaN where nothing could be said
    unsettled  (S,) statistics that are left out: too many of their past nights were far off
    largest  (T,)    over the statistics; -inf where none could be said
    limit    what `alpha` of the past nights lie above: a statistic above it has drifted
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


def judge(values: Float64s, alpha: float) -> Verdict:
    """Max-T over the statistics (Westfall and Young, 1993), with past nights in the place of permutations.

    values  (S, T)  how far off each statistic was on each night, tonight last, on a scale on which the smallest step
                    that counts is 1; NaN where nothing could be said
    alpha   false alarms per night that are accepted, over all statistics together

    Each statistic is set on a scale of its own nights, tonight included, by median and median deviation; the
    largest score of a night is compared with the largest scores of the others, so that many columns
    raise no more alarms than one. A statistic that was WILD on more than `alpha` of its own past nights would set the
    limit for all others, so it is left out. Where the nights are stationary, tonight's rank among them is uniform on
    average over many nights, however much neighbours are alike.
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
    limit = float(past[allowed - 1]) if 1 <= allowed <= past.size else math.inf
    at_least = int((past >= largest[-1]).sum()) + 1
    return Verdict(scores, unsettled, largest, limit, at_least / largest.size)


def _median(values: Float64s) -> Float64s:
    """(S, 1) medians that leave NaN out; 0 for a row of nothing else."""
    empty = np.asarray(np.isnan(values).all(axis=1))
    return np.asarray(np.nanmedian(np.where(empty[:, None], 0.0, values), axis=1, keepdims=True))
