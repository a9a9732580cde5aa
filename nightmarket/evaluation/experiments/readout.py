"""What an experiment says so far, and what to do: stop, continue, ship, or nothing because it is broken.

The order is fixed: first the sample ratio, then Holm over all comparisons with always-valid p-values, so that looking
every night changes nothing. Segments are shown to have ideas by and never decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.experiments.effects import (
    Comparison,
    Metric,
    check_covariate,
    check_dates,
    check_length,
    check_metric,
    compare,
    too_few,
)


def holm(p: ArrayLike) -> Float64s:
    """Holm's adjusted p-values (M,): rejecting those up to α keeps the chance of any false rejection at α (Holm, 1979).

    It asks nothing about how the questions hang together, and stays valid at every look for always-valid p-values.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Float64s:
    """Adjusted p-values (M,): calling those up to q keeps the expected share of false ones at q (1995)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    stepped = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


LEVEL = 0.001
"""Below it the split is broken. Strict, because the check is repeated every night and a break stops everything."""


class SampleRatio(NamedTuple):
    """Customers per arm, the numbers that the shares ask for, and the chi-square p-value."""

    found: dict[str, int]
    expected: dict[str, float]
    p_value: float

    @property
    def passed(self) -> bool:
        """Whether the split is what it should be, as far as these customers can tell."""
        return self.p_value >= LEVEL


def sample_ratio(customers: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Pearson's chi-square of the arms' customers against the planned shares (Fabijan et al., KDD 2019).

    customers  customers per arm; an arm of the plan without any counts as 0
    shares     planned share per arm, above 0; they are scaled to sum to 1

    Raises InputError for an arm that the plan does not know.
    """
    unknown = sorted(set(customers) - set(shares))
    if unknown:
        raise InputError(
            f"{len(unknown)} arms are not in the plan, first '{unknown[0]}'; name every arm with its share"
        )
    if any(not share > 0 for share in shares.values()):
        raise InputError("a share of an arm is not above 0; leave arms without customers out of the plan")
    arms = list(shares)
    counts = np.array([customers.get(arm, 0) for arm in arms], np.float64)
    expected = counts.sum() * np.array(list(shares.values())) / sum(shares.values())
    statistic = float(((counts - expected) ** 2 / expected).sum()) if counts.sum() else 0.0
    return SampleRatio(
        {arm: int(count) for arm, count in zip(arms, counts, strict=True)},
        {arm: float(count) for arm, count in zip(arms, expected, strict=True)},
        float(chi2.sf(statistic, len(arms) - 1)),
    )


MAX_MIXED = 0.01
"""Share of customers who were shown more than one arm, above which nothing is read."""
Word = Literal["ship", "stop", "continue", "blocked"]


@dataclass(frozen=True)
class Experiment:
    """An experiment as it stands; row = customer.

    arm          (U,)  name of the arm
    assigned_at  (U,)  datetime64
    metrics      the first one decides; the others can only stop an arm that harms them
    control      the arm that the others are compared with
    shares       planned share per arm
    planned      customers at which the sequence is narrowest, all arms together; fixed before the start
    ends         nothing is read after `planned` customers, which allows narrower bounds until then: the first of them
                 by their assignment are compared, later ones are not
    counted      (U,)  whose outcomes are complete; None: all. The sample ratio is checked on everybody
    customers    (U,)  ids, to see that nobody stands there twice; None: not checked
    mixed        customers who were shown more than one arm and are not among the U
    """

    name: str
    arm: NDArray[np.object_]
    assigned_at: NDArray[np.datetime64]
    metrics: tuple[Metric, ...]
    control: str
    shares: Mapping[str, float]
    planned: int
    counted: Bools | None = None
    mixed: int = 0
    ends: bool = False
    customers: NDArray[np.object_] | None = None


@dataclass(frozen=True)
class Recommendation:
    """What to do and why, in words; `arm` is the one to ship, or ""."""

    word: Word
    reason: str
    arm: str = ""


@dataclass(frozen=True)
class Segment:
    """One arm in one group, for ideas: fixed-horizon interval, p-value after Benjamini–Hochberg over all groups."""

    by: str
    level: str
    comparison: Comparison
    p_adjusted: float

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        result = self.comparison
        kept = {
            "arm": result.arm,
            "num_arm": result.num_arm,
            "num_control": result.num_control,
            "effect": result.effect,
        }
        return {"by": self.by, "level": self.level, **kept, "low": result.fixed.low, "high": result.fixed.high,
                "p_adjusted": self.p_adjusted}  # fmt: skip


@dataclass(frozen=True)
class ReadOut:
    """Everything about one experiment. `not_judged` holds why a comparison is missing, by "metric, arm"."""

    name: str
    control: str
    verdict: Recommendation
    sample_ratio: SampleRatio
    comparisons: tuple[Comparison, ...] = ()
    not_judged: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "name": self.name,
            "control": self.control,
            "verdict": {"word": self.verdict.word, "reason": self.verdict.reason, "arm": self.verdict.arm},
            "sample_ratio": {**self.sample_ratio._asdict(), "passed": self.sample_ratio.passed},
            "comparisons": [part.content() for part in self.comparisons],
            "not_judged": dict(self.not_judged),
            "segments": [part.content() for part in self.segments],
        }


def read_out(
    experiment: Experiment,
    *,
    alpha: float = 0.05,
    final: bool = False,
    segments: Mapping[str, NDArray[np.object_]] | None = None,
) -> ReadOut:
    """Read an experiment.

    final     no more customers will come: then no difference found means stop
    segments  {by: (U,) level of each customer, None where unknown}; known before the assignment

    Raises InputError for a control that is no arm, an arm without a share, a covariate measured after assignment, a
    customer who stands there twice, and for numbers and dates that are missing or not finite.
    """
    _check(experiment)
    arms, counts = np.unique(experiment.arm.astype(str), return_counts=True)
    ratio = sample_ratio(dict(zip(arms.tolist(), counts.tolist(), strict=True)), experiment.shares)
    if experiment.mixed > MAX_MIXED * (experiment.mixed + experiment.arm.size):
        why = (
            f"{experiment.mixed:,} customers were shown more than one arm; give each customer one arm, then start anew"
        )
        return ReadOut(experiment.name, experiment.control, Recommendation("blocked", why), ratio)
    if not ratio.passed:
        return ReadOut(experiment.name, experiment.control, _blocked(ratio), ratio)
    comparisons, missing = _comparisons(experiment, alpha)
    verdict = _verdict(experiment, comparisons, missing, alpha, final)
    explored = _segments(experiment, segments or {}, alpha) if experiment.metrics else ()
    return ReadOut(experiment.name, experiment.control, verdict, ratio, comparisons, missing, explored)


def _check(experiment: Experiment) -> None:
    """Refuse what cannot be read, see `read_out`."""
    name, num = f"experiment {experiment.name}", experiment.arm.size
    if experiment.control not in experiment.shares:
        raise InputError(f"{name}: there is no arm '{experiment.control}' to compare with")
    check_dates(f"{name}: assigned_at", experiment.assigned_at, num)
    if experiment.counted is not None:
        check_length(f"{name}: counted", experiment.counted, num)
    if experiment.customers is not None:
        check_length(f"{name}: customers", experiment.customers, num)
        codes, seen = np.unique(experiment.customers.astype(str), return_index=True)
        if codes.size < num:
            again = np.setdiff1d(np.arange(num), seen)
            raise InputError(
                f"{name}: {again.size:,} of {num:,} rows repeat a customer, first row {int(again[0])}; give each "
                "customer one row, with all of their outcomes"
            )
    for metric in experiment.metrics:
        check_metric(metric, num)
        if metric.covariate is not None:
            check_covariate(metric.covariate, experiment.assigned_at)


def blocked(name: str, reason: str) -> dict[str, Any]:
    """The content of an experiment whose plan and data do not fit, so that nothing could be read."""
    empty = ReadOut(name, "", Recommendation("blocked", reason), SampleRatio({}, {}, 1.0)).content()
    return empty | {"sample_ratio": None, "mixed": 0, "complete": 0, "final": False, "planned": None}


def _members(experiment: Experiment, arm: str) -> Bools:
    inside: Bools = (experiment.arm == arm) & _read(experiment)
    return inside


def _read(experiment: Experiment) -> Bools:
    """(U,) whose outcomes are compared: the complete ones, and the first `planned` of them where the experiment ends
    there."""
    read = np.ones(experiment.arm.size, bool) if experiment.counted is None else experiment.counted.copy()
    if experiment.ends and read.sum() > experiment.planned:
        order = np.argsort(experiment.assigned_at, kind="stable")
        read[order[np.cumsum(read[order]) > experiment.planned]] = False
    return read


def _treated(experiment: Experiment) -> list[str]:
    return [arm for arm in experiment.shares if arm != experiment.control]


def _planned(experiment: Experiment, arm: str) -> float:
    """The part of the planned customers that falls to this arm and control."""
    shares = experiment.shares
    return experiment.planned * (shares[arm] + shares[experiment.control]) / sum(shares.values())


def _comparisons(experiment: Experiment, alpha: float) -> tuple[tuple[Comparison, ...], dict[str, str]]:
    comparisons: list[Comparison] = []
    missing: dict[str, str] = {}
    control = _members(experiment, experiment.control)
    for metric in experiment.metrics:
        for name in _treated(experiment):
            arm = _members(experiment, name)
            why = too_few(metric, arm, control)
            if why:
                missing[f"{metric.name}, {name}"] = why
                continue
            planned = _planned(experiment, name)
            comparisons.append(compare(metric, name, arm, control, planned=planned, alpha=alpha, ends=experiment.ends))
    # A comparison that cannot be judged yet keeps its place: the family is fixed by the plan, not by the data.
    adjusted = holm([result.p_always for result in comparisons] + [1.0] * len(missing))
    return tuple(replace(result, p_holm=float(p)) for result, p in zip(comparisons, adjusted, strict=False)), missing


def _blocked(ratio: SampleRatio) -> Recommendation:
    parts = [f"{arm} {ratio.found[arm]:,} (planned {ratio.expected[arm]:,.0f})" for arm in ratio.found]
    p_value = f"p = {ratio.p_value:.1e}" if ratio.p_value > 0 else "p < 1e-300"
    return Recommendation(
        "blocked",
        f"sample ratio: {', '.join(parts)}, {p_value}; the arms are not what was planned, so no figure of theirs "
        "is shown; find out where customers are lost, or name the planned shares",
    )


def _verdict(
    experiment: Experiment, comparisons: tuple[Comparison, ...], missing: Mapping[str, str], alpha: float, final: bool
) -> Recommendation:
    """The rule, see the module's docstring."""
    if not experiment.metrics:
        return Recommendation("continue", "there is no outcome to compare yet")
    first = experiment.metrics[0].name
    clear = [result for result in comparisons if result.p_holm <= alpha]
    harmed = {result.arm: result for result in clear if result.gain < 0}
    winners = [result for result in clear if result.metric == first and result.gain > 0 and result.arm not in harmed]
    if winners:
        best = max(winners, key=lambda result: result.gain)
        return Recommendation(
            "ship", f"{described(best)}; it holds at every look, and no other metric is shown to be worse", best.arm
        )
    if harmed and set(harmed) == set(_treated(experiment)):
        return Recommendation("stop", f"every arm harms: {'; '.join(described(result) for result in harmed.values())}")
    decisive = [result for result in comparisons if result.metric == first]
    harm = (
        f"; {', '.join(harmed)} harms: {'; '.join(described(result) for result in harmed.values())}" if harmed else ""
    )
    if final:
        bounds = "; ".join(f"{result.arm}: {_signed(result.sequence)}" for result in decisive)
        left = bounds or f"too few to judge ({next(iter(missing.values()), 'no arm')})"
        return Recommendation("stop", f"the experiment is over and no gain in {first} is shown ({left}){harm}")
    if not decisive:
        return Recommendation("continue", f"too early: {next(iter(missing.values()))}{harm}")
    bounds = "; ".join(described(result) for result in decisive)
    return Recommendation("continue", f"nothing is certain yet: {bounds}{harm}")


def described(result: Comparison) -> str:
    """A comparison in words."""
    relative = f" ({result.relative:+.1%})" if result.relative is not None else ""
    return f"{result.metric} of {result.arm} {result.effect:+.4g}{relative} against control, {_signed(result.sequence)}"


def _signed(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:+.4g}, {bounds[1]:+.4g}]"


def _segments(experiment: Experiment, segments: Mapping[str, NDArray[np.object_]], alpha: float) -> tuple[Segment, ...]:
    """The first metric by group; groups with fewer than 20 customers in an arm are left out."""
    metric = experiment.metrics[0]
    control = _members(experiment, experiment.control)
    treated = {name: _members(experiment, name) for name in _treated(experiment)}
    made: list[tuple[str, str, Comparison]] = []
    for by, level in segments.items():
        known = np.array([result is not None for result in level], bool)
        values, code = np.unique(level[known].astype(str), return_inverse=True)
        for number, value in enumerate(values.tolist()):
            inside = known.copy()
            inside[known] = code == number
            for name, arm in treated.items():
                here, base = arm & inside, control & inside
                if min(here.sum(), base.sum()) < MIN_GROUP or not np.any(metric.numerator[here | base]):
                    continue
                if metric.denominator is not None and min(metric.denominator[m].sum() for m in (here, base)) <= 0:
                    continue
                result = compare(metric, name, here, base, planned=_planned(experiment, name), alpha=alpha)
                made.append((by, value, result))
    adjusted = benjamini_hochberg([result.p_fixed for _, _, result in made])
    return tuple(Segment(by, value, result, float(p)) for (by, value, result), p in zip(made, adjusted, strict=True))
