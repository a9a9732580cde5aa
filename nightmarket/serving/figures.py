"""Figures as a registry takes them: flat names and finite numbers, and NDCG@10 of every model as a picture."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def flatten_params(content: Mapping[str, Any]) -> dict[str, str]:
    """params.yaml as {"rank.seed": "17"}; lists and empty sections as JSON, in which YAML's dates are text."""
    flat: dict[str, str] = {}
    for path, value in _leaves(content):
        if path[1:] or value not in ({}, None):
            flat[".".join(path)] = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return flat


def flatten_metrics(content: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """metrics.json's numbers as {"all.nightmarket.ndcg_at_10": …, "….low": …, "….high": …}, and what was left out.

    The second value names the figures that are missing or not finite. They are never logged: a registry would store
    NaN without a word and turn infinity into a very large figure.
    """
    flat: dict[str, float] = {}
    left_out: list[str] = []
    for path, value in _leaves(content):
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            continue
        if value is None or not math.isfinite(value):
            left_out.append(".".join(path))
        else:
            flat[_allowed(".".join(path[:-1] if path[-1] == "value" else path))] = float(value)
    return flat, left_out


def _allowed(name: str) -> str:
    """A name of letters, digits, `_-. :/` only, as MLflow asks for."""
    name = name.replace("@", "_at_")
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-. :/") else "_" for letter in name)


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(content, Mapping) and content:
        for key in sorted(content):
            yield from _leaves(content[key], (*path, str(key)))
    else:
        yield path, content


OURS = "#b4690e"
OTHERS = "#8a93a6"


def ndcg_bars(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """A bar chart per task; rows hold task, model, value, low, high as in ndcg.csv; those without a number are left
    out."""
    from matplotlib.figure import Figure  # seconds, and a search needs none

    rows = [row for row in rows if isinstance(row["value"], float | int)]
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure = Figure(figsize=(4.2 * max(len(tasks), 1), 3.6), layout="constrained")
    for place, task in enumerate(tasks):
        axes = figure.add_subplot(1, len(tasks), place + 1)
        shown = sorted((row for row in rows if row["task"] == task), key=lambda row: float(row["value"]))
        values = [float(row["value"]) for row in shown]
        reach = [
            [max(float(row["value"]) - float(row["low"]), 0.0) for row in shown],
            [max(float(row["high"]) - float(row["value"]), 0.0) for row in shown],
        ]
        colours = [OURS if row["model"] == "nightmarket" else OTHERS for row in shown]
        axes.barh([str(row["model"]) for row in shown], values, xerr=reach, color=colours, ecolor="#333333", capsize=2)
        axes.set_title(task)
        axes.set_xlabel("NDCG@10, 95% interval over customers")
        axes.spines[["top", "right"]].set_visible(False)
    return figure
