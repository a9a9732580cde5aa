"""Texts as features of sentiment: characters and words, counted in runs, and kinds of words.

Characters need no words, so Chinese and English go the same way. Shapes: N texts, C characters of all texts together,
G = longest x C n-grams.

Shapes: N texts, F columns of counts, D dimensions of a space of texts, K kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s

BITS = 22
"""4.2 million columns; of 600,000 different n-grams, one in seven shares its column with another."""
START, END = "\x02", "\x03"
_STEP, _MIX, _SPREAD = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def counts(texts: Sequence[str], longest: int) -> sp.csr_matrix:
    """(N, 2^BITS) how often each text holds each n-gram of 1 to `longest` characters, float32.

    A text's two ends are characters too, so that "the first word" is an n-gram. n-grams do not cross texts. The columns
    come from a polynomial hash (Karp & Rabin, 1987), the same on every machine. Time and memory O(G), 20 bytes each.
    """
    parts = [np.frombuffer(f"{START}{text}{END}".encode("utf-32-le"), np.uint32) for text in texts]
    shape = (len(parts), 1 << BITS)
    if not parts:
        return sp.csr_matrix(shape, dtype=np.float32)
    lengths = np.array([part.size for part in parts], dtype=np.int64)
    text = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
    rest = np.repeat(np.cumsum(lengths), lengths) - np.arange(text.size)
    code = _mixed(np.concatenate(parts).astype(np.uint64))
    rows: list[Int32s] = []
    columns: list[Int32s] = []
    value = np.zeros(code.size, np.uint64)
    for length in range(1, longest + 1):
        value = value[: code.size - length + 1] * _STEP + code[length - 1 :]
        inside = rest[: value.size] >= length
        rows.append(text[: value.size][inside])
        spread = (value[inside] ^ (value[inside] >> np.uint64(31))) * _SPREAD
        columns.append((spread >> np.uint64(64 - BITS)).astype(np.int32))
    row, column = np.concatenate(rows), np.concatenate(columns)
    table = sp.csr_matrix((np.ones(row.size, np.float32), (row, column)), shape=shape)
    table.sum_duplicates()
    return table


def _mixed(code: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Code points spread over 64 bits, so that neighbouring ones do not cancel in the polynomial."""
    spread = (code + np.uint64(1)) * _MIX
    return spread ^ (spread >> np.uint64(29))


LEAST, LEAST_SHARED, LEAST_SEEN = 3, 10, 5
"""Training texts that an n-gram must stand in: to count at all, to count per kind, to tell kinds apart."""
DIMENSIONS = 60


@dataclass(frozen=True)
class Kinds:
    """What the kinds of texts are, found without labels; the same n-gram has one column for all texts, and one for
    the texts of its kind (Daumé, 2007: "frustratingly easy domain adaptation", with domains that are found).

    columns, shared, seen  (.,)  columns of counts that count at all, per kind, and for telling kinds apart
    idf                    (F,)  log((1 + texts) / (1 + texts with the n-gram)) + 1
    axes                   (seen, D)  of the truncated SVD of the TF-IDF (latent semantic analysis)
    centres                (K, D)  of k-means on unit rows; a single kind where texts are too few to tell
    """

    columns: Int64s
    shared: Int64s
    seen: Int64s
    idf: Float32s
    axes: Float32s
    centres: Float32s

    @classmethod
    def fit(cls, counts: sp.csr_matrix, num: int, seed: int) -> Self:
        """Find `num` kinds in (N, F) counts. Time linear in the n-grams."""
        texts = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = (np.log((1 + counts.shape[0]) / (1 + texts)) + 1).astype(np.float32)
        seen = np.flatnonzero((texts >= LEAST_SEEN) & (texts <= counts.shape[0] / 2))
        axes, centres = _clustered(_weighed(counts, seen, idf), num, seed)
        return cls(np.flatnonzero(texts >= LEAST), np.flatnonzero(texts >= LEAST_SHARED), seen, idf, axes, centres)

    def of(self, counts: sp.csr_matrix) -> Int64s:
        """(N,) kind of each text, 0 to K - 1."""
        if len(self.centres) == 1:
            return np.zeros(counts.shape[0], np.int64)
        place = _unit(_weighed(counts, self.seen, self.idf) @ self.axes)
        return np.argmin(((place[:, None] - self.centres) ** 2).sum(axis=2), axis=1)

    def features(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """(N, columns + K x shared) TF-IDF (1 + log counts), unit rows; without the second part for a single kind."""
        from sklearn.preprocessing import normalize

        parts = [_weighed(counts, self.columns, self.idf)]
        if len(self.centres) > 1:
            of_text, shared = self.of(counts), _weighed(counts, self.shared, self.idf)
            parts += [sp.diags((of_text == kind).astype(np.float32)) @ shared for kind in range(len(self.centres))]
        table = sp.hstack(parts).tocsr()
        table.eliminate_zeros()
        return normalize(table).astype(np.float32)


def _clustered(weights: sp.csr_matrix, num: int, seed: int) -> tuple[Float32s, Float32s]:
    """Axes and centres."""
    from sklearn.cluster import KMeans
    from sklearn.utils.extmath import randomized_svd

    dimensions = min(DIMENSIONS, min(weights.shape) - 1)
    if num == 1 or dimensions < num:
        return np.zeros((weights.shape[1], 0), np.float32), np.zeros((1, 0), np.float32)
    axes = randomized_svd(weights, dimensions, n_iter=2, random_state=seed)[2].T.astype(np.float32)
    means = KMeans(num, n_init=4, random_state=seed).fit(_unit(weights @ axes)).cluster_centers_
    return axes, means.astype(np.float32)


def _weighed(counts: sp.csr_matrix, columns: Int64s, idf: Float32s) -> sp.csr_matrix:
    """(N, columns) (1 + log counts) x idf; rows as long as they come."""
    table = counts[:, columns].astype(np.float32)
    table.data = (1 + np.log(table.data)) * idf[columns][table.indices]
    return table


def _unit(rows: Float32s) -> Float32s:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
