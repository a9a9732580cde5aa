"""Whether an amount is of an order's line, or of the whole order and repeated in each of its lines."""

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s

LEAST_ORDERS = 10
"""With several products."""
MOST = 0.95
LEAST_AMOUNTS = 5
"""Different ones among such orders: where all things cost the same, nothing can be told."""


def repeated(order: Int64s, product: Int64s, amount: Float64s) -> bool:
    """Whether all lines of nearly all orders with several products have one amount, and orders have different ones.

    order, product, amount  (N,) codes from 0; currency, NaN where there is none
    """
    used = np.isfinite(amount) & (amount != 0)
    order, product, amount = order[used], product[used], amount[used]
    if not order.size:
        return False
    pairs = np.unique(np.stack([order, product]), axis=1)[0]
    several = np.bincount(pairs, minlength=int(order.max()) + 1) > 1
    low = np.full(len(several), np.inf)
    high = np.full(len(several), -np.inf)
    np.minimum.at(low, order, amount)
    np.maximum.at(high, order, amount)
    low, high = low[several], high[several]
    if len(low) < LEAST_ORDERS or len(np.unique(low)) < LEAST_AMOUNTS:
        return False
    return bool(np.mean(high - low < 1e-9 + 1e-6 * np.abs(high)) >= MOST)
