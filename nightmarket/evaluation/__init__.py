"""How good is it: ranking metrics and honest intervals."""

from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.metrics import audience_auc, coverage, hits, novelty, rank_metrics
from nightmarket.evaluation.protocol import TASKS, Targets, Task, Window, Windows, launching, targets

__all__ = [
    "TASKS",
    "Interval",
    "Targets",
    "Task",
    "Window",
    "Windows",
    "audience_auc",
    "bootstrap",
    "coverage",
    "hits",
    "launching",
    "novelty",
    "paired",
    "rank_metrics",
    "targets",
]
