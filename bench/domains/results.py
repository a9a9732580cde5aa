"""What came out: a table of shops, tasks and methods, and the same as JSON."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.domains.measure import Pool, minus
from bench.domains.question import TASKS
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.intervals import Interval

REFERENCE = "ease_behaviour"
"""What the others are set against where nightmarket takes no part."""
OURS = "nightmarket"


class Results:
    """Figures of every shop, window and method, as they come in."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, dict[str, list[tuple[int, Int64s, Float64s]]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        self._cost: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
        self.settings: dict[str, dict[str, Any]] = defaultdict(dict)

    def add(
        self, shop: str, method: str, seed: int, asked: Int64s, figures: dict[str, Float64s], seconds: float, mib: float
    ) -> None:
        """One method on one window."""
        for task, values in figures.items():
            self._parts[shop][task][method].append((seed, asked, values))
        self._cost[shop][method].append((seconds, mib))

    def _pools(self, shop: str, task: str) -> dict[str, Pool]:
        parts = self._parts[shop][task]
        most = max((len(windows) for windows in parts.values()), default=0)
        return {method: Pool.of(windows) for method, windows in parts.items() if len(windows) == most}

    def content(self) -> dict[str, Any]:
        """{shop: {task: {method: {value, low, high}}}}; beside it `paired` (the reference minus the method), `windows`
        (means of each window) and `cost` (mean seconds and highest MiB of a window)."""
        content: dict[str, Any] = {shop: {} for shop in self._parts}
        paired: dict[str, Any] = {shop: {} for shop in self._parts}
        windows: dict[str, Any] = {shop: {} for shop in self._parts}
        for shop, tasks in self._parts.items():
            for task in (task for task in TASKS if task in tasks):
                pools = self._pools(shop, task)
                content[shop][task] = {method: _rounded(pool.interval()) for method, pool in pools.items()}
                windows[shop][task] = {
                    method: [round(Pool.of([part]).interval().value, 5) for part in tasks[task][method]]
                    for method in pools
                }
                reference = self.reference(pools)
                paired[shop][task] = {
                    method: _rounded(minus(pools[reference], pool).interval())
                    for method, pool in pools.items()
                    if reference and method != reference
                }
        cost = {
            shop: {
                method: {
                    "seconds": round(sum(part[0] for part in spent) / len(spent), 2),
                    "mib": round(max(part[1] for part in spent)),
                }
                for method, spent in methods.items()
            }
            for shop, methods in self._cost.items()
        }
        return content | {"paired": paired, "windows": windows, "cost": cost, "settings": dict(self.settings)}

    @staticmethod
    def reference(pools: dict[str, Pool]) -> str:
        """Ours, or the usual reference, or whoever comes first."""
        return next((name for name in (OURS, REFERENCE) if name in pools), next(iter(pools), ""))


def _rounded(interval: Interval) -> dict[str, float]:
    return {name: round(value, 5) for name, value in interval._asdict().items()}


def markdown(content: dict[str, Any]) -> str:
    """One table per shop: NDCG@10 of each task with its interval, reference minus method, seconds and MiB."""
    lines = []
    for shop, cost in content["cost"].items():
        tasks = [task for task in TASKS if task in content[shop]]
        lines += ["", f"| {shop} | " + " | ".join(tasks) + " | s | MiB |", "|---" * (len(tasks) + 3) + "|"]
        for method, spent in cost.items():
            cells = [_cell(content, shop, task, method) for task in tasks]
            lines.append(f"| {method} | " + " | ".join(cells) + f" | {spent['seconds']:.1f} | {spent['mib']:,} |")
    return "\n".join(lines).strip()


def _cell(content: dict[str, Any], shop: str, task: str, method: str) -> str:
    figure = content[shop][task].get(method)
    if figure is None:
        return "–"
    cell = f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
    gain = content["paired"][shop][task].get(method)
    return cell + (f"<br>{gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]" if gain else "")


def say(content: Mapping[str, Any], table: str, keep: Path | None) -> None:
    """Print the table and, as the last line, one JSON object; it is written to `keep` too."""
    print(table)
    if keep:
        keep.write_text(json.dumps(content, indent=1), encoding="utf-8")
    print(json.dumps(content))
