"""Small SVG charts without script: coordinates are percentages, so they fit any width; colours come from the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

BLANK = Markup("")
MARGIN = 2.0
"""Percent kept free left and right of the data."""


@dataclass(frozen=True)
class Scale:
    """A linear axis from low to high, in the data's unit."""

    low: float
    high: float

    def at(self, number: float) -> float:
        """Place of a number, percent of the width."""
        span = self.high - self.low or 1.0
        return round(MARGIN + (100 - 2 * MARGIN) * (min(max(number, self.low), self.high) - self.low) / span, 2)

    def ticks(self, num: int = 4) -> list[float]:
        """Round numbers inside the axis, at most about `num`."""
        raw = (self.high - self.low) / max(num, 1) or 1.0
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale(figures: Sequence[Mapping[str, float]], zero: bool = True) -> Scale:
    """An axis that holds every interval, and zero unless `zero` is False."""
    lows, highs = [f["low"] for f in figures], [f["high"] for f in figures]
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return Scale(low, high if high > low else low + 1.0)


def whisker(
    figure: Mapping[str, float], axis: Scale, said: str, *, ours: bool = False, mark: float | None = None
) -> Markup:
    """A dot with its interval; `mark` draws a dashed line for comparison, `said` is what a screen reader says."""
    low, value, high = (axis.at(figure[part]) for part in ("low", "value", "high"))
    kind = "ours" if ours else "theirs"
    parts = [_grid(axis)]
    if mark is not None:
        parts.append(Markup('<line class="mark" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(axis.at(mark)))
    parts.append(Markup('<line class="whisker {}" x1="{}%" x2="{}%" y1="50%" y2="50%"/>').format(kind, low, high))
    parts.append(Markup('<circle class="dot {}" cx="{}%" cy="50%" r="{}"/>').format(kind, value, 5 if ours else 4))
    return Markup('<svg class="track" role="img" aria-label="{}">{}</svg>').format(said, Markup("").join(parts))


def axis_labels(axis: Scale, percent: bool = False) -> Markup:
    """The numbers of an axis, for the chart's head; read out with the rows, so hidden from screen readers."""
    texts = Markup("").join(
        Markup('<text x="{}%" y="70%">{}</text>').format(axis.at(tick), _percent(tick) if percent else _short(tick))
        for tick in axis.ticks()
    )
    return Markup('<svg class="axis" aria-hidden="true">{}</svg>').format(texts)


def bar(share: float, said: str) -> Markup:
    """A bar that fills `share` of its cell, in [0, 1]."""
    width = round(100 * min(max(share, 0.0), 1.0), 2)
    return Markup(
        '<svg class="bar" role="img" aria-label="{}"><rect class="rail" width="100%" height="100%" rx="3"/>'
        '<rect class="fill" width="{}%" height="100%" rx="3"/></svg>'
    ).format(said, width)


def steps(numbers: Sequence[float], said: str) -> Markup:
    """A row of small columns from zero, as high as the numbers; for a cell of a table."""
    most, width = max([*numbers, 1e-12]), 100 / max(len(numbers), 1)
    parts = [
        Markup('<rect class="fill" x="{:g}%" y="{:g}%" width="{:g}%" height="{:g}%"/>').format(
            round(width * (i + 0.08), 2), round(94 - 94 * number / most, 2), round(width * 0.84, 2),
            round(94 * number / most, 2),
        )
        for i, number in enumerate(numbers)
    ]  # fmt: skip
    floor = Markup('<line class="zero" x1="0" x2="100%" y1="97%" y2="97%"/>')
    return Markup('<svg class="steps" role="img" aria-label="{}">{}{}</svg>').format(
        said, Markup("").join(parts), floor
    )


def curve(points: Sequence[tuple[float, float]], said: str) -> Markup:
    """A line through (x, y) points, stretched to the width; at least two points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across, up = Scale(min(xs), max(xs)), Scale(min(ys), max(ys))
    line = " ".join(f"{across.at(x):g},{round(38 - 0.36 * up.at(y), 2):g}" for x, y in points)
    return Markup(
        '<svg class="curve" role="img" aria-label="{}" viewBox="0 0 100 40" preserveAspectRatio="none">'
        '<polyline points="{}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(said, line)


def reliability(bins: Sequence[Mapping[str, float]], said: str) -> Markup:
    """Probabilities said against shares bought, both on the same logarithmic axes; on the line they agree.

    bins  each with `predicted`, and `value`, `low`, `high` of what was bought, in [0, 1]; shares below the axis stand
    on its edge
    """
    least = min([part["predicted"] for part in bins if part["predicted"] > 0] + [0.1])
    low = max(math.floor(math.log10(least)), -6)
    axis = Scale(low, 0.0)

    def at(share: float) -> float:
        return axis.at(math.log10(share) if share > 0 else low)

    parts = []
    for power in range(low, 1):
        place, text = axis.at(power), f"{10.0 ** (power + 2):g}%"
        parts.append(
            Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(place)
            + Markup('<line class="grid" x1="0" x2="100%" y1="{0}%" y2="{0}%"/>').format(100 - place)
            + Markup('<text x="{}%" y="100%" dx="{}" dy="-4" text-anchor="{}">{}</text>').format(
                place, -5 if power == 0 else 5, "end" if power == 0 else "start", text
            )
        )
    ends = axis.at(low), axis.at(0.0)
    parts.append(Markup('<line class="mark" x1="{0}%" x2="{1}%" y1="{1}%" y2="{0}%"/>').format(*ends))
    for part in bins:
        place = at(part["predicted"])
        line = '<line class="whisker ours" x1="{0}%" x2="{0}%" y1="{1}%" y2="{2}%"/>'
        parts.append(Markup(line).format(place, 100 - at(part["low"]), 100 - at(part["high"])))
        parts.append(
            Markup('<circle class="dot ours" cx="{}%" cy="{}%" r="4"/>').format(place, 100 - at(part["value"]))
        )
    return Markup('<svg class="reliability" role="img" aria-label="{}">{}</svg>').format(said, Markup("").join(parts))


def _grid(axis: Scale) -> Markup:
    return Markup("").join(
        Markup('<line class="{}" x1="{}%" x2="{}%" y1="0" y2="100%"/>').format(
            "zero" if tick == 0 else "grid", axis.at(tick), axis.at(tick)
        )
        for tick in axis.ticks()
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}%".replace("-", "−")


def _short(number: float) -> str:
    if abs(number) >= 10:
        return f"{number:,.0f}".replace("-", "−")
    return f"{number:.4f}".rstrip("0").rstrip(".").replace("0.", ".").replace("-", "−") or "0"
