"""From scores to lists."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def top_items(scores_BI: NDArray[np.float32], num: int) -> NDArray[np.int32]:
    """(B, num) best items, best first; -1 where fewer than `num` have a finite score. Ties go to the
    lower code (among the best num + 64).
    """
    num_items = scores_BI.shape[1]
    num = min(num, num_items)
    # Partition by score alone would let ties at the border fall at random; a margin keeps them together.
    wide = min(num_items, num + 64)
    part = np.sort(np.argpartition(-scores_BI, wide - 1, axis=1)[:, :wide], axis=1)
    values = np.take_along_axis(scores_BI, part, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :num]
    best = np.take_along_axis(part, order, axis=1).astype(np.int32)
    best[~np.isfinite(np.take_along_axis(values, order, axis=1))] = -1
    return best


def mask_entries(scores_BI: NDArray[np.float32], rows: sparse.csr_matrix) -> None:
    """Set the scores at the entries of `rows` (B, I) to -inf, in place."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    scores_BI[owner, rows.indices] = -np.inf


def fill(
    lists_CK: NDArray[np.int32], customer: NDArray[np.int32], item: NDArray[np.int32], score: NDArray[np.float64]
) -> None:
    """Write each customer's best items into their row of `lists_CK`, in place; ties go to the lower item code.

    customer, item, score  (N,)  candidates; a customer's rows need not be together
    """
    order = np.lexsort((item, -score, customer))
    customer, item = customer[order], item[order]
    place = np.arange(customer.size) - np.searchsorted(customer, customer)
    kept = place < lists_CK.shape[1]
    lists_CK[customer[kept], place[kept]] = item[kept]
