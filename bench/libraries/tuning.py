"""Random search on the tuning window, within a budget."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.libraries.roster import Entry

Settings = dict[str, Any]
SEED = 17
LEAST_SETTINGS = 2


@dataclass(frozen=True)
class Budget:
    """What a peer's search may spend; fits and recommendations count."""

    most_settings: int = 8
    most_cpu_seconds: float = 2400.0


def proposals(entry: Entry, seed: int = SEED) -> Iterator[Settings]:
    """The default first, then the rest of the grid in random order."""
    yield entry.default
    grid = [dict(zip(entry.space, values, strict=True)) for values in itertools.product(*entry.space.values())]
    for place in np.random.default_rng(seed).permutation(len(grid)):
        if grid[place] != entry.default:
            yield grid[place]


def search(
    entry: Entry, measure: Callable[[Settings], tuple[dict[str, float], float]], budget: Budget
) -> Iterator[dict[str, Any]]:
    """Rows as they are measured: try settings until either limit of the budget is reached, at least LEAST_SETTINGS.

    measure  settings → (figure per task, CPU seconds)
    """
    spent = 0.0
    for num, settings in enumerate(itertools.islice(proposals(entry), budget.most_settings)):
        if spent >= budget.most_cpu_seconds and num >= LEAST_SETTINGS:
            return
        figures, seconds = measure(settings)
        spent += seconds
        yield {"settings": settings, "ndcg@10": figures, "cpu_seconds": round(seconds, 1)}


def chosen(tried: list[dict[str, Any]], task: str) -> Settings:
    """The settings with the highest figure for a task; of equals the first that was tried."""
    return max(tried, key=lambda row: row["ndcg@10"][task])["settings"]
