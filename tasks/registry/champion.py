"""data/champion: the model that delivers, replaced as a whole or not at all.

The folder is a copy of what the registry holds for the version with the alias champion, file for file: rank/,
finetune/, receipt.json, per_customer.parquet and their manifest. Beside them lies decision.json, the gate's latest
word, which may speak of a challenger that was refused.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nightmarket.contracts import InputError
from tasks.files import catalogue, manifest, storage

RECEIPT = "receipt.json"
DECISION = "decision.json"
PER_CUSTOMER = "per_customer.parquet"
_LOOKS = 20
Read = TypeVar("Read")


def receipt() -> dict[str, Any] | None:
    """The receipt of the model that delivers, or None where there is none that can be read."""
    return _read(catalogue.CHAMPION_RECEIPT)


def stands_in(receipt: Mapping[str, Any]) -> bool:
    """Whether what the version delivers is what is popular, because it did not do better when it was made."""
    return bool((receipt.get("gate") or {}).get("stand_in"))


def intact() -> bool:
    """Whether the folder is there and every file matches the manifest."""
    try:
        manifest.verify(storage.CHAMPION)
    except InputError:
        return False
    return True


def install(fill: Callable[[Path], None]) -> None:
    """Replace data/champion by a fresh folder that `fill` has written.

    The new folder is complete, has its manifest and is on disk before it takes the old one's place, in one step; what
    goes wrong before that leaves the old one as it was.
    """
    sweep()
    fresh = _beside("new")
    fresh.mkdir(parents=True)
    storage.hook("champion.begin")
    try:
        fill(fresh)
        storage.hook("champion.filled")
        manifest.write(fresh)
        storage.hook("champion.listed")
        storage.flush_all(fresh)
        storage.swap(fresh, storage.CHAMPION)
    finally:
        sweep()


def steady(folder: Path, read: Callable[[Path], Read]) -> Read:
    """What `read` makes of the champion in `folder`, read again where the folder was replaced meanwhile.

    A reader opens one file after the other, so that without this it could meet half of one model and half of the next.
    """
    for _ in range(_LOOKS):
        before = _identity(folder)
        try:
            contents = read(folder)
        except (InputError, OSError):
            if _identity(folder) == before:
                raise
            continue
        if _identity(folder) == before:
            return contents
    raise InputError(f"{folder} was replaced {_LOOKS} times while it was read; try again")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        about = folder.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_ctime_ns


def note(decision: dict[str, Any]) -> None:
    """Write the gate's latest word; a file that says the same already stays untouched."""
    if not storage.CHAMPION.exists() or _read(catalogue.CHAMPION_DECISION) == decision:
        return
    temporary = _beside(DECISION)
    storage.write_json(decision, temporary)
    temporary.replace(catalogue.CHAMPION_DECISION.path)


def sweep() -> None:
    """Remove what a killed registration left beside data/champion, and put an old folder back that has no successor."""
    storage.unswap(storage.CHAMPION)


def link(source: str, target: str) -> str:
    """Hard-link a file, or copy it where the file system cannot; for shutil.copytree."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _read(document: catalogue.Json) -> Any:
    """Its content; None where it is missing or cannot be read."""
    try:
        return document.read()
    except ValueError:
        return None


def _beside(kind: str) -> Path:
    return storage.CHAMPION.with_name(f".champion.{os.getpid()}.{kind}")
