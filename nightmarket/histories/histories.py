"""Who bought what and when, as plain arrays that can be cut in time."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.histories.calendar import NEVER


@dataclass(frozen=True)
class Histories:
    """Purchase lines sorted by customer, then day; N lines.

    customer, item  (N,)  codes from 0
    week            (N,)  whole weeks since Monday 1970-01-05, shop-local
    day             (N,)  days since 1970-01-01, shop-local
    quantity        (N,)  units, above 0
    value           (N,)  amount paid, currency
    discount        (N,)  reductions, currency
    basket, channel (N,)  codes
    returned        (N,)  the day that the line came back, NEVER for what was kept; None: nothing came back
    """

    customer: Int32s
    item: Int32s
    week: Int32s
    day: Int32s
    quantity: Float32s
    value: Float32s
    discount: Float32s
    basket: Int32s
    channel: Int32s
    num_customers: int
    num_items: int
    returned: Int32s | None = None

    def __len__(self) -> int:
        return int(self.customer.size)

    def where(self, mask: Bools) -> "Histories":
        """The lines where the mask (N,) is true."""
        return replace(self, **{name: values[mask] for name, values in self._arrays().items()})

    def _arrays(self) -> dict[str, Any]:
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values for name, values in every.items() if isinstance(values, np.ndarray)}

    def of(self, rows: slice) -> "Histories":
        """The lines of the customers of a slice, as views; codes stay as they are."""
        first, last = np.searchsorted(self.customer, [rows.start, rows.stop])
        return replace(self, **{name: values[first:last] for name, values in self._arrays().items()})

    def until(self, day: int) -> "Histories":
        """The lines of all days up to and including `day`, without what had come back by then."""
        kept = self.day <= day
        if self.returned is not None:
            kept &= self.returned > day
        return self if kept.all() else self.where(kept)  # not a copy: delivery walks the whole history

    def between(self, first: int, last: int) -> "Histories":
        """The lines of the days first..last, both included."""
        return self.where((self.day >= first) & (self.day <= last))

    @property
    def indptr(self) -> Int64s:
        """(C+1,) customer c's lines are [indptr[c]:indptr[c+1]]."""
        return np.searchsorted(self.customer, np.arange(self.num_customers + 1)).astype(np.int64)

    def matrix(self, weights: Float32s | None = None) -> sparse.csr_matrix:
        """(C, I) sums of the weights (number of lines when None) per customer and item, indices sorted."""
        data = np.ones(len(self), np.float32) if weights is None else weights.astype(np.float32)
        shape = (self.num_customers, self.num_items)
        out = sparse.coo_matrix((data, (self.customer, self.item)), shape=shape).tocsr()
        out.sort_indices()
        return out

    def targets(self, mask_CI: sparse.csr_matrix | None = None) -> tuple[Int64s, Int32s]:
        """Distinct items per customer as (indptr, items); with `mask_CI`, only items where the mask has no entry."""
        bought = self.matrix()
        bought.data[:] = 1
        if mask_CI is not None:
            known = mask_CI.copy()
            known.data = np.ones_like(known.data)
            bought = bought - bought.multiply(known).tocsr()
            bought.eliminate_zeros()
            bought.sort_indices()
        return bought.indptr.astype(np.int64), bought.indices.astype(np.int32)

    def first_days(self) -> Int32s:
        """(I,) the day of each item's first sale; NEVER for items never sold."""
        first = np.full(self.num_items, NEVER, np.int32)
        np.minimum.at(first, self.item, self.day)
        return first
