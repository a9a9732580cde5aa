"""The desk's own record, `.nightmarket/desk.jsonl`: who logged in, planned, decided, downloaded, looked at a customer.

Each line bears the SHA-256 of the line before it, so a line that is changed, taken out or put in between shows. Lines
cut off at the end do not, unless somebody noted the last hash: `python -m apps.desk check` prints it.
"""

import contextlib
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.files import locks, records

RECORD = "desk.jsonl"
NONE = "0" * 64
"""What the first line bears in place of a hash."""


TAIL = 1 << 16
"""Bytes at the end among which the last line is."""


def path(home: Path) -> Path:
    """Where it is."""
    return home / ".nightmarket" / RECORD


def append(home: Path, what: str, who: str, **about: Any) -> None:
    """One line more.

    what  in a word or two: logged in, looked at a customer
    who   is logged in; "" for nobody
    """
    file = path(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("a") as lock:
        locks.take(lock)
        row = {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "what": what,
            "who": who,
            **about,
            "before": _last(file),
        }
        records.append(file, {**row, "sha256": _hash(row)})


def rows(home: Path) -> list[dict[str, Any]]:
    """Every line, oldest first."""
    return records.rows(path(home))


def broken(home: Path) -> int | None:
    """The first line, from 1, that was changed or does not follow from the one before it; None where none is."""
    before = NONE
    file = path(home)
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if file.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            said = row.pop("sha256")
        except (ValueError, KeyError, AttributeError):
            return number
        if row.get("before") != before or said != _hash(row):
            return number
        before = said
    return None


def _last(file: Path) -> str:
    """The hash of the last line that is whole."""
    if not file.exists():
        return NONE
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - TAIL))
        lines = stream.read().decode("utf-8", "replace").split("\n")
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["sha256"])
    return NONE


def _hash(row: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
