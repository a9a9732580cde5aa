"""From scores to lists."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse


def top_items(scores_BI: NDArray[np.float32], num: int) -> NDArray[np.int32]:
    """(B, num) best items, best first, ties to the lower code; -1 where fewer than `num` have a finite score."""
    best = np.full((scores_BI.shape[0], num), -1, np.int32)
    kept = min(num, scores_BI.shape[1])
    if kept == 0 or scores_BI.shape[0] == 0:
        return best
    # Only the score at the border is asked of topk: which of several equal items it would name is not defined.
    border = torch.topk(torch.from_numpy(np.ascontiguousarray(scores_BI)), kept, dim=1).values[:, -1].numpy()
    for row, (scores, least) in enumerate(zip(scores_BI, border, strict=True)):
        item = np.flatnonzero(scores >= least)
        if item.size > kept:
            tied = scores[item] == least
            spare = kept - int((~tied).sum())
            item = np.sort(np.concatenate([item[~tied], item[tied][:spare]]))
        item = item[np.argsort(-scores[item], kind="stable")]
        item = item[np.isfinite(scores[item])]
        best[row, : item.size] = item
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
