"""Quality by group: a table per way to group the customers, and a sentence where a group falls behind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Night
from nightmarket.reporting.quality import ModelRow, model_row


@dataclass(frozen=True)
class GroupTable:
    """One attribute: a row per level, with its figure and its gain over the strongest baseline."""

    title: str
    axis: Markup
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class GroupsView:
    """What the warnings say, and the tables of the task `all`."""

    verdict: str
    warnings: tuple[str, ...]
    against: str
    reach: str
    tables: tuple[GroupTable, ...]


def view(night: Night) -> GroupsView | None:
    """The section, or None when quality by group was not measured.

    The content is metrics.groups, {task: what `evaluation.groups` gives}; warnings are given for every task.
    """
    groups = night.metrics.groups
    shown = groups.get("all")
    if not shown or not shown.get("by"):
        return None
    warnings = tuple(
        _warning(warning, task, of["against"]) for task, of in groups.items() for warning in of["warnings"]
    )
    against = words.model(shown["against"]) if shown.get("against") else ""
    number = len(warnings)
    if not against:
        verdict = "There is no baseline to compare the groups with."
    elif number == 0:
        verdict = "No group would be better off with the strongest baseline, as far as chance lets us tell."
    else:
        verdict = f"{number} group{'s fall' if number > 1 else ' falls'} behind:"
    tables = tuple(_table(name, levels) for name, levels in shown["by"].items())
    return GroupsView(verdict, warnings, against, f"{100 * shown['confidence']:.2f}".rstrip("0").rstrip("."), tables)


def _warning(warning: Mapping[str, Any], task: str, against: str) -> str:
    title = words.TASKS.get(task, (task, ""))[0]
    who = f"{_attribute(warning['attribute'])} “{warning['level']}” ({words.count(warning['num_customers'])} customers)"
    return f"{title}: {who} would be better off with {words.model(against)}: {words.interval(warning, plus=True)}."


def _attribute(name: str) -> str:
    """ "attr_household_size" → "Household size"."""
    return "Length of history" if name == "history" else name.removeprefix("attr_").replace("_", " ").capitalize()


def _table(name: str, levels: Mapping[str, Any]) -> GroupTable:
    axis = charts.scale([figure for figure in levels.values() if words.known(figure)])
    rows = []
    for level, figure in sorted(levels.items(), key=_order):
        if not words.known(figure):
            continue
        row = model_row(level, figure, axis, figure.get("gain"), False, None)
        rows.append(replace(row, note=f"{words.count(figure['num_customers'])} customers"))
    return GroupTable(_attribute(name), charts.axis_labels(axis), tuple(rows))


def _order(group: tuple[str, Any]) -> tuple[bool, float, bool, str]:
    """By the first number in the name, "Under 15" before "15-24"; then by name; "other" and "unknown" last."""
    name = group[0]
    number = re.search(r"\d+(?:\.\d+)?", name)
    later = not name.lower().startswith(("up to", "under"))
    return (name in ("other", "unknown"), float(number[0]) if number else 0.0, later, name)
