"""Ways to correct what BG/NBD and gamma-gamma say by what an earlier window brought, and which of them to use.

Each is learned on windows that were over, tried on a later one that was over too, and used only where it was not worse
than BG/NBD there. Shapes: R customers, F figures.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, xlogy

from nightmarket.care.reckoning import Reckoning
from nightmarket.care.records import PurchaseRecords, WindowOutcomes
from nightmarket.contracts.arrays import Float64s, Int64s

Quantity = Literal["chance", "purchases", "value"]
QUANTITIES: tuple[Quantity, ...] = ("chance", "purchases", "value")
Way = Literal["bgnbd", "all purchases", "regression", "regression, same total", "recency x frequency", "between"]
WAYS: tuple[Way, ...] = get_args(Way)
"""`all purchases`: as BG/NBD says, and value by what all purchases cost, where gamma-gamma leaves the first one out."""
RIDGE = 10.0
"""Customers' worth of evidence that a figure does not matter."""
FARTHEST = 1.5
"""A regression changes no logarithm, or log-odds, by more."""
CELLS = 5
"""Steps of recency and of frequency."""
OTHERS = 10.0
"""Customers of everybody's mean in each cell."""
LEAST = 50
"""Customers of a window below which nothing is learned, nor chosen, from it."""


class Sample(NamedTuple):
    """Customers at a cut, what was said of them, and what came."""

    known: PurchaseRecords
    reckoned: Reckoning
    features: Float64s
    came: WindowOutcomes


def outcome(came: WindowOutcomes, quantity: Quantity) -> Float64s:
    """(R,) what came."""
    return came.bought.astype(np.float64) if quantity == "chance" else getattr(came, quantity)


def said(reckoned: Reckoning, quantity: Quantity) -> Float64s:
    """(R,) what BG/NBD and gamma-gamma say."""
    values: Float64s = getattr(reckoned, quantity)
    return values


def offset(reckoned: Reckoning, quantity: Quantity) -> Float64s:
    """(R,) what a regression begins from: the same, but of value what all purchases cost, the first one too."""
    return reckoned.purchases * reckoned.spend if quantity == "value" else said(reckoned, quantity)


def losses(quantity: Quantity, predicted: Float64s, came: Float64s) -> tuple[Float64s, Float64s]:
    """(R,) absolute errors and (R,) deviances: of a chance the log-loss, else Poisson's, of which means are best."""
    error = np.abs(predicted - came)
    if quantity == "chance":
        inside = np.clip(predicted, 1e-6, 1 - 1e-6)
        return error, -(came * np.log(inside) + (1 - came) * np.log1p(-inside))
    unit = max(float(came.mean()), 1e-9)
    mean, real = np.maximum(predicted, 1e-6 * unit), came
    return error, 2 * (xlogy(real, real / mean) - real + mean) / unit


@dataclass(frozen=True)
class Correction:
    """What was learned of one quantity.

    centre, spread  (F,)    of the figures
    weights         (1+F,)  of the regression, its level first
    cells           (CELLS, CELLS) what came on average, per day of the window, by steps of recency and frequency
    """

    quantity: Quantity
    centre: Float64s
    spread: Float64s
    weights: Float64s
    cells: Float64s

    def predictions(self, sample: Sample) -> dict[Way, Float64s]:
        """(R,) by every way; what came is not read."""
        base = offset(sample.reckoned, self.quantity)
        raised = self._regression(sample, base)
        level = base.sum() / max(float(raised.sum()), 1e-12)
        grid = _by_cell(self.quantity, self.cells, sample)
        same = raised * level
        return {
            "bgnbd": said(sample.reckoned, self.quantity),
            "all purchases": base,
            "regression": raised,
            "regression, same total": np.minimum(same, 1.0) if self.quantity == "chance" else same,
            "recency x frequency": grid,
            "between": (raised + grid) / 2,
        }

    def _regression(self, sample: Sample, base: Float64s) -> Float64s:
        design = _design(sample.features, self.centre, self.spread)
        change = np.clip(design @ self.weights, -FARTHEST, FARTHEST)
        if self.quantity == "chance":
            inside = np.clip(base, 1e-6, 1 - 1e-6)
            return np.asarray(expit(np.log(inside) - np.log1p(-inside) + change))
        return base * np.exp(change)


def learn(quantity: Quantity, samples: list[Sample]) -> Correction | None:
    """From windows that are over; None where they hold too few customers, or nothing came."""
    came = np.concatenate([outcome(sample.came, quantity) for sample in samples])
    if came.size < LEAST or not came.any() or (quantity == "chance" and came.all()):
        return None
    base = np.concatenate([offset(sample.reckoned, quantity) for sample in samples])
    figures = np.concatenate([sample.features for sample in samples])
    centre, spread = figures.mean(0), np.maximum(figures.std(0), 1e-6)
    weights = _fit(quantity, _design(figures, centre, spread), base, came)
    return Correction(quantity, centre, spread, weights, _cells(quantity, samples))


def recency_frequency(quantity: Quantity, samples: list[Sample], sample: Sample) -> Float64s | None:
    """(R,) what came on earlier windows of customers with the same steps of recency and frequency; None without any."""
    if sum(len(earlier.known) for earlier in samples) < LEAST:
        return None
    return _by_cell(quantity, _cells(quantity, samples), sample)


def choose(quantity: Quantity, learned: Correction | None, later: Sample | None) -> Way:
    """The way whose deviance is lowest on a later window, of those not worse than BG/NBD in absolute error either."""
    if learned is None or later is None or len(later.known) < LEAST:
        return "bgnbd"
    came = outcome(later.came, quantity)
    tried = {way: losses(quantity, values, came) for way, values in learned.predictions(later).items()}
    error, deviance = (part.mean() for part in tried["bgnbd"])
    allowed = [way for way in WAYS if tried[way][0].mean() <= error and tried[way][1].mean() <= deviance]
    return min(allowed, key=lambda way: float(tried[way][1].mean()))


def _design(figures: Float64s, centre: Float64s, spread: Float64s) -> Float64s:
    scaled = np.clip((figures - centre) / spread, -3, 3)
    return np.concatenate([np.ones((len(scaled), 1)), scaled], axis=1)


def _fit(quantity: Quantity, design: Float64s, base: Float64s, came: Float64s) -> Float64s:
    """Ridge regression on top of what was said, which is its offset: logistic, or Poisson with a logarithm's link."""
    unit = 1.0 if quantity == "chance" else max(float(came.mean()), 1e-9)
    y, ridge = came / unit, np.full(design.shape[1], RIDGE)
    ridge[0] = 1.0
    if quantity == "chance":
        inside = np.clip(base, 1e-6, 1 - 1e-6)
        begins = np.log(inside) - np.log1p(-inside)
    else:
        begins = np.log(np.maximum(base / unit, 1e-6))

    def cost(weights: Float64s) -> tuple[float, Float64s]:
        raised = np.clip(begins + design @ weights, -30, 30)
        if quantity == "chance":
            mean, loss = expit(raised), np.logaddexp(0, raised) - y * raised
        else:
            mean = np.exp(raised)
            loss = mean - y * raised
        penalty = 0.5 * float(ridge @ weights**2)
        return float(loss.sum()) + penalty, design.T @ (mean - y) + ridge * weights

    start = np.zeros(design.shape[1])
    return np.asarray(minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x)


def _steps(known: PurchaseRecords) -> tuple[Int64s, Int64s]:
    """(R,) steps of recency and (R,) of frequency among the customers of the same cut, from 0."""
    marks = np.arange(1, CELLS) / CELLS
    both = (known.idle, known.repeats)
    steps = [np.searchsorted(np.quantile(values, marks), values, side="left").astype(np.int64) for values in both]
    return steps[0], steps[1]


def _by_cell(quantity: Quantity, cells: Float64s, sample: Sample) -> Float64s:
    return cells[_steps(sample.known)] * (1.0 if quantity == "chance" else sample.reckoned.horizon)


def _cells(quantity: Quantity, samples: list[Sample]) -> Float64s:
    total, num = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for sample in samples:
        days = 1.0 if quantity == "chance" else sample.reckoned.horizon
        steps = _steps(sample.known)
        np.add.at(total, steps, outcome(sample.came, quantity) / days)
        np.add.at(num, steps, 1.0)
    mean = total.sum() / num.sum()
    return np.asarray((total + OTHERS * mean) / (num + OTHERS))
