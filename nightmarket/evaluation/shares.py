"""Intervals of shares."""

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools
from nightmarket.evaluation.intervals import Interval

Z = 1.959964


def wilson(share: float, num: float, z: float = Z) -> Interval:
    """Wilson's (1927) interval of a share of `num` independent observations, 95% unless told otherwise.

    num  above 0; need not be whole, for an effective sample size
    """
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z * np.sqrt(share * (1 - share) / num + z**2 / (4 * num**2)) / (1 + z**2 / num)
    return Interval(float(share), float(max(middle - half, 0)), float(min(middle + half, 1)))


def clustered(who: NDArray, hit: Bools, z: float = Z) -> Interval:
    """Share of N observations that hit, with an interval that counts people, not observations.

    who  (N,)  whose observation it is; at least one

    Wilson on the effective sample size n / deff, where deff sets the variance of the ratio over people (linearised)
    against that of as many independent observations.
    """
    codes = np.unique(who, return_inverse=True)[1]
    num = np.bincount(codes).astype(np.float64)
    hits = np.bincount(codes, weights=hit)
    n, p = num.sum(), hits.sum() / num.sum()
    if not 0 < p < 1:
        return wilson(p, float(num.size), z)
    spread = ((hits - p * num) ** 2).sum() * num.size / max(num.size - 1, 1) / n**2
    deff = max(spread / (p * (1 - p) / n), 1.0)
    return wilson(p, max(n / deff, 1.0), z)
