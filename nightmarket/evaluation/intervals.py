"""Intervals of means over customers, by bootstrap, and of shares, by Wilson."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s

_KEPT = 4_000_000
"""Counts in a block of resamples: 32 MB."""


class Interval(NamedTuple):
    """A mean with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(values: Float64s, seed: int, num: int = 1000) -> Interval:
    """Percentile bootstrap of the mean over customers (Efron, 1979).

    values  (C,)  one figure per customer; NaN marks a customer that the figure does not concern

    Without any customer the three numbers are 0.0, so that a window without targets has finite figures.
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        return Interval(0.0, 0.0, 0.0)
    means = np.concatenate([counts @ known for counts in _resamples(known.size, seed, num)]) / known.size
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(known.mean()), float(low), float(high))


def _resamples(size: int, seed: int, num: int) -> Iterable[Float64s]:
    """How often each of `size` customers is drawn, in blocks of the `num` resamples (R, size).

    Multinomial counts give the same resample as drawn indices, without gathering values. Figures of one window share
    their customers, so small sets of resamples are kept.
    """
    if size * num <= _KEPT:
        return (_kept_resamples(size, seed, num),)
    return _blocks(size, seed, num)


def _blocks(size: int, seed: int, num: int) -> Iterator[Float64s]:
    rng = np.random.default_rng(seed)
    chance = np.full(size, 1.0 / size)
    block = max(1, _KEPT // size)
    for start in range(0, num, block):
        yield rng.multinomial(size, chance, size=min(block, num - start)).astype(np.float64)


@lru_cache(maxsize=8)
def _kept_resamples(size: int, seed: int, num: int) -> Float64s:
    return np.concatenate(list(_blocks(size, seed, num)))


def paired(ours: Float64s, theirs: Float64s, seed: int, num: int = 1000) -> Interval:
    """Interval of the mean difference ours - theirs, customer by customer; both (C,), NaN where not concerned."""
    return bootstrap(ours - theirs, seed, num)


Z = 1.959964


def wilson(share: float, num: float, z: float = Z) -> Interval:
    """Wilson's (1927) interval of a share of `num` independent observations, 95% by default.

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
