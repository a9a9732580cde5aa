"""Whether an amount beside a quantity is of one piece or of the whole line: told by how it grows with the quantity."""

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s

LEAST_ROWS = 30
"""Rows beyond the first of their product that must stand beside different quantities."""
LINE, UNIT = "line", "unit"
STEEP, FLAT = 0.75, 0.25


def grows(product: Int64s, quantity: Float64s, amount: Float64s) -> str | None:
    """LINE where the amount of a product grows as its quantity does, UNIT where it does not at all; None where that
    cannot be told.

    product, quantity, amount  (N,) codes from 0, pieces, currency; rows without a positive number do not count

    The slope of log(amount) on log(quantity) within products, so that prices may differ, and change now and then.
    """
    used = np.isfinite(quantity) & np.isfinite(amount) & (quantity > 0) & (amount > 0)
    code, left, right = product[used], np.log(quantity[used]), np.log(amount[used])
    if not code.size:
        return None
    rows = np.maximum(np.bincount(code), 1)
    left = left - (np.bincount(code, left) / rows)[code]
    right = right - (np.bincount(code, right) / rows)[code]
    varied = np.abs(left) > 1e-9
    if np.count_nonzero(varied) < LEAST_ROWS:
        return None
    slope = float(left @ right / (left @ left))
    return LINE if slope > STEEP else UNIT if slope < FLAT else None
