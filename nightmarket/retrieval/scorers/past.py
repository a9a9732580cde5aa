"""A slice of customers as they stood at the end of a week: what they have bought, in the forms that scorers read.

Shapes: B customers, P (customer, item) pairs, F features of a pair, L places of a sequence, M events.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int64s
from nightmarket.retrieval.recency import ranges
from nightmarket.retrieval.scorers.material import EventTable

HALF_LIVES = (14.0, 45.0, 120.0, 365.0)
"""Days; how fast a purchase fades, one feature of a pair for each."""

NUM_FEATURES = len(HALF_LIVES) + 8
NUM_PACE = 3
_AGES = (1, 2, 4, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364, 728)
NUM_AGES = len(_AGES) + 2
"""Buckets of days, with one for places that hold no event."""


@dataclass(frozen=True)
class SeenPairs:
    """Distinct items per customer, sorted by customer, then item.

    row       (P,)    customer of the slice, 0..B-1
    item      (P,)    item code
    features  (P, F)  see `_features`
    fresh     (P,)    baskets with the item, halved for every 120 days of age
    """

    row: Int64s
    item: Int64s
    features: Float32s
    fresh: Float32s


@dataclass(frozen=True)
class Sequence:
    """The latest events of each customer, oldest first, filled up at the front; (B, L) each.

    event is the place in the ledger; age and gap are buckets of days: before the origin, since the last visit.
    Which events of one day come first has no meaning.
    """

    event: Int64s
    valid: Bools
    day: Int64s
    age: Int64s
    gap: Int64s


class Past:
    """Customers (B,) of a ledger as they stood at the end of week `origin`; nothing later is looked at.

    hidden  keys `row * num_items + item`, ascending, of what is left out, as if it had not been bought; None: nothing
    """

    def __init__(self, ledger: EventTable, customers: Int64s, origin: int, hidden: Int64s | None = None) -> None:
        self.ledger, self.customers, self.origin, self.hidden = ledger, customers, origin, hidden
        self.begin = ledger.indptr[customers]
        self.end = ledger.ends(customers, origin)

    def __len__(self) -> int:
        return len(self.customers)

    @cached_property
    def events(self) -> tuple[Int64s, Int64s]:
        """Places in the ledger (M,) and owners (M,), 0..B-1."""
        event, owner = ranges(self.begin, self.end)
        seen = self._seen(event, owner)
        return event[seen], owner[seen]

    def _seen(self, event: Int64s, owner: Int64s) -> Bools:
        if self.hidden is None or not len(self.hidden):
            return np.ones(event.shape, bool)
        return ~np.isin(owner * self.ledger.num_items + self.ledger.item[event], self.hidden)

    @cached_property
    def pairs(self) -> SeenPairs:
        """What each customer has bought."""
        event, owner = self.events
        ledger = self.ledger
        key, place = np.unique(owner * ledger.num_items + ledger.item[event], return_inverse=True)
        row, item = key // max(ledger.num_items, 1), key % max(ledger.num_items, 1)
        age = (ledger.last_day(self.origin) - ledger.day[event]).astype(np.float32)
        faded = [np.bincount(place, np.exp2(-age / half), minlength=len(key)) for half in HALF_LIVES]
        features = self._features(key, place, row, age, faded)
        return SeenPairs(row, item, features, faded[2].astype(np.float32))

    def _features(self, key: Int64s, place: Int64s, row: Int64s, age: Float32s, faded: list[NDArray]) -> Float32s:
        """(P, F) logarithms, divided by 3: faded baskets per half-life; baskets; days since the last one; mean days
        between two; overdue, that is days since the last one by the mean (0 after one basket); whether there were
        more baskets than one; the customer's shopping days in all and in the last 8 weeks; share of all these.
        """
        num = np.bincount(place, minlength=len(key)).astype(np.float64)
        oldest, newest = np.zeros(len(key)), np.full(len(key), np.inf)
        np.maximum.at(oldest, place, age)
        np.minimum.at(newest, place, age)
        gap = np.where(num > 1, (oldest - newest) / np.maximum(num - 1, 1), 0)
        overdue = np.where(num > 1, np.log((newest + 1) / (gap + 1)), 0)
        visits, lately = self._visits
        columns = [
            *(np.log(value + 0.02) for value in faded),
            np.log(num),
            np.log1p(newest),
            np.log1p(gap),
            overdue,
            (num > 1) * 3.0,
            np.log1p(visits)[row],
            np.log1p(lately)[row],
            np.log(num / np.maximum(visits[row], 1)),
        ]
        return (np.stack(columns, axis=1) / 3).astype(np.float32)

    @cached_property
    def pace(self) -> Float32s:
        """(B, 3) logarithms, divided by 3: shopping days, those of the last 8 weeks, distinct items."""
        visits, lately = self._visits
        num = np.bincount(self.pairs.row, minlength=len(self))
        return (np.log1p(np.stack([visits, lately, num], axis=1)) / 3).astype(np.float32)

    @cached_property
    def _visits(self) -> tuple[Float64s, Float64s]:
        """(B,) shopping days, in all and in the last 8 weeks."""
        event, owner = self.events
        day = self.ledger.day[event]
        new_day = (np.diff(owner, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
        late = new_day & (self.ledger.last_day(self.origin) - day < 56)
        visits, lately = (np.bincount(owner[mask], minlength=len(self)).astype(np.float64) for mask in (new_day, late))
        return visits, lately

    def sequence(self, length: int) -> Sequence:
        """The latest `length` events."""
        event = self.end[:, None] - length + np.arange(length)
        valid = event >= self.begin[:, None]
        event = np.where(valid, event, 0)
        if not len(self.ledger.day):
            return Sequence(event, valid, np.zeros_like(event), np.zeros_like(event), np.zeros_like(event))
        valid &= self._seen(event, np.arange(len(self))[:, None])
        day = np.where(valid, self.ledger.day[event], 0)
        age = np.where(valid, age_bucket(self.ledger.last_day(self.origin) - day), 0)
        since = self.ledger.since[event]
        return Sequence(event, valid, day, age, np.where(valid & (since >= 0), age_bucket(since), 0))


def age_bucket(days: NDArray) -> Int64s:
    """Bucket 1..NUM_AGES-1 of a number of days; 0 is kept for "none"."""
    return np.searchsorted(np.array(_AGES), days, side="right").astype(np.int64) + 1


def tensor(values: NDArray, device: torch.device) -> Tensor:
    """The array on the device."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
