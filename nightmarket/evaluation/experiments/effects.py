"""The difference between an arm and control in one metric, with its intervals.

A metric is a mean over customers, or a ratio of two sums over customers (clicks over impressions). The customer was
assigned, so the customer is the unit: a ratio is linearised by the delta method (Deng, Knoblich, Lu, "Applying the
delta method in metric analytics", KDD 2018), which counts a customer's impressions as the cluster that they are.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.experiments import randomization, sequence

MIN_CUSTOMERS = 100
MIN_NONZERO = 20
"""Where a comparison begins: customers per arm, and customers of both arms with an outcome other than zero."""


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
    fixed               interval for one look fixed beforehand (Welch, normal quantile), which skewed outcomes break
    sequence            interval for any number of looks: the only one that a verdict reads. It rests on the larger of
                        Welch's standard error and the one by which the difference is as surprising as chance alone,
                        dealing the same outcomes to the arms, says
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


def check_metric(metric: Metric, num: int) -> None:
    """Raise InputError for an outcome that has not one finite number for each of `num` customers."""
    _check_values(f"outcome {metric.name}", metric.numerator, num)
    if metric.denominator is None:
        return
    _check_values(f"denominator of {metric.name}", metric.denominator, num)
    below = metric.denominator < 0
    if below.any():
        raise InputError(
            f"denominator of {metric.name}: {int(below.sum()):,} of {num:,} are below 0, first in row "
            f"{int(below.argmax())}; count what the outcome is taken over"
        )


def check_covariate(covariate: Covariate, assigned_at: NDArray[np.datetime64]) -> None:
    """Raise InputError for a covariate that looks past a customer's assignment, or says not of each customer when it
    was measured and a finite number.

    A covariate that the arm could have moved takes part of the effect away with it (Deng et al., WSDM 2013).
    """
    name, num = f"covariate {covariate.name}", assigned_at.size
    _check_values(name, covariate.values, num)
    check_dates(f"{name}: measured_until", covariate.measured_until, num)
    late = covariate.measured_until > assigned_at
    if late.any():
        first = int(np.flatnonzero(late)[0])
        raise InputError(
            f"{name}: measured after the assignment for {int(late.sum()):,} of {late.size:,} "
            f"customers, first in row {first}; measure it up to the assignment"
        )


def check_dates(name: str, dates: NDArray[np.datetime64], num: int) -> None:
    """Raise InputError where not each of `num` customers has a moment."""
    check_length(name, dates, num)
    missing = np.isnat(dates)
    if missing.any():
        raise InputError(
            f"{name}: {int(missing.sum()):,} of {num:,} dates are missing, first in row {int(missing.argmax())}; "
            "leave those customers out, or find the date"
        )


def check_length(name: str, values: NDArray[Any], num: int) -> None:
    """Raise InputError where there is not one value for each of `num` customers."""
    if values.shape != (num,):
        raise InputError(f"{name}: {values.size:,} values for {num:,} customers; give one for each, in their order")


def _check_values(name: str, values: Float64s, num: int) -> None:
    check_length(name, values, num)
    bad = ~np.isfinite(values)
    if bad.any():
        raise InputError(
            f"{name}: {int(bad.sum()):,} of {num:,} values are not finite, first in row {int(bad.argmax())}; "
            "a customer without any has 0, one who is not known is left out"
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
    metric: Metric, name: str, arm: Bools, control: Bools, *, planned: float, alpha: float = 0.05, ends: bool = False
) -> Comparison:
    """Compare an arm with control; `too_few` says whether they can be.

    arm, control  (U,)  who is in them
    planned       customers of both arms at which the sequence is narrowest, fixed before the start
    ends          nothing is read after them
    """
    sides = (control, arm)
    plain = [_linear(metric, side) for side in sides]
    shifts = _cuped(metric, sides)
    adjusted = [values - shift for values, shift in zip(plain, shifts, strict=True)]
    means = [float(values.mean()) for values in adjusted]
    variance = sum(_squared_error(values) for values in adjusted)
    error = float(np.sqrt(variance))
    num = sum(values.size for values in adjusted)
    effect = means[1] - means[0]
    z = effect / error if error > 0 else 0.0
    careful = _careful(z, _as_dealt(metric, sides, shifts), arm[control | arm])
    half_fixed = float(norm.isf(alpha / 2)) * error
    half_always = float(sequence.critical(num, planned, alpha, ends=ends)) * (effect / careful if careful else error)
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
        p_always=float(sequence.p_value(careful, num, planned, alpha, ends=ends)),
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


def _cuped(metric: Metric, sides: tuple[Bools, Bools]) -> list[Float64s]:
    """What CUPED takes off each side's values: θ(x − mean x), θ = cov(y, x) / var(x) and the mean of x over both arms
    (Deng et al., 2013)."""
    none = [np.zeros(int(side.sum())) for side in sides]
    if metric.covariate is None:
        return none
    both = sides[0] | sides[1]
    x = metric.covariate.values
    spread = float(np.var(x[both]))
    if spread == 0:
        return none
    theta = float(np.cov(_linear(metric, both), x[both], bias=True)[0, 1]) / spread
    return [theta * (x[side] - x[both].mean()) for side in sides]


def _as_dealt(metric: Metric, sides: tuple[Bools, Bools], shifts: list[Float64s]) -> Float64s:
    """(n,) adjusted values of both arms together, a ratio linearised about that of both: what an arm that affects
    nobody would be dealt from."""
    both = sides[0] | sides[1]
    values = np.zeros(both.size)
    values[both] = _linear(metric, both)
    for side, shift in zip(sides, shifts, strict=True):
        values[side] -= shift
    return values[both]


def _careful(z: float, values: Float64s, dealt: Bools) -> float:
    """The less surprising of z and the score of the same difference by randomization.

    Within one standard error nothing can be claimed, and the two are as good as one.
    """
    if abs(z) <= 1:
        return z
    score = abs(randomization.score(values, dealt))
    return math.copysign(max(min(abs(z), score), 1e-6), z)


def _squared_error(values: Float64s) -> float:
    return float(values.var(ddof=1)) / values.size if values.size > 1 else 0.0
