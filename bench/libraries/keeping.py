"""The folder in which windows, fits and searches are kept; git does not know it."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from bench.libraries.shop import TASKS

STORE = Path(__file__).parent / "store"
ENDS = ("2017-12-25", "2017-11-27", "2017-10-30")
"""Mondays after the windows: weeks 49-52, 45-48, 41-44 of the demo."""
TUNING = "2017-11-27"
Truth = dict[str, tuple[np.ndarray, np.ndarray]]


def read_truth(folder: Path) -> Truth:
    """Targets per task as (indptr, items)."""
    with np.load(folder / "truth.npz", allow_pickle=False) as stored:
        return {task: (stored[f"{task}_indptr"], stored[f"{task}_items"]) for task in TASKS}


@cache
def fingerprint(shop: Path) -> str:
    """Of a shop file: a fit is used again only for the data that it saw."""
    return hashlib.sha256(shop.read_bytes()).hexdigest()[:16]
