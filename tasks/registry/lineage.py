"""What a model was made from: code, parameters, data, and the machine that it was made on."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError

DELIVER = "deliver"
"""The phase of a stage that comes after the champion is chosen (`meta: {phase: deliver}` in dvc.yaml)."""

CONSTRAINTS = Path("constraints.txt")


def phase_of(entry: dict[str, Any]) -> str:
    """The phase of one stage's entry in dvc.yaml; a stage that names none belongs to `retrain`."""
    entry = entry.get("do", entry)
    return str((entry.get("meta") or {}).get("phase", "retrain"))


def is_side(entry: dict[str, Any]) -> bool:
    """Whether a stage's entry in dvc.yaml says that nothing which serves customers needs it."""
    return bool((entry.get("do", entry).get("meta") or {}).get("side"))


def retraining(path: Path = Path("dvc.lock"), *, sides: bool = True) -> dict[str, Any]:
    """{stage: its entry in dvc.lock} of the stages that retrain; dvc.yaml is read beside dvc.lock.

    sides  whether side stages count

    Raises InputError when dvc.lock is missing or lacks one of those stages.
    """
    stages = yaml.safe_load(path.with_name("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    wanted = {name for name, entry in stages.items() if phase_of(entry) != DELIVER and (sides or not is_side(entry))}
    if not path.exists():
        raise InputError(f"{path} is missing: nothing was trained here yet; run `make nightly` or `dvc repro` first")
    locked = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}
    entries = {name: entry for name, entry in locked.items() if name.partition("@")[0] in wanted}
    missing = wanted - {name.partition("@")[0] for name in entries}
    if missing:
        raise InputError(f"{path} knows nothing of {', '.join(sorted(missing))}; run `dvc repro` up to there first")
    return entries


def lock_hash(path: Path = Path("dvc.lock")) -> str:
    """SHA-256 (64 hex digits) of the dvc.lock entries of the stages that make the model, as canonical JSON.

    Equal hashes mean equal code, parameters, inputs and outputs of every stage from the raw tables to the metrics; the
    delivering stages do not count, so the hash is the same before and after them, nor do side stages, so it is the same
    whether they failed. Raises as `retraining`.
    """
    canonical = json.dumps(retraining(path, sides=False), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def environment(device: str, constraints: Path = CONSTRAINTS) -> dict[str, Any]:
    """What the numbers of a training may depend on beside code, parameters and data.

    device    where the networks ran, as finetune's history has it
    threads   that one process may use: OMP_NUM_THREADS, else the cores it may run on
    packages  {requirement of ours: installed version}
    """
    packages = _packages()
    return {
        "python": platform.python_version(),
        "torch": packages.get("torch", "none"),
        "device": device,
        "threads": threads(),
        "cpu": _cpu(),
        "constraints_sha256": hashlib.sha256(constraints.read_bytes()).hexdigest() if constraints.exists() else "none",
        "packages": packages,
    }


def data(snapshot: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{table: {rows, sha256}} of a snapshot."""
    return {
        name: {"rows": int(table["rows"]), "sha256": table["sha256"]}
        for name, table in sorted(snapshot["tables"].items())
    }


def validation(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """{table: {rows, kept, set_aside}} of validate's report."""
    kinds = ("rows", "kept", "set_aside")
    return {name: {kind: int(table[kind]) for kind in kinds} for name, table in sorted(report["tables"].items())}


def threads() -> int:
    """Threads that one process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _packages() -> dict[str, str]:
    try:
        wanted = [line for line in metadata.requires("nightmarket") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        wanted = ["torch"]
    installed = {}
    for name in sorted(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in wanted):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = next((line for line in lines if line.startswith("model name")), "")
    return named.partition(":")[2].strip() or platform.machine()
