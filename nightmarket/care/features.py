"""What a shop knows of a customer at a cut, beyond what BG/NBD reads. Shapes: R customers, F figures."""

from dataclasses import dataclass

import numpy as np

from nightmarket.care.reckoning import Reckoning
from nightmarket.care.records import PurchaseDays, PurchaseRecords, counted
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.histories.interactions import CARTED, LOOKED, Interactions

RECENT, LONG, WEEK = 28, 91, 7


@dataclass(frozen=True)
class Looks:
    """Events of known customers that are no purchases, sorted by customer: codes, days, and whether into a cart."""

    customer: Int64s
    day: Int64s
    carted: Int64s

    @classmethod
    def of(cls, events: Interactions) -> "Looks":
        """Looks and carts of those who are known."""
        mask = (events.customer >= 0) & np.isin(events.kind, LOOKED + CARTED)
        chosen = events.where(mask)
        carted = np.isin(chosen.kind, CARTED).astype(np.int64)
        return cls(chosen.customer.astype(np.int64), chosen.day.astype(np.int64), carted)

    def counts(self, known: PurchaseRecords, span: int, carts: bool) -> Float64s:
        """(R,) looks, or carts, in the last `span` days up to the cut."""
        inside = (self.day <= known.cut) & (self.day > known.cut - span) & (self.carted == int(carts))
        return self._per_customer(known, self.customer[inside])

    def idle(self, known: PurchaseRecords) -> Float64s:
        """(R,) days since the last look or cart up to the cut; the age of whoever never looked."""
        before = self.day <= known.cut
        last = np.full(len(known), -1.0)
        customer, day = self.customer[before], self.day[before]
        at = np.searchsorted(known.customer, customer)
        at = np.minimum(at, max(len(known) - 1, 0))
        theirs = known.customer[at] == customer if len(known) else np.zeros(at.size, bool)
        np.maximum.at(last, at[theirs], day[theirs].astype(np.float64))
        return np.where(last >= 0, known.cut - last, known.age)

    def _per_customer(self, known: PurchaseRecords, customer: Int64s) -> Float64s:
        if not len(known):
            return np.zeros(0)
        at = np.minimum(np.searchsorted(known.customer, customer), len(known) - 1)
        return np.bincount(at[known.customer[at] == customer], minlength=len(known)).astype(np.float64)


def features(days: PurchaseDays, looks: Looks | None, known: PurchaseRecords, reckoned: Reckoning) -> Float64s:
    """(R, F) figures of the customers at the cut; nothing later is read.

    Logarithms throughout, so that one customer who bought everything does not decide for all. What is counted over a
    span is set against what the customer's pace lets one expect.
    """
    pace, idle = reckoned.pace, known.idle
    columns = [
        np.log(np.maximum(reckoned.purchases, 1e-6)),
        _logit(reckoned.chance),
        np.log1p(known.repeats),
        np.log1p(known.age),
        np.log1p(idle),
        np.log1p(idle * pace),
        (known.repeats == 0).astype(np.float64),
    ]
    for span in (WEEK, RECENT, LONG):
        expected = pace * np.minimum(span, known.age + 1)
        columns.append(np.log((counted(days, known, span) + 0.5) / (expected + 0.5)))
    columns.append(np.log((known.spend + 1e-9 + 0.1 * reckoned.spend) / (1.1 * reckoned.spend + 1e-9)))
    if looks is not None:
        idle_looks = looks.idle(known)
        columns += [np.log1p(idle_looks), np.log1p(idle) - np.log1p(idle_looks)]
        columns += [np.log1p(looks.counts(known, span, False)) for span in (WEEK, RECENT, LONG)]
        columns += [np.log1p(looks.counts(known, span, True)) for span in (WEEK, RECENT)]
    return np.stack(columns, axis=1)


def _logit(chance: Float64s) -> Float64s:
    inside = np.clip(chance, 1e-4, 1 - 1e-4)
    return np.log(inside) - np.log1p(-inside)
