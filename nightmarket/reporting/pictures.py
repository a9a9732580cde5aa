"""Pictures with two axes, drawn without script: columns over hours or days, and a forecast with its interval.

As in `charts`, coordinates are percentages and colours come from the page; `said` is what a screen reader says.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from markupsafe import Markup

from nightmarket.reporting.charts import Scale

TOP, FLOOR = 15.0, 84.0
"""Percent of the height between which columns stand; figures stand above, names below."""
MAX_NAMES = 8
"""Names under the columns; with more columns only some are named."""


class Column(NamedTuple):
    """One column: its name, how high it is, what stands above it, and how high it usually is, where that is known."""

    name: str
    value: float
    shown: str = ""
    usual: float | None = None


def columns(rows: Sequence[Column], said: str) -> Markup:
    """Columns from zero, side by side; a dash across a column marks what is usual."""
    most = max([row.value for row in rows] + [row.usual or 0.0 for row in rows] + [1e-12])
    step = 100 / max(len(rows), 1)
    every = -(-len(rows) // MAX_NAMES)
    parts = []
    for i, row in enumerate(rows):
        top, middle = _level(row.value / most), round(step * (i + 0.5), 2)
        parts.append(
            Markup('<rect class="fill" x="{}%" y="{}%" width="{}%" height="{}%" rx="2"/>').format(
                round(step * (i + 0.16), 2), top, round(step * 0.68, 2), round(FLOOR - top, 2)
            )
        )
        if row.usual is not None:
            parts.append(
                Markup('<line class="usual" x1="{1}%" x2="{2}%" y1="{0}%" y2="{0}%"/>').format(
                    _level(row.usual / most), round(step * (i + 0.06), 2), round(step * (i + 0.94), 2)
                )
            )
        if row.shown and every == 1:
            above = min(top, _level((row.usual or 0.0) / most))
            parts.append(Markup('<text x="{}%" y="{}%" dy="-4">{}</text>').format(middle, above, row.shown))
        if i % every == 0:
            parts.append(Markup('<text class="name" x="{}%" y="100%" dy="-3">{}</text>').format(middle, row.name))
    floor = Markup('<line class="zero" x1="0" x2="100%" y1="{0}%" y2="{0}%"/>').format(FLOOR)
    return Markup('<svg class="columns" role="img" aria-label="{}">{}{}</svg>').format(
        said, Markup("").join(parts), floor
    )


def _level(share: float) -> float:
    """Percent from the top of a column that is `share` of the highest."""
    return round(FLOOR - (FLOOR - TOP) * min(max(share, 0.0), 1.0), 2)


def fan(
    past: Sequence[float], middle: Sequence[float], low: Sequence[float], high: Sequence[float], said: str
) -> Markup:
    """A line through the past, then the forecast with its interval as a band; zero is the floor.

    past  (W,) one or more figures; middle, low, high  (H,) of the steps that follow
    """
    along = Scale(0.0, float(max(len(past) + len(middle) - 1, 1)))
    up = Scale(0.0, max([*past, *middle, *high, 1e-9]))

    at = partial(_point, along, up)
    first = len(past) - 1
    ahead = range(len(past), len(past) + len(middle))
    edge = [at(first, past[-1])]
    upper = [at(i, number) for i, number in zip(ahead, high, strict=True)]
    lower = [at(i, number) for i, number in zip(ahead, low, strict=True)]
    band = " ".join([*edge, *upper, *reversed(lower)])
    line = " ".join(at(i, number) for i, number in enumerate(past))
    dashed = " ".join(edge + [at(i, number) for i, number in zip(ahead, middle, strict=True)])
    return Markup(
        '<svg class="fan" role="img" aria-label="{}" viewBox="0 0 100 40" preserveAspectRatio="none">'
        '<polygon class="band" points="{}"/>'
        '<polyline class="past" points="{}" vector-effect="non-scaling-stroke"/>'
        '<polyline class="ahead" points="{}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(said, band, line, dashed)


def trail(points: Sequence[Mapping[str, float]], said: str) -> Markup:
    """A line through figures with their intervals as a band; zero is the floor.

    points  {value, low, high}, one or more
    """
    along = Scale(0.0, float(max(len(points) - 1, 1)))
    at = partial(_point, along, Scale(0.0, max([point["high"] for point in points] + [1e-9])))
    edges = [[at(i, point[part]) for i, point in enumerate(points)] for part in ("high", "low", "value")]
    return Markup(
        '<svg class="fan" role="img" aria-label="{}" viewBox="0 0 100 40" preserveAspectRatio="none">'
        '<polygon class="band" points="{}"/>'
        '<polyline class="past" points="{}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(said, " ".join([*edges[0], *reversed(edges[1])]), " ".join(edges[2]))


def _point(along: Scale, up: Scale, step: int, number: float) -> str:
    """Where a step's figure stands in a picture of 100 by 40."""
    return f"{along.at(step):g},{round(38 - 0.36 * up.at(number), 2):g}"
