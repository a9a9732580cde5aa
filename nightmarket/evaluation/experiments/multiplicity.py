"""Many questions of one experiment."""

import numpy as np
from numpy.typing import ArrayLike

from nightmarket.contracts.arrays import Float64s


def holm(p: ArrayLike) -> Float64s:
    """Holm's adjusted p-values (M,): rejecting those up to α keeps the chance of any false rejection at α (Holm, 1979).

    It asks nothing about how the questions hang together, and stays valid at every look for always-valid p-values.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Float64s:
    """Adjusted p-values (M,): calling those up to q keeps the expected share of false ones at q (1995)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    stepped = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
