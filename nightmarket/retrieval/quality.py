"""How well towers, or plain text vectors, find what was bought next: three tasks of the protocol on one window.

Shapes: C customers, I items, T texts, D width of a text vector, E width of the towers' space.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import Targets, Task, Window, launching, num_customers, targets
from nightmarket.histories.calendar import weeks_before
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.nearest import best_items
from nightmarket.retrieval.tower import Tower

TASKS = (Task.ALL, Task.NEW, Task.DEBUT)
HALF_LIFE = 13.0
"""Weeks; the plain mean that stands for text without any training weighs purchases by this half-life."""


class Evaluator:
    """One window: histories up to its cut, targets after it.

    text_id        (I,)  text of each item
    recommendable  (I,)
    """

    def __init__(self, histories: Histories, text_id: Int32s, recommendable: Bools, window: Window) -> None:
        past, first_days = histories.until(window.cut), histories.first_days()
        bought = past.matrix()
        self.cut = window.cut
        self.text_id = text_id
        self.by_text = replace(past, item=text_id[past.item], num_items=int(text_id.max(initial=-1)) + 1)
        self.popularity = np.bincount(past.item, minlength=histories.num_items)
        every = targets(histories, window)
        self.targets: dict[str, Targets] = {task: every[task] for task in TASKS}
        sold = recommendable & (first_days <= window.cut)
        launched = np.zeros_like(sold)
        launched[launching(first_days, recommendable, window)] = True
        self._candidates = {Task.ALL: sold, Task.NEW: sold, Task.DEBUT: launched}
        self._own = Targets(bought.indptr.astype(np.int64), bought.indices.astype(np.int32))

    def num_customers(self) -> dict[str, int]:
        """Customers with targets, per task."""
        return num_customers(self.targets)

    def sample(self, num: int, seed: int) -> Int64s:
        """Some of the customers with targets, ascending."""
        customers = np.unique(np.concatenate([of_task.customers for of_task in self.targets.values()]))
        rng = np.random.default_rng(seed)
        return np.sort(rng.choice(customers, min(num, len(customers)), replace=False))

    def towers(self, tower: Tower, text_vectors: Float32s, rows: Int64s | None = None) -> dict[str, Float64s]:
        """NDCG@10 per task and customer, float64 (C,), NaN without targets or not in `rows`, by two towers."""
        texts = tower.items(text_vectors)
        customers = {
            intent: tower.customers(text_vectors, self.by_text, self.cut, intent, rows)
            for intent in ("repertoire", "launch")
        }
        return {
            task: self._ndcg(task, customers["launch" if task == Task.DEBUT else "repertoire"], texts, rows)
            for task in TASKS
        }

    def plain(self, text_vectors: Float32s) -> dict[str, Float64s]:
        """NDCG@10 per task and customer by text alone: the recency-weighted mean of what was bought, no training."""
        weight = np.power(0.5, weeks_before(self.by_text.day, self.cut) / HALF_LIFE).astype(np.float32)
        mean = np.asarray(self.by_text.matrix(weight) @ text_vectors, dtype=np.float32)
        customers = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        return {task: self._ndcg(task, customers, text_vectors, None) for task in TASKS}

    def _ndcg(self, task: Task, customers: Float32s, texts: Float32s, rows: Int64s | None) -> Float64s:
        wanted = self.targets[task]
        asked = wanted.customers if rows is None else np.intersect1d(wanted.customers, rows)
        exclude = (self._own.indptr, self._own.items) if task == Task.NEW else None
        best = best_items(
            customers, texts, self.text_id, self._candidates[task], self.popularity, asked, k=10, exclude=exclude
        )
        values = rank_metrics(best, wanted.indptr, wanted.items, cutoffs=(10,))["ndcg@10"]
        kept = np.full_like(values, np.nan)
        kept[asked] = values[asked]
        return kept


def before_after(
    before: dict[str, Float64s], after: dict[str, Float64s], evaluator: Evaluator, seed: int
) -> dict[str, Any]:
    """NDCG@10 per task with intervals, before, after, and the paired difference after - before.

    before, after  per task (C,), NaN where there is no target

    A task without targets in the window has figures of None and is named under `without_targets`.
    """
    report: dict[str, Any] = {"before": {}, "after": {}, "paired": {}, "num_customers": evaluator.num_customers()}
    for task in TASKS:
        report["before"][task] = {"ndcg@10": _as_dict(bootstrap(before[task], seed))}
        report["after"][task] = {"ndcg@10": _as_dict(bootstrap(after[task], seed))}
        report["paired"][task] = {"ndcg@10": _as_dict(paired(after[task], before[task], seed))}
    report["without_targets"] = [task for task, number in report["num_customers"].items() if number == 0]
    return report


def _as_dict(interval: Interval) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 6) for name, value in interval.content().items()}
