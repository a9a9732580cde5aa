"""What was looked at, put into carts, bought and given back, in order and by session, as arrays cut in time.

Purchases stand here beside the rest, once per line: who asks only for purchases asks `Histories`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int8s, Int32s, Int64s
from nightmarket.contracts.tables import EVENT_KINDS

KINDS = EVENT_KINDS
"""Codes of the kinds of events: `KINDS[code]`."""
LOOKED = tuple(KINDS.index(kind) for kind in ("view", "click", "search"))
CARTED = tuple(KINDS.index(kind) for kind in ("cart", "wishlist"))
BOUGHT = tuple(KINDS.index(kind) for kind in ("purchase", "rating"))
_STRENGTHS = {"view": 0.2, "click": 0.2, "search": 0.2, "purchase": 1.5, "return": -1.5}
STRENGTH = np.array([_STRENGTHS.get(kind, 1.0) for kind in KINDS])
"""How much an event of each kind says about taste: a return takes back what its purchase said."""
TARGETS = {
    "purchase": ("purchase",),
    "cart": ("cart", "wishlist"),
    "rating": ("rating",),
    "click": ("click",),
    "view": ("view",),
    "any": ("view", "click", "wishlist", "cart", "purchase", "rating"),
}
"""What recommendations may foretell, and the kinds of events that count for it; what is nearest to a purchase first."""
GUEST = -1
"""The customer of an event whose visitor is not known."""
GAP = 30 * 60
"""Seconds without an event after which a session has ended."""


@dataclass(frozen=True)
class Interactions:
    """Events sorted by customer, then time; guests come first. N events.

    customer  (N,)  codes from 0, GUEST for visitors without a name
    item      (N,)  codes from 0
    day       (N,)  days since 1970-01-01, shop-local
    second    (N,)  seconds since 1970-01-01, UTC
    kind      (N,)  codes of KINDS
    session   (N,)  codes, ascending in this order
    """

    customer: Int32s
    item: Int32s
    day: Int32s
    second: Int64s
    kind: Int8s
    session: Int32s
    num_customers: int
    num_items: int

    def __len__(self) -> int:
        return int(self.item.size)

    @classmethod
    def none(cls, num_customers: int, num_items: int) -> "Interactions":
        """Of a shop that records purchases alone."""
        empty = np.zeros(0, np.int32)
        return cls(empty, empty, empty, np.zeros(0, np.int64), np.zeros(0, np.int8), empty, num_customers, num_items)

    def where(self, mask: Bools) -> "Interactions":
        """The events where the mask (N,) is true."""
        return replace(self, **{name: getattr(self, name)[mask] for name in _ARRAYS})

    def until(self, day: int) -> "Interactions":
        """The events of all days up to and including `day`: a session that goes on after midnight ends there."""
        if len(self) == 0 or self.day.max() <= day:
            return self  # not a copy: delivery walks everything
        return self.where(self.day <= day)

    def between(self, first: int, last: int) -> "Interactions":
        """The events of the days first..last, both included."""
        return self.where((self.day >= first) & (self.day <= last))

    def of(self, rows: slice) -> "Interactions":
        """The events of the customers of a slice, as views; customers are counted inside the slice."""
        first, last = np.searchsorted(self.customer, [rows.start, rows.stop])
        arrays = {name: getattr(self, name)[first:last] for name in _ARRAYS}
        arrays["customer"] = arrays["customer"] - np.int32(rows.start)
        return replace(self, **arrays, num_customers=rows.stop - rows.start)

    def kinds(self, *codes: int) -> "Interactions":
        """The events of some kinds."""
        return self.where(np.isin(self.kind, codes))

    def visitors(self) -> Int32s:
        """(N,) who did each event, from 0: a customer, or a guest's session."""
        visitor = np.where(self.customer < 0, self.num_customers + self.session, self.customer)
        return np.unique(visitor, return_inverse=True)[1].astype(np.int32)

    def strengths(self, today: int, half_life: float) -> Float32s:
        """(N,) STRENGTH of each event, halved for every `half_life` days before the day `today`."""
        return (STRENGTH[self.kind] * np.exp2((self.day - today) / half_life)).astype(np.float32)

    def matrix(self, weights: Float32s) -> sparse.csr_matrix:
        """(C, I) sums of the weights (N,) per customer and item; guests' events are left out."""
        named = self.customer >= 0
        shape = (self.num_customers, self.num_items)
        return sparse.coo_matrix((weights[named], (self.customer[named], self.item[named])), shape=shape).tocsr()

    def entries(self) -> sparse.csr_matrix:
        """(C, I) an entry for each pair of a customer and an item."""
        return self.matrix(np.ones(len(self), np.float32))


_ARRAYS = tuple(field.name for field in fields(Interactions) if not field.name.startswith("num_"))


def sessions(customer: Int32s, second: Int64s, named: Int32s) -> Int32s:
    """(N,) numbers of sessions, ascending, of events sorted by customer, then (guests: session, then) time.

    A session ends where the visitor changes, where the source's own session changes, and, where the source names none,
    after GAP without an event.

    named  (N,)  code of the session or basket that the source gives, -1 for none
    """
    if customer.size == 0:
        return np.zeros(0, np.int32)
    other = np.diff(customer, prepend=customer[0] - 1) != 0
    given = (named >= 0) & np.append(False, named[:-1] >= 0)
    changed = np.diff(named, prepend=-2) != 0
    late = np.diff(second, prepend=second[0]) > GAP
    return (np.cumsum(other | np.where(given, changed, late)) - 1).astype(np.int32)
