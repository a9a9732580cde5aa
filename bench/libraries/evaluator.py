"""Lists against the truth, with the metric code of every other figure."""

from typing import Any

import numpy as np

from bench.libraries.keeping import Truth
from bench.libraries.shop import Shop
from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.evaluation.metrics import coverage, rank_metrics

SEED = 17
METRICS = ("ndcg@10", "ndcg@20", "recall@10", "hit@10")
Vector = np.ndarray


def per_customer(lists: dict[str, np.ndarray], truth: Truth) -> dict[str, dict[str, Vector]]:
    """task → metric → (C,), NaN for customers without targets."""
    return {task: rank_metrics(recommended, *truth[task]) for task, recommended in lists.items()}


def mean_over_seeds(values: list[Vector]) -> Vector:
    """(C,) so that the customer stays the unit that is resampled."""
    return np.mean(values, axis=0)


def figures(
    of_seeds: list[dict[str, Vector]], lists_of_seeds: list[np.ndarray], shop: Shop, task: str
) -> dict[str, Any]:
    """Intervals of the mean over seeds, the seeds' own NDCG@10 and their standard deviation, and coverage."""
    content: dict[str, Any] = {}
    for metric in METRICS:
        values = mean_over_seeds([figures[metric] for figures in of_seeds])
        content[metric] = rounded(bootstrap(values, SEED)._asdict())
    each = [bootstrap(figures["ndcg@10"], SEED).value for figures in of_seeds]
    content["seeds"] = [round(value, 5) for value in each]
    content["seed_deviation"] = round(float(np.std(each, ddof=1)), 5) if len(each) > 1 else None
    num_items = shop.launching.size if task == "launch" else int(shop.sold.sum())
    content["coverage@10"] = round(float(np.mean([coverage(best, num_items) for best in lists_of_seeds])), 4)
    content["full_lists"] = round(float(np.mean([(best[:, 9] >= 0).mean() for best in lists_of_seeds])), 4)
    return content


def against(ours: Vector, theirs: Vector) -> dict[str, float]:
    """Interval of ours - theirs; customers whom either leaves out are left out. Both (C,)."""
    return rounded(paired(ours, theirs, SEED)._asdict())


def interval(values: Vector) -> dict[str, float]:
    """Mean with its interval over customers."""
    return rounded(bootstrap(values, SEED)._asdict())


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Five decimals: what a committed file needs."""
    return {name: round(value, 5) for name, value in values.items()}
