"""Append-only records: one line of JSON per thing that happened, on disk before anything else goes on.

Who changed the champion, approved a plan or rotated a key stands here, so half a line that a kill or a power cut left
neither stops the next reader nor spoils the next line.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.files import locks


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line and flush it to disk; writers take turns, and half a line before it is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        locks.take(descriptor)  # released with the descriptor
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_once(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line unless it is there already: a run that resumes after a kill writes it again."""
    if row not in rows(path):
        append(path, row)


def rows(path: Path) -> list[dict[str, Any]]:
    """Every line that can be read, oldest first; none where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")  # a note may hold other line ends
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            records.append(row)
    return records
