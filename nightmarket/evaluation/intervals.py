"""Intervals of means over customers, by bootstrap, and of shares, by Wilson."""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nightmarket.contracts.arrays import Bools, Float64s

Z = 1.959964
_KEPT = 4_000_000
"""Counts in a block of resamples: 32 MB."""


class Interval(NamedTuple):
    """A mean with its 95% bootstrap interval; NaN where there was nothing to average."""

    value: float
    low: float
    high: float

    def content(self) -> dict[str, float | None]:
        """As JSON keeps it: None for what is no number."""
        return {name: number if math.isfinite(number) else None for name, number in self._asdict().items()}


NOTHING = Interval(math.nan, math.nan, math.nan)


def bootstrap(values: Float64s, seed: int, num: int = 1000) -> Interval:
    """Percentile bootstrap of the mean over customers (Efron, 1979), widened where they are few.

    values  (C,)  one figure per customer; NaN marks a customer that the figure does not concern

    Either end lies `_widening` times as far from the mean as the percentile does, never outside the values. Where all
    values are the same, up to 3 / C of the customers may have nothing (the rule of three), so it reaches that far
    towards 0. Without any customer there is no figure: NOTHING.
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        return NOTHING
    mean, least, most = float(known.mean()), float(known.min()), float(known.max())
    if least == most:
        nearer = mean * (1 - min(1.0, 3 / known.size))
        return Interval(mean, min(mean, nearer), max(mean, nearer))
    means = np.concatenate([counts @ known for counts in _resamples(known.size, seed, num)]) / known.size
    low, high = mean + _widening(known) * (np.quantile(means, [0.025, 0.975]) - mean)
    return Interval(mean, max(float(low), least), min(float(high), most))


def _widening(values: Float64s) -> float:
    """How much wider than the percentiles an interval of the mean of these (C,) values must be; near 1 for many.

    The resamples' spread is too small by √((C-1)/C), and as uncertain as the variance that it stands for: its degrees
    of freedom follow from the values' kurtosis κ, 2C / (κ - 1) (Box, 1953), which counts those who are not tied.
    Student's quantile takes the place of the normal one (Hesterberg, 2015, "What teachers should know about the
    bootstrap").
    """
    size, deviation = values.size, values - values.mean()
    kurtosis = float(np.mean(deviation**4) / np.mean(deviation**2) ** 2)
    freedom = min(2 * size / max(kurtosis - 1, 1e-9), size - 1)
    return -float(special.stdtrit(freedom, 0.025)) / Z * math.sqrt(size / (size - 1))


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
