"""The evaluation as a picture for the registry: NDCG@10 of every model, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

OURS = "#b4690e"
OTHERS = "#8a93a6"


def ndcg_bars(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A bar chart per task; rows hold task, model, value, low, high as in ndcg.csv."""
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
