"""The protocol on rolling windows: every stage that learns is run again for each, nothing is carried over.

    python -m bench.windows --ends 2017-12-25 2017-11-27 2017-10-30 [--set rank.use_text=false] [--keep FOLDER]

Reads artifacts/validate and artifacts/embed of the checkout (run `make nightly` first) and works in a temporary folder.
`--keep` leaves metrics.json and per_customer.parquet of each window in FOLDER/END. The last line is one JSON object:
per window and task, ndcg@10 of every model, and what else is asked of the recommender.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from bench.machine import machine
from nightmarket.evaluation.protocol import TASKS, Window
from nightmarket.histories.calendar import day_of
from tasks.__main__ import main as run_stage
from tasks.pipeline.settings import sections

STAGES = ("prepare", "finetune", "rank", "evaluate")
KEPT = ("metrics.json", "per_customer.parquet")
DAYS = 28


def window_before(end: str) -> Window:
    """The 28 target days before the day `end`."""
    return Window.after(day_of(date.fromisoformat(end)) - DAYS - 1, DAYS)


def measure(checkout: Path, end: str, overrides: dict[str, Any], keep: Path | None = None) -> dict[str, Any]:
    """metrics.json of one window, which ends before Monday `end`."""
    params = sections(checkout / "params.yaml")
    params["prepare"]["window_end"] = end
    for key, value in overrides.items():
        section, name = key.split(".", 1)
        params[section][name] = value
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("artifacts").mkdir()
        for name in ("validate", "pretrain", "embed"):
            Path("artifacts", name).symlink_to(checkout / "artifacts" / name)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for stage in STAGES:
            if run_stage(stage):
                raise SystemExit(f"{stage} failed for the window that ends at {end}")
        if keep is not None:
            (keep / end).mkdir(parents=True, exist_ok=True)
            for name in KEPT:
                shutil.copyfile(Path("artifacts/evaluate", name), keep / end / name)
        return json.loads(Path("artifacts/evaluate/metrics.json").read_text(encoding="utf-8"))


def table(metrics: dict[str, Any], task: str) -> str:
    """One window and task as Markdown rows."""
    rows = []
    for name, figures in metrics[task].items():
        value = figures["ndcg@10"]
        row = f"| {task} | {name} | {value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}] |"
        if name in metrics["paired"][task]:
            gain = metrics["paired"][task][name]["ndcg@10"]
            row += f" {gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] |"
        else:
            row += " |"
        rows.append(row)
    return "\n".join(rows)


def main() -> None:
    """Measure every window that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", nargs="+", default=["2017-12-25", "2017-11-27", "2017-10-30"], metavar="MONDAY")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", dest="overrides")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    keep = args.keep.resolve() if args.keep else None
    overrides = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in args.overrides)}
    checkout = Path.cwd()
    os.environ.setdefault("NIGHTMARKET_HOME", str(checkout))
    by_end: dict[str, Any] = {}
    started = time.perf_counter()
    for end in args.ends:
        metrics = measure(checkout, end, overrides, keep)
        by_end[end] = metrics
        print(f"\nwindow before {end}\n\n| task | model | ndcg@10 | nightmarket minus it |\n|---|---|---|---|")
        print("\n".join(table(metrics, task) for task in TASKS), flush=True)
        for name, figures in metrics["debut"].items():
            if "audience_auc" in figures:
                area = figures["audience_auc"]
                print(f"audience AUC, {name}: {area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}]", flush=True)
        print(f"debut lists of permuted customers: {next(iter(metrics['checks'].values()))['value']:.4f}", flush=True)
    slim = {
        end: {task: {name: f["ndcg@10"] for name, f in of_window[task].items()} for task in TASKS}
        | {"audience_auc": {name: f["audience_auc"] for name, f in of_window["debut"].items() if "audience_auc" in f}}
        | {"calibration": {name: value for name, value in of_window["calibration"].items() if name != "bins"}}
        for end, of_window in by_end.items()
    }
    run = {"seconds": time.perf_counter() - started, "machine": machine()}
    run["seed"] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["rank"]["seed"]
    print(json.dumps({"windows": slim, "overrides": overrides} | run))


if __name__ == "__main__":
    sys.exit(main())
