"""DVC's cache and records: where an object lies, what a folder's list names, what the records say was put out."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.engine.worktree import RECORDS

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def path(cache: Path, md5: str) -> Path:
    """Where the object lies in a cache, or would."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def listed(cache: Path, md5: str) -> dict[str, str]:
    """{path inside the folder: MD5}; nothing of a file, and of a folder whose list is gone or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if md5.endswith(".dir"):
            return {one["relpath"]: one["md5"] for one in json.loads(path(cache, md5).read_bytes())}
    return {}


def records(root: Path) -> dict[str, str]:
    """{name: text} of the records that are there."""
    return {record: (root / record).read_text(encoding="utf-8") for record in RECORDS if (root / record).exists()}


def outs(texts: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, entry) of every output that these records name; an empty text names none."""
    for name, text in texts.items():
        content = yaml.load(text, Loader=_LOADER) or {}
        for stage in content["stages"].values() if "stages" in content else [content]:
            for out in stage.get("outs", ()):
                yield (Path(name).parent / out["path"]).as_posix(), out
