"""Which size a customer takes, among those that a kind of product comes in.

B customers of a slice, A items, N pairs, K kinds, S sizes.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.interactions import Interactions

HALF_LIFE = 180.0
"""Days in which an event halves as a sign of the size that somebody takes."""
PRIOR = 0.6
"""Strength of what a customer did at which their own sizes count half, beside everybody's: three looks."""


@dataclass(frozen=True)
class SizeShares:
    """usual (I,) everybody's share of each item's size in its kind, NaN without a size; of_kind (K, S) which sizes a
    kind comes in."""

    catalogue: Catalogue
    usual: Float32s
    of_kind: sparse.csr_matrix

    @classmethod
    def of(cls, catalogue: Catalogue, events: Interactions, today: int) -> "SizeShares | None":
        """What everybody did; None in a shop without sizes."""
        rows = np.flatnonzero(catalogue.size >= 0)
        if rows.size == 0:
            return None
        kind, size = catalogue.kind[rows], catalogue.size[rows]
        sums = np.bincount(events.item, events.strengths(today, HALF_LIFE), catalogue.num_items)[rows]
        done = np.maximum(sums, 0) + PRIOR
        shape = (int(catalogue.kind.max()) + 1, int(size.max()) + 1)
        of_kind = sparse.coo_matrix((done, (kind, size)), shape).tocsr()
        usual = np.full(catalogue.num_items, np.nan, np.float32)
        usual[rows] = np.asarray(of_kind[kind, size]).ravel() / np.asarray(of_kind.sum(axis=1)).ravel()[kind]
        return cls(catalogue, usual, (of_kind > 0).astype(np.float32))

    def _done(self, events: Interactions, today: int) -> tuple[Float32s, Float32s]:
        """(B, S), (B, K) what customers of a slice did with each size, and with all sizes of each kind."""
        size, num = self.catalogue.size[events.item], self.of_kind.shape[1]
        sized = size >= 0
        key = events.customer[sized].astype(np.int64) * num + size[sized]
        sums = np.bincount(key, events.strengths(today, HALF_LIFE)[sized], events.num_customers * num)
        done = np.maximum(sums.reshape(-1, num), 0).astype(np.float32)
        return done, np.asarray(done @ self.of_kind.T, np.float32)

    def shares(self, events: Interactions, today: int, items: Int32s) -> Float32s:
        """(B, A) each customer's share of the size of each item among the sizes of its kind; 1 without a size."""
        done, total = self._done(events, today)
        kind, size = self.catalogue.kind[items], np.maximum(self.catalogue.size[items], 0)
        shares = (done[:, size] + PRIOR * self.usual[items]) / (total[:, kind] + PRIOR)
        return np.where(np.isnan(shares), np.float32(1), shares)

    def of_pairs(self, events: Interactions, today: int, customer: Int32s, item: Int32s) -> Float32s:
        """(N,) the same of pairs; NaN without a size."""
        done, total = self._done(events, today)
        kind, size = self.catalogue.kind[item], np.maximum(self.catalogue.size[item], 0)
        return (done[customer, size] + PRIOR * self.usual[item]) / (total[customer, kind] + PRIOR)
