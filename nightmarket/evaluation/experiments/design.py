"""Design before the start: sample size, duration, and the minimum detectable effect.

Power is that of the rule that the read-out applies: the interval of the difference in means, with unpooled variances,
leaves zero out. With `always_valid` that interval is the one for any number of looks, at the planned end; crossings at
earlier looks add a little, so the power stated is a lower bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import norm

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.sequence import critical


@dataclass(frozen=True)
class ControlOutcome:
    """What one customer of the control arm yields.

    mean                expected value of the control arm
    sd                  standard deviation over customers; not needed for a proportion
    proportion          the outcome is 0 or 1: variances follow from the means
    variance_reduction  share of the variance that CUPED takes away: the squared correlation with the covariate
    """

    mean: float
    sd: float = math.nan
    proportion: bool = False
    variance_reduction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse figures that no outcome has."""
        if self.proportion and not 0 < self.mean < 1:
            raise InputError(f"a proportion of {self.mean:g} leaves nothing to test; it lies between 0 and 1")
        if not self.proportion and not self.sd > 0:
            raise InputError(f"a mean needs a standard deviation above 0, not {self.sd:g}")
        if not 0 <= self.variance_reduction < 1:
            raise InputError(f"CUPED's variance reduction lies in [0, 1), not {self.variance_reduction:g}")

    def variance(self, effect: float) -> float:
        """Variance over customers of an arm whose mean is `effect` above the control's."""
        left = 1 - self.variance_reduction
        mean = self.mean + effect
        return left * (mean * (1 - mean) if self.proportion else self.sd**2)


@dataclass(frozen=True)
class Rule:
    """How an arm is compared with control.

    alpha         chance of a false alarm
    share         the treated arm's share of the two arms' customers
    comparisons   comparisons that share alpha (metrics x treated arms); Bonferroni, so the power is a lower bound
    always_valid  the read-out may be looked at every night
    ends          the experiment ends at its planned customers, whatever comes, which leaves more power
    """

    alpha: float = 0.05
    share: float = 0.5
    comparisons: int = 1
    always_valid: bool = True
    ends: bool = False

    def critical(self, num: float) -> float:
        """Standard errors that the difference must exceed with `num` customers, planned to end there."""
        if self.always_valid:
            return float(critical(num, num, self.alpha, self.comparisons, ends=self.ends))
        return float(norm.isf(self.alpha / self.comparisons / 2))


DEFAULT = Rule()


def power(outcome: ControlOutcome, effect: float, num: float, rule: Rule = DEFAULT) -> float:
    """Chance to find a difference of `effect` (absolute, in the outcome's unit) with `num` customers in two arms."""
    error = math.sqrt(outcome.variance(effect) / (num * rule.share) + outcome.variance(0.0) / (num * (1 - rule.share)))
    z, edge = effect / error, rule.critical(num)
    return float(norm.sf(edge - z) + norm.cdf(-edge - z))


def sample_size(outcome: ControlOutcome, effect: float, wanted: float = 0.8, rule: Rule = DEFAULT) -> int:
    """Customers of both arms together that find `effect` with the wanted power."""
    _check(outcome, effect, wanted)
    error = math.sqrt(outcome.variance(effect) / rule.share + outcome.variance(0.0) / (1 - rule.share))
    # `critical` does not depend on the number where the test is planned to end at that number.
    reached = rule.critical(1000.0) + norm.ppf(wanted)
    return math.ceil((reached * error / effect) ** 2)


def minimum_detectable_effect(outcome: ControlOutcome, num: int, wanted: float = 0.8, rule: Rule = DEFAULT) -> float:
    """Smallest increase (absolute) that `num` customers in two arms find with the wanted power.

    Raises InputError where a proportion could not rise that far.
    """
    if num < 4:
        raise InputError(f"{num} customers cannot be compared; plan for more")
    top = 1 - outcome.mean - 1e-9 if outcome.proportion else 1e6 * outcome.sd
    if power(outcome, top, num, rule) < wanted:
        raise InputError(f"{num:,} customers find no effect with power {wanted:g}; plan for more")
    return float(brentq(lambda effect: power(outcome, effect, num, rule) - wanted, 1e-12 * top, top))


def expected_days(num: int, arrivals: float | Sequence[float], traffic: float = 1.0) -> int:
    """Days until `num` customers are in the experiment.

    arrivals  customers seen for the first time per day: one figure, or one per day (the last day is repeated)
    traffic   share of them that the experiment gets

    Raises InputError where nobody arrives.
    """
    days = [float(arrivals)] if isinstance(arrivals, int | float) else [float(count) for count in arrivals]
    if not days or min(days) < 0 or days[-1] * traffic <= 0:
        raise InputError("expected traffic must not be negative, and above 0 on its last day; without it no test ends")
    left = num / traffic
    for day, count in enumerate(days, start=1):
        left -= count
        if left <= 0:
            return day
    return len(days) + math.ceil(left / days[-1])


def _check(outcome: ControlOutcome, effect: float, wanted: float) -> None:
    if effect == 0 or not 0 < wanted < 1:
        raise InputError(f"an effect of {effect:g} with power {wanted:g} needs no end of customers; name others")
    if outcome.proportion and not 0 < outcome.mean + effect < 1:
        raise InputError(f"a proportion of {outcome.mean:g} cannot change by {effect:g}")
