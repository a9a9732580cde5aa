"""Two orders of texts as one.

Shapes: Q queries, T texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float64s, Int64s

CONSTANT = 60.0
"""Of reciprocal rank fusion, as its authors give it."""
DEPTH = 1000
"""Texts of each order that count."""


def fused(scores: Sequence[NDArray], constant: float = CONSTANT, depth: int = DEPTH) -> Float64s:
    """Reciprocal rank fusion (Cormack, Clarke & Büttcher, 2009): sum over the orders of 1 / (60 + rank), (Q, T).

    scores  (Q, T) each, -inf where a text is not found. Equal scores share the best of their ranks. A text that no
            order has among its first `depth` is not found: -inf
    """
    total = np.zeros(scores[0].shape)
    for one in scores:
        for row, found in zip(total, one, strict=True):
            texts = _first(found, depth)
            falling = np.sort(-found[texts])
            rank = 1 + np.searchsorted(falling, -found[texts])
            row[texts] += 1.0 / (constant + rank)
    total[total == 0] = -np.inf
    return total


def _first(scores: NDArray, depth: int) -> Int64s:
    texts = np.flatnonzero(np.isfinite(scores))
    if len(texts) > depth:
        least = np.partition(scores[texts], len(texts) - depth)[len(texts) - depth]
        texts = texts[scores[texts] >= least]
    return texts
