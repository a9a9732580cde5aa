"""A disk that is full in the middle of a stage: what was there stays, and one line says how many bytes are needed."""

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from bench.faults.children import contents, forked
from bench.shop import write_shop
from tasks.__main__ import main

STAGES = ("snapshot", "validate", "prepare", "embed", "finetune", "rank", "evaluate")
PARAMS: dict[str, Any] = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "prepare": {"target_weeks": 3},
    "finetune": {"max_steps": 2, "validate_every": 2, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 4, "launch_trees": 2, "num_leaves": 7},
    "evaluate": {"num_resamples": 100},
}
FREE = 6000
"""Bytes that the disk has left when a stage begins."""


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
    found: dict[str, str] = {}
    with small_disk(folder / "disk", 200) as how:
        place = folder / "disk" / "night"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        write_shop(place / "tables", num_customers=60, num_products=100, num_weeks=24, seed=seed)
        (place / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
        for stage in STAGES:
            before = contents(place, (".nightmarket", "ballast"))
            ballast = _fill(folder / "disk") if how == "tmpfs" else None
            fault = "" if ballast else "file.written:1:full"
            code, said = forked(lambda stage=stage: _run(stage), place, fault, seconds=300)
            if ballast:
                ballast.unlink()
            wrong = _judged(code, said)
            if not wrong and contents(place, (".nightmarket", "ballast")) != before:
                left = contents(place, (".nightmarket",))
                wrong = f"files changed: {sorted(set(left) ^ set(before))[:3]}" if _torn(before, left) else ""
            code, again = forked(lambda stage=stage: _run(stage), place, seconds=300)
            found[stage] = wrong or ("" if code == 0 and again[0] == 0 else f"with room: {again}")
            say(f"{stage} on a full disk ({how}): {found[stage] or said[1].strip()[-160:]}")
    return {"how": how, "stages": found}


def _run(stage: str) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(stage)
    return code, said.getvalue()


def _judged(code: int, said: Any) -> str:
    if code or said[0] != 2:
        return f"exit {code}: {said}"
    lines = said[1].strip().splitlines()
    if len(lines) != 1 or "bytes are needed" not in lines[0]:
        return f"it said {lines}"
    return ""


def _torn(before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether a file that was there is gone or another one, or a draft is left."""
    changed = any(after.get(name) != sha for name, sha in before.items())
    return changed or any(name.endswith(".tmp") for name in after)


def _fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free - FREE
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free, 1))
    return ballast
