"""What a model was made from: one hash over what DVC recorded for the retraining stages."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError

DELIVER = "deliver"
"""The phase of a stage that comes after the champion is chosen (`meta: {phase: deliver}` in dvc.yaml)."""


def phase_of(entry: dict[str, Any]) -> str:
    """The phase of one stage's entry in dvc.yaml; a stage that names none belongs to `retrain`."""
    entry = entry.get("do", entry)
    return str((entry.get("meta") or {}).get("phase", "retrain"))


def lock_hash(path: Path = Path("dvc.lock")) -> str:
    """SHA-256 (64 hex digits) of the dvc.lock entries of the stages that retrain, as canonical JSON.

    Equal hashes mean equal code, parameters, inputs and outputs of every stage from the raw tables to the metrics; the
    delivering stages do not count, so the hash is the same before and after them. dvc.yaml is read beside dvc.lock.

    Raises InputError when dvc.lock is missing or lacks one of those stages.
    """
    stages = yaml.safe_load(path.with_name("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    wanted = {name for name, entry in stages.items() if phase_of(entry) != DELIVER}
    if not path.exists():
        raise InputError(f"{path} is missing: nothing was trained here yet; run `make nightly` or `dvc repro` first")
    locked = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}
    entries = {name: entry for name, entry in locked.items() if name.partition("@")[0] in wanted}
    missing = wanted - {name.partition("@")[0] for name in entries}
    if missing:
        raise InputError(f"{path} knows nothing of {', '.join(sorted(missing))}; run `dvc repro` up to there first")
    canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
