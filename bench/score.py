"""How delivery grows with the number of customers, on the made-up shop: seconds and memory of the stage `score`.

    python -m bench.score [--num-customers 2469] [--times 1 20] [--num-products 20000] [--repeats 3]

For each size a shop is written and prepared (not timed); the model is trained once, on the smallest. Then `score` runs
in a process of its own: seconds from the tables in memory to the written recommendations, and the whole process with
imports and reading. The last line is one JSON object.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.machine import machine
from nightmarket.testing.shop import write_shop
from tasks.__main__ import main as run_stage
from tasks.files import manifest

TRAINED = ("embed", "finetune", "rank")
WEEKS = 52
SEED = 7


def _params(tables: Path) -> dict[str, Any]:
    return {
        "snapshot": {"source": "folder", "folder": str(tables), "time_zone": "Asia/Shanghai"},
        "finetune": {"max_steps": 0, "trained_layers": 0},
        "rank": {},
    }


def _run(stages: tuple[str, ...]) -> None:
    for stage in stages:
        if run_stage(stage):
            raise SystemExit(f"{stage} failed")


def measure(folder: Path, num_customers: int, num_products: int, champion: Path, repeats: int) -> dict[str, Any]:
    """Write and prepare a shop in `folder`, train the champion if there is none yet, and time the stage `score`."""
    folder.mkdir(parents=True)
    with contextlib.chdir(folder):
        write_shop(folder / "tables", num_customers, num_products, WEEKS, seed=SEED)
        Path("params.yaml").write_text(yaml.safe_dump(_params(folder / "tables")), encoding="utf-8")
        _run(("snapshot", "validate", "prepare"))
        if not champion.exists():
            _run(TRAINED)
            for name in ("rank", "finetune"):
                shutil.copytree(Path("artifacts", name), champion / name)
            (champion / "receipt.json").write_text(json.dumps({"version": 1}), encoding="utf-8")
            manifest.write(champion)
        shutil.copytree(champion, "data/champion")
        command = [sys.executable, "-m", "bench.score", "--child"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        runs = []
        for _ in range(repeats):
            started = time.perf_counter()
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise SystemExit(f"score failed: {ended.stderr[-2000:]}")
            whole = time.perf_counter() - started
            runs.append(json.loads(ended.stdout.splitlines()[-1]) | {"process_s": whole})
    middle = sorted(runs, key=lambda run: run["scoring_s"])[len(runs) // 2]
    return {"num_customers": num_customers, **middle}


def child() -> None:
    """The stage `score` in the current folder, timed from the tables in memory on."""
    from tasks import score
    from tasks.files import storage
    from tasks.files.prepared import Prepared
    from tasks.models import recommender

    data = Prepared()
    champion = recommender.load(storage.CHAMPION / "rank")
    started = time.perf_counter()
    written = score.deliver(score.Settings(), data, champion)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"scoring_s": seconds, "peak_gib": peak, "lines": len(data.histories), **written}))


def main() -> None:
    """Measure every size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-customers", type=int, default=2469)
    parser.add_argument("--num-products", type=int, default=20_000)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child()
        return
    sys.path.insert(0, str(Path.cwd()))
    sizes = []
    with tempfile.TemporaryDirectory() as scratch:
        for times in args.times:
            size = times * args.num_customers
            place = Path(scratch, str(times))
            sizes.append(measure(place, size, args.num_products, Path(scratch, "champion"), args.repeats))
            measured = sizes[-1]
            print(
                f"{size:,} customers, {measured['lines']:,} lines: scoring {measured['scoring_s']:.1f} s, "
                f"whole process {measured['process_s']:.1f} s, peak {measured['peak_gib']:.2f} GiB",
                flush=True,
            )
            shutil.rmtree(place)
    ratio = sizes[-1]["scoring_s"] / sizes[0]["scoring_s"]
    print(json.dumps({"sizes": sizes, "ratio": ratio, "machine": machine(), "seed": SEED}))


if __name__ == "__main__":
    sys.exit(main())
