"""How often offers may be promised: not more often than there are units of what they apply to.

Shapes: I products, O offers, M limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s


@dataclass(frozen=True)
class Promises:
    """Limits on what a plan may promise.

    of     (M, O)  offers that draw on the same units
    units  (M,)    contacts that may promise one of them
    """

    of: Bools
    units: Float64s

    def within(self, contacts: int) -> "Promises":
        """Those limits that may be reached where each offer goes to `contacts` customers at most."""
        near = self.units < contacts * self.of.sum(axis=1)
        return Promises(self.of[near], self.units[near])


def counted(stock: Float64s) -> Float64s:
    """(I,) units that there are; inf where nobody has counted them, or what is not there yet is announced.

    stock  (I,)  of tonight, NaN where it is not known. Where no product has more than one, the table says "in stock"
           and "sold out", and counts nothing.
    """
    known = np.isfinite(stock) & (stock > 0)
    if not known.any() or float(stock[known].max()) <= 1:
        return np.full(stock.shape, np.inf)
    return np.where(known, stock, np.inf)


def promises(items: Sequence[NDArray[Any]], units: Float64s) -> Promises:
    """One limit for each offer, which counts every offer on the same products or some of them; and one for all offers
    that share products with each other.

    items  of each offer, codes
    units  (I,)
    """
    num = len(items)
    inside = np.zeros((num, units.size), bool)
    for at, codes in enumerate(items):
        inside[at, codes] = True
    shared = inside[:, inside.any(axis=0)].astype(np.float32)
    common = shared @ shared.T
    part = common >= shared.sum(axis=1)[None, :]  # [a, b]: offer b is a part of offer a
    together = common > 0
    for _ in range(max(num, 1).bit_length()):
        together = together @ together
    of = np.unique(np.concatenate([part, together]), axis=0)
    left = np.array([units[inside[row].any(axis=0)].sum() for row in of], np.float64)
    limited = np.isfinite(left)
    return Promises(of[limited], np.floor(left[limited]))
