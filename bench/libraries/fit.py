"""One fit in a process of its own, so that time and peak memory are its own.

    python -m bench.libraries.fit JOB.json

The job names the adapter, its settings and seed, the shop's npz file and the tasks; beside it are written one npy file
(C, 20) per task and record.json. The tasks of a batch of customers come one after the other: a peer may keep its
scores, so that the first task carries their cost.
"""

import contextlib
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.libraries.shop import Ints, Shop, batches


class Clock:
    """Wall and CPU seconds (all threads of this process) per name."""

    def __init__(self) -> None:
        self.spent: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add what the block takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        total = self.spent.setdefault(name, {"seconds": 0.0, "cpu_seconds": 0.0})
        total["seconds"] += time.perf_counter() - wall
        total["cpu_seconds"] += time.process_time() - cpu


def peak_kib() -> int:
    """The most that this process ever held; ru_maxrss would count what the process that started it held then."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def main(path: Path) -> None:
    """Fit, recommend, record."""
    job = json.loads(path.read_text(encoding="utf-8"))
    shop = Shop.load(Path(job["shop"]))
    module, name = job["adapter"].split(":")
    adapter: Any = getattr(importlib.import_module(module), name)
    clock = Clock()
    with clock.of("fit"):
        library = adapter(seed=job["seed"], **job["settings"])
        library.fit(shop)
    lists_of: dict[str, list[Ints]] = {task: [] for task in job["tasks"]}
    for customers in batches(shop):
        for task in job["tasks"]:
            with clock.of(task):
                lists_of[task].append(library.recommend(customers, job["num"], task))
    for task in job["tasks"]:
        np.save(path.parent / f"{task}.npy", np.concatenate(lists_of[task]))
    record: dict[str, Any] = {
        "fit": clock.spent["fit"],
        "recommend": {task: clock.spent[task] for task in job["tasks"]},
    }
    record["peak_mib"] = round(peak_kib() / 1024)
    record["versions"] = {name: importlib.metadata.version(name) for name in job["packages"]}
    (path.parent / "record.json").write_text(json.dumps(record | {"job": job}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
