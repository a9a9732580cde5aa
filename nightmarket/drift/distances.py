"""How far one distribution lies from another, from counts; one row per night.

K bins or values, T nights, F numbers of a vector.
"""

import numpy as np
from scipy.stats import wasserstein_distance

from nightmarket.contracts.arrays import Float64s

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
    found = np.full(len(current), np.nan)
    for t, (here, there) in enumerate(zip(current, reference, strict=True)):
        own, past = here > 0, there > 0
        if own.any() and past.any():
            values = current_sums[t, own] / here[own], reference_sums[t, past] / there[past]
            found[t] = wasserstein_distance(*values, here[own], there[past]) / spread
    return found


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
