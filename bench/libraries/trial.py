"""One peer with one setting and one seed on one window: run in a process of its own, or found in the store."""

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.libraries.keeping import STORE, fingerprint
from bench.libraries.roster import ROSTER

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"
PLACES = 20
MOST_MIB = 6144
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class TrialError(Exception):
    """A fit that ended without lists."""


@dataclass(frozen=True)
class Trial:
    """What came out: `record` as bench.libraries.fit writes it, `lists` (C, 20) per task."""

    record: dict[str, Any]
    lists: dict[str, np.ndarray]

    @property
    def cpu_seconds(self) -> float:
        """Fit and recommend."""
        spent: float = self.record["fit"]["cpu_seconds"]
        return spent + sum(task["cpu_seconds"] for task in self.record["recommend"].values())


def folder_of(name: str, end: str, settings: dict[str, Any], seed: int, store: Path = STORE) -> Path:
    """Where the store keeps it."""
    key = json.dumps([ROSTER[name].adapter, settings, seed, fingerprint(store / end / "shop.npz")], sort_keys=True)
    return store / end / "fits" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def run(name: str, end: str, settings: dict[str, Any], seed: int, store: Path = STORE) -> Trial:
    """The trial, from the store where it is there. Raises TrialError with the last lines of the child's log."""
    folder, entry = folder_of(name, end, settings, seed, store), ROSTER[name]
    record = folder / "record.json"
    if not record.exists():
        folder.mkdir(parents=True, exist_ok=True)
        job = {"adapter": entry.adapter, "settings": settings, "seed": seed, "tasks": entry.tasks, "num": PLACES}
        job |= {"shop": str(store / end / "shop.npz"), "packages": entry.packages}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _child(PYTHON if entry.packages else Path(sys.executable), folder)
    content = json.loads(record.read_text(encoding="utf-8"))
    _within(content["peak_mib"])
    lists = {task: np.load(folder / f"{task}.npy", allow_pickle=False) for task in entry.tasks}
    return Trial(content, lists)


def _child(python: Path, folder: Path) -> None:
    """Run bench.libraries.fit on one thread; end it when it holds more than MOST_MIB."""
    if not python.exists():
        raise TrialError(f"{python} is not there; run `python -m bench.libraries setup`")
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-m", "bench.libraries.fit", str(folder / "job.json")]
    with (folder / "log.txt").open("wb") as out:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        watched = psutil.Process(child.pid)
        try:
            while child.poll() is None:
                time.sleep(0.2)
                try:
                    held = watched.memory_info().rss / 2**20
                except psutil.Error:
                    continue
                _within(held)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    if child.returncode:
        tail = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise TrialError(f"exit {child.returncode}: " + " | ".join(tail))


def _within(mib: float) -> None:
    """Raises TrialError for more memory than is allowed."""
    if mib > MOST_MIB:
        raise TrialError(f"held {mib:.0f} MiB, more than the {MOST_MIB} allowed")
