"""Trends of shares by week or month, with intervals, and a verdict that allows for many shares being watched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.experiments.readout import benjamini_hochberg
from nightmarket.evaluation.intervals import Interval, clustered
from nightmarket.histories.calendar import monday

LEAST_PERIODS = {"week": 8, "month": 6}
FALSE_SHARE = 0.05
"""Expected share of false ones among all verdicts other than `no change`."""
_MONDAY = 4
Verdict = Literal["rising", "falling", "no change"]


@dataclass(frozen=True)
class Periods:
    """D documents in T complete weeks or months of which each has documents of 20 people or more.

    code    (D,)  0..T-1 in order of time, -1 outside
    place   (T,)  number of the week or month on the calendar: gaps stay gaps
    starts  first days
    """

    by: Literal["week", "month"]
    code: Int64s
    place: Float64s
    starts: tuple[date, ...]


def periods(day: Int32s, who: Int64s, weeks: int) -> Periods | None:
    """The last `weeks` complete weeks if eight or more have enough people, else months over four times as long if six
    have; None where neither is so."""
    if not day.size:
        return None
    first, last = int(day.min()), int(day.max())
    week = (day.astype(np.int64) - _MONDAY) // 7
    complete = (week >= -(-(first - _MONDAY) // 7)) & (week <= (last + 1 - _MONDAY) // 7 - 1)
    newest = week[complete].max(initial=-1)
    weeks_of = _periods("week", np.where(complete & (week > newest - weeks), week, -1), who)
    if weeks_of is not None:
        return weeks_of
    calendar = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    ends = np.array([first - 1, last + 1], "datetime64[D]").astype("datetime64[M]").astype(np.int64)
    complete = (calendar > ends[0]) & (calendar < ends[1]) & (calendar > ends[1] - 1 - weeks)
    return _periods("month", np.where(complete, calendar, -1), who)


def _periods(by: Literal["week", "month"], number: Int64s, who: Int64s) -> Periods | None:
    inside = number >= 0
    pairs = np.unique(np.column_stack([number[inside], who[inside]]), axis=0)
    values, num_people = np.unique(pairs[:, 0], return_counts=True)
    values = values[num_people >= MIN_GROUP]
    if values.size < LEAST_PERIODS[by]:
        return None
    code = np.searchsorted(values, number).clip(0, values.size - 1)
    code = np.where(inside & (values[code] == number), code, -1)
    return Periods(by, code, values.astype(np.float64), tuple(_start(by, int(value)) for value in values))


def _start(by: Literal["week", "month"], number: int) -> date:
    return monday(number) if by == "week" else date(1970 + number // 12, number % 12 + 1, 1)


def change(place: Float64s, who: Int64s, hit: Bools) -> tuple[Interval, float]:
    """Change of a share over the whole span along a straight line, with a 95% interval and the p-value of no change.

    place  (N,)  when, in periods

    Least squares on the single documents; the variance allows for documents of one person and of one period being
    alike (two-way clustering: Cameron, Gelbach & Miller, 2011), Student's t with T - 2 degrees of freedom.
    """
    x, y = place - place.mean(), hit.astype(np.float64)
    total = float((x**2).sum())
    slope = float(x @ y) / total
    score = x * (y - y.mean() - slope * x)
    person, period = np.unique(who, return_inverse=True)[1], np.unique(place, return_inverse=True)[1]
    num = int(period.max()) + 1
    both = np.unique(person.astype(np.int64) * num + period, return_inverse=True)[1]
    alone = [_spread(score, code) for code in (person, period)]
    variance = max(sum(alone) - _spread(score, both), *alone, 1e-300) / total**2
    span = float(np.ptp(place))
    freedom = num - 2
    reach = float(stats.t.ppf(0.975, freedom)) * variance**0.5
    p = 2 * float(stats.t.sf(abs(slope) / variance**0.5, freedom))
    return Interval(span * slope, span * (slope - reach), span * (slope + reach)), p


def _spread(score: Float64s, code: Int64s) -> float:
    sums = np.bincount(code, weights=score)
    return float((sums**2).sum()) * sums.size / max(sums.size - 1, 1)


def trends(when: Periods, who: Int64s, topic: Int32s, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Per topic: its share in each period with interval, its change, and a verdict.

    Verdicts are by Benjamini and Hochberg's procedure over these topics: of those that are said to rise or fall, 5% at
    most are expected to do neither.
    """
    inside = when.code >= 0
    code, person, label = when.code[inside], who[inside], topic[inside]
    changes = [change(when.place[code], person, label == number) for number in numbers]
    adjusted = benjamini_hochberg([p for _, p in changes])
    courses = []
    for number, (interval, p), safe in zip(numbers, changes, adjusted, strict=True):
        points = [clustered(person[code == t], label[code == t] == number) for t in range(len(when.starts))]
        verdict: Verdict = "no change"
        if safe <= FALSE_SHARE:
            verdict = "rising" if interval.value > 0 else "falling"
        courses.append(
            {
                "by": when.by,
                "verdict": verdict,
                "change": interval._asdict(),
                "p": p,
                "adjusted_p": float(safe),
                "points": [
                    {"start": start.isoformat()} | point._asdict()
                    for start, point in zip(when.starts, points, strict=True)
                ],
            }
        )
    return courses


def span(when: Periods) -> tuple[date, date]:
    """First and last day of the periods."""
    last = when.starts[-1]
    if when.by == "week":
        return when.starts[0], last + timedelta(days=6)
    return when.starts[0], date(last.year + last.month // 12, last.month % 12 + 1, 1) - timedelta(days=1)
