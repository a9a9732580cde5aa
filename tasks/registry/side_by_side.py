"""`make compare A=1 B=2`: two registered versions side by side, figures with paired differences, parameters, data."""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nightmarket.contracts import InputError
from nightmarket.evaluation.figures import METRIC
from nightmarket.evaluation.intervals import Interval
from nightmarket.reporting import words
from nightmarket.serving import gate
from tasks.pipeline import lifetime
from tasks.registry import card, challenger, champion, store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

SEED = 17


@dataclass(frozen=True)
class ComparedVersions:
    """Both records, as `card.record` gives them, and what differs.

    figures     (task, first's figure, second's, second minus first paired by customer); None where one is not known
    unpaired    why no difference is paired; "" where they are
    parameters  (name, first's value, second's) of those that differ; "" where a version has none
    data        (table, first's rows, second's, whether the content is the same)
    """

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    figures: list[tuple[str, Any, Any, dict[str, float] | None]]
    unpaired: str
    parameters: list[tuple[str, str, str]]
    data: list[tuple[str, int | None, int | None, bool]]


def compare(first: int, second: int) -> ComparedVersions:
    """InputError where one of them is not registered."""
    registry = store.for_reading()
    versions = [store.chosen(registry, number) for number in (first, second)]
    records = [card.record(registry, version) for version in versions]
    differences, unpaired = _differences(registry, versions)
    own = [(record["decision"] or {}).get("metrics") or {} for record in records]
    figures = [
        (task, *(_figure(metrics, task) for metrics in own), differences.get(task))
        for task in (gate.FIRST, *gate.GUARDED)
        if any(task in metrics for metrics in own)
    ]
    params, tables = ([record["lineage"][what] for record in records] for what in ("params", "data"))
    names = sorted(params[0].keys() | params[1].keys())
    parameters = [(name, params[0].get(name, ""), params[1].get(name, "")) for name in names]
    data = []
    for name in sorted(tables[0].keys() | tables[1].keys()):
        sides = [table.get(name, {}) for table in tables]
        data.append((name, *(side.get("rows") for side in sides), sides[0].get("sha256") == sides[1].get("sha256")))
    return ComparedVersions(
        records[0], records[1], figures, unpaired, [row for row in parameters if row[1] != row[2]], data
    )


def _figure(metrics: Mapping[str, Any], task: str) -> Any:
    return metrics.get(task, {}).get(METRIC)


def _differences(registry: "Registry", versions: list["ModelVersion"]) -> tuple[dict[str, dict[str, float]], str]:
    """{task: second minus first}, and why there are none."""
    try:
        receipts = [registry.kept(version, champion.RECEIPT) for version in versions]
    except Exception:
        return {}, "older code kept too little of one of them"
    if receipts[0]["window"] != receipts[1]["window"]:
        return {}, "they were judged on different weeks"
    if receipts[0].get("prepared") != receipts[1].get("prepared"):
        return {}, "they were judged on the same weeks of different data"
    scores = []
    with tempfile.TemporaryDirectory() as folder:
        for place, version in enumerate(versions):
            into = Path(folder) / str(place)
            into.mkdir()
            registry.fetch(version, (champion.PER_CUSTOMER,), str(into))
            scores.append(pd.read_parquet(into / champion.PER_CUSTOMER))
    paired: dict[str, Interval] = {
        task: challenger.paired_difference(scores[1], scores[0], task, SEED) for task in challenger.TASKS
    }
    return {task: interval._asdict() for task, interval in paired.items() if gate.finite(interval._asdict())}, ""


def text(compared: ComparedVersions) -> str:
    """For a terminal."""
    lines = [f"{'NDCG@10':10} {'A':>20} {'B':>20}  B minus A, customer by customer"]
    for task, first, second, difference in compared.figures:
        own = [words.interval(figure) if figure else "" for figure in (first, second)]
        paired = f"{words.interval(difference, plus=True)} {words.standing(difference)}" if difference else ""
        lines.append(f"{task:10} {own[0]:>20} {own[1]:>20}  {paired}".rstrip())
    if compared.unpaired:
        lines.append(f"no difference is paired: {compared.unpaired}")
    lines += ["", "Parameters that differ" if compared.parameters else "No parameter differs"]
    lines += [f"{name}: {first or '–'} → {second or '–'}" for name, first, second in compared.parameters]
    lines += ["", "Data"]
    for name, rows, others, same in compared.data:
        sizes = " and ".join("–" if number is None else f"{number:,}" for number in (rows, others))
        lines.append(f"{name}: {sizes} rows, {'the same content' if same else 'content differs'}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 with one line where there is no such version."""
    parser = argparse.ArgumentParser(prog="python -m tasks.registry.side_by_side", description=__doc__)
    parser.add_argument("first", type=int, help="number of a version")
    parser.add_argument("second", type=int, help="number of the other one")
    given = parser.parse_args(arguments)
    try:
        print(text(compare(given.first, given.second)))
    except InputError as error:
        print(f"nightmarket: compare: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
