"""Columns as numbers per day, and how far one week's distribution lies from another's. No customer's row is kept.

K bins or values, T nights, F numbers of a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import wasserstein_distance

from nightmarket.contracts.arrays import Float64s
from nightmarket.drift.nights import Nights

SMOOTHING = 0.5
"""Added to each count, so that a bin that nobody fell into has a logarithm (Jeffreys' prior)."""


def shares(counts: Float64s) -> Float64s:
    """(T, K) counts → smoothed shares that add up to 1."""
    smooth = counts + SMOOTHING
    return smooth / smooth.sum(axis=-1, keepdims=True)


def stability_index(current: Float64s, reference: Float64s) -> Float64s:
    """(T,) population stability index of counts (T, K): Σ (p − q) ln(p / q), Jeffreys' divergence.

    The rule of thumb calls .1 a moderate and .25 a large shift (Siddiqi, Credit Risk Scorecards, 2006); a week of a
    shop lies above or below that for no reason at all, so it is judged against other weeks instead.
    """
    p, q = shares(current), shares(reference)
    return ((p - q) * np.log(p / q)).sum(axis=-1)


def earth_mover(
    current: Float64s, current_sums: Float64s, reference: Float64s, reference_sums: Float64s, spread: float
) -> Float64s:
    """(T,) Wasserstein-1 distance of values in bins, in units of the reference's spread.

    current, reference  (T, K)  counts;  *_sums  (T, K)  sums of the values in each bin

    A bin stands for the mean of what fell into it on that side, so a value far outside the reference's bins counts
    with its true size.
    """
    moved = np.full(len(current), np.nan)
    for t, (here, there) in enumerate(zip(current, reference, strict=True)):
        own, past = here > 0, there > 0
        if own.any() and past.any():
            values = current_sums[t, own] / here[own], reference_sums[t, past] / there[past]
            moved[t] = wasserstein_distance(*values, here[own], there[past]) / spread
    return moved


def share_distance(current: Float64s, reference: Float64s) -> Float64s:
    """(T,) distance of two shares, counts (T, 2) of no and yes, on the arcsine scale, whose noise is the same for
    every share."""
    angles = [np.arcsin(np.sqrt(part[:, 1] / np.maximum(part.sum(axis=1), 1))) for part in (current, reference)]
    return np.abs(angles[0] - angles[1])


def volume_distance(current: Float64s, usual: Float64s) -> Float64s:
    """(T,) distance of numbers (T,) from what is usual, as |ln|."""
    return np.abs(np.log((current + 1) / (usual + 1)))


def mean_distance(current: Float64s, reference: Float64s, num: Float64s, num_reference: Float64s) -> Float64s:
    """(T,) Euclidean distance of the mean vectors, from sums (T, F) and numbers (T,) of vectors."""
    here = current / np.maximum(num, 1)[:, None]
    there = reference / np.maximum(num_reference, 1)[:, None]
    return np.linalg.norm(here - there, axis=1)


def mean_discrepancy(current: Float64s, reference: Float64s, num: Float64s, num_reference: Float64s) -> Float64s:
    """(T,) maximum mean discrepancy, unbiased, at least 0 (Gretton et al., 2012), from sums (T, F) of random Fourier
    features of unit length (Rahimi and Recht, 2007) and numbers (T,) of vectors."""
    n, m = np.maximum(num, 2), np.maximum(num_reference, 2)
    within = ((current**2).sum(axis=1) - n) / (n * (n - 1))
    among = ((reference**2).sum(axis=1) - m) / (m * (m - 1))
    return np.sqrt(np.maximum(within + among - 2 * (current * reference).sum(axis=1) / (n * m), 0.0))


Kind = Literal["number", "category", "missing", "volume", "vectors"]
MIN_ROWS = 50
"""A night whose week or reference has fewer rows says nothing about a column."""
FLOOR = {"psi": 0.002, "wasserstein": 0.005, "missing": 0.002, "means": 0.005, "mmd": 0.01}
"""Distances that are as good as none, added before the logarithm."""
LEAST_LOG, LEAST_VOLUME = 0.25, 0.02
"""The smallest step: a distance that hardly varies must still grow by a quarter, a number by a fiftieth."""


@dataclass(frozen=True)
class Summary:
    """One column, D days.

    counts  (D, K)  number: rows per bin; category: per value, the last for all others; missing: not, is;
                    volume: (D, 1) rows; vectors: (D, 1) vectors
    sums    (D, K)  number: sum of the values per bin; vectors: (D, F) sums of random Fourier features, or empty
    means   (D, G)  vectors: sums of projected vectors
    labels  (K,)    what the bins or values are called
    spread  of the reference, in the column's unit; number alone
    """

    table: str
    name: str
    kind: Kind
    counts: Float64s
    sums: Float64s | None = None
    means: Float64s | None = None
    labels: tuple[str, ...] = ()
    spread: float = 1.0

    def distances(self, nights: Nights) -> dict[str, Float64s]:
        """{statistic: (T,) distances of each night's week from its reference}, NaN where a side has too few rows."""
        here, there = nights.sums(self.counts)
        by_statistic: dict[str, Float64s] = {}
        if self.kind == "volume":
            days, usual = nights.weekdays(self.counts[:, 0])
            return {
                "day": volume_distance(days[:, -1], usual[:, -1]),
                "week": volume_distance(days.sum(axis=1), usual.sum(axis=1)),
            }
        if self.kind == "missing":
            by_statistic["missing"] = share_distance(here, there)
        if self.kind in ("number", "category"):
            by_statistic["psi"] = stability_index(here, there)
        if self.kind == "number" and self.sums is not None:
            by_statistic["wasserstein"] = earth_mover(
                here, nights.sums(self.sums)[0], there, nights.sums(self.sums)[1], self.spread
            )
        if self.kind == "vectors" and self.sums is not None and self.means is not None:
            num = here[:, 0], there[:, 0]
            by_statistic["means"] = mean_distance(*nights.sums(self.means), *num)
            by_statistic["mmd"] = mean_discrepancy(*nights.sums(self.sums), *num)
        few = np.minimum(here.sum(axis=1), there.sum(axis=1)) < MIN_ROWS
        return {name: np.where(few, np.nan, values) for name, values in by_statistic.items()}


def comparable(names: Sequence[tuple[Summary, str]], distance: Float64s) -> Float64s:
    """(S, T) distances on scales on which a step from night to night is the same size, small or large, and at least 1.

    Distances of distributions are never below 0 and skewed to the right, so their logarithm is taken; those of volumes
    are logarithms already.
    """
    rows = [
        np.log(values + FLOOR[statistic]) / LEAST_LOG if statistic in FLOOR else values / LEAST_VOLUME
        for (_, statistic), values in zip(names, distance, strict=True)
    ]
    return np.array(rows).reshape(distance.shape)


def every_distance(summaries: Sequence[Summary], nights: Nights) -> tuple[list[tuple[Summary, str]], Float64s]:
    """What was measured, S pairs of a summary and a statistic, and the distances (S, T)."""
    names: list[tuple[Summary, str]] = []
    rows: list[Float64s] = []
    for summary in summaries:
        for statistic, values in summary.distances(nights).items():
            names.append((summary, statistic))
            rows.append(values)
    return names, np.array(rows).reshape(len(rows), len(nights))
