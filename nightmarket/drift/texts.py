"""Text vectors by day: sums of random projections and of random Fourier features, so that no day keeps a vector."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.distance import pdist

from nightmarket.drift.summaries import Summary

PROJECTED = 32
"""Dimensions after a random projection, which keeps distances to about a tenth (Johnson and Lindenstrauss, 1984)."""
FEATURES = 64
"""Random frequencies of the kernel's features."""
CHUNK = 65_536
SAMPLE = 1_000


def vectors(
    name: str, text: NDArray, day: NDArray, num: NDArray, vectors_TD: NDArray, num_days: int, seed: int
) -> Summary | None:
    """Summary of the texts that turned up; None where there are none.

    text, day, num  (N,)  row of `vectors_TD`; place of the day, 0 to num_days - 1; how often
    vectors_TD      (T, D) unit vectors

    The kernel is Gaussian, as wide as the median distance of a sample of texts (Gretton et al., 2012).
    """
    if text.size == 0:
        return None
    rng = np.random.default_rng(seed)
    dim = vectors_TD.shape[1]
    project = rng.standard_normal((dim, min(PROJECTED, dim))).astype(np.float32) / np.sqrt(min(PROJECTED, dim))
    times = sparse.coo_matrix((num.astype(np.float64), (day, text)), shape=(num_days, len(vectors_TD))).tocsc()
    used = np.flatnonzero(np.diff(times.indptr))
    some = rng.choice(used, min(SAMPLE, used.size), replace=False)
    width = float(np.median(pdist(vectors_TD[some].astype(np.float32) @ project))) if some.size > 1 else 1.0
    frequencies = rng.standard_normal((project.shape[1], FEATURES)) / (width or 1.0)
    means = np.zeros((num_days, project.shape[1]))
    features = np.zeros((num_days, 2 * FEATURES))
    for start in range(0, used.size, CHUNK):
        rows = used[start : start + CHUNK]
        small = vectors_TD[rows].astype(np.float32) @ project
        angles = small @ frequencies
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(FEATURES)
        of_day = times[:, rows]
        means += of_day @ small
        features += of_day @ waves
    counts = np.bincount(day, num.astype(np.float64), minlength=num_days)[:, None].astype(np.float64)
    return Summary("products", name, "vectors", counts, features, means)
