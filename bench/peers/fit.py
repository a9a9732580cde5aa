"""One fit in a process of its own, so that time and peak memory are its own.

    python -m bench.peers.fit JOB.json

The job names the adapter, its settings and seed, the shop's npz file and the tasks; beside it are written one npy file
(C, 20) per task and record.json.
"""

import importlib
import importlib.metadata
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.shop import Shop, lists


class Clock:
    """Wall and CPU seconds (all threads of this process) since the last reading."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> dict[str, float]:
        """Seconds since the last call."""
        now = time.perf_counter(), time.process_time()
        before = getattr(self, "_last", now)
        self._last = now
        return {"seconds": round(now[0] - before[0], 2), "cpu_seconds": round(now[1] - before[1], 2)}


def main(path: Path) -> None:
    """Fit, recommend, record."""
    job = json.loads(path.read_text(encoding="utf-8"))
    shop = Shop.load(Path(job["shop"]))
    module, name = job["adapter"].split(":")
    adapter: Any = getattr(importlib.import_module(module), name)
    clock = Clock()
    peer = adapter(seed=job["seed"], **job["settings"])
    peer.fit(shop)
    record = {"fit": clock.read(), "recommend": {}}
    for task in job["tasks"]:
        found = lists(peer, shop, task, job["num"])
        record["recommend"][task] = clock.read()
        np.save(path.parent / f"{task}.npy", found)
    record["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    record["versions"] = {name: importlib.metadata.version(name) for name in job["packages"]}
    (path.parent / "record.json").write_text(json.dumps(record | {"job": job}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
