"""Products' own vectors, as a shop's image or text model gives them. Shapes: I items, D numbers of a vector, K kept."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nightmarket.contracts.arrays import Float32s

KEPT = 32
"""Main directions kept of vectors with more numbers: to learn from them costs their number times the products."""
SAMPLE = 20_000
"""Products that the directions are found from."""


def read(texts: Sequence[str | None]) -> Float32s:
    """(I, D) float32 of vectors as `nightmarket.contracts.values` writes them; zeros where there is none, or one of
    another length than most have. D is 0 where nobody has one."""
    known = [(row, text) for row, text in enumerate(texts) if isinstance(text, str) and text]
    lengths = Counter(text.count(" ") + 1 for _, text in known)
    width = min(lengths, key=lambda length: (-lengths[length], length)) if lengths else 0
    vectors = np.zeros((len(texts), width), np.float32)
    for row, text in known:
        if text.count(" ") + 1 == width:
            vectors[row] = np.array(text.split(), np.float32)
    return vectors


def directions(vectors: Float32s, num: int = KEPT) -> Float32s:
    """(I, K) rows of length 1 in the vectors' main directions, K ≤ num; a row of zeros stays one.

    Lengths say how sure a model was or nothing at all, so they are taken off first. What all share, which tells
    nothing, goes with the mean.
    """
    there = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    if there.size == 0 or vectors.shape[1] == 0:
        return np.zeros((len(vectors), 0), np.float32)
    chosen = there[:: max(there.size // SAMPLE, 1)]
    mean = unit(vectors[chosen]).mean(axis=0)
    sample = unit(vectors[chosen]) - mean
    spread, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    kept = axes[:, ::-1][:, : min(num, int((spread > 1e-9 * max(float(spread[-1]), 1e-30)).sum()))]
    kept = (kept * np.where(np.abs(kept).max(axis=0) == kept.max(axis=0), 1.0, -1.0)).astype(np.float32)
    turned = np.zeros((len(vectors), kept.shape[1]), np.float32)
    for start in range(0, there.size, SAMPLE):
        rows = there[start : start + SAMPLE]
        turned[rows] = unit((unit(vectors[rows]) - mean) @ kept)
    return turned


def unit(rows: Float32s) -> Float32s:
    """The rows scaled to length 1; zeros stay zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Float32s = (rows / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled
