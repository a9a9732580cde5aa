"""Content hashes of texts, by which vectors are found again whatever row a text stands in tonight."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Int64s

HASH_BYTES = 16


def text_hashes(texts: Sequence[str]) -> NDArray[np.uint8]:
    """BLAKE2b-128 of each text's UTF-8 bytes, uint8 [T, 16]."""
    joined = b"".join(hashlib.blake2b(text.encode("utf-8"), digest_size=HASH_BYTES).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, HASH_BYTES).copy()


def lookup(
    hashes: NDArray[np.uint8], stored_hashes: NDArray[np.uint8], stored_vectors: NDArray
) -> tuple[NDArray, Int64s]:
    """Vectors of the texts that a store knows, and which texts it does not know.

    hashes          uint8 [T, 16]  the texts that are wanted
    stored_hashes   uint8 [S, 16]  the texts that the store holds; where one stands twice, the first counts
    stored_vectors  [S, d]

    Returns vectors [T, d] in the store's dtype, zero where unknown, and the unknown rows, ascending.
    """
    vectors = np.zeros((len(hashes), stored_vectors.shape[1]), dtype=stored_vectors.dtype)
    if not len(stored_hashes):
        return vectors, np.arange(len(hashes), dtype=np.int64)
    wanted, stored = _as_keys(hashes), _as_keys(stored_hashes)
    order = np.argsort(stored, kind="stable")
    place = np.minimum(np.searchsorted(stored, wanted, sorter=order), len(stored) - 1)
    row = order[place]
    known = stored[row] == wanted
    vectors[known] = stored_vectors[row[known]]
    return vectors, np.flatnonzero(~known).astype(np.int64)


def _as_keys(hashes: NDArray[np.uint8]) -> NDArray:
    # Two big-endian halves as a structured key would sort slowly; fixed bytes sort and compare exactly. A trailing
    # zero byte is dropped by numpy's S type on both sides alike, and 16 fixed bytes stay distinct: they are padded.
    return np.ascontiguousarray(hashes).view(f"S{HASH_BYTES}").ravel()
