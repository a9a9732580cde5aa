"""Random search on the tuning window, within a budget that is the same for every peer."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.peers.roster import Entry

Settings = dict[str, Any]
SEED = 17
MOST_SETTINGS = 8
MOST_CPU_SECONDS = 90.0
LEAST_SETTINGS = 2


def proposals(entry: Entry, seed: int = SEED) -> Iterator[Settings]:
    """The default first, then the rest of the grid in random order."""
    yield entry.default
    grid = [dict(zip(entry.space, values, strict=True)) for values in itertools.product(*entry.space.values())]
    for place in np.random.default_rng(seed).permutation(len(grid)):
        if grid[place] != entry.default:
            yield grid[place]


def search(entry: Entry, measure: Callable[[Settings], tuple[dict[str, float], float]]) -> list[dict[str, Any]]:
    """Try settings until MOST_SETTINGS or MOST_CPU_SECONDS are spent, at least LEAST_SETTINGS.

    measure  settings → (figure per task, CPU seconds)
    """
    tried: list[dict[str, Any]] = []
    spent = 0.0
    for settings in itertools.islice(proposals(entry), MOST_SETTINGS):
        if spent >= MOST_CPU_SECONDS and len(tried) >= LEAST_SETTINGS:
            break
        figures, seconds = measure(settings)
        spent += seconds
        tried.append({"settings": settings, "ndcg@10": figures, "cpu_seconds": round(seconds, 1)})
    return tried


def chosen(tried: list[dict[str, Any]], task: str) -> Settings:
    """The settings with the highest figure for a task; of equals the first that was tried."""
    return max(tried, key=lambda row: row["ndcg@10"][task])["settings"]
