"""A disk that fills up in the middle of a stage: what was there stays, and one line says how many bytes are needed.

A whole night with room, then a later night of which each stage and step meets a disk with half the room that it took
the night before; then it gets the room.
"""

import contextlib
import errno
import importlib
import io
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.faults.children import contents, forked
from nightmarket.testing.models import write_bert
from nightmarket.testing.shop import as_of, write_shop
from tasks.__main__ import main
from tasks.pipeline import settings

ROOT = Path(__file__).resolve().parents[2]
BEFORE = ("snapshot", *settings.STAGES[: settings.STAGES.index("evaluate") + 1], "register")
STAGES = (*BEFORE, *settings.STAGES[settings.STAGES.index("evaluate") + 1 :])
"""A night's stages and steps, in order."""
WEEKS = 30
PARAMS: dict[str, Any] = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "prepare": {"target_days": 21, "launch_origins": 2, "origins": 2},
    "embed": {"model": "encoder"},
    "finetune": {"max_steps": 2, "validate_every": 2, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 4, "launch_trees": 2, "num_leaves": 7},
    "evaluate": {"num_resamples": 100},
}
LIBRARIES = (
    "great_expectations",
    "torch",
    "transformers",
    "sklearn.linear_model",
    "scipy.stats",
    "bench.faults.registry",
)
PAGE = 4096
KEPT = (".nightmarket", "mlruns", "ballast")
"""Not compared byte by byte: what is kept for later nights. The registry answers for itself when there is room."""


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[str]:
    """A tmpfs of that size at the folder; where this user may mount none, a hook says that the disk is full."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield "tmpfs" if mounted else "hook"
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def full(folder: Path, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Each stage on a full disk, then with room; {stage: what was wrong, or ""} and how the disk was filled."""
    by_stage: dict[str, str] = {}
    for name in (*LIBRARIES, *(f"tasks.{stage}" for stage in STAGES)):
        importlib.import_module(name)  # once, and not in each child
    with small_disk(folder / "disk", 300) as how:
        place = folder / "disk" / "night"
        shutil.rmtree(place, ignore_errors=True)
        _shop(place, seed)
        took = {}
        for stage in STAGES:
            before = shutil.disk_usage(place).used
            code, said = forked(lambda stage=stage: _run(stage), place, seconds=300)
            took[stage] = shutil.disk_usage(place).used - before
            if code or said[0]:
                raise SystemExit(f"disk: the night before: {stage}: {said}")
        _later(place, took)
        for stage in STAGES:
            by_stage[stage] = _squeezed(folder / "disk", stage, max(took[stage], 0) // 2, how, say)
    return {"how": how, "stages": by_stage}


def _shop(place: Path, seed: int) -> None:
    """A small project whose tables feed every stage, and the first of two nights."""
    place.mkdir(parents=True)
    tables = write_shop(place / "tables", num_customers=60, num_products=100, num_weeks=WEEKS, seed=seed)
    words = sorted({word for title in tables["products"]["title"].to_pylist() for word in title.lower().split()})
    write_bert(place / "encoder", words)
    for name in ("dvc.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, place / name)
    _night(place, date.fromisoformat(as_of(WEEKS)) - timedelta(days=7))
    _lock(place, dict.fromkeys(STAGES, 0))


def _later(place: Path, took: dict[str, int]) -> None:
    _night(place, date.fromisoformat(as_of(WEEKS)))
    _lock(place, took)
    snapshot = {"outs": [{"path": "raw", "size": took["snapshot"]}]}
    (place / "data/raw.dvc").write_text(yaml.safe_dump(snapshot), encoding="utf-8")


def _night(place: Path, day: date) -> None:
    params = {**PARAMS, "snapshot": {**PARAMS["snapshot"], "business_date": day}}
    (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def _lock(place: Path, sizes: dict[str, int]) -> None:
    """What DVC would have on record; it differs from night to night."""
    stages = {name: {"cmd": f"python -m tasks {name}", "outs": [{"size": sizes[name]}]} for name in settings.STAGES}
    (place / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")


def _squeezed(disk: Path, stage: str, free: int, how: str, say: Callable[[str], None]) -> str:
    """One stage with so many bytes free, then with room; what was wrong, or ""."""
    place, began = disk / "night", time.perf_counter()
    if stage in settings.STAGES:
        shutil.rmtree(place / "artifacts" / stage)  # as DVC does before it runs a stage
    if stage == "embed":
        shutil.rmtree(place / ".nightmarket/embeddings")  # or its texts would all be there
    before = contents(place, KEPT)
    ballast = fill(disk, free) if how == "tmpfs" else None
    code, said = forked(lambda: _run(stage), place, "" if ballast else "file.written:1:full", seconds=300)
    if ballast:
        ballast.unlink()
    wrong = _evaluated(code, said)
    left = contents(place, KEPT)
    changed = sorted(name for name in before if left.get(name) != before[name])
    drafts = sorted(name for name in left if name.endswith((".tmp", ".new", ".old")))
    if not wrong and (changed or drafts):
        wrong = f"changed: {changed[:3]}, drafts: {drafts[:3]}"
    code, again = forked(lambda: _run(stage), place, seconds=300)
    if code or again[0]:
        wrong = f"{wrong}; with room: {again}"
    took = time.perf_counter() - began
    say(f"{stage} on a full disk ({how}, {took:.1f} s): {wrong or said[1].strip()[-170:]}")
    return wrong


def _run(stage: str) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(stage)
    return code, said.getvalue()


def _evaluated(code: int, said: Any) -> str:
    if code or said[0] != 2:
        return f"exit {code}: {said}"
    lines = said[1].strip().splitlines()
    told = re.search(r"disk is full: (?:more than )?([\d,]+) bytes are needed and ([\d,]+) are free", said[1])
    if len(lines) != 1 or not told:
        return f"it said {lines}"
    needed, there = (int(number.replace(",", "")) for number in told.groups())
    whole = re.search(r"wrote ([\d,]+) bytes", said[1])
    if needed < there or not (needed or whole):
        return f"it names no bytes that are needed: {said[1]}"
    return ""


def fill(disk: Path, free: int) -> Path:
    """A file that leaves so many bytes, in whole pages; whoever writes beside it may have taken some meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        while (size := shutil.disk_usage(disk).free - free // PAGE * PAGE) > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                break
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast
