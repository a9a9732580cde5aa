"""May the challenger replace the champion? One rule, stated in words and figures.

The gate compares customer by customer on one window, so that customers who are hard for everybody do not blur the
difference. It closes on anything it cannot compare: a figure that is not finite never passes, because `not (nan < x)`
is true.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nightmarket.evaluation.figures import METRIC, Figure, Metrics
from nightmarket.evaluation.forgetting import Kept
from nightmarket.evaluation.intervals import Interval

FIRST = "all"
"""The task that must not lose."""
GUARDED = ("new", "launch")
"""Tasks that must not lose beyond doubt."""


@dataclass(frozen=True)
class Rival:
    """What the challenger is measured against.

    kind         the reigning champion, or popularity where there is none that could be scored
    name         as it stands in a sentence: "version 2", "popularity"
    differences  {task: interval of NDCG@10, challenger minus rival, paired by customer}
    notes        what a reader must know about this comparison
    groups       {name: difference over a group that was strong before this window}; against a champion alone
    vacant       whether nobody delivers yet
    """

    kind: Literal["champion", "popularity"]
    name: str
    differences: Mapping[str, Interval]
    notes: tuple[str, ...] = ()
    groups: Mapping[str, Kept] = field(default_factory=dict)
    vacant: bool = False


@dataclass(frozen=True)
class Decision:
    """The gate's word: whether it opens, why in plain sentences, and the figures behind it.

    stand_in  it opens because nobody else delivers: what the version delivers is what is popular
    """

    opened: bool
    reasons: tuple[str, ...]
    against: str
    kind: str
    differences: dict[str, Interval]
    groups: dict[str, Kept] = field(default_factory=dict)
    stand_in: bool = False

    def content(self) -> dict[str, Any]:
        """As JSON-ready values; a difference that is not finite becomes null."""
        return {
            "opened": self.opened,
            "reasons": list(self.reasons),
            "against": self.against,
            "kind": self.kind,
            "differences": {task: _json(interval._asdict()) for task, interval in self.differences.items()},
            "groups": {name: _json(kept.content()) for name, kept in self.groups.items()},
            "stand_in": self.stand_in,
        }


def _json(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def decide(metrics: Metrics, rival: Rival, *, min_difference: float = 0.0) -> Decision:
    """Let the challenger through only if nothing speaks against it.

    metrics         the challenger's; a task without customers in the window is not compared
    min_difference  least mean difference of NDCG@10 on `all` to the champion, in NDCG

    Against a champion the mean difference on `all` must reach min_difference, and `new`, `launch` and each group that
    was strong before this window must not be worse with their whole interval. Against popularity the whole interval on
    `all` must lie above zero; where it does not, and nobody delivers yet, the gate opens for what is popular.
    """
    num_customers = metrics.num_customers
    differences, groups = dict(rival.differences), dict(rival.groups)
    if (said := _stands_in(metrics, rival)) is not None:
        why = f"{said}: what is popular is delivered until a version is better beyond doubt"
        return Decision(True, (why, *rival.notes), rival.name, rival.kind, differences, groups, stand_in=True)
    against = [*_not_finite(metrics)]
    against += _first_task(rival, num_customers, min_difference)
    if rival.kind == "champion":
        against += _guarded_tasks(rival, num_customers)
        against += _forgotten(rival)
    reasons = against or [_why_it_opens(rival)]
    return Decision(not against, (*reasons, *rival.notes), rival.name, rival.kind, differences, groups)


def phrase(interval: Interval) -> str:
    """A difference with its interval: "+.004 [.001, .007]"."""
    return f"{_signed(interval.value, plus=True)} [{_signed(interval.low)}, {_signed(interval.high)}]"


def _signed(number: float, plus: bool = False) -> str:
    if not math.isfinite(number):
        return str(number)
    text = f"{abs(number):.4f}" if abs(number) < 0.0095 else f"{abs(number):.3f}"
    text = text.removeprefix("0")
    if not text.strip(".0"):
        return text
    return ("-" if number < 0 else "+" if plus else "") + text


def _stands_in(metrics: Metrics, rival: Rival) -> str | None:
    """Why what is popular is delivered, where nobody delivers yet and nothing is better than that; None elsewhere.

    A figure that is not finite although there are customers is a fault, for which nothing stands in.
    """
    if not rival.vacant:
        return None
    if not metrics.num_customers.get(FIRST, 0):
        return "no customer bought anything in the test window"
    difference = rival.differences.get(FIRST)
    if _not_finite(metrics) or difference is None or not all(map(math.isfinite, difference)) or difference.low > 0:
        return None
    return f"{FIRST} {METRIC} {phrase(difference)} against {rival.name}"


def _not_finite(metrics: Metrics) -> list[str]:
    """Every figure of the challenger that is missing, NaN or infinite, first one named."""
    bad: list[str] = []
    for task in (FIRST, *GUARDED):
        if not metrics.num_customers.get(task, 0) and task != FIRST:
            continue
        figures = metrics.ours(task)
        if METRIC not in figures:
            bad.append(f"{task} {METRIC}")
        bad += [f"{task} {metric}" for metric, figure in figures.items() if not figure.finite]
    if not bad:
        return []
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return [f"figures of the challenger are missing or not finite: {bad[0]}{more}"]


def finite(interval: Mapping[str, Any]) -> bool:
    """Whether value, low and high are all there and finite numbers."""
    return Figure(**{part: interval.get(part) for part in Interval._fields}).finite


def _first_task(rival: Rival, num_customers: Mapping[str, int], min_difference: float) -> list[str]:
    if not num_customers.get(FIRST, 0):
        return ["no customer bought anything in the test window, so nothing can be compared"]
    difference = rival.differences.get(FIRST)
    if difference is None or not all(map(math.isfinite, difference)):
        return [f"the difference to {rival.name} on {FIRST} is not a finite number"]
    said = f"{FIRST} {METRIC} {phrase(difference)} against {rival.name}"
    if rival.kind == "popularity" and not difference.low > 0:
        return [f"{said}: a first champion must beat popularity beyond doubt, with its whole interval above zero"]
    if rival.kind == "champion" and not difference.value >= min_difference:
        least = "zero" if min_difference == 0 else _signed(min_difference)
        return [f"{said}: the mean difference is below {least}"]
    return []


def _guarded_tasks(rival: Rival, num_customers: Mapping[str, int]) -> list[str]:
    against = []
    for task in GUARDED:
        if not num_customers.get(task, 0):
            continue
        difference = rival.differences.get(task)
        if difference is None or not all(map(math.isfinite, difference)):
            against.append(f"the difference to {rival.name} on {task} is not a finite number")
        elif not difference.high >= 0:
            said = f"{task} {METRIC} {phrase(difference)} against {rival.name}"
            against.append(f"{said}: worse with its whole interval below zero")
    return against


def _forgotten(rival: Rival) -> list[str]:
    """Groups that last month's recommendations served well and that are clearly worse off now."""
    return [
        f"{name}, {kept.num_customers} customers who were strong before this window: {FIRST} {METRIC} "
        f"{phrase(kept.difference)} against {rival.name}: forgotten, with its whole interval below zero"
        for name, kept in rival.groups.items()
        if not kept.difference.high >= 0
    ]


def _why_it_opens(rival: Rival) -> str:
    difference = phrase(rival.differences[FIRST])
    if rival.kind == "popularity":
        return f"{FIRST} {METRIC} {difference} against popularity, the whole interval above zero"
    groups = f", nor any of {len(rival.groups)} groups that were strong before" if rival.groups else ""
    said = f"{FIRST} {METRIC} {difference} against {rival.name}, not below zero"
    return f"{said}; new and launch are not clearly worse{groups}"
