"""BG/NBD: how often customers buy while they stay, and when they leave (Fader, Hardie & Lee, 2005).

While they stay, a customer buys at random at a rate λ per day; after each repeat purchase they leave with the chance p.
Rates are Gamma(r, α) over customers, chances Beta(a, b). Shapes: R customers, of whom x, t_x and T are known: repeat
purchases, days from the first purchase to the last, and to the cut.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import betaincinv, digamma, expit, gammaln

from nightmarket.care.records import PurchaseRecords
from nightmarket.contracts.arrays import Float64s

LEAST = 20
"""Customers below which nothing is fitted."""
MOST = 50_000
"""Customers, drawn at random, that the parameters are fitted on."""
SPREAD = 3.0
"""Standard deviation of the prior of each parameter's logarithm: nothing to a thousand customers, a hold to twenty."""
REACH = 9.0
"""No logarithm of a parameter lies farther from the prior's centre."""
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(64)[0] + 1) / 2, np.polynomial.legendre.leggauss(64)[1] / 2


class BgNbd(NamedTuple):
    """The four parameters; alpha in days."""

    r: float
    alpha: float
    a: float
    b: float

    def rate(self, known: PurchaseRecords) -> tuple[Float64s, Float64s]:
        """(R,) shape and (R,) scale, days, of what is known of the rate of a customer who has not left: Gamma."""
        return self.r + known.repeats, self.alpha + known.age

    def staying(self, known: PurchaseRecords) -> Float64s:
        """(R,) chance that a customer has not left; 1 for whoever bought once, as the model says."""
        again = known.repeats > 0
        shape, scale = self.rate(known)
        log_left = np.log(self.a) - np.log(self.b + np.maximum(known.repeats, 1) - 1)
        log_left = log_left + shape * (np.log(scale) - np.log(self.alpha + known.last))
        return np.where(again, expit(-log_left), 1.0)

    def chance(self, known: PurchaseRecords, horizon: float) -> Float64s:
        """(R,) chance of at least one purchase in the next `horizon` days."""
        shape, scale = self.rate(known)
        return self.staying(known) * -np.expm1(-shape * np.log1p(horizon / scale))

    def purchases(self, known: PurchaseRecords, horizon: float) -> Float64s:
        """(R,) expected purchases in the next `horizon` days.

        Of a customer who stays with rate λ and chance p it is (1 - exp(-λ p t)) / p. λ is integrated out in closed
        form, p by Gauss and Legendre over the quantiles of what is known of it, Beta(a, b + x), where the closed form,
        a hypergeometric function, overflows for customers who buy often.
        """
        shape, scale = self.rate(known)
        repeats, place = np.unique(known.repeats, return_inverse=True)
        p = np.clip(betaincinv(self.a, self.b + repeats[:, None], NODES), 1e-300, 1.0)
        total = np.zeros(len(known))
        for node in range(NODES.size):
            of_node = p[place, node]
            total -= WEIGHTS[node] * np.expm1(-shape * np.log1p(of_node * horizon / scale)) / of_node
        return self.staying(known) * total

    def pace(self, known: PurchaseRecords) -> Float64s:
        """(R,) purchases per day while they bought: up to the last purchase, so that a long silence does not count."""
        return (self.r + known.repeats) / (self.alpha + known.last)

    def draw(self, known: PurchaseRecords, horizon: float, num: int, rng: np.random.Generator) -> Float64s:
        """(R, num) purchases in the next `horizon` days, drawn from what is known of each customer."""
        shape, scale = self.rate(known)
        size = (len(known), num)
        rate = rng.standard_gamma(shape[:, None], size) / scale[:, None]
        p = np.clip(rng.beta(self.a, self.b + known.repeats[:, None], size), 1e-12, 1 - 1e-12)
        until_leaving = np.ceil(np.log1p(-rng.random(size)) / np.log1p(-p))
        stays = rng.random(size) < self.staying(known)[:, None]
        counts = rng.poisson(np.minimum(rate * horizon, 1e6)).astype(np.float64)
        return np.where(stays, np.minimum(counts, np.maximum(until_leaving, 1)), 0.0)


@dataclass(frozen=True)
class _Counts:
    """Distinct (x, t_x, T) in units of their mean age, with how many customers have them."""

    x: Float64s
    last: Float64s
    age: Float64s
    num: Float64s


def fit(known: PurchaseRecords, seed: int) -> BgNbd | str:
    """The likeliest parameters, under a weak prior; why nothing can be told where nothing can."""
    if len(known) < LEAST:
        return f"{len(known)} customers had bought; {LEAST} are needed"
    if not (known.repeats > 0).any():
        return "nobody had bought on a second day, so nothing says how often customers come back"
    some = np.arange(len(known))
    if some.size > MOST:
        some = np.random.default_rng(seed).choice(some, MOST, replace=False)
    unit = max(float(known.age[some].mean()), 1.0)
    rows = np.stack([known.repeats[some], known.last[some], known.age[some]], axis=1)
    distinct, num = np.unique(rows, axis=0, return_counts=True)
    counts = _Counts(distinct[:, 0], distinct[:, 1] / unit, distinct[:, 2] / unit, num.astype(np.float64))
    best = min((_search(counts, start) for start in _starts(counts)), key=lambda ended: float(ended.fun))
    parameters = np.exp(best.x)
    if not np.isfinite(parameters).all():
        return "the model of how often customers come back does not converge on these purchases"
    r, alpha, a, b = (float(value) for value in parameters)
    return BgNbd(r, alpha * unit, a, b)


def _starts(counts: _Counts) -> list[Float64s]:
    """Logarithms of (r, α, a, b): customers who are much alike, and customers who differ much."""
    rate = float((counts.num * counts.x).sum() / (counts.num * np.maximum(counts.age, 1e-9)).sum())
    return [np.log([r, r / max(rate, 1e-6), 1.0, 5.0]) for r in (0.3, 2.0)]


def _search(counts: _Counts, start: Float64s) -> OptimizeResult:
    bounds = [(-REACH, REACH)] * 4
    return minimize(_cost, np.clip(start, -REACH, REACH), (counts,), jac=True, method="L-BFGS-B", bounds=bounds)


def _cost(logs: Float64s, counts: _Counts) -> tuple[float, Float64s]:
    """Negative log-likelihood with the prior, and its slopes by the logarithms of the parameters."""
    r, alpha, a, b = np.exp(logs)
    x, num = counts.x, counts.num
    again = x > 0
    bx, shape = b + np.where(again, x, 1) - 1, r + x
    stayed = -shape * np.log(alpha + counts.age)
    left = np.where(again, np.log(a) - np.log(bx) - shape * np.log(alpha + counts.last), -np.inf)
    both = np.logaddexp(stayed, left)
    common = gammaln(shape) - gammaln(r) + r * np.log(alpha)
    common = common + gammaln(b + x) - gammaln(b) + gammaln(a + b) - gammaln(a + b + x)
    w_left = np.exp(left - both)
    w_stayed = 1 - w_left
    later = digamma(a + b) - digamma(a + b + x)
    slopes = np.array(
        [
            digamma(shape) - digamma(r) + np.log(alpha) - w_stayed * np.log(alpha + counts.age)
            - w_left * np.log(alpha + counts.last),
            r / alpha - shape * (w_stayed / (alpha + counts.age) + w_left / (alpha + counts.last)),
            later + w_left / a,
            digamma(b + x) - digamma(b) + later - w_left / bx,
        ]
    )  # fmt: skip
    cost = -float(num @ (common + both)) + 0.5 * float((logs**2).sum()) / SPREAD**2
    return cost, -(slopes @ num) * np.exp(logs) + logs / SPREAD**2
