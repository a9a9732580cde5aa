"""The nights on record: .nightmarket/nights.jsonl, one line per run; after each night, those of long ago go.

A stage is a function of its files, so what must be remembered from night to night is written here, after the stages,
by the flow that holds the run lock.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.files import records, storage

NIGHTS = "nights.jsonl"
WINDOW = 5
"""Last nights that decide whether a retrain is due."""
ENOUGH = 2
"""Drifted nights among them that make it due."""
KEPT = 400
"""Nights on record: a year, to compare with, and a little."""


def path(home: Path) -> Path:
    """Where the nights stand."""
    return home / ".nightmarket" / NIGHTS


def add(home: Path, row: Mapping[str, Any]) -> None:
    """One line more on record."""
    records.append(path(home), row)


def rows(home: Path) -> list[dict[str, Any]]:
    """Every line that can be read, oldest first."""
    return records.rows(path(home))


def trim(home: Path) -> int:
    """Leave the last `KEPT` nights, and the last retrain, on record; how many lines went. Under the run lock."""
    known = rows(home)
    oldest = min(sorted({str(row["night"]) for row in known if row.get("night")})[-KEPT:], default="")
    last = last_retrain(home)
    kept = [row for row in known if str(row.get("night") or row.get("at", "")) >= oldest or row.get("at") == last]
    if len(kept) == len(known):
        return 0
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in kept)
    with storage.replacing(path(home), len(text.encode())) as temporary:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o600)
    return len(known) - len(kept)


def nights(home: Path) -> list[dict[str, Any]]:
    """The last run of each night, oldest night first."""
    latest = {str(row["night"]): row for row in rows(home) if row.get("night")}
    return [latest[night] for night in sorted(latest)]


def retrain_due(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """The nights that make a retrain due, of nights as `nights` gives them; empty while it is not.

    Only nights that the model which delivers tonight drifted from count, and a volume alone does not: no training
    brings lost rows back.
    """
    champion = known[-1].get("champion") if known else None
    drifted = [str(row["night"]) for row in known[-WINDOW:] if row.get("drifted") and row.get("champion") == champion]
    return drifted if len(drifted) >= ENOUGH else []


def last_retrain(home: Path) -> str:
    """When the last retrain was started for drift, UTC; "" where none was."""
    return max((str(row["at"]) for row in rows(home) if row.get("event") == "retrain"), default="")
