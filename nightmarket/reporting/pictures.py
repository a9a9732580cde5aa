"""Pictures with two axes, drawn without script: columns, a forecast, quality by version, and how stages connect.

As in `charts`, coordinates are percentages and colours come from the page; `said` is what a screen reader says.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from markupsafe import Markup

from nightmarket.reporting.charts import Scale

LEFT, RIGHT, TOP, FLOOR = 13.0, 97.0, 6.0, 84.0
"""Percent of the width and height between which points stand; the axis is left of them, names are below."""
NUM_TICKS = 3
ROW = 10.0
"""Height of a stage's row in the picture of the stages, in its own units."""


class Point(NamedTuple):
    """One version: its night, its figure with an interval where that is known, and whether it became champion."""

    name: str
    value: float
    low: float
    high: float
    champion: bool


def course(points: Sequence[Point], said: str) -> Markup:
    """A dot with its interval per version, in order, at least one; champions filled, and their level held to the next.

    The axis holds all intervals and does not begin at zero: what counts is the change.
    """
    low, high = min(point.low for point in points), max(point.high for point in points)
    spare = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    up = Scale(low - spare, high + spare)
    parts = [_level_lines(up)]
    across = [_across(i, len(points)) for i in range(len(points))]
    parts.append(_delivering(points, across, up))
    for x, point in zip(across, points, strict=True):
        kind = "ours" if point.champion else "theirs"
        if point.champion:
            parts.append(Markup('<line class="mark" x1="{0}%" x2="{0}%" y1="{1}%" y2="{2}%"/>').format(x, TOP, FLOOR))
        bar = '<line class="whisker {0}" x1="{1}%" x2="{1}%" y1="{2}%" y2="{3}%"/>'
        if point.high > point.low:
            parts.append(Markup(bar).format(kind, x, height(point.high, up), height(point.low, up)))
        hollow = "" if point.champion else " hollow"
        dot = '<circle class="dot {}{}" cx="{}%" cy="{}%" r="4"/>'
        parts.append(Markup(dot).format(kind, hollow, x, height(point.value, up)))
    parts.append(_names(points, across))
    return Markup('<svg class="course" role="img" aria-label="{}">{}</svg>').format(said, Markup("").join(parts))


def _across(i: int, num: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * (i + 0.5) / num, 2)


def height(number: float, up: Scale, floor: float = FLOOR) -> float:
    """Place of a number between TOP and the floor, percent from the top."""
    share = (number - up.low) / ((up.high - up.low) or 1.0)
    return round(floor - (floor - TOP) * min(max(share, 0.0), 1.0), 2)


def _level_lines(up: Scale) -> Markup:
    line = '<line class="grid" x1="{0}%" x2="100%" y1="{1}%" y2="{1}%"/><text x="0" y="{1}%" dy="4">{2}</text>'
    return Markup("").join(Markup(line).format(LEFT - 2, height(t, up), _short(t)) for t in up.ticks(NUM_TICKS))


def _delivering(points: Sequence[Point], across: Sequence[float], up: Scale) -> Markup:
    """The level of the version that delivers, held until the next champion."""
    parts: list[Markup] = []
    held: Point | None = None
    for i, point in enumerate(points):
        if point.champion:
            held = point
        if held is not None:
            end = across[i + 1] if i + 1 < len(points) else RIGHT
            line = '<line class="delivers" x1="{}%" x2="{}%" y1="{}%" y2="{}%"/>'
            level = height(held.value, up)
            parts.append(Markup(line).format(across[i], end, level, level))
    return Markup("").join(parts)


def _names(points: Sequence[Point], across: Sequence[float]) -> Markup:
    """The first and the last night; the one between would not always find room."""
    if len(points) == 1:
        return Markup('<text class="name" x="{}%" y="97%">{}</text>').format(across[0], points[0].name)
    ends = Markup('<text x="{}%" y="97%">{}</text>').format(LEFT - 2, points[0].name)
    return ends + Markup('<text class="last" x="100%" y="97%">{}</text>').format(points[-1].name)


def _short(number: float) -> str:
    text = f"{abs(number):.4f}".rstrip("0").rstrip(".")
    text = text.removeprefix("0") if text != "0" else text
    return f"−{text}" if number < 0 else text


def arcs(edges: Sequence[tuple[int, int]], num: int, said: str) -> Markup:
    """Rows one under the other, joined by arcs on their left: from the row that makes to the row that takes.

    edges  pairs of row numbers from 0, the maker first and above the taker
    num    rows; the drawing is stretched over as many rows of equal height
    """
    longest = max([below - above for above, below in edges] + [1])
    parts = [
        Markup('<path d="M92,{0:g}C{1:g},{0:g} {1:g},{2:g} 92,{2:g}" vector-effect="non-scaling-stroke"/>').format(
            ROW * (above + 0.5), 92 - 25 - 95 * ((below - above) / longest), ROW * (below + 0.5)
        )
        for above, below in edges
    ]
    return Markup(
        '<svg class="arcs" role="img" aria-label="{}" viewBox="0 0 100 {:g}" preserveAspectRatio="none">{}</svg>'
    ).format(said, ROW * max(num, 1), Markup("").join(parts))


HIGHEST = 15.0
"""Percent of the height between which columns stand; figures stand above, names below."""
MAX_NAMES = 8
"""Names under the columns; with more columns only some are named."""


class Bar(NamedTuple):
    """One column: its name, how high it is, what stands above it, and how high it usually is, where that is known."""

    name: str
    value: float
    shown: str = ""
    usual: float | None = None


def columns(rows: Sequence[Bar], said: str) -> Markup:
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
    return round(FLOOR - (FLOOR - HIGHEST) * min(max(share, 0.0), 1.0), 2)


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
