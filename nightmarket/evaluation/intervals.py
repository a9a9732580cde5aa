"""Intervals over customers: the customer is the unit that repeats, so the customer is what is resampled."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(values: Vector, seed: int, num: int = 1000) -> Interval:
    """Percentile bootstrap of the mean over customers (Efron, 1979).

    values  (C,)  one figure per customer; NaN marks a customer that the figure does not concern

    Without any customer the three numbers are 0.0, so that a window without targets has finite figures.
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        return Interval(0.0, 0.0, 0.0)
    rng = np.random.default_rng(seed)
    means = np.empty(num)
    # Multinomial counts give the same resample as drawn indices, without a (num, C) gather of floats.
    chunk = max(1, 4_000_000 // known.size)
    weights = np.full(known.size, 1.0 / known.size)
    for start in range(0, num, chunk):
        counts = rng.multinomial(known.size, weights, size=min(chunk, num - start))
        means[start : start + len(counts)] = counts @ known / known.size
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(known.mean()), float(low), float(high))


def paired(ours: Vector, theirs: Vector, seed: int, num: int = 1000) -> Interval:
    """Interval of the mean difference ours - theirs, customer by customer; both (C,), NaN where not concerned."""
    return bootstrap(ours - theirs, seed, num)
