"""How far the partition of customers can be trusted: methods, stability, other nights, the classifier, the value.

    python -m bench.segments [--weeks-back 0 1 4 13]

Reads artifacts/prepare and artifacts/validate of the checkout (run `make nightly` first) and works in a temporary
folder. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import logging
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightmarket import segments
from nightmarket.histories import Histories
from nightmarket.segments import OTHER, Visits
from tasks import segment, storage
from tasks.settings import load


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


def shop() -> tuple[Histories, Visits, pd.DataFrame, dict[str, Any]]:
    """Purchases, visits, products and windows of the checkout."""
    customers = storage.read_table(segment.PREPARED / "customers.parquet").to_pandas()
    products = storage.read_table(segment.PREPARED / "products.parquet").to_pandas()
    windows = storage.read_json(segment.PREPARED / "windows.json")
    lines = segment.read_lines(len(customers), len(products))
    return lines, segment.read_visits(customers, windows["time_zone"]), products, windows


def nights(lines: Histories, seen: Visits, products: pd.DataFrame, back: list[int], seed: int) -> list[dict[str, Any]]:
    """What would have been chosen that many weeks ago, and how far those groups agree with tonight's."""
    rows: list[dict[str, Any]] = []
    tonight: pd.Series | None = None
    for weeks in sorted({0, *back}):
        day = int(lines.day.max()) - 7 * weeks
        known = lines.where(lines.day <= day)
        shelf = segments.shelf(products, known)
        features = segments.behaviour(known, seen.where(seen.day <= day), shelf, day).dropna()
        found = segments.group(features, 8, seed)
        labels = pd.Series(found.segment, features.index)
        tonight = labels if tonight is None else tonight
        row = next(row for row in found.table if row.k == len(found.centres))
        rows.append(
            {"weeks_back": weeks, "groups": len(found.names), "ari": row.ari, "halves": row.halves}
            | {"other": int((found.segment == OTHER).sum())}
            | {f"tonight_{name}": value for name, value in segments.agreement(tonight, labels).items()}
        )
    return rows


def values(lines: Histories, windows: dict[str, Any], back: list[int], seed: int) -> list[dict[str, Any]]:
    """Error of the value per customer on the 13 weeks that end so many weeks before the last complete one."""
    rows = []
    for weeks in sorted({0, *back}):
        found = segments.worth(lines, windows["first_week"] + 1, windows["test"]["last_target"] - weeks, seed)
        if found:
            figures = {name: getattr(found, name)._asdict() for name in ("model", "naive", "paired")}
            rows.append({"weeks_back": weeks, "weeks": found.weeks, "bias": float(np.nanmean(found.error))} | figures)
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks-back", nargs="+", type=int, default=[0, 1, 4, 13])
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
    told = nights(lines, seen, products, args.weeks_back, 17)
    print("\n| weeks back | groups | ARI, 80% | ARI, halves | same number tonight | ARI with tonight |")
    print("|---|---|---|---|---|---|")
    for row in told:
        halves = f"{row['halves']:.2f}" if row["halves"] is not None else "–"
        print(
            f"| {row['weeks_back']} | {row['groups']} | {row['ari']:.2f} | {halves} | {row['tonight_same']:.0%} | "
            f"{row['tonight_ari']:.2f} |"
        )
    worths = values(lines, windows, [4, 8], 17)
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
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "seconds": time.perf_counter() - started}
    keys = ("num_segments", "num_customers", "methods", "week_before", "classifier", "value")
    print(
        json.dumps(
            {key: result[key] for key in keys}
            | {"nights": told, "values": worths, "stage_seconds": seconds, "machine": machine}
        )
    )


if __name__ == "__main__":
    sys.exit(main())
