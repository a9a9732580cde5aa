"""Snapshot and validate of several shops beside one folder of as many rows.

Two made-up shops of a million purchase lines each (more with --rows), parquet: once as two folders with prefixed ids,
another zone and another currency, once as two folders that share customers and products, and once as one folder that
holds the lines of both. Every run is a process of its own; the fastest of --repeats counts, because others may use the
machine. The last line is one JSON object: seconds of CPU and of the clock per million lines, and peak MiB.

    python -m bench.folders --rows 2000000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench.machine import machine

ROOT = Path(__file__).parents[1]
START = np.datetime64("2024-01-01", "us")
YEAR = 365 * 86400 * 10**6
STEPS = ("snapshot", "validate")
RUN = """
import json, sys, time
from tasks.__main__ import main
wall, cpu = time.perf_counter(), time.process_time()
assert main(sys.argv[1]) == 0
told = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(told | {"peak": peak / 1024}))
"""


def tables(rng: np.random.Generator, rows: int, people: range, goods: int) -> dict[str, pa.Table]:
    """Events and products of one shop, lines in the order of time."""
    money = np.round(rng.random(rows) * 20, 2)
    events = {
        "customer_id": np.char.zfill(rng.choice(people, rows).astype(str), 7),
        "product_id": np.char.zfill(rng.integers(0, goods, rows).astype(str), 7),
        "timestamp": START + np.sort(rng.integers(0, YEAR, rows)).astype("timedelta64[us]"),
        "quantity": rng.integers(1, 4, rows).astype(float),
        "value": money,
        "discount": np.round(money * 0.1, 2),
        "basket_id": np.char.zfill((np.arange(rows) // 5).astype(str), 8),
        "channel": rng.choice(["S1", "S2", "S3", "S4"], rows),
    }
    ids = np.char.zfill(np.arange(goods).astype(str), 7)
    products = {"product_id": ids, "title": np.char.add("Product ", ids), "category": ["A > B > C"] * goods}
    return {"events": pa.table(events), "products": pa.table(products | {"price": np.round(rng.random(goods), 2)})}


def write(folder: Path, tables: dict[str, pa.Table]) -> None:
    """One parquet file per table."""
    folder.mkdir()
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")


def settings(kind: str) -> dict:
    """params.yaml of one way to read the same lines."""
    section: dict = {"time_zone": "Europe/London", "business_date": "2024-12-31"}
    if kind == "one folder":
        return {"snapshot": section | {"source": "folder", "folder": "both"}, "validate": {}}
    ids = dict.fromkeys(("customers", "products"), kind.split()[-1])
    far = {"time_zone": "Asia/Shanghai", "currency": "CNY", "rate": 0.11}
    folders = [{"name": "a", "folder": "a"} | ids, {"name": "b", "folder": "b"} | ids | far]
    return {"snapshot": section | {"source": "folders", "currency": "GBP", "folders": folders}, "validate": {}}


def measure(place: Path, step: str) -> dict[str, float]:
    """Seconds and MiB of one step in a fresh process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", RUN, step], cwd=place, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def main() -> None:
    """Make the shops, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="purchase lines of each shop")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    asked = parser.parse_args()
    rng = np.random.default_rng(7)
    people, goods = 50_000, 50_000
    first = tables(rng, asked.rows, range(people), goods)
    second = tables(rng, asked.rows, range(people, 2 * people), goods)  # as many people as in one folder
    by_kind: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write(place / "a", first)
        write(place / "b", second)
        write(place / "both", first | {"events": pa.concat_tables([first["events"], second["events"]])})
        del first, second
        kinds = ("one folder", "two, ids own", "two, ids shared")
        runs: dict[tuple[str, str], list[dict[str, float]]] = {}
        for repeat in range(asked.repeats):
            for kind in kinds:
                (place / "params.yaml").write_text(yaml.safe_dump(settings(kind)), encoding="utf-8")
                for step in asked.steps:
                    runs.setdefault((kind, step), []).append(measure(place, step))
                    print(f"{repeat + 1}: {kind}, {step}: {runs[kind, step][-1]}", flush=True)
        millions = 2 * asked.rows / 1e6
        for (kind, step), several in runs.items():
            best = {what: min(run[what] for run in several) for what in ("cpu", "wall", "peak")}
            told = {"cpu_s_per_million": best["cpu"] / millions, "wall_s_per_million": best["wall"] / millions}
            by_kind.setdefault(kind, {})[step] = {k: round(v, 3) for k, v in told.items()} | {
                "peak_mib": round(best["peak"])
            }
    print(json.dumps({"lines": 2 * asked.rows} | by_kind | machine(("pyarrow", "duckdb", "great_expectations"))))


if __name__ == "__main__":
    main()
