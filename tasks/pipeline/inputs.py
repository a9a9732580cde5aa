"""What a stage reads, looked at before and after: files that are not what their stage wrote, or change meanwhile.

DVC notes the checksums of a stage's inputs only when the stage has ended, so an input that changed while it ran would
be on record as if the stage had read it.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nightmarket.contracts import InputError
from tasks.files import storage

CODE = ("tasks", "nightmarket", "flows", "bench")


class Inputs:
    """The data files that dvc.yaml names as a stage's dependencies, with their MD5, which is what DVC records."""

    def __init__(self, stage: str) -> None:
        """Take the checksums; InputError for a file that differs from what dvc.lock says its stage wrote."""
        self.stage = stage
        self.known = _checksums(stage)
        storage.hook("inputs.known")
        written = _written()
        for name, checksum in self.known.items():
            if written.get(name, checksum) != checksum:
                raise InputError(f"{name} is not what its stage wrote (dvc.lock); run `dvc checkout --force {name}`")

    def check(self) -> None:
        """InputError for a file that came, went or changed since."""
        now = _checksums(self.stage)
        changed = sorted(name for name in now.keys() | self.known.keys() if now.get(name) != self.known.get(name))
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise InputError(
                f"{changed[0]}{more} changed while the stage ran, so what it wrote is not kept; run it again"
            )


def _checksums(stage: str) -> dict[str, str]:
    return {path.as_posix(): md5(path) for path in _files(stage)}


def _files(stage: str) -> Iterator[Path]:
    described = Path("dvc.yaml")
    stages = _yaml(described).get("stages", {}) if described.exists() else {}
    for dep in stages.get(stage, {}).get("deps", ()):
        path = Path(dep)
        if path.parts[0] in CODE:
            continue
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        elif path.exists():
            yield path


def _written() -> dict[str, str]:
    """{file: MD5} of what the stages wrote, by dvc.lock; folders from DVC's cache, and none where that is not here."""
    lock = Path("dvc.lock")
    stages = _yaml(lock).get("stages", {}) if lock.exists() else {}
    checksums: dict[str, str] = {}
    for stage in stages.values():
        for out in stage.get("outs", ()):
            path, checksum = out.get("path"), str(out.get("md5", ""))
            if path and checksum.endswith(".dir"):
                checksums |= {f"{path}/{file['relpath']}": file["md5"] for file in _listing(checksum)}
            elif path and checksum:
                checksums[path] = checksum
    return checksums


def _listing(checksum: str) -> list[dict[str, str]]:
    cached = storage.home() / ".dvc" / "cache" / "files" / "md5" / checksum[:2] / checksum[2:]
    try:
        content = cached.read_bytes()
    except OSError:
        return []
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum.removesuffix(".dir"):
        return []
    return list(json.loads(content))


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}


def md5(path: Path) -> str:
    """MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def last_size(stage: str) -> int:
    """Bytes that the stage wrote the last time, by dvc.lock, or the snapshot by its own record; 0 where none says.

    For a registration: what it will write, the model once for MLflow and once as the champion.
    """
    if stage == "register":
        parts = [storage.ARTIFACTS / part for part in ("rank", "finetune")]
        return 2 * sum(path.stat().st_size for part in parts for path in part.rglob("*") if path.is_file())
    lock, snapshot = Path("dvc.lock"), Path(f"{storage.RAW}.dvc")
    if stage == "snapshot":
        recorded = _yaml(snapshot) if snapshot.exists() else {}
    else:
        recorded = (_yaml(lock) if lock.exists() else {}).get("stages", {}).get(stage, {})
    return sum(int(out.get("size", 0)) for out in recorded.get("outs", ()))
