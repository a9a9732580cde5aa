"""What other customers know: EASE and nearest customers, learned from a sample of them.

Both look at customers from the customers' side, so their cost grows with the number of customers that they know. Above
`MAX_REFERENCE` an even sample stands for all: fitting then costs the same in a shop of any size, and a customer who is
not in the sample, or came today, is scored from their own purchases without fitting again.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.histories.histories import Histories

MAX_REFERENCE = 2500


@dataclass(frozen=True)
class Reference:
    """The customers that are learned from, counted from 0 in `histories`; `chosen` (R,) names them."""

    histories: Histories
    chosen: Int64s

    def place(self, rows: slice) -> Int64s:
        """(B,) where each customer of a slice stands among the chosen, -1 for those who are not."""
        wanted = np.arange(rows.start, rows.stop)
        at = np.minimum(np.searchsorted(self.chosen, wanted), max(self.chosen.size - 1, 0))
        return np.where(self.chosen[at] == wanted, at, -1) if self.chosen.size else np.full(wanted.size, -1)


def reference(histories: Histories, most: int = MAX_REFERENCE) -> Reference:
    """Every customer, or an even sample: customers are numbered by their first purchase."""
    num = histories.num_customers
    if num <= most:
        return Reference(histories, np.arange(num))
    chosen = np.unique(np.linspace(0, num - 1, most).astype(np.int64))
    code = np.full(num, -1, np.int32)
    code[chosen] = np.arange(chosen.size, dtype=np.int32)
    lines = histories.where(code[histories.customer] >= 0)
    return Reference(replace(lines, customer=code[lines.customer], num_customers=chosen.size), chosen)


def log_counts(histories: Histories) -> sparse.csr_matrix:
    """(C, I) log(1 + purchase lines)."""
    counts = histories.matrix()
    counts.data = np.log1p(counts.data)
    return counts


class Ease:
    """EASE (Steck, 2019), exact over the whole catalogue, for the products `columns` (A,).

    With X (R, I) of the known customers, (XᵀX + λ)⁻¹ = (1 - Xᵀ(XXᵀ + λ)⁻¹X) / λ: an inverse of R x R gives the weights
    between all products, and R³ is what fitting costs.
    """

    def __init__(self, counts: sparse.csr_matrix, columns: Int32s, ridge: float = 300.0) -> None:
        kernel = (counts @ counts.T).toarray().astype(np.float64)
        kernel[np.diag_indices_from(kernel)] += ridge
        inverse = cho_solve(cho_factor(kernel, overwrite_a=True), np.eye(kernel.shape[0]), overwrite_b=True)
        self._inverse: Float32s = inverse.astype(np.float32)
        self._ridge, self._columns, self._known = ridge, columns, counts
        chosen = counts.tocsc()[:, columns]
        explained = np.zeros(columns.size, np.float32)
        for start in range(0, columns.size, 8192):
            block = chosen[:, start : start + 8192]
            explained[start : start + 8192] = np.asarray(block.multiply(self._inverse @ block).sum(axis=0)).ravel()
        self._scale = 1.0 / np.maximum(1.0 - explained, 1e-6)
        self._by_item = chosen.T.tocsr()

    def score(self, counts: sparse.csr_matrix, place: Int64s) -> Float32s:
        """(B, A) for customers with counts (B, I); `place` (B,) is their row among the known, -1 for others."""
        left = np.empty((counts.shape[0], self._inverse.shape[0]), np.float32)
        known = place >= 0
        left[known] = self._ridge * self._inverse[place[known]]
        own: Float32s = counts[:, self._columns].toarray()
        if not known.all():
            left[~known] = -((counts[~known] @ self._known.T).toarray() @ self._inverse)
        pulled: Float32s = (self._by_item @ left.T).T  # what is left of a known customer, minus the fit of another one
        pulled[~known] += own[~known]
        return own - pulled * self._scale


class Neighbours:
    """The nearest known customers by the dot product of unit vectors (R, I)."""

    def __init__(self, unit: sparse.csr_matrix, num: int) -> None:
        self._unit_t, self._num = unit.T.tocsr(), num

    def weights(self, unit: sparse.csr_matrix, place: Int64s) -> sparse.csr_matrix:
        """(B, R) rows that average the nearest known customers, never the customer themselves."""
        close = (unit @ self._unit_t).toarray()
        known = np.flatnonzero(place >= 0)
        close[known, place[known]] = -np.inf
        return mean_of_nearest(-close, self._num)


def mean_of_nearest(distance: Float32s, num: int) -> sparse.csr_matrix:
    """(B, R) rows that average the `num` nearest of R by their distance (B, R), at most all but one."""
    num = min(num, distance.shape[1] - 1)
    if num <= 0:
        return sparse.csr_matrix(distance.shape, dtype=np.float32)
    nearest = np.argpartition(distance, num - 1, axis=1)[:, :num]
    data = np.full(nearest.size, 1.0 / num, np.float32)
    indptr = np.arange(distance.shape[0] + 1) * num
    return sparse.csr_matrix((data, nearest.ravel(), indptr), shape=distance.shape)
