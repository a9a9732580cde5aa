"""Gamma-gamma: what a customer spends per purchase, between their own mean and everybody's (Fader & Hardie, 2013).

A customer's purchases are Gamma(p, ν), and ν is Gamma(q, γ) over customers. Shapes: R customers, of whom `num` (R,) are
the purchases that are counted and `mean` (R,) what was paid for each, currency.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from nightmarket.contracts.arrays import Float64s

LEAST = 10
"""Customers who paid below which nothing is fitted."""
SPREAD, REACH = 3.0, 7.0
OTHERS = 2.0
"""Purchases of everybody's mean that a customer's own are weighed against where gamma-gamma cannot be fitted."""


class Spend(NamedTuple):
    """The parameters, gamma in the shop's currency; p is 0 where a plain shrunken mean takes their place.

    mean  of everybody's purchases
    """

    p: float
    q: float
    gamma: float
    mean: float

    def expected(self, num: Float64s, mean: Float64s) -> Float64s:
        """(R,) expected spend per purchase, currency."""
        if not self.p:
            return (num * mean + OTHERS * self.mean) / (num + OTHERS)
        own = self.p * num
        weight = own / (own + self.q - 1)
        return (1 - weight) * self.p * self.gamma / (self.q - 1) + weight * mean

    def draw(self, num: Float64s, mean: Float64s, purchases: Float64s, rng: np.random.Generator) -> Float64s:
        """(R, D) spend in all on as many purchases (R, D), drawn from what is known of each customer."""
        if not self.p:
            return purchases * self.expected(num, mean)[:, None]
        rate = rng.standard_gamma((self.p * num + self.q)[:, None], purchases.shape)
        scale = (self.gamma + num * mean)[:, None]
        return rng.standard_gamma(self.p * purchases) * scale / np.maximum(rate, 1e-300)


def fit(num: Float64s, mean: Float64s) -> Spend:
    """The likeliest parameters, under a weak prior, on those who paid; a shrunken mean where they are too few."""
    paid = (num > 0) & (mean > 0)
    plain = Spend(0.0, 0.0, 0.0, float((num * mean).sum() / max(num.sum(), 1)))
    if paid.sum() < LEAST:
        return plain
    unit = float(np.median(mean[paid]))
    start = np.log([1.0, 3.0, 3.0])
    rows = (num[paid], mean[paid] / unit)
    best = minimize(_cost, start, rows, method="L-BFGS-B", bounds=[(-REACH, REACH)] * 3)
    p, more, gamma = np.exp(best.x)
    if not np.isfinite([p, more, gamma]).all():
        return plain
    return Spend(float(p), float(1 + more), float(gamma * unit), plain.mean)


def _cost(logs: Float64s, num: Float64s, mean: Float64s) -> float:
    """Negative log-likelihood with the prior; q is 1 + exp(its logarithm), so that means exist."""
    p, q, gamma = np.exp(logs[0]), 1 + np.exp(logs[1]), np.exp(logs[2])
    own = p * num
    likely = gammaln(own + q) - gammaln(own) - gammaln(q) + q * np.log(gamma)
    likely = likely + (own - 1) * np.log(mean) + own * np.log(num) - (own + q) * np.log(gamma + num * mean)
    return -float(likely.sum()) + 0.5 * float((logs**2).sum()) / SPREAD**2
