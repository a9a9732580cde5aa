"""Days on which customers bought, what was known of each at a cut, and what the days after it brought.

Shapes: L purchase lines, P pairs of a customer and a day with a purchase, R customers who had bought by a cut.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.histories.histories import Histories


@dataclass(frozen=True)
class PurchaseDays:
    """A purchase is a day on which a customer bought, whatever and however often; sorted by customer, then day.

    customer, day  (P,)
    line           (P,)  the first of the pair's lines in `lines`
    """

    customer: Int64s
    day: Int64s
    line: Int64s
    lines: Histories

    @classmethod
    def of(cls, lines: Histories) -> "PurchaseDays":
        """Of lines sorted by customer, then day."""
        customer, day = lines.customer.astype(np.int64), lines.day.astype(np.int64)
        begins = np.ones(len(lines), bool)
        begins[1:] = (customer[1:] != customer[:-1]) | (day[1:] != day[:-1])
        line = np.flatnonzero(begins)
        return cls(customer[line], day[line], line, lines)

    @property
    def priced(self) -> bool:
        """Whether anything says what was paid."""
        return bool(self.lines.value.any())

    def values(self, known: int) -> Float64s:
        """(P,) what was paid and not given back by the day `known`, never below 0."""
        if not self.line.size:
            return np.zeros(0)
        paid = np.maximum(self.lines.value.astype(np.float64), 0.0)
        if self.lines.returned is not None:
            paid = np.where(self.lines.returned > known, paid, 0.0)
        return np.add.reduceat(paid, self.line)


@dataclass(frozen=True)
class PurchaseRecords:
    """What is known at a cut of those who had bought by then.

    customer     (R,)  codes, ascending
    repeats      (R,)  purchases after the first one
    last         (R,)  days from the first purchase to the last
    age          (R,)  days from the first purchase to the cut
    spend        (R,)  mean paid per purchase, currency, what had come back taken off
    again_spend  (R,)  the same without the first purchase; 0 where there was one only
    """

    cut: int
    customer: Int64s
    repeats: Float64s
    last: Float64s
    age: Float64s
    spend: Float64s
    again_spend: Float64s

    def __len__(self) -> int:
        return int(self.customer.size)

    def of(self, rows: slice) -> "PurchaseRecords":
        """The records of some rows."""
        arrays = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "cut"}
        return replace(self, **arrays)

    @property
    def idle(self) -> Float64s:
        """(R,) days since the last purchase."""
        return self.age - self.last


def records(days: PurchaseDays, cut: int) -> PurchaseRecords:
    """The records at the end of the day `cut`."""
    before = days.day <= cut
    customer, day, value = days.customer[before], days.day[before], days.values(cut)[before]
    codes, first, num = np.unique(customer, return_index=True, return_counts=True)
    if not codes.size:
        nothing = np.zeros(0)
        return PurchaseRecords(cut, codes, nothing, nothing, nothing, nothing, nothing)
    began, ended = day[first], day[first + num - 1]
    total = np.add.reduceat(value, first)
    repeats = (num - 1).astype(np.float64)
    return PurchaseRecords(
        cut=cut,
        customer=codes,
        repeats=repeats,
        last=(ended - began).astype(np.float64),
        age=(cut - began).astype(np.float64),
        spend=total / num,
        again_spend=np.maximum(total - value[first], 0.0) / np.maximum(repeats, 1.0),
    )


@dataclass(frozen=True)
class WindowOutcomes:
    """What the days after a cut brought, per customer of its records.

    purchases  (R,)  days with a purchase
    value      (R,)  paid and not given back by the last of the days, currency
    """

    purchases: Float64s
    value: Float64s

    @property
    def bought(self) -> Bools:
        """(R,) whether they bought at all."""
        return self.purchases > 0


def outcomes(days: PurchaseDays, known: PurchaseRecords, horizon: int) -> WindowOutcomes:
    """What the `horizon` days after the cut brought."""
    inside = (days.day > known.cut) & (days.day <= known.cut + horizon)
    at = np.searchsorted(known.customer, days.customer[inside])
    at = np.minimum(at, max(len(known) - 1, 0))
    theirs = known.customer[at] == days.customer[inside] if len(known) else np.zeros(at.size, bool)
    at, value = at[theirs], days.values(known.cut + horizon)[inside][theirs]
    return WindowOutcomes(
        np.bincount(at, minlength=len(known)).astype(np.float64),
        np.bincount(at, value, minlength=len(known)).astype(np.float64),
    )


def counted(days: PurchaseDays, known: PurchaseRecords, span: int) -> Float64s:
    """(R,) purchases in the last `span` days up to the cut."""
    inside = (days.day <= known.cut) & (days.day > known.cut - span)
    at = np.searchsorted(known.customer, days.customer[inside])  # whoever bought by the cut is among the known
    return np.bincount(at, minlength=len(known)).astype(np.float64)
