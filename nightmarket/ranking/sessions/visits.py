"""Who asks: what a visitor did, oldest first, and where they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Bools, Int8s, Int32s, Int64s
from nightmarket.histories.interactions import GAP

DAY = 86_400


def no_items() -> Int32s:
    """(0,)"""
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Visit:
    """What a visitor did, oldest first: N events, of this visit and of earlier ones.

    item    (N,)  codes
    kind    (N,)  codes of histories.interactions.KINDS
    second  (N,)  seconds since 1970-01-01, UTC
    now     the moment of the question
    day     the shop's local day that it falls on
    listed  (L,)  the customer's list of the night, best first; none for a guest
    page    (P,)  items that the page proposes besides: of a category, those most in demand
    may     which of the items (N,) this visitor may be shown here: those of the page, those that can be had just now;
            all where None
    """

    item: Int32s
    kind: Int8s
    second: Int64s
    now: int
    day: int
    listed: Int32s = field(default_factory=no_items)
    page: Int32s = field(default_factory=no_items)
    may: Callable[[Int32s], Bools] | None = None

    @classmethod
    def nothing(cls, now: int, day: int) -> "Visit":
        """Of somebody of whom nothing is known."""
        return cls(no_items(), np.zeros(0, np.int8), np.zeros(0, np.int64), now, day)

    @cached_property
    def session(self) -> Bools:
        """(N,) which events are of this visit: those after the last GAP without an event, if it has not passed."""
        late = np.diff(self.second, append=self.now) > GAP
        last = np.flatnonzero(late)[-1] if late.any() else -1
        return np.asarray(np.arange(self.second.size) > last)

    @cached_property
    def ago(self) -> Int64s:
        """(N,) days since each event, in whole days of 24 hours."""
        return np.maximum(self.now - self.second, 0) // DAY
