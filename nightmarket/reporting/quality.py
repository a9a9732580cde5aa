"""How good the recommendations are: against every baseline, in slices, and what the text encoder learned."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night

METRIC = "ndcg@10"
OURS = "nightmarket"
OWN = (OURS, "nightmarket_no_promotions")
VARIANTS = (*OWN, "text_before", "text_after")
"""Models that are ours or parts of ours; the others are baselines."""


@dataclass(frozen=True)
class ModelRow:
    """One line of a chart that is a table: name, drawing, figure, and ours minus this model."""

    name: str
    ours: bool
    chart: Markup
    figure: str
    reach: str
    difference: str
    standing: str


@dataclass(frozen=True)
class TaskView:
    """One task: what it asks, the answer in words, and a row per model, best first."""

    key: str
    title: str
    meaning: str
    num_customers: str
    verdict: str
    axis: Markup
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class Slice:
    """One way to cut the customers, with a row per group."""

    title: str
    axis: Markup
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class TextView:
    """Fine-tuning in words and rows: task, before, after, difference."""

    verdict: str
    rows: tuple[tuple[str, str, str, str, str], ...]
    curve: Markup | None
    spent: str


def tasks(night: Night) -> list[TaskView]:
    """A view per task that has figures of ours."""
    metrics = night.metrics or {}
    return [_task(key, metrics) for key in words.TASKS if words.known(metrics.get(key, {}).get(OURS, {}).get(METRIC))]


def _task(key: str, metrics: Content) -> TaskView:
    figures = {model: f[METRIC] for model, f in metrics[key].items() if words.known(f.get(METRIC))}
    paired = {model: f.get(METRIC) for model, f in metrics.get("paired", {}).get(key, {}).items()}
    axis, ours = charts.scale(list(figures.values())), figures[OURS]["value"]
    ordered = sorted(figures.items(), key=lambda item: (-item[1]["value"], item[0] != OURS, item[0]))
    rows = tuple(_row(words.model(name), f, axis, paired.get(name), name == OURS, ours) for name, f in ordered)
    title, meaning = words.TASKS[key]
    number = words.count(metrics.get("num_customers", {}).get(key, 0))
    return TaskView(key, title, meaning, number, _verdict(figures, paired), charts.axis_labels(axis), rows)


def _row(
    name: str, figure: Mapping[str, float], axis: charts.Scale, difference: Any, ours: bool, mark: float | None
) -> ModelRow:
    said = f"{name}: {words.interval(figure)}"
    chart = charts.whisker(figure, axis, said, ours=ours, mark=None if ours else mark)
    compared = words.known(difference) and not ours
    return ModelRow(
        name=name,
        ours=ours,
        chart=chart,
        figure=words.fraction(figure["value"]),
        reach=words.reach(figure),
        difference=words.interval(difference, plus=True) if compared else "",
        standing=words.standing(difference) if compared else "",
    )


def best_baseline(figures: Mapping[str, Mapping[str, float]]) -> str | None:
    """The baseline with the highest mean, or None."""
    rivals = {name: figure["value"] for name, figure in figures.items() if name not in VARIANTS}
    return max(sorted(rivals), key=rivals.__getitem__, default=None)


def _verdict(figures: Mapping[str, Mapping[str, float]], paired: Mapping[str, Any]) -> str:
    best = best_baseline(figures)
    if best is None or not words.known(paired.get(best)):
        return "There is no baseline to compare with."
    difference = paired[best]
    said = {
        "better": "Customer by customer, nightmarket is better, and chance does not explain it",
        "level": "Customer by customer, nightmarket and this baseline cannot be told apart",
        "worse": "Customer by customer, nightmarket is worse, and chance does not explain it",
    }[words.standing(difference)]
    return f"The strongest baseline is {words.model(best)}. {said}: {words.interval(difference, plus=True)}."


def slices(night: Night) -> list[Slice]:
    """One view per way to cut the customers; groups without a finite figure are left out."""
    found: dict[str, list[tuple[str, Mapping[str, float]]]] = {}
    for path, figure in _figures((night.metrics or {}).get("slices") or {}):
        found.setdefault(" · ".join(map(words.model, path[:-1])), []).append((path[-1], figure))
    views = []
    for title, groups in found.items():
        axis = charts.scale([figure for _, figure in groups])
        rows = tuple(_row(words.model(name), figure, axis, None, False, None) for name, figure in groups)
        views.append(Slice(title or "groups", charts.axis_labels(axis), rows))
    return views


def _figures(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, float]]]:
    """Every NDCG@10 below a nested mapping, with the names that lead to it; `nightmarket` itself is no name."""
    if not isinstance(content, Mapping):
        return
    figure = content.get(METRIC, content)
    if words.known(figure) and path:
        yield path, figure
        return
    for name, part in content.items():
        yield from _figures(part, path if name == OURS else (*path, str(name)))


def text(night: Night) -> TextView | None:
    """What fine-tuning did to the text encoder, or None when nothing is known about it."""
    history = night.history
    if history is None:
        return None
    rows, said = [], {"better": [], "level": [], "worse": []}  # type: tuple[list[tuple[str, str, str, str, str]], dict[str, list[str]]]
    for task, (title, _) in words.TASKS.items():
        before, after, difference = (
            history.get(part, {}).get(task, {}).get(METRIC) for part in ("before", "after", "paired")
        )
        if not (words.known(before) and words.known(after) and words.known(difference)):
            continue
        standing = words.standing(difference)
        said[standing].append(title.lower())
        rows.append((title, words.interval(before), words.interval(after), words.interval(difference, True), standing))
    points = [(float(v["step"]), float(v[METRIC])) for v in history.get("validation", ()) if v.get(METRIC) is not None]
    drawn = None
    if len(points) > 1:
        first, last = points[0], points[-1]
        drawn = charts.curve(
            points,
            f"NDCG@10 on the validation weeks: {words.fraction(first[1])} at step {first[0]:.0f}, "
            f"{words.fraction(last[1])} at step {last[0]:.0f}",
        )
    steps, device = history.get("num_steps", 0), history.get("device", "an unknown device")
    return TextView(_text_verdict(said), tuple(rows), drawn, f"{words.count(steps)} steps on {device}")


def _text_verdict(said: Mapping[str, list[str]]) -> str:
    parts = []
    if said["better"]:
        parts.append(f"Fine-tuning made the encoder better on {words.listed(said['better'])}.")
    if said["worse"]:
        parts.append(f"It made it worse on {words.listed(said['worse'])}.")
    if said["level"]:
        parts.append(f"On {words.listed(said['level'])} no difference can be told from chance.")
    return " ".join(parts) or "Fine-tuning was not measured tonight."
