"""The protocol on rolling windows: every stage that learns is run again for each, nothing is carried over.

    python -m bench.windows --ends 2017-12-25 2017-11-27 2017-10-30 [--set rank.use_text=false]

Reads artifacts/validate and artifacts/embed of the checkout (run `make nightly` first) and works in a temporary folder.
The last line is one JSON object: per window and task, ndcg@10 of every model and the paired difference to each.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tasks.__main__ import main as run_stage
from tasks.settings import sections

STAGES = ("prepare", "finetune", "rank", "evaluate")


def measure(checkout: Path, end: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """metrics.json of one window, which ends before Monday `end`."""
    params = sections(checkout / "params.yaml")
    params["prepare"]["window_end"] = end
    for key, value in overrides.items():
        section, name = key.split(".", 1)
        params[section][name] = value
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("artifacts").mkdir()
        for name in ("validate", "embed"):
            Path("artifacts", name).symlink_to(checkout / "artifacts" / name)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for stage in STAGES:
            if run_stage(stage):
                raise SystemExit(f"{stage} failed for the window that ends at {end}")
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
    args = parser.parse_args()
    overrides = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in args.overrides)}
    checkout = Path.cwd()
    os.environ.setdefault("NIGHTMARKET_HOME", str(checkout))
    found: dict[str, Any] = {}
    started = time.perf_counter()
    for end in args.ends:
        metrics = measure(checkout, end, overrides)
        found[end] = {key: metrics[key] for key in ("all", "new", "launch", "paired")}
        print(f"\nwindow before {end}\n\n| task | model | ndcg@10 | nightmarket minus it |\n|---|---|---|---|")
        print("\n".join(table(metrics, task) for task in ("all", "new", "launch")), flush=True)
    slim = {
        end: {
            task: {name: figures["ndcg@10"] for name, figures in of_window[task].items()}
            for task in ("all", "new", "launch")
        }
        for end, of_window in found.items()
    }
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "seconds": time.perf_counter() - started}
    print(json.dumps({"windows": slim, "overrides": overrides, "machine": machine}))


if __name__ == "__main__":
    sys.exit(main())
