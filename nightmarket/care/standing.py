"""How each customer stands: buying as usual, about to leave, gone; and when the next purchase is due.

Shapes: R customers.
"""

from dataclasses import dataclass

import numpy as np

from nightmarket.care.outlook import CustomerOutlook
from nightmarket.contracts.arrays import Bools, Float64s, Int64s, Values

FEW, ACTIVE, LEAVING, GONE = "few", "active", "leaving", "gone"
STANDINGS = (FEW, ACTIVE, LEAVING, GONE)
HABIT = 3
"""Purchases from which on a customer has a pace that can slacken."""
SLACK = 0.5
"""Who is expected to buy less than this share of what they used to is about to leave."""
LOST = 0.1
"""Who comes back with a smaller chance is gone."""


@dataclass(frozen=True)
class Standing:
    """Per customer of an outlook.

    name      (R,)  of STANDINGS
    gap       (R,)  usual days from one purchase to the next, between the customer's own and everybody's
    due       (R,)  day on which the next purchase is due: the usual gap after the last one; it may be past
    at_risk   (R,)  what the customer would bring at their usual pace minus what is expected: currency, purchases where
                    nothing says what was paid
    worth     (R,)  about to leave, and at risk is at least what the shop expects of its median customer
    """

    name: Values
    gap: Float64s
    due: Int64s
    at_risk: Float64s
    worth: Bools


def standing(outlook: CustomerOutlook, priced: bool) -> Standing:
    """How the customers of an outlook stand at its cut."""
    known, reckoned, expected = outlook.known, outlook.reckoned, outlook.expected
    usual = reckoned.pace * reckoned.horizon
    slack = expected["purchases"] < SLACK * usual
    few = known.repeats + 1 < HABIT
    name = np.select([few, ~slack, expected["chance"] < LOST], [FEW, ACTIVE, GONE], LEAVING).astype(object)
    gap = 1 / reckoned.pace
    last = known.cut - known.idle
    due = np.minimum(last + np.ceil(gap), last + 36_500).astype(np.int64)
    bring, expects = (usual * reckoned.spend, expected["value"]) if priced else (usual, expected["purchases"])
    at_risk = np.maximum(bring - expects, 0.0)
    worth = (name == LEAVING) & (at_risk >= (np.median(expects) if len(known) else 0.0))
    return Standing(name, gap, due, at_risk, worth)
