"""How well towers, or plain text vectors, find what was bought next: the three tasks of the protocol on one window.

Shapes: C customers, I items, T texts, D width of a text vector, E width of the towers' space.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.evaluation import Interval, bootstrap, paired, rank_metrics
from nightmarket.histories import Histories, Window
from nightmarket.retrieval.nearest import best_items
from nightmarket.retrieval.tower import Tower

TASKS = ("all", "new", "launch")
HALF_LIFE = 13.0
"""Weeks; the plain mean that stands for text without any training weighs purchases by this half-life."""

Vectors = NDArray[np.float32]
Rows = tuple[NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True)
class Task:
    """Targets as (indptr, items), candidates (I,), and the items per customer that are left out, or None."""

    targets: Rows
    candidates: NDArray[np.bool_]
    exclude: Rows | None

    @property
    def concerned(self) -> NDArray[np.int64]:
        """Customers with a target."""
        return np.flatnonzero(np.diff(self.targets[0]) > 0)


class Judge:
    """One window: histories up to its cut, targets after it.

    text_id        (I,)  text of each item
    first_week     (I,)  week of each item's first sale
    recommendable  (I,)

    Candidates of `all` and `new` are the recommendable items sold by the cut; those of `launch` the products that come
    on sale in the target weeks: which ones do is the retailer's decision and known beforehand, who wants them is not.
    """

    def __init__(
        self,
        histories: Histories,
        text_id: NDArray[np.int32],
        first_week: NDArray[np.int32],
        recommendable: NDArray[np.bool_],
        window: Window,
    ) -> None:
        past = histories.until(window.fit_until)
        after = histories.between(window.first_target, window.last_target)
        bought = past.matrix()
        self.cut = window.fit_until
        self.text_id = text_id
        self.by_text = replace(past, item=text_id[past.item], num_items=int(text_id.max(initial=-1)) + 1)
        self.popularity = np.bincount(past.item, minlength=histories.num_items)
        known = recommendable & (first_week <= window.fit_until)
        launched = recommendable & (first_week >= window.first_target) & (first_week <= window.last_target)
        new = after.targets(bought)
        before = (bought.indptr.astype(np.int64), bought.indices.astype(np.int32))
        self.tasks = {
            "all": Task(_only(after.targets(), known), known, None),
            "new": Task(_only(new, known), known, before),
            "launch": Task(_only(new, launched), launched, None),
        }

    def num_customers(self) -> dict[str, int]:
        """Customers with targets, per task."""
        return {name: len(task.concerned) for name, task in self.tasks.items()}

    def sample(self, num: int, seed: int) -> NDArray[np.int64]:
        """Some of the customers with targets, ascending."""
        concerned = np.unique(np.concatenate([task.concerned for task in self.tasks.values()]))
        rng = np.random.default_rng(seed)
        return np.sort(rng.choice(concerned, min(num, len(concerned)), replace=False))

    def towers(
        self, tower: Tower, text_vectors: Vectors, rows: NDArray[np.int64] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """NDCG@10 per task and customer, float64 (C,), NaN where not concerned or not in `rows`, by two towers."""
        texts = tower.items(text_vectors)
        customers = {
            intent: tower.customers(text_vectors, self.by_text, self.cut, intent, rows)
            for intent in ("repertoire", "launch")
        }
        return {
            name: self._ndcg(name, customers["launch" if name == "launch" else "repertoire"], texts, rows)
            for name in TASKS
        }

    def plain(self, text_vectors: Vectors) -> dict[str, NDArray[np.float64]]:
        """NDCG@10 per task and customer by text alone: the recency-weighted mean of what was bought, no training."""
        weight = np.power(0.5, (self.cut - self.by_text.week) / HALF_LIFE).astype(np.float32)
        mean = np.asarray(self.by_text.matrix(weight) @ text_vectors, dtype=np.float32)
        customers = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        return {name: self._ndcg(name, customers, text_vectors, None) for name in TASKS}

    def _ndcg(
        self, name: str, customers: Vectors, texts: Vectors, rows: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        task = self.tasks[name]
        asked = task.concerned if rows is None else np.intersect1d(task.concerned, rows)
        best = best_items(
            customers, texts, self.text_id, task.candidates, self.popularity, asked, k=10, exclude=task.exclude
        )
        values = rank_metrics(best, *task.targets, cutoffs=(10,))["ndcg@10"]
        kept = np.full_like(values, np.nan)
        kept[asked] = values[asked]
        return kept


def _only(targets: Rows, mask: NDArray[np.bool_]) -> Rows:
    indptr, items = targets
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[mask[items]]
    return np.searchsorted(owner, np.arange(len(indptr))).astype(np.int64), items[mask[items]]


def before_after(
    before: dict[str, NDArray[np.float64]], after: dict[str, NDArray[np.float64]], judge: Judge, seed: int
) -> dict[str, Any]:
    """NDCG@10 per task with intervals, before, after, and the paired difference after - before.

    before, after  per task (C,), NaN where not concerned

    A task without targets in the window has figures of zero and is named under `without_targets`.
    """
    report: dict[str, Any] = {"before": {}, "after": {}, "paired": {}, "num_customers": judge.num_customers()}
    for task in TASKS:
        report["before"][task] = {"ndcg@10": _as_dict(bootstrap(before[task], seed))}
        report["after"][task] = {"ndcg@10": _as_dict(bootstrap(after[task], seed))}
        report["paired"][task] = {"ndcg@10": _as_dict(paired(after[task], before[task], seed))}
    report["without_targets"] = [task for task, number in report["num_customers"].items() if number == 0]
    return report


def _as_dict(interval: Interval) -> dict[str, float]:
    return {name: round(value, 6) for name, value in interval._asdict().items()}
