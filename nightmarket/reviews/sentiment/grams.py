"""Counts of character n-grams without a vocabulary: each n-gram has a column by its hash.

Characters need no words, so Chinese and English go the same way. Shapes: N texts, C characters of all texts together,
G = longest x C n-grams.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Int32s

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
    found = sp.csr_matrix((np.ones(row.size, np.float32), (row, column)), shape=shape)
    found.sum_duplicates()
    return found


def _mixed(code: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Code points spread over 64 bits, so that neighbouring ones do not cancel in the polynomial."""
    spread = (code + np.uint64(1)) * _MIX
    return spread ^ (spread >> np.uint64(29))
