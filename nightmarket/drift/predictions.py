"""What the champion recommends tonight beside what it recommended when it was evaluated, as counts of random groups of
customers: no list of a customer's is kept, and customers, not rows, are what is exchanged in the test."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.drift.summaries import stability_index

FIRST = 10
"""Places of each list that count."""
GROUPS = 16
LEAST_GROUPS = 8
"""With fewer there are too few ways to swap them for any shift to be out of the ordinary."""
EDGES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
MODERATE = 0.1
"""Population stability index from which a shift counts. A champion has one evaluation to be compared with, not many
nights, and every season moves its lists a little: significance alone would alarm each night."""
NUM_DEPARTMENTS = 25
NUM_SWAPS = 999
NO_CHANCE, OTHERS = "no probability", "all others"
NAMES = {
    "probability": "probability of what is recommended",
    "department": "departments recommended",
    "own": "own or new",
}


def profile(
    customer: NDArray, chance: Float64s, own: Bools, department: NDArray, num_customers: int
) -> dict[str, Any] | None:
    """Counts of a night's lists by random group of customers; None for a shop that is too small.

    customer    (N,) codes from 0, by first event, so that a customer stays in one group from night to night
    chance      (N,) probabilities, NaN where the model gives none
    own         (N,) the customer had bought the product before
    department  (N,) names, None where there is none
    """
    num = min(GROUPS, num_customers // MIN_GROUP)
    if num < LEAST_GROUPS:
        return None
    bounds = ["0", *(f"{edge:g}" for edge in EDGES), "1"]
    bins = [f"{low} to {high}" for low, high in pairwise(bounds)]
    place = np.where(np.isnan(chance), len(bins), np.searchsorted(EDGES, np.nan_to_num(chance)))
    names, codes = np.unique(np.array([str(name) for name in department], object).astype(str), return_inverse=True)
    often = np.argsort(-np.bincount(codes, minlength=names.size), kind="stable")[:NUM_DEPARTMENTS]
    kept = np.full(names.size, len(often))
    kept[often] = np.arange(len(often))
    columns = {
        "probability": ([*bins, NO_CHANCE], place),
        "own": (["bought before", "new to the customer"], (~own).astype(np.int64)),
        "department": ([*(str(names[i]) for i in often), OTHERS], kept[codes]),
    }
    group = customer % num
    return {
        name: {
            "labels": labels,
            "counts": np.bincount(group * len(labels) + at, minlength=num * len(labels)).reshape(num, -1).tolist(),
        }
        for name, (labels, at) in columns.items()
    }


def compare(reference: Mapping[str, Any], tonight: Mapping[str, Any], alpha: float, seed: int) -> dict[str, Any]:
    """Index and verdict of each column, and a sentence.

    A column has drifted where its index is MODERATE or more, and more than `alpha` of the ways to swap the two nights
    of some of the groups give (largest index over the columns).
    """
    pairs = {name: _aligned(reference[name], tonight[name]) for name in NAMES if name in reference}
    groups = {len(part) for _, before, now in pairs.values() for part in (before, now)}
    if len(groups) != 1:
        return {"columns": [], "words": "predictions are not compared: the shop has grown into other groups since"}
    swaps = np.random.default_rng(seed).random((NUM_SWAPS, groups.pop())) < 0.5
    index, chance = {}, np.zeros(NUM_SWAPS)
    for name, (_, before, now) in pairs.items():
        index[name] = float(stability_index(now.sum(axis=0), before.sum(axis=0)))
        moved = swaps.astype(np.float64) @ (before - now)
        swapped = stability_index(now.sum(axis=0) + moved, before.sum(axis=0) - moved)
        chance = np.maximum(chance, swapped)
    columns = []
    for name, (labels, before, now) in pairs.items():
        p = (1 + int((chance >= index[name]).sum())) / (1 + NUM_SWAPS)
        shares = before.sum(axis=0) / max(before.sum(), 1), now.sum(axis=0) / max(now.sum(), 1)
        most = int(np.abs(shares[1] - shares[0]).argmax())
        words = f"{NAMES[name]}: “{labels[most]}” {100 * shares[0][most]:.1f}% before, {100 * shares[1][most]:.1f}% now"
        columns.append(
            {
                "table": "predictions",
                "name": name,
                "kind": "prediction",
                "statistic": "psi",
                "distance": round(index[name], 6),
                "usual": None,
                "score": None,
                "p": p,
                "drifted": index[name] >= MODERATE and p <= alpha,
                "words": words,
            }
        )
    return {"columns": columns, "words": _words(columns)}


def _words(columns: Sequence[Mapping[str, Any]]) -> str:
    drifted = [column for column in columns if column["drifted"]]
    if drifted:
        return "predictions drifted: " + "; ".join(column["words"] for column in drifted)
    largest = max(columns, key=lambda column: column["distance"])
    largest_index = (
        f"the largest stability index is {largest['distance']:.3f} ({largest['name']}), {MODERATE:g} counts as a shift"
    )
    return f"predictions are as they were when the champion was evaluated: {largest_index}"


def _aligned(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[list[str], Float64s, Float64s]:
    """Labels of the first side, others pooled; (G, K) counts of both."""
    labels = list(before["labels"])
    counts = np.zeros((len(now["counts"]), len(labels)))
    last = labels.index(OTHERS) if OTHERS in labels else len(labels) - 1
    for i, label in enumerate(now["labels"]):
        counts[:, labels.index(label) if label in labels else last] += np.array(now["counts"])[:, i]
    return labels, np.array(before["counts"], np.float64), counts
