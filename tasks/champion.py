"""data/champion: the model that delivers, replaced as a whole or not at all.

The folder is a copy of what the registry holds for the version with the alias champion, file for file: rank/,
finetune/, receipt.json, per_customer.parquet and their manifest. Beside them lies decision.json, the gate's latest
word, which may speak of a challenger that was refused.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks import manifest, storage

RECEIPT = "receipt.json"
DECISION = "decision.json"
PER_CUSTOMER = "per_customer.parquet"


def receipt() -> dict[str, Any] | None:
    """The receipt of the model that delivers, or None where there is none that can be read."""
    path = storage.CHAMPION / RECEIPT
    try:
        return storage.read_json(path) if path.exists() else None
    except ValueError:
        return None


def intact() -> bool:
    """Whether the folder is there and every file matches the manifest."""
    try:
        manifest.verify(storage.CHAMPION)
    except InputError:
        return False
    return True


def install(fill: Callable[[Path], None]) -> None:
    """Replace data/champion by a fresh folder that `fill` has written.

    The new folder is complete, has its manifest and is on disk before the old one moves; what goes wrong before
    that leaves the old one as it was.
    """
    sweep()
    fresh, old = _beside("new"), _beside("old")
    fresh.mkdir(parents=True)
    try:
        fill(fresh)
        manifest.write(fresh)
        _flush(fresh)
        if storage.CHAMPION.exists():
            storage.CHAMPION.rename(old)
        fresh.rename(storage.CHAMPION)
        _flush_folder(storage.CHAMPION.parent)
    finally:
        if old.exists() and not storage.CHAMPION.exists():
            old.rename(storage.CHAMPION)
        sweep()


def note(decision: dict[str, Any]) -> None:
    """Write the gate's latest word; a file that says the same already stays untouched."""
    path = storage.CHAMPION / DECISION
    if not storage.CHAMPION.exists() or (path.exists() and _says(path) == decision):
        return
    temporary = _beside(DECISION)
    storage.write_json(decision, temporary)
    temporary.replace(path)


def sweep() -> None:
    """Remove what a killed registration left beside data/champion, and put an old folder back that has no successor."""
    parent = storage.CHAMPION.parent
    for left in sorted(parent.glob(".champion.*")):
        if left.name.endswith(".old") and not storage.CHAMPION.exists():
            left.rename(storage.CHAMPION)
        elif left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def link(source: str, target: str) -> str:
    """Hard-link a file, or copy it where the file system cannot; for shutil.copytree."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _says(path: Path) -> Any:
    try:
        return storage.read_json(path)
    except ValueError:
        return None


def _beside(kind: str) -> Path:
    return storage.CHAMPION.with_name(f".champion.{os.getpid()}.{kind}")


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _flush_folder(path)
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
