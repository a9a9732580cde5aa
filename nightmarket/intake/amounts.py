"""Whether an amount beside a quantity is of one piece or of the whole line: told by how it grows with the quantity."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s

LEAST_ROWS = 30
"""Rows that must stand beside another quantity than is usual for their product."""
LINE, UNIT = "line", "unit"
STEEP, FLAT = 0.75, 0.25
LOOSE = 0.3
"""Standard deviation of the logarithm of an amount around its line beyond which the slope says nothing."""


@dataclass(frozen=True)
class Growth:
    """Sums over rows of logarithms of pieces and of amounts, each less its product's mean.

    varied  rows whose pieces are not their product's mean
    """

    varied: int
    pieces_squared: float
    pieces_amount: float
    amount_squared: float

    @property
    def slope(self) -> float:
        """Of log(amount) on log(pieces) within products: 1 where twice as many cost twice as much."""
        return self.pieces_amount / self.pieces_squared if self.pieces_squared > 0 else np.nan

    @property
    def certain(self) -> bool:
        """Whether there are rows enough, and they lie near the line: amounts drawn at random say nothing."""
        if self.varied < LEAST_ROWS or not self.pieces_squared > 0:
            return False
        left = self.amount_squared - self.slope * self.pieces_amount
        return left <= LOOSE**2 * self.varied


def grows(product: Int64s, quantity: Float64s, amount: Float64s) -> str | None:
    """LINE where the amount of a product grows as its quantity does, UNIT where it does not at all; None where that
    cannot be told.

    product, quantity, amount  (N,) codes from 0, pieces, currency; rows without a positive number do not count
    """
    used = np.isfinite(quantity) & np.isfinite(amount) & (quantity > 0) & (amount > 0)
    code, left, right = product[used], np.log(quantity[used]), np.log(amount[used])
    if not code.size:
        return None
    rows = np.maximum(np.bincount(code), 1)
    left = left - (np.bincount(code, left) / rows)[code]
    right = right - (np.bincount(code, right) / rows)[code]
    growth = Growth(
        int(np.count_nonzero(np.abs(left) > 1e-9)), float(left @ left), float(left @ right), float(right @ right)
    )
    if not growth.certain:
        return None
    return LINE if growth.slope > STEEP else UNIT if growth.slope < FLAT else None
