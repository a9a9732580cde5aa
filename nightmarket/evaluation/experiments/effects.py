"""The difference between an arm and control in one metric, with its intervals.

A metric is a mean over customers, or a ratio of two sums over customers (clicks over impressions). The customer was
assigned, so the customer is the unit: a ratio is linearised by the delta method (Deng, Knoblich, Lu, "Applying the
delta method in metric analytics", KDD 2018), which counts a customer's impressions as the cluster that they are.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.experiments import sequence

MIN_CUSTOMERS = 100
MIN_NONZERO = 20
"""Where the normal approximation begins: customers per arm, and customers of both arms with an outcome above zero."""


@dataclass(frozen=True)
class Covariate:
    """What was known of each customer before the experiment could have changed it.

    values          (U,)  finite, one per customer
    measured_until  (U,)  datetime64, the last moment that the value looks at
    """

    name: str
    values: Float64s
    measured_until: NDArray[np.datetime64]


@dataclass(frozen=True)
class Metric:
    """One figure per customer, or a ratio of two; arrays (U,), row = customer.

    denominator  None for a mean over customers
    better       which way is good
    """

    name: str
    numerator: Float64s
    denominator: Float64s | None = None
    covariate: Covariate | None = None
    better: Literal["higher", "lower"] = "higher"


class Bounds(NamedTuple):
    """An interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One metric, one arm against control.

    effect              difference of the means, or of the ratios, in the metric's unit, after CUPED
    relative            effect / control
    fixed               interval for one look fixed beforehand (Welch, normal quantile)
    sequence            interval for any number of looks: the only one that a verdict reads
    p_fixed, p_always   p-values of the same two; p_holm: the latter after Holm over the experiment's comparisons
    variance_reduction  share of the variance that CUPED took away; 0 without covariate
    """

    metric: str
    arm: str
    better: str
    num_arm: int
    num_control: int
    control: float
    treated: float
    effect: float
    relative: float | None
    standard_error: float
    fixed: Bounds
    sequence: Bounds
    p_fixed: float
    p_always: float
    variance_reduction: float
    p_holm: float = 1.0

    @property
    def gain(self) -> float:
        """The effect, turned so that above zero is good."""
        return self.effect if self.better == "higher" else -self.effect

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self) | {"fixed": self.fixed._asdict(), "sequence": self.sequence._asdict()}


def check_covariate(covariate: Covariate, assigned_at: NDArray[np.datetime64]) -> None:
    """Raise InputError for a covariate that looks past a customer's assignment, or has values that are not finite.

    A covariate that the arm could have moved takes part of the effect away with it (Deng et al., WSDM 2013).
    """
    late = covariate.measured_until > assigned_at
    if late.any():
        first = int(np.flatnonzero(late)[0])
        raise InputError(
            f"covariate {covariate.name}: measured after the assignment for {int(late.sum()):,} of {late.size:,} "
            f"customers, first in row {first}; measure it up to the assignment"
        )
    if not np.isfinite(covariate.values).all():
        raise InputError(
            f"covariate {covariate.name}: {int((~np.isfinite(covariate.values)).sum()):,} values are not finite; "
            "fill them from before the assignment"
        )


def too_few(metric: Metric, arm: Bools, control: Bools) -> str | None:
    """Why this comparison cannot be judged yet, or None."""
    fewest = min(int(arm.sum()), int(control.sum()))
    if fewest < MIN_CUSTOMERS:
        return f"an arm has {fewest} customers; at least {MIN_CUSTOMERS} are needed"
    both = arm | control
    nonzero = int(np.count_nonzero(metric.numerator[both]))
    if nonzero < MIN_NONZERO:
        return f"{nonzero} customers have an outcome; at least {MIN_NONZERO} are needed"
    if metric.denominator is not None and min(metric.denominator[arm].sum(), metric.denominator[control].sum()) <= 0:
        return "an arm has a denominator of 0"
    if all(np.ptp(metric.numerator[group]) == 0 for group in (arm, control)) and metric.denominator is None:
        return "every customer of an arm has the same outcome"
    return None


def compare(
    metric: Metric, name: str, arm: Bools, control: Bools, *, planned: float, alpha: float = 0.05
) -> Comparison:
    """Compare an arm with control; `too_few` says whether the normal approximation holds.

    arm, control  (U,)  who is in them
    planned       customers of both arms at which the sequence is narrowest, fixed before the start
    """
    sides = (control, arm)
    plain = [_linear(metric, side) for side in sides]
    adjusted = _cuped(metric, plain, sides)
    means = [float(values.mean()) for values in adjusted]
    variance = sum(_squared_error(values) for values in adjusted)
    error = float(np.sqrt(variance))
    num = sum(values.size for values in adjusted)
    effect = means[1] - means[0]
    z = effect / error if error > 0 else 0.0
    half_fixed = float(norm.isf(alpha / 2)) * error
    half_always = float(sequence.critical(num, planned, alpha)) * error
    before = sum(_squared_error(values) for values in plain)
    return Comparison(
        metric=metric.name,
        arm=name,
        better=metric.better,
        num_arm=int(arm.sum()),
        num_control=int(control.sum()),
        control=means[0],
        treated=means[1],
        effect=effect,
        relative=effect / means[0] if means[0] else None,
        standard_error=error,
        fixed=Bounds(effect - half_fixed, effect + half_fixed),
        sequence=Bounds(effect - half_always, effect + half_always),
        p_fixed=float(2 * norm.sf(abs(z))),
        p_always=float(sequence.p_value(z, num, planned, alpha)),
        variance_reduction=float(1 - variance / before) if before > 0 else 0.0,
    )


def linearised(numerator: Float64s, denominator: Float64s) -> Float64s:
    """(U,) values whose mean is Σ numerator / Σ denominator, and whose spread is that ratio's to first order."""
    ratio = numerator.sum() / denominator.sum()
    return ratio + (numerator - ratio * denominator) / denominator.mean()


def _linear(metric: Metric, side: Bools) -> Float64s:
    if metric.denominator is None:
        return metric.numerator[side]
    return linearised(metric.numerator[side], metric.denominator[side])


def _cuped(metric: Metric, plain: list[Float64s], sides: tuple[Bools, Bools]) -> list[Float64s]:
    """Values less θ(x − mean x), θ = cov(y, x) / var(x) and the mean of x over both arms (Deng et al., 2013)."""
    if metric.covariate is None:
        return plain
    both = sides[0] | sides[1]
    x = metric.covariate.values
    spread = float(np.var(x[both]))
    if spread == 0:
        return plain
    theta = float(np.cov(_linear(metric, both), x[both], bias=True)[0, 1]) / spread
    return [values - theta * (x[side] - x[both].mean()) for values, side in zip(plain, sides, strict=True)]


def _squared_error(values: Float64s) -> float:
    return float(values.var(ddof=1)) / values.size if values.size > 1 else 0.0
