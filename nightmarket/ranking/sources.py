"""Where candidates come from. Each source proposes its best items for a slice of customers.

A source gives dense scores over a few columns (the items it chooses from) and how many of the best are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.ranking.evidence import Evidence, Pairs
from nightmarket.ranking.lists import top_items
from nightmarket.ranking.peers import decayed_counts, ease, neighbours, recent_popularity

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Source:
    """Scores (B, A) over `items` (A,) for the customers of a slice; the best `num` become candidates."""

    name: str
    num: int
    items: Ints
    score: Callable[[slice], Floats]


def _level_matrix(level: Pairs, num_customers: int) -> sparse.csr_matrix:
    """(C, K) fresh counts as shares of the customer's whole."""
    shape = (num_customers, level.num_codes)
    counts = sparse.csr_matrix((level.fresh, (level.customer, level.code)), shape=shape)
    total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1e-6)
    return sparse.diags_array(1.0 / total).astype(np.float32).tocsr() @ counts


def affinity(
    evidence: Evidence, level: str, codes: Ints, items: Ints, weight: Floats, divide: bool = True
) -> Callable[[slice], Floats]:
    """Share of the customer's recent baskets in the item's level x the item's share inside that level.

    codes   (I,) the level's code per item
    weight  (I,) what an item's share inside its level is made of
    divide  False: the item's weight itself, not its share
    """
    shares = _level_matrix(evidence.levels[level], evidence.histories.num_customers)
    inside = np.bincount(codes[items], weight[items], shares.shape[1]) + 1e-9
    within = (weight[items] / (inside[codes[items]] if divide else 1.0)).astype(np.float32)
    columns = codes[items]

    def score(rows: slice) -> Floats:
        dense: Floats = shares[rows].toarray()
        return dense[:, columns] * within

    return score


def ease_scores(evidence: Evidence) -> Callable[[slice], Floats]:
    """EASE on log counts, restricted to the active items' columns."""
    return ease(evidence.histories, evidence.origin, columns=evidence.active)


def neighbour_scores(evidence: Evidence, num: int = 100) -> Callable[[slice], Floats]:
    """What the nearest customers bought lately: cosine nearest by recency-weighted baskets."""
    vectors = decayed_counts(evidence.histories, evidence.last_day, 120.0)
    vectors.data = np.log1p(vectors.data)
    norm = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    unit = (sparse.diags_array(1.0 / np.maximum(norm, 1e-9)).astype(np.float32) @ vectors).tocsr()
    around = neighbours(unit, num)
    chosen = unit[:, evidence.active].tocsr()

    def score(rows: slice) -> Floats:
        dense: Floats = (around[rows] @ chosen).toarray()
        return dense

    return score


def popularity_scores(evidence: Evidence) -> Callable[[slice], Floats]:
    """Recent popularity, the same for everybody."""
    values = recent_popularity(evidence.histories, evidence.origin, 2)[evidence.active]
    return lambda rows: np.broadcast_to(values, (rows.stop - rows.start, values.size))


def candidates(
    evidence: Evidence, sources: list[Source], rows: slice, num_history: int
) -> tuple[Ints, Ints, dict[str, Floats]]:
    """The union of what history and the sources propose, for the customers of a slice.

    Returns (customer (N,), item (N,), scores {source: (N,)}), sorted by customer, item. A source's score is kept for
    every candidate that the source knows, NaN elsewhere.
    """
    num_items = evidence.catalogue.num_items
    keys = [_history(evidence, rows, num_history)] if num_history else [np.zeros(0, np.int64)]
    dense: dict[str, tuple[Source, Floats]] = {}
    base = np.arange(rows.start, rows.stop, dtype=np.int64)[:, None] * num_items
    for source in sources:
        if source.items.size == 0:
            continue
        scores = source.score(rows)
        dense[source.name] = (source, scores)
        if source.num:
            best = top_items(_without_own(evidence, scores, source.items, rows), source.num)
            keys.append((base + source.items[np.maximum(best, 0)].astype(np.int64))[best >= 0])
    key = np.unique(np.concatenate(keys))
    customer, item = (key // num_items).astype(np.int32), (key % num_items).astype(np.int32)
    found = {
        name: _at(scores, source.items, num_items, customer - rows.start, item)
        for name, (source, scores) in dense.items()
    }
    return customer, item, found


def _without_own(evidence: Evidence, scores: Floats, items: Ints, rows: slice) -> Floats:
    """A copy of the scores with -inf where the customer bought the item before: history proposes those itself."""
    own = evidence.levels["item"]
    first, last = np.searchsorted(own.key, [rows.start * own.num_codes, rows.stop * own.num_codes])
    place = column_of(items, evidence.catalogue.num_items)[own.code[first:last]]
    masked = np.array(scores, np.float32)
    known = place >= 0
    masked[own.customer[first:last][known] - rows.start, place[known]] = -np.inf
    return masked


def column_of(items: Ints, num_items: int) -> Ints:
    """(I,) each item's place in `items`, -1 for those not in it."""
    column = np.full(num_items, -1, np.int32)
    column[items] = np.arange(items.size, dtype=np.int32)
    return column


def _history(evidence: Evidence, rows: slice, num: int) -> NDArray[np.int64]:
    """Keys of each customer's `num` freshest recommendable items."""
    own = evidence.levels["item"]
    num_items = evidence.catalogue.num_items
    first, last = np.searchsorted(own.key, [rows.start * num_items, rows.stop * num_items])
    key, fresh = own.key[first:last], own.fresh[first:last]
    keep = evidence.catalogue.recommendable[key % num_items]
    key, fresh = key[keep], fresh[keep]
    customer = key // num_items
    order = np.lexsort((-fresh, customer))
    place = np.arange(key.size) - np.searchsorted(customer[order], customer[order])
    return key[order][place < num]


def _at(scores: Floats, items: Ints, num_items: int, row: Ints, item: Ints) -> Floats:
    place = column_of(items, num_items)[item]
    found = scores[row, np.maximum(place, 0)].astype(np.float32)
    found[place < 0] = np.nan
    return found
