"""What goes with what: products that visitors met one soon after the other, the strongest neighbours of each.

N events sorted by visitor and time, I items, L neighbours in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.histories.interactions import BOUGHT, CARTED, STRENGTH, Interactions

NEIGHBOURS = 60
DAYS, HALF_LIFE = 91, 30.0
"""Days whose events count, and in which an event halves."""
NEAR, LATER, AFTER = 10, 30, 15
"""Events that are set beside one: before and after it in a session, later in the session, after a purchase."""
FOLLOW_DAYS = 28
"""Days after a purchase in which what a customer does follows from it."""
SHRINK = 5.0
"""Events without a neighbour that each item is given: half of two events is no share."""
BLOCK = 400_000
"""Events whose pairs are counted together."""
COLUMN, VALUE = np.uint64(24), np.uint64(16)
"""Bits of an item and of a value in a key that sorts pairs."""


@dataclass(frozen=True)
class CoVisits:
    """Item i's neighbours are item[indptr[i]:indptr[i+1]] with their values, strongest first; indptr (I+1,)."""

    indptr: Int64s
    item: Int32s
    value: NDArray[np.float16]

    @classmethod
    def none(cls, num_items: int) -> "CoVisits":
        """Nobody is anybody's neighbour."""
        return cls(np.zeros(num_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float16))

    def of_items(self, items: Int32s, most: int = NEIGHBOURS) -> Int32s:
        """The items' neighbours one after the other, at most so many of each."""
        return self.item[self._rows(items, most)[0]]

    def sums(self, items: Int32s, weights: Float32s, asked: Int32s) -> Float32s:
        """(M,) over the items (N,), their weight times the value of what is asked (ascending) as their neighbour."""
        if asked.size == 0:
            return np.zeros(0, np.float32)
        rows, num = self._rows(items, NEIGHBOURS)
        near = self.item[rows]
        place = np.minimum(np.searchsorted(asked, near), asked.size - 1)
        value = np.where(asked[place] == near, self.value[rows] * np.repeat(weights, num), 0)
        return np.bincount(place, value, asked.size).astype(np.float32)

    def values(self, items: Int32s, asked: Int32s) -> Float32s:
        """(N, M) the value of what is asked (ascending) as a neighbour of each item (N,); 0 where it is none."""
        values = np.zeros((items.size, asked.size), np.float32)
        if asked.size:
            rows, num = self._rows(items, NEIGHBOURS)
            near = self.item[rows]
            place = np.minimum(np.searchsorted(asked, near), asked.size - 1)
            same = asked[place] == near
            values[np.repeat(np.arange(items.size), num)[same], place[same]] = self.value[rows[same]]
        return values

    def _rows(self, items: Int32s, most: int) -> tuple[Int64s, Int64s]:
        """Where the items' neighbours stand, and how many each has (N,)."""
        start = self.indptr[items]
        num = np.minimum(self.indptr[items + 1] - start, most)
        ends = np.cumsum(num)
        return np.arange(num.sum()) + np.repeat(start - ends + num, num), num


def in_session(events: Interactions, today: int) -> CoVisits:
    """How probable each item is near another one in a session: NEAR events before and after it."""
    return _counted(events, events.session, today, [*range(-NEAR, 0), *range(1, NEAR + 1)], (), ())


def leading(events: Interactions, today: int) -> CoVisits:
    """How probable it is that who met an item puts another one into the cart, or buys it, later in the session."""
    return _counted(events, events.session, today, range(1, LATER + 1), (), (*CARTED, *BOUGHT))


def following(events: Interactions, today: int) -> CoVisits:
    """How probable it is that who bought an item meets another one in the next FOLLOW_DAYS."""
    return _counted(events, events.visitors(), today, range(1, AFTER + 1), BOUGHT, (), FOLLOW_DAYS)


def _counted(
    events: Interactions,
    owner: Int32s,
    today: int,
    steps: Sequence[int],
    first: tuple[int, ...],
    then: tuple[int, ...],
    days: int = 1,
) -> CoVisits:
    """Pairs of an event of the kinds `first` with one of the kinds `then`, `steps` events later, of the same owner (N,)
    and at most so many days apart, over what happened to the first item; no kinds: all that speak for a product."""
    num_items = events.num_items
    weight = np.exp2((events.day - today) / HALF_LIFE).astype(np.float32)
    speaks = STRENGTH[events.kind] > 0
    target = np.isin(events.kind, then) if then else speaks
    source = np.flatnonzero((np.isin(events.kind, first) if first else speaks) & (events.day >= today - DAYS))
    source = source[np.argsort(events.item[source], kind="stable")]
    bounds = np.searchsorted(events.item[source], np.arange(num_items + 1))
    often = np.bincount(events.item[source], weight[source], num_items).astype(np.float32)
    parts, num, begin = [], np.zeros(num_items, np.int64), 0
    while begin < num_items:
        end = int(np.searchsorted(bounds, bounds[begin] + BLOCK, side="right")) - 1
        end = min(max(end, begin + 1), num_items)
        rows = source[bounds[begin] : bounds[end]]
        pairs = []
        for step in steps:
            other = rows + step
            inside = np.flatnonzero((other >= 0) & (other < len(events)))
            here, other = rows[inside], other[inside]
            kept = (owner[here] == owner[other]) & target[other] & (events.item[here] != events.item[other])
            kept &= np.abs(events.day[other] - events.day[here]) <= days
            here, other = here[kept], other[kept]
            pairs.append((events.item[here] - begin, events.item[other], weight[here] / np.sqrt(np.float32(abs(step)))))
        row, column, value = (np.concatenate(part) for part in zip(*pairs, strict=True))
        value /= often[begin:end][row] + SHRINK
        counts = sparse.coo_matrix((value, (row, column)), shape=(end - begin, num_items)).tocsr()
        num[begin:end], *strongest = _strongest(counts)
        parts.append(strongest)
        begin = end
    if not parts:
        return CoVisits.none(num_items)
    item, shares = (np.concatenate(part) for part in zip(*parts, strict=True))
    return CoVisits(np.append(0, np.cumsum(num)), item, shares)


def _strongest(values: sparse.csr_matrix) -> tuple[Int64s, Int32s, NDArray[np.float16]]:
    """Of each row of (R, I) how many of its NEIGHBOURS largest values there are, their columns and they, the largest
    first, ties to the lower column: sorted as keys of row, value and column, with no other array to bring along."""
    half = values.data.astype(np.float16)
    kept = half > 0
    row = np.repeat(np.arange(values.shape[0], dtype=np.uint64), np.diff(values.indptr))[kept]
    bits = np.uint64((1 << 16) - 1) - half[kept].view(np.uint16).astype(np.uint64)  # positive halves sort as integers
    keys = ((row << VALUE | bits) << COLUMN) | values.indices[kept].astype(np.uint64)
    keys.sort()
    row = (keys >> (VALUE + COLUMN)).astype(np.int64)
    first = np.searchsorted(row, np.arange(values.shape[0] + 1))
    keys = keys[np.arange(keys.size) - first[row] < NEIGHBOURS]
    column = (keys & np.uint64((1 << 24) - 1)).astype(np.int32)
    largest = np.uint16((1 << 16) - 1) - (keys >> COLUMN).astype(np.uint16)
    return np.minimum(np.diff(first), NEIGHBOURS), column, largest.view(np.float16)
