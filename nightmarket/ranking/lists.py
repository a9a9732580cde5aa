"""From scores to lists."""

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s


def top_items(scores_BI: Float32s, num: int) -> Int32s:
    """(B, num) best items, best first, ties to the lower code; -1 where fewer than `num` have a finite score."""
    import torch  # two seconds, which a process that ranks nothing does without

    best = np.full((scores_BI.shape[0], num), -1, np.int32)
    kept = min(num, scores_BI.shape[1])
    if kept == 0 or scores_BI.shape[0] == 0:
        return best
    top = torch.topk(torch.from_numpy(np.ascontiguousarray(scores_BI)), kept, dim=1)
    border = top.values[:, -1].numpy()
    best[:, :kept] = _in_order(scores_BI, top.indices.numpy().astype(np.int32))
    # Which of several items that are equal at the border topk names is not defined: those rows are done by hand.
    tied = np.flatnonzero((scores_BI >= border[:, None]).sum(axis=1) > kept)
    for row in tied.tolist():
        scores, least = scores_BI[row], border[row]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        item = np.sort(np.concatenate([above, equal[: kept - above.size]]))
        best[row, :kept] = item[np.argsort(-scores[item], kind="stable")]
    chosen = np.take_along_axis(scores_BI, best[:, :kept], axis=1)
    best[:, :kept][~np.isfinite(chosen)] = -1
    return best


def _in_order(scores_BI: Float32s, items: Int32s) -> Int32s:
    """Each row's items (B, k) by falling score, equal ones by rising code."""
    items = np.sort(items, axis=1)
    order = np.argsort(-np.take_along_axis(scores_BI, items, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1)


def mask_entries(scores_BI: Float32s, rows: sparse.csr_matrix) -> None:
    """Set the scores at the entries of `rows` (B, I) to -inf, in place."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    scores_BI[owner, rows.indices] = -np.inf


def fill(lists_CK: Int32s, customer: Int32s, item: Int32s, score: Float64s) -> None:
    """Write each customer's best items into their row of `lists_CK`, in place; ties go to the lower item code.

    customer, item, score  (N,)  candidates; a customer's rows need not be together
    """
    order = np.lexsort((item, -score, customer))
    customer, item = customer[order], item[order]
    place = np.arange(customer.size) - np.searchsorted(customer, customer)
    kept = place < lists_CK.shape[1]
    lists_CK[customer[kept], place[kept]] = item[kept]
