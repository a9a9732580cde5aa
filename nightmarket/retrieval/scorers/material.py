"""What scorers learn from and score with: purchases up to an origin, product texts, and rows for codes.

Shapes: N events, C customers, I items, T texts, D width of a text vector.
An event is a customer's day with an item, however many lines it has.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.histories.calendar import NEVER, weeks_ending
from nightmarket.histories.histories import Histories

NUM_PRICES = 16
"""Quantile buckets of the price paid per unit."""


@dataclass(frozen=True)
class ScorerData:
    """Raw material of a scorer.

    histories      lines after the cut are never looked at
    text_vectors   (T, D) vectors of the distinct texts; None: no text
    text_id        (I,) text of each item; None: item i has text i
    recommendable  (I,) which items `recommend` may name; None: all

    Codes of items and channels must mean the same in the material that a scorer is fitted on and in the one that it
    scores; `renumbered` helps where a catalogue has changed.
    """

    histories: Histories
    text_vectors: NDArray | None = None
    text_id: Int32s | None = None
    recommendable: Bools | None = None

    def __post_init__(self) -> None:
        num_items = self.histories.num_items
        for name in ("text_id", "recommendable"):
            value = getattr(self, name)
            if value is not None and len(value) != num_items:
                raise InputError(f"scorers: {name} has {len(value)} entries for {num_items} items; pass one per item")
        if self.text_vectors is not None:
            if self.texts.max(initial=-1) >= len(self.text_vectors):
                raise InputError(
                    f"scorers: text_vectors has {len(self.text_vectors)} rows, text_id asks for row "
                    f"{int(self.texts.max())}; pass the vectors of all texts"
                )
            if not np.isfinite(self.text_vectors).all():
                raise InputError("scorers: text_vectors holds values that are not finite; encode the texts again")

    @property
    def texts(self) -> Int64s:
        """(I,) row of each item's text vector."""
        if self.text_id is None:
            return np.arange(self.histories.num_items)
        return self.text_id.astype(np.int64)


@dataclass(frozen=True)
class Vocabulary:
    """How codes become rows of learned tables, as it was at the fit; row 0 stands for whatever was unknown then.

    item_row     (I,)
    price_edges  (NUM_PRICES - 1,) currency per unit
    num_rows, num_channels  sizes of the tables of items and channels
    """

    item_row: Int64s
    price_edges: Float32s
    num_rows: int
    num_channels: int

    @classmethod
    def learn(cls, past: Histories, min_buyers: int) -> "Vocabulary":
        """From lines that end at the cut."""
        pair = np.unique(past.customer.astype(np.int64) * past.num_items + past.item)
        buyers = np.bincount(pair % max(past.num_items, 1), minlength=past.num_items)
        known = buyers >= min_buyers
        paid = (past.value / past.quantity).astype(np.float64)
        edges = np.quantile(paid, np.arange(1, NUM_PRICES) / NUM_PRICES) if len(past) else np.zeros(NUM_PRICES - 1)
        return cls(
            np.where(known, np.cumsum(known), 0).astype(np.int64),
            edges.astype(np.float32),
            int(known.sum()) + 1,
            int(past.channel.max(initial=-1)) + 2,
        )

    def renumbered(self, codes: NDArray) -> "Vocabulary":
        """For a catalogue whose item i was item codes[i] at the fit, or -1 where there was none."""
        if codes.max(initial=-1) >= len(self.item_row):
            raise InputError(
                f"scorers: codes name item {int(codes.max())}, the scorer knows {len(self.item_row)} items"
            )
        return replace(self, item_row=np.where(codes >= 0, self.item_row[np.maximum(codes, 0)], 0))


class EventTable:
    """Events up to the end of the day `cut`, sorted by customer and day, with rows of the learned tables.

    Weeks are numbered so that one, `origin`, ends with the cut.

    customer, item, day, week  (N,)   channel, price  (N,) rows of their tables
    first                      (N,)   whether it is the customer's first event with the item
    since                      (N,)   days since the customer's shopping day before, -1 on the first
    text                       (I,)   row of each item's text vector
    first_week                 (I,)   week of the item's first event, NEVER where there is none
    """

    def __init__(self, material: ScorerData, vocabulary: Vocabulary, cut: int) -> None:
        past = material.histories.until(cut)
        self.material, self.vocabulary = material, vocabulary
        self.origin = (cut + 1) // 7 - 1
        self._first_end = cut - 7 * self.origin
        self.num_customers, self.num_items = past.num_customers, past.num_items
        self.text = material.texts
        item_row = vocabulary.item_row
        if len(item_row) != self.num_items:
            raise InputError(
                f"scorers: {self.num_items} items in the histories, {len(item_row)} when the scorer was fitted; "
                "pass `codes`, the code that each item had then"
            )
        first_day = int(past.day.min()) if len(past) else 0
        span = int(past.day.max(initial=first_day)) - first_day + 1
        key = (past.customer.astype(np.int64) * span + (past.day - first_day)) * self.num_items + past.item
        line = np.unique(key, return_index=True)[1]
        self.customer = past.customer[line].astype(np.int64)
        self.item = past.item[line].astype(np.int64)
        self.day = past.day[line].astype(np.int64)
        self.week = weeks_ending(past.day, cut)[line].astype(np.int64)
        channel = past.channel[line].astype(np.int64) + 1
        self.channel = np.where(channel < vocabulary.num_channels, channel, 0)
        paid = (past.value[line] / past.quantity[line]).astype(np.float32)
        self.price = np.searchsorted(vocabulary.price_edges, paid).astype(np.int64) + 1
        self.since = _days_since(self.customer, self.day)
        self.first = np.zeros(len(line), bool)
        pair = self.customer * max(self.num_items, 1) + self.item
        self.first[np.unique(pair, return_index=True)[1]] = True
        first_days = past.first_days()
        self.first_week = np.where(first_days == NEVER, NEVER, weeks_ending(first_days, cut))
        self.indptr = np.searchsorted(self.customer, np.arange(self.num_customers + 1)).astype(np.int64)
        self._week_key = self.customer * _SPAN + self.week

    def last_day(self, week: int) -> int:
        """The day that a week ends with, days since 1970-01-01."""
        return 7 * week + self._first_end

    def ends(self, customers: Int64s, week: int) -> Int64s:
        """(B,) end of each customer's events up to and including `week`."""
        return np.searchsorted(self._week_key, customers * _SPAN + week, side="right").astype(np.int64)

    def rows(self, items: NDArray, origin: int) -> Int64s:
        """(A,) rows of the items in the table of items as it may be known at the end of week `origin`."""
        return np.where(self.first_week[items] <= origin, self.vocabulary.item_row[items], 0)


def _days_since(customer: Int64s, day: Int64s) -> Int64s:
    """(N,) of events sorted by customer and day."""
    start = np.flatnonzero((np.diff(customer, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0))
    gap = np.diff(day[start], prepend=0)
    gap[np.diff(customer[start], prepend=-1) != 0] = -1
    return np.repeat(gap, np.diff(np.append(start, len(day))))


_SPAN = 1 << 20  # above any week number
