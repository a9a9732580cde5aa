"""Tonight against the weeks that the champion was trained on: one verdict, the nights before, the columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import words
from nightmarket.reporting.charts import Scale
from nightmarket.reporting.night import Night
from nightmarket.reporting.pictures import height

SHOWN = 8
"""Columns in the table, those that drifted first."""
LEFT, RIGHT, FLOOR = 6.0, 99.0, 94.0
TABLES = {"events": "Events", "products": "Products", "customers": "Customers", "predictions": "Predictions"}


@dataclass(frozen=True)
class DriftRow:
    """One column: how far off it is, in steps above its median night, and what that means."""

    table: str
    said: str
    score: str
    drifted: bool


@dataclass(frozen=True)
class Drift:
    """The section's words, picture and rows; shares holds (column, [(value, before, tonight)]) of what drifted."""

    verdict: str
    compared: str
    fresh: str
    picture: Markup | None
    rows: tuple[DriftRow, ...]
    num_left: int
    shares: tuple[tuple[str, list[tuple[str, str, str]]], ...]
    predictions: str


def view(night: Night) -> Drift | None:
    """The section, or None where the stage left nothing."""
    content = night.drift
    if content is None:
        return None
    columns: Sequence[Mapping[str, Any]] = content["columns"]
    drifted = [column for column in columns if column["drifted"]]
    first = drifted + [column for column in columns if not column["drifted"] and column["score"] is not None]
    shown = first[: max(SHOWN, len(drifted))]
    compared = (
        f"The week {words.short_day(content['week'][0])} to {words.short_day(content['week'][1])} beside "
        f"{words.short_day(content['reference'][0])} to {words.short_day(content['reference'][1])}, the last weeks "
        f"that version {content['champion']} was trained on."
    )
    return Drift(
        words.sentence(content["words"]),
        compared,
        _fresh(content.get("fresh") or {}),
        _picture(content.get("nights") or (), content["limit"]),
        tuple(_row(column) for column in shown),
        len(columns) - len(shown),
        tuple((name, _moved(rows)) for name, rows in (content.get("shares") or {}).items()),
        (content.get("predictions") or {}).get("words", ""),
    )


def line(night: Night) -> str:
    """What the top of the page says of it; "" where nothing drifted."""
    if night.drift is None or not night.drift["drifted"]:
        return ""
    return f"Drift: {words.sentence(night.drift['words'])}"


def silence(night: Night) -> str:
    """What the top of the page says where events are missing; "" where they are fresh."""
    return _fresh((night.drift or {}).get("fresh") or {})


def _row(column: Mapping[str, Any]) -> DriftRow:
    score = "" if column["score"] is None else f"{column['score']:.1f}".replace("-", "−")
    return DriftRow(TABLES.get(column["table"], column["table"]), column["words"], score, column["drifted"])


def _fresh(fresh: Mapping[str, Any]) -> str:
    if not fresh.get("silent_days"):
        return ""
    days = words.things(fresh["silent_days"], "full day")
    return (
        f"There are no events since {words.short_day(fresh['last_events'])}: {days} on which the shop usually has some."
    )


def _moved(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(str(row["value"]), words.percent(row["reference"]), words.percent(row["week"])) for row in rows]


def _picture(nights: Sequence[float | None], limit: float | None) -> Markup | None:
    """A dot per night, tonight's last and filled, and the limit as a line."""
    known = [(place, score) for place, score in enumerate(nights) if score is not None]
    if not known or limit is None or nights[-1] is None:
        return None
    up = Scale(min(0.0, *(score for _, score in known)), 1.05 * max(limit, *(score for _, score in known)))
    parts = []
    for tick in up.ticks(3):
        grid = '<line class="grid" x1="{0}%" x2="100%" y1="{1}%" y2="{1}%"/><text x="0" y="{1}%" dy="4">{2:g}</text>'
        parts.append(Markup(grid).format(LEFT, height(tick, up, FLOOR), tick))
    parts.append(
        Markup('<line class="delivers" x1="{0}%" x2="100%" y1="{1}%" y2="{1}%"/>').format(
            LEFT, height(limit, up, FLOOR)
        )
    )
    for place, score in known:
        last = place == len(nights) - 1
        kind, size = ("ours", 4) if last else ("theirs", 2)
        across = round(LEFT + 1 + (RIGHT - LEFT - 1) * place / max(len(nights) - 1, 1), 2)
        dot = '<circle class="dot {}" cx="{}%" cy="{}%" r="{}"/>'
        parts.append(Markup(dot).format(kind, across, height(score, up, FLOOR), size))
    above = "above" if nights[-1] > limit else "not above"
    said = f"Distance of {len(known)} nights from what their model was trained on; tonight is {above} the limit"
    return Markup('<svg class="course" role="img" aria-label="{}">{}</svg>').format(said, Markup("").join(parts))
