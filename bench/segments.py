"""How far the partition of customers can be trusted: methods, stability, other nights, the classifier, the value.

    python -m bench.segments [--weeks-back 1 4 13] [--seeds 10]

Reads artifacts/prepare and artifacts/validate of the checkout (run `make nightly` first) and works in a temporary
folder. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.machine import machine
from nightmarket.evaluation.protocol import Windows
from nightmarket.histories.calendar import last_whole_week, week_of
from nightmarket.histories.histories import Histories
from nightmarket.segments import behaviour, worth
from nightmarket.segments.behaviour import Visits
from nightmarket.segments.grouping import Grouping, agreement, group
from tasks import segment
from tasks.files import storage
from tasks.files.prepared import Prepared
from tasks.pipeline.settings import load

WEEKS = 52
SEED = 17


def whole_stage(checkout: Path) -> tuple[dict[str, Any], float]:
    """segments.json of the stage as it would run tonight, and its seconds without imports."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("artifacts").mkdir()
        for name in ("validate", "prepare"):
            Path("artifacts", name).symlink_to(checkout / "artifacts" / name)
        started = time.perf_counter()
        settings = load("segment", checkout / "params.yaml")
        assert isinstance(settings, segment.Settings)
        segment.run(settings)
        return storage.read_json(Path("artifacts/segment/segments.json")), time.perf_counter() - started


def shop() -> tuple[Histories, Visits, pd.DataFrame, Windows]:
    """Purchases, visits, products and windows of the checkout."""
    data = Prepared()
    seen = segment.read_visits(data.customers, data.windows.time_zone)
    return data.histories, seen, data.products, data.windows


def made(lines: Histories, seen: Visits, products: pd.DataFrame, weeks: int, seed: int) -> tuple[Grouping, pd.Series]:
    """The groups that would have been made so many weeks ago, and the group of each customer."""
    day = int(lines.day.max()) - 7 * weeks
    since = day - 7 * WEEKS
    known = lines.where((lines.day > since) & (lines.day <= day))
    shelf = behaviour.assortment(products, known)
    visits = seen.where((seen.day > since) & (seen.day <= day))
    features = behaviour.behaviour(known, visits, shelf, day).dropna()
    partition = group(features, 8, seed)
    return partition, pd.Series(partition.segment, features.index)


def others(
    lines: Histories, seen: Visits, products: pd.DataFrame, back: list[int], num_seeds: int
) -> list[dict[str, Any]]:
    """What would have been chosen weeks ago, and tonight with other seeds, and how far it agrees with tonight's."""
    _, tonight = made(lines, seen, products, 0, SEED)
    rows = []
    for weeks, seed in [(weeks, SEED) for weeks in back] + [(0, seed) for seed in range(1, num_seeds + 1)]:
        partition, labels = made(lines, seen, products, weeks, seed)
        row = next(row for row in partition.table if row.k == len(partition.centres))
        agreed = {f"tonight_{name}": value for name, value in agreement(tonight, labels).items()}
        rows.append(
            {"weeks_back": weeks, "seed": seed, "groups": len(partition.names), "ari": row.ari, "halves": row.halves}
            | agreed
        )
    return rows


def values(lines: Histories, windows: Windows, back: list[int], seed: int) -> list[dict[str, Any]]:
    """Error of the value per customer on the 13 weeks that end so many weeks before the last complete one."""
    rows = []
    first, last = week_of(windows.first_day) + 1, last_whole_week(windows.test.last_target)
    for weeks in sorted({0, *back}):
        forecast = worth.worth(lines, first, last - weeks, seed)
        if forecast:
            figures = {name: getattr(forecast, name)._asdict() for name in ("model", "naive", "paired")}
            rows.append(
                {"weeks_back": weeks, "weeks": forecast.weeks, "bias": float(np.nanmean(forecast.error))} | figures
            )
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks-back", nargs="+", type=int, default=[1, 4, 13])
    parser.add_argument("--seeds", type=int, default=10, help="other seeds that tonight's groups are made with")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    started = time.perf_counter()
    result, seconds = whole_stage(Path.cwd())
    print("| method | parameters | groups | noise | silhouette | ARI, 80% | weakest group | ARI, halves | smallest |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in result["methods"]:
        cells = [row["method"], ", ".join(f"{k} {v}" for k, v in row["parameters"].items()), str(row["groups"])]
        cells += [f"{row['noise']:.0%}"]
        names = ("silhouette", "ari", "weakest_group", "halves")
        cells += [f"{row[name]:.2f}" if row.get(name) is not None else "–" for name in names]
        print("| " + " | ".join([*cells, str(row.get("smallest", "–"))]) + " |")
    lines, seen, products, windows = shop()
    told = others(lines, seen, products, args.weeks_back, args.seeds)
    print("\n| weeks back | seed | groups | ARI, 80% | ARI, halves | same number tonight | ARI with tonight |")
    print("|---|---|---|---|---|---|---|")
    for row in told:
        halves = f"{row['halves']:.2f}" if row["halves"] is not None else "–"
        print(
            f"| {row['weeks_back']} | {row['seed']} | {row['groups']} | {row['ari']:.2f} | {halves} | "
            f"{row['tonight_same']:.1%} | {row['tonight_ari']:.2f} |"
        )
    worths = values(lines, windows, [4, 8], SEED)
    print("\n| held-out weeks end, weeks back | mean absolute error | as much as before | ours minus it | mean error |")
    print("|---|---|---|---|---|")
    for row in worths:
        model, naive, gain = (row[name] for name in ("model", "naive", "paired"))
        print(
            f"| {row['weeks_back']} | {model['value']:.1f} [{model['low']:.1f}, {model['high']:.1f}] | "
            f"{naive['value']:.1f} | {gain['value']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}] | "
            f"{row['bias']:+.1f} |"
        )
    print(f"\nclassifier, held-out customers: {result['classifier']}")
    run = {"seconds": time.perf_counter() - started, "machine": machine(), "seed": SEED}
    keys = ("num_segments", "num_customers", "methods", "week_before", "classifier", "value")
    print(
        json.dumps(
            {key: result[key] for key in keys} | {"others": told, "values": worths, "stage_seconds": seconds} | run
        )
    )


if __name__ == "__main__":
    sys.exit(main())
