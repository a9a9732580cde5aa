"""How good the recommendations are: against every baseline, in slices, and what the text encoder learned."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from nightmarket.evaluation.figures import METRIC, OURS, PLANNED, Metrics, by_model, finite
from nightmarket.ranking.recipe import AND, FOREST, POPULARITY
from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night

OWN = (OURS, PLANNED)
VARIANTS = (*OWN, "text_before", "text_after")
"""Models that are ours or parts of ours; the others are baselines."""
SLICES = {"history": "By length of history", "department": "By department"}


@dataclass(frozen=True)
class ModelRow:
    """One line of a chart that is a table: name, drawing, figure, and ours minus this model."""

    name: str
    ours: bool
    chart: Markup
    figure: str
    reach: str
    difference: str = ""
    difference_reach: str = ""
    standing: str = ""
    note: str = ""


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
    metric: str
    axis: Markup
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class TextRow:
    """One task: before, after and their difference, and what the difference says."""

    title: str
    before: tuple[str, str]
    after: tuple[str, str]
    difference: tuple[str, str]
    standing: words.Standing


@dataclass(frozen=True)
class TextView:
    """Fine-tuning in words and figures; each figure is a value and its interval."""

    verdict: str
    weeks: str
    rows: tuple[TextRow, ...]
    curve: tuple[Markup, str] | None
    spent: str


def tasks(night: Night) -> list[TaskView]:
    """A view per task that has figures of ours."""
    return [_task(key, night.metrics) for key in words.TASKS if METRIC in finite(night.metrics.ours(key))]


def _task(key: str, metrics: Metrics) -> TaskView:
    figures, paired = (finite(by_model(of)) for of in (metrics.task(key), metrics.paired.get(key, {})))
    axis, ours = charts.scale(list(figures.values())), figures[OURS]["value"]
    ordered = sorted(figures.items(), key=lambda item: (-item[1]["value"], item[0] != OURS, item[0]))
    rows = tuple(model_row(words.model(name), f, axis, paired.get(name), name == OURS, ours) for name, f in ordered)
    title, meaning = words.TASKS[key]
    number = words.count(metrics.num_customers.get(key, 0))
    verdict = _verdict(figures, paired) + _order(metrics.recipe.get(key))
    verdict += _audience(finite(metrics.ours(key)).get("audience_auc"))
    return TaskView(key, title, meaning, number, verdict, charts.axis_labels(axis), rows)


def _order(choice: Content | None) -> str:
    """What else the lists are ordered by than the forest, and why; "" where the forest orders them."""
    if choice is None or choice["order"] == FOREST:
        return ""
    if AND in choice["order"]:
        return (
            f" These lists join several orders (“{choice['order']}”): before this window, on purchases that the forest "
            f"had not learned from, it was not clearly better than “{choice['rival']}”, and joined they reached "
            f"{words.interval(choice['joined'])} (the forest alone {words.interval(choice['forest'])}, the other "
            f"{words.interval(choice['simple'])})."
        )
    better = "nothing learned was clearly better" if choice["order"] in POPULARITY else "it did better"
    return (
        f" These lists are ordered by “{choice['order']}” alone: before this window, on purchases that the forest had "
        f"not learned from, {better} ({words.interval(choice['simple'])}, the forest "
        f"{words.interval(choice['forest'])})."
    )


def _audience(figure: Content | None) -> str:
    """How well the audience of one launch is distinguished from other customers; "" where it was not measured."""
    if figure is None:
        return ""
    return (
        f" Of a buyer and another customer, the buyer stands higher in the launch’s audience with a chance of "
        f"{words.interval(figure)} (mean over {words.count(figure['num_launches'])} launches with five buyers or more)."
    )


def model_row(
    name: str, figure: Mapping[str, float], axis: charts.Scale, difference: Any, ours: bool, mark: float | None
) -> ModelRow:
    """A figure with its interval, and its difference to another where that is known."""
    said = f"{name}: {words.interval(figure)}"
    chart = charts.whisker(figure, axis, said, ours=ours, mark=None if ours else mark)
    compared = words.known(difference) and not ours
    return ModelRow(
        name=name,
        ours=ours,
        chart=chart,
        figure=words.fraction(figure["value"]),
        reach=words.reach(figure),
        difference=words.signed(difference["value"]) if compared else "",
        difference_reach=words.reach(difference) if compared else "",
        standing=words.standing(difference) if compared else "",
    )


def figure_row(
    name: str, figure: Mapping[str, float], axis: charts.Scale, write: Callable[[float], str], note: str = "", *,
    ours: bool = False, filled: bool = False, mark: float | None = None,
) -> ModelRow:  # fmt: skip
    """A figure with its interval as `write` writes numbers, alone; drawn as ours where it is `ours` or `filled`."""
    said, reach = write(figure["value"]), words.reach(figure, write)
    chart = charts.whisker(figure, axis, f"{name}: {said} {reach}", ours=ours or filled, mark=mark)
    return ModelRow(name, ours, chart, said, reach, note=note)


def best_baseline(figures: Mapping[str, Mapping[str, float]]) -> str | None:
    """The baseline with the highest mean, or None."""
    rivals = {name: figure["value"] for name, figure in figures.items() if name not in VARIANTS}
    return max(sorted(rivals), key=rivals.__getitem__, default=None)


def _verdict(figures: Mapping[str, Mapping[str, float]], paired: Mapping[str, Any]) -> str:
    best = best_baseline(figures)
    if best is None or best not in paired:
        return "There is no baseline to compare with."
    difference = paired[best]
    said = {
        "better": "Customer by customer, nightmarket is better, and chance does not explain it",
        "level": "Customer by customer, nightmarket and this baseline cannot be told apart",
        "worse": "Customer by customer, nightmarket is worse, and chance does not explain it",
    }[words.standing(difference)]
    return f"The strongest baseline is {words.model(best)}. {said}: {words.interval(difference, plus=True)}."


def slices(night: Night) -> list[Slice]:
    """One view per way to cut the customers; groups without a finite figure are left out.

    A title is "history ndcg@10". Where there are groups, they tell of the length of history, with more.
    """
    by_title = {title: finite(groups) for title, groups in night.metrics.slices.items()}
    if night.metrics.groups:
        by_title = {title: groups for title, groups in by_title.items() if not title.startswith("history")}
    return [_slice(title, groups) for title, groups in by_title.items() if groups]


def _slice(title: str, groups: Mapping[str, Mapping[str, float]]) -> Slice:
    name, _, metric = title.rpartition(" ")
    if "@" not in metric:
        name, metric = title, METRIC
    axis = charts.scale(list(groups.values()))
    rows = []
    for group, figure in sorted(groups.items(), key=_group_order):
        row = model_row(group, figure, axis, None, False, None)
        num = figure.get("num_customers")
        rows.append(replace(row, note=f"{words.count(num)} customers" if num is not None else ""))
    shown = {"ndcg": "NDCG", "mrr": "MRR"}.get(metric.split("@")[0], metric.split("@")[0].capitalize())
    return Slice(SLICES.get(name, name), f"{shown}@{metric.split('@')[1]}", charts.axis_labels(axis), tuple(rows))


def _group_order(group: tuple[str, Mapping[str, float]]) -> tuple[float, bool, float]:
    """Groups named by a number in its order, "over 90" after "up to 90"; others by their figure, best first."""
    number = re.search(r"\d+", group[0])
    return (float(number[0]), group[0].startswith("over"), 0.0) if number else (0.0, False, -group[1]["value"])


def text(night: Night) -> TextView | None:
    """What fine-tuning did to the text encoder, or None when nothing is known about it.

    The test window is shown where the stage measured it: the validation window chose the step, so it flatters.
    """
    history = night.history
    if history is None:
        return None
    measured = history.get("test", history)
    rows: list[TextRow] = []
    said: dict[str, list[str]] = {"better": [], "level": [], "worse": []}
    for task, (title, _) in words.TASKS.items():
        parts = [measured.get(part, {}).get(task, {}).get(METRIC) for part in ("before", "after", "paired")]
        if not all(map(words.known, parts)):
            continue
        before, after, difference = parts
        standing = words.standing(difference)
        said[standing].append(f"“{title.lower()}”")
        was, now = ((words.fraction(f["value"]), words.reach(f)) for f in (before, after))
        rows.append(TextRow(title, was, now, (words.signed(difference["value"]), words.reach(difference)), standing))
    weeks = "weeks that training never saw" if "test" in history else "the weeks that also chose when to stop"
    return TextView(_text_verdict(said, history), weeks, tuple(rows), _validation(history), _spent(history))


def _validation(history: Content) -> tuple[Markup, str] | None:
    """How the quality on the validation weeks moved, from two measurements on."""
    points = [(float(v["step"]), float(v[METRIC])) for v in history.get("validation", ()) if v.get(METRIC) is not None]
    if len(points) < 2:
        return None
    (first, low), (last, high) = points[0], points[-1]
    said = f"from {words.fraction(low)} at step {first:.0f} to {words.fraction(high)} at step {last:.0f}"
    said = f"NDCG@10 on the validation weeks while training, {said}"
    return charts.curve(points, said), said


def _spent(history: Content) -> str:
    said = f"{words.count(history.get('num_steps', 0))} steps on {history.get('device', 'an unknown device')}"
    best = history.get("best_step")
    return said if best is None else f"{said}, of which step {words.count(best)} was kept"


def _text_verdict(said: Mapping[str, list[str]], history: Content) -> str:
    parts = []
    if said["better"]:
        parts.append(f"Fine-tuning helped on {words.listed(said['better'])}.")
    if said["worse"]:
        parts.append(f"It hurt on {words.listed(said['worse'])}.")
    if said["level"]:
        parts.append(f"On {words.listed(said['level'])} no difference can be distinguished from chance.")
    if history.get("encoder") == "untouched":
        parts.append(
            "The encoder itself was left as it came, because it validated better so; the customer tower is new."
        )
    return " ".join(parts) or "Fine-tuning was not measured tonight."
