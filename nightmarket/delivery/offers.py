"""Value and cost of an offer when a customer redeems it.

Shapes: C customers, O offers, B baskets.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s
from nightmarket.histories.histories import Histories

Kind = Literal["discount", "threshold", "gift", "coupon"]


@dataclass(frozen=True)
class OfferTerms:
    """One offer.

    items      codes of the products that it applies to
    discount   share of the price that is waived, in (0, 1)
    threshold  spend from which it holds, currency
    cost       of one redemption where it is fixed (a gift, a coupon of face value), currency; else discount x value
    """

    name: str
    kind: Kind
    items: Int32s
    discount: float | None = None
    threshold: float | None = None
    cost: float | None = None

    def redemption_cost(self, value: Float32s) -> Float32s:
        """(C,) cost of one redemption of that value, currency."""
        if self.cost is not None:
            return np.full(value.shape, self.cost, np.float32)
        return np.asarray(value * (self.discount or 0.0), np.float32)


def unit_margins(price: Float64s, cost: Float64s, margin: float) -> Float64s:
    """(I,) what one of each product earns at its price, currency: net of its cost, and where that is not known (NaN)
    `margin` of the price. Below 0 where it costs more than it brings."""
    return np.where(np.isfinite(cost), price - cost, price * margin)


def redemption_margins(
    histories: Histories, offers: list[OfferTerms], values: Float32s, cost: Float64s, margin: float
) -> Float32s:
    """(C, O) margin on `values`, the spend on the products of an offer in a basket that holds some, currency.

    cost    (I,)  of one unit, currency, NaN where it is not known; then the line earns `margin` of what was paid
    Each line earns what was paid for it net of what its units cost, and nothing where nothing is on file that was paid.
    Margins are shrunk to the mean of all customers as the spend is; where a threshold lifts the spend, the margin rises
    with it.
    """
    unit = cost[histories.item]
    known = np.isfinite(unit) & (histories.value > 0)
    lines = np.where(known, histories.value - histories.quantity * unit, histories.value * margin)
    plain = [replace(offer, threshold=None) for offer in offers]
    spend = redemption_values(histories, plain)
    earned = _basket_means(histories, plain, lines)
    share = np.divide(earned, spend, out=np.full_like(spend, margin), where=spend > 0)
    return np.asarray(share * values, np.float32)


def redemption_values(histories: Histories, offers: list[OfferTerms]) -> Float32s:
    """(C, O) spend on the products of an offer in a basket that holds some of them, currency: measured, and shrunk to
    the mean of all customers. With a threshold, at least that."""
    means = _basket_means(histories, offers, histories.value)
    least = np.array([offer.threshold or 0.0 for offer in offers], np.float32)
    return np.asarray(np.maximum(means, least), np.float32)


def _basket_means(histories: Histories, offers: list[OfferTerms], amounts: NDArray[Any]) -> Float32s:
    """(C, O) mean of what the lines (N,) on an offer's products come to in a basket that holds some, shrunk."""
    values = np.zeros((histories.num_customers, len(offers)), np.float32)
    baskets = int(histories.basket.max(initial=-1)) + 1
    owner = np.zeros(baskets, np.int32)
    owner[histories.basket] = histories.customer
    for at, offer in enumerate(offers):
        inside = np.zeros(histories.num_items, bool)
        inside[offer.items] = True
        lines = np.flatnonzero(inside[histories.item])
        paid = np.bincount(histories.basket[lines], histories.value[lines], baskets)
        spent = np.bincount(histories.basket[lines], amounts[lines], baskets)
        redeemed = paid > 0
        values[:, at] = credible_means(owner[redeemed], spent[redeemed].astype(np.float64), histories.num_customers)
    return values


def credible_means(owner: Int32s, spent: Float64s, num: int) -> Float64s:
    """(num,) mean of `spent` (B,) per owner (B,), shrunk to the mean of all.

    Bühlmann and Straub's credibility: n / (n + k) of the owner's own mean, with k the variance within owners over the
    variance between them, both estimated without bias; 0 everywhere where there is no basket.
    """
    if spent.size == 0:
        return np.zeros(num)
    n = np.bincount(owner, minlength=num).astype(np.float64)
    total = np.bincount(owner, spent, num)
    own = total / np.maximum(n, 1)
    mean = spent.mean()
    groups = int((n > 0).sum())
    if groups < 2 or spent.size == groups:
        return np.full(num, mean)
    within = float(((spent - own[owner]) ** 2).sum() / (spent.size - groups))
    spread = float((n * (own - mean) ** 2).sum()) - (groups - 1) * within
    between = spread / (spent.size - float((n**2).sum()) / spent.size)
    if between <= 0:
        return np.full(num, mean)
    weight = (
        n * between / np.maximum(n * between + within, np.finfo(np.float64).tiny)
    )  # 0 without a basket of one's own
    return np.asarray(mean + weight * (own - mean))
