"""From scores to lists."""

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s


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
