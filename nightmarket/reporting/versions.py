"""Quality over time: what each registered version reached on its own night, and which of them delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.evaluation.figures import METRIC
from nightmarket.reporting import pictures, words
from nightmarket.reporting.night import Content, Night

TASKS = ("all", "new", "launch")
NUM_VERSIONS = 40
"""Versions in a picture, the latest ones."""
BY_HAND = {"promote": ", promoted by hand", "rollback": ", by a rollback"}
NUM_ROWS = 15
"""Versions in the table."""


@dataclass(frozen=True)
class VersionRow:
    """One version in the table: number, night, figure by task, the gate's word, when it delivered, and whether it does
    today."""

    version: str
    night: str
    figures: tuple[str, ...]
    decision: str
    delivered: str
    delivers: bool


@dataclass(frozen=True)
class VersionsView:
    """The section: words, a picture per task (title, drawing), and the latest versions, newest first."""

    verdict: str
    pictures: tuple[tuple[str, Markup], ...]
    titles: tuple[str, ...]
    rows: tuple[VersionRow, ...]


def view(night: Night) -> VersionsView | None:
    """The section, or None where no version is on record.

    night.versions holds the rows of data/raw/versions.json: version, as_of, gate (opened, refused), value (NDCG@10 on
    `all`) and, where the code was new enough, figures {task: {value, low, high}} and delivered [{since, until, by}].
    They are as old as the snapshot; tonight's version and the one that delivers are added from the gate's word and the
    receipt.
    """
    rows = _rows(night)
    if not rows:
        return None
    delivers = (night.receipt or {}).get("version")
    drawn = []
    for task in TASKS:
        points = [point for row in rows[-NUM_VERSIONS:] if (point := _point(row, task)) is not None]
        if len(points) > 1:
            title = words.TASKS[task][0]
            drawn.append((title, pictures.course(points, _said(title, points))))
    shown = tuple(_shown(row, delivers) for row in reversed(rows[-NUM_ROWS:]))
    titles = tuple(words.TASKS[task][0] for task in TASKS)
    return VersionsView(_verdict(rows, delivers), tuple(drawn), titles, shown)


def _rows(night: Night) -> list[dict[str, Any]]:
    """Every known version once, by number."""
    by_number = {int(row["version"]): dict(row) for row in night.versions or ()}
    for said in (night.receipt, night.decision):
        if said and said.get("metrics"):
            gate = said.get("gate", said)
            number = int(said["version"])
            row = {"version": number, "as_of": said["as_of"], "gate": "opened" if gate.get("opened") else "refused"}
            by_number[number] = {**by_number.get(number, {}), **row, "figures": _figures(said["metrics"])}
    return [by_number[number] for number in sorted(by_number)]


def _figures(metrics: Content) -> dict[str, Any]:
    return {task: metrics[task][METRIC] for task in TASKS if words.known(metrics.get(task, {}).get(METRIC))}


def _figure(row: Mapping[str, Any], task: str) -> Mapping[str, float] | None:
    """NDCG@10 of a version; rows of old know the value on `all` alone, without an interval."""
    figure: Mapping[str, float] = (row.get("figures") or {}).get(task) or {}
    if words.known(figure):
        return figure
    value = row.get("value")
    if task == "all" and isinstance(value, int | float):
        return {"value": value, "low": value, "high": value}
    return None


def _point(row: Mapping[str, Any], task: str) -> pictures.Point | None:
    figure = _figure(row, task)
    if figure is None:
        return None
    name = words.short_day(row["as_of"]) if row.get("as_of") else f"version {row['version']}"
    return pictures.Point(name, figure["value"], figure["low"], figure["high"], _champion(row))


def _champion(row: Mapping[str, Any]) -> bool:
    """Whether the version ever delivered: let through by the gate, or promoted by hand."""
    return row["gate"] == "opened" or bool(row.get("delivered"))


def _spans(row: Mapping[str, Any]) -> str:
    """When the version delivered, by the clock of the registry (UTC); "" where that is not on record."""
    said = []
    for span in row.get("delivered") or ():
        until = f"until {words.short_day(span['until'][:10])}" if span.get("until") else ""
        by = BY_HAND.get(str(span.get("by")), "")
        said.append(f"{words.short_day(span['since'][:10])} {until}".strip() + by)
    return "; ".join(said)


def _shown(row: Mapping[str, Any], delivers: Any) -> VersionRow:
    figures = [_figure(row, task) for task in TASKS]
    shown = [
        "–" if f is None else words.interval(f) if f["high"] > f["low"] else words.fraction(f["value"]) for f in figures
    ]
    decision = "let through" if row["gate"] == "opened" else "refused"
    night = words.short_day(row["as_of"]) if row.get("as_of") else "unknown"
    now = row["version"] == delivers
    return VersionRow(str(row["version"]), night, tuple(shown), decision, _spans(row) or ("now" if now else "–"), now)


def _said(title: str, points: list[pictures.Point]) -> str:
    first, last = points[0], points[-1]
    champions = sum(point.champion for point in points)
    went = f"from {words.fraction(first.value)} on {first.name} to {words.fraction(last.value)} on {last.name}"
    return f"{title}: NDCG@10 {went}, {len(points)} versions, {champions} of them champion; the figures stand below"


def _verdict(rows: list[dict[str, Any]], delivers: Any) -> str:
    champions = [row for row in rows if _champion(row)]
    if len(rows) == 1:
        return (
            "This is the first version on record. From the second one on, pictures stand here: how good each version "
            "was on its night, and which of them delivered."
        )
    said = f"{len(rows)} versions are on record; {len(champions)} of them became champion."
    reigning = next((row for row in rows if row["version"] == delivers), None)
    if reigning is not None and reigning.get("as_of"):
        said += f" Version {delivers} delivers, made on {words.day(reigning['as_of'])}."
    return said
