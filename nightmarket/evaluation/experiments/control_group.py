"""What all contacts of a shop bring: customers whom no campaign ever contacts against the others, by quarter and year.

Who is in the control group was drawn at random, so a difference is an effect. Customers count who were known before the
period: a contact goes to somebody who is known, so that no contact decides who counts. Each period is looked at once,
when it is over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import norm

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.experiments import sequence
from nightmarket.evaluation.experiments.effects import Comparison, Covariate, Metric, compare, too_few
from nightmarket.histories.calendar import day_of
from nightmarket.histories.histories import Histories

ALPHA = 0.05
COVARIATE_DAYS = 364
"""Days before the group began whose purchases take noise off the comparison: no contact can have moved them since."""
CONTROL, CONTACTED = "control group", "others"


@dataclass(frozen=True)
class Period:
    """A quarter or a year of the calendar; `after` is the first day that lies behind it."""

    name: str
    first: date
    after: date


def periods(since: date, until: date) -> list[Period]:
    """The whole quarters and years from `since` until the day before `until`, by their end, a year after its last
    quarter."""
    whole = [period for period in _periods(since.year, until.year) if period.first >= since and period.after <= until]
    return sorted(whole, key=lambda period: (period.after, -period.first.toordinal()))


def _periods(first: int, last: int) -> Iterator[Period]:
    for year in range(first, last + 1):
        starts = [date(year, month, 1) for month in (1, 4, 7, 10)] + [date(year + 1, 1, 1)]
        for number, (start, after) in enumerate(pairwise(starts), start=1):
            yield Period(f"{year} Q{number}", start, after)
        yield Period(str(year), starts[0], starts[-1])


@dataclass(frozen=True)
class Members:
    """The customers of a shop; arrays (C,).

    control    who is in the control group
    known      day since 1970-01-01 of the first event of any kind, or one that lies ahead
    contacted  who was contacted in spite of being in the group, as far as the log knows
    """

    control: Bools
    known: Int64s
    contacted: Bools


def read_out(period: Period, since: date, members: Members, lines: Histories) -> dict[str, Any]:
    """Purchases and their value per customer in a period, the others against the control group.

    lines  what was kept, all of it
    Keys: name, first, last, num_control, num_others, num_contacted, `metrics` with the figures or `why` there are none,
    and words.
    """
    first, after, began = (day_of(day) for day in (period.first, period.after, since))
    counted = members.known < first
    control, others = members.control & counted, ~members.control & counted
    outcomes, before = _outcomes(lines.between(first, after - 1)), lines.between(began - COVARIATE_DAYS, began - 1)
    earlier = _outcomes(before)
    metrics: dict[str, Any] = {}
    for name, values in outcomes.items():
        until = np.full(values.size, np.datetime64(since), "datetime64[s]")
        metric = Metric(name, values, covariate=Covariate(f"{name} before", earlier[name], until))
        why = too_few(metric, others, control)
        metrics[name] = {"why": why} if why else _figures(metric, others, control)
    content = {
        "name": period.name,
        "first": period.first.isoformat(),
        "last": (period.after - timedelta(1)).isoformat(),
        "num_control": int(control.sum()),
        "num_others": int(others.sum()),
        "num_contacted": int((members.contacted & control).sum()),
        "metrics": metrics,
    }
    return content | {"words": _words(content)}


def _outcomes(lines: Histories) -> dict[str, Float64s]:
    """Per customer: baskets, and what was paid, currency."""
    _, first = np.unique(lines.basket, return_index=True)
    baskets = np.bincount(lines.customer[first], minlength=lines.num_customers).astype(np.float64)
    paid = np.bincount(lines.customer, lines.value.astype(np.float64), lines.num_customers)
    return {"purchases": baskets, "value": np.asarray(paid, np.float64)}


def _figures(metric: Metric, others: Bools, control: Bools) -> dict[str, Any]:
    num = int(others.sum() + control.sum())
    result = compare(metric, CONTACTED, others, control, planned=num, alpha=ALPHA, ends=True)
    half = _one_look(result, num)
    return {
        "control": result.control,
        "others": result.treated,
        "value": result.effect,
        "low": result.effect - half,
        "high": result.effect + half,
        "relative": result.relative,
    }


def _one_look(result: Comparison, num: int) -> float:
    """Half of the interval of a single look, as careful with skewed outcomes as that of many looks."""
    many = float(sequence.critical(num, num, ALPHA, ends=True))
    return (result.sequence.high - result.effect) / many * float(norm.isf(ALPHA / 2))


def _words(content: dict[str, Any]) -> str:
    who = f"{content['name']}: {content['num_control']:,} customers who are never contacted against "
    said = [f"{who}{content['num_others']:,} others"]
    for name, figure in content["metrics"].items():
        what = "purchases per customer" if name == "purchases" else "value per customer"
        if "why" in figure:
            said.append(f"{what}: not told, {figure['why']}")
            continue
        level = f"{figure['others']:,.4g} against {figure['control']:,.4g}"
        bounds = f"{figure['value']:+,.4g} [{figure['low']:+,.4g}, {figure['high']:+,.4g}]"
        clear = "the contacts raised it" if figure["low"] > 0 else "the contacts lowered it"
        said.append(f"{what} {level}, {bounds}: {clear if figure['low'] * figure['high'] > 0 else 'nothing is shown'}")
    if content["num_contacted"]:
        said.append(f"{content['num_contacted']:,} of the control group were contacted, which hides some of the effect")
    return "; ".join(said) + "."
