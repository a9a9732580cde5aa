"""Ranking metrics of lists that cannot be: a product named twice, places left empty, nobody there."""

from collections.abc import Iterator

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts import InputError
from nightmarket.evaluation.metrics import Ids, rank_metrics

ITEMS, PLACES = 60, 20


def _taken(lists: Ids, indptr: Ids, targets: Ids) -> bool:
    """Whether metrics of these lists are taken for an answer."""
    try:
        rank_metrics(lists, indptr, targets)
    except InputError:
        return False
    return True


def figures(*, quick: bool) -> Iterator[Figure]:
    """How many lists that name a product twice have a figure, and how large figures of others get."""
    rng = np.random.default_rng(14)
    num, twice, largest = 100 if quick else 2000, 0, 0.0
    for _ in range(num):
        targets = rng.choice(ITEMS, rng.integers(1, PLACES), replace=False).astype(np.int32)
        indptr = np.array([0, targets.size])
        lists = rng.permutation(ITEMS)[:PLACES][None].astype(np.int32)
        lists[0, : rng.integers(0, targets.size + 1)] = -1
        ideal = np.append(targets, np.full(PLACES - targets.size, -1, np.int32))[None]
        for tried in (lists, ideal):
            largest = max(largest, *(float(values.max()) for values in rank_metrics(tried, indptr, targets).values()))
        full = rng.permutation(ITEMS)[:PLACES][None].astype(np.int32)
        first, second = rng.choice(PLACES, 2, replace=False)
        full[0, second] = full[0, first]
        twice += _taken(full, indptr, targets)
    yield Figure("metrics", f"{num:,} lists that name a product twice: taken for an answer", float(twice), 0)
    yield Figure(
        "metrics", f"{num:,} lists of distinct products: largest NDCG, recall, hit rate or MRR", largest, 1 + 1e-9
    )
