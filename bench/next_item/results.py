"""What came out: NDCG@10 and the share of lists that hold the target, by shop, target, events told and age."""

from collections import defaultdict
from typing import Any

import numpy as np

from bench.domains.measure import Pool, minus
from nightmarket.evaluation.metrics import rank_metrics

OURS = "nightmarket"
METRICS = ("ndcg@10", "hit@10")
Key = tuple[str, str, str, str]
"""Shop, target, events told, age in days."""


class Results:
    """Figures of every question, as they come in."""

    def __init__(self) -> None:
        self._parts: dict[Key, dict[str, list[tuple[int, np.ndarray, dict[str, np.ndarray]]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.milliseconds: list[float] = []
        self.settings: dict[str, Any] = {}
        self.orders: dict[str, list[Any]] = defaultdict(list)

    def add(self, key: Key, method: str, seed: int, units: list[int], lists: np.ndarray, targets: list) -> None:  # type: ignore[type-arg]
        """The lists (Q, 10) of one method for the questions of one day, and their targets."""
        indptr = np.append(0, np.cumsum([wanted.size for wanted in targets])).astype(np.int64)
        wanted_items = np.concatenate([*targets, np.zeros(0, np.int32)]).astype(np.int32)
        figures = rank_metrics(lists, indptr, wanted_items, (10,))
        self._parts[key][method].append((seed, np.array(units, np.int64), {name: figures[name] for name in METRICS}))

    def _pool(self, key: Key, method: str, metric: str) -> Pool:
        return Pool.of([(seed, units, figures[metric]) for seed, units, figures in self._parts[key][method]])

    def content(self) -> dict[str, Any]:
        """{shop: {target: {events told: {age: {method: {metric: {value, low, high}}}}}}}, and `paired`: ours minus each
        other method, and `questions`."""
        content: dict[str, Any] = {}
        paired: dict[str, Any] = {}
        questions: dict[str, Any] = {}
        for key, methods in self._parts.items():
            place, beside, asked = (_at(tree, key) for tree in (content, paired, questions))
            for method in methods:
                place[method] = {metric: _rounded(self._pool(key, method, metric)) for metric in METRICS}
                asked["num"] = int((~np.isnan(self._pool(key, OURS, METRICS[0]).value)).sum())
                if method != OURS:
                    beside[method] = {
                        metric: _rounded(minus(self._pool(key, OURS, metric), self._pool(key, method, metric)))
                        for metric in METRICS
                    }
        took = np.array(self.milliseconds) if self.milliseconds else np.zeros(1)
        cost = {"median": round(float(np.median(took)), 2), "p95": round(float(np.quantile(took, 0.95)), 2)}
        beside_all = {"paired": paired, "questions": questions, "milliseconds": cost}
        return content | beside_all | {"settings": self.settings, "orders": dict(self.orders)}


def _at(tree: dict[str, Any], key: Key) -> dict[str, Any]:
    for name in key:
        tree = tree.setdefault(name, {})
    return tree


def _rounded(pool: Pool) -> dict[str, float]:
    return {name: round(value, 5) for name, value in pool.interval()._asdict().items()}


def markdown(content: dict[str, Any]) -> str:
    """One table per shop and target: a row for each method, NDCG@10 and below it ours minus it."""
    lines: list[str] = []
    for shop, targets in content.items():
        if shop not in content["paired"]:
            continue
        for target, by_events in targets.items():
            columns = [(told, age) for told, ages in by_events.items() for age in ages]
            heads = [f"k={told}, {age} d" for told, age in columns]
            lines += ["", f"| {shop}, {target} | " + " | ".join(heads) + " |", "|---" * (len(columns) + 1) + "|"]
            for method in by_events[columns[0][0]][columns[0][1]]:
                cells = [_cell(content, (shop, target, *column), method) for column in columns]
                lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines).strip()


def _cell(content: dict[str, Any], key: Key, method: str) -> str:
    figures = _at(content, key)[method]
    cell = f"{figures['ndcg@10']['value']:.4f}, hit {figures['hit@10']['value']:.3f}"
    gain = _at(content["paired"], key).get(method)
    if gain is None:
        return cell
    value, low, high = gain["ndcg@10"].values()
    return cell + f"<br>{value:+.4f} [{low:+.4f}, {high:+.4f}]"
