"""What BG/NBD and gamma-gamma say of each customer at a cut. Shapes: R customers, D draws."""

from dataclasses import dataclass

import numpy as np

from nightmarket.care import bgnbd, spend
from nightmarket.care.records import PurchaseRecords
from nightmarket.contracts.arrays import Float64s

DRAWS = 200
BATCH = 20_000
"""Customers whose draws are in memory at once."""
LEVEL = 0.8
"""Of the intervals."""


@dataclass(frozen=True)
class Reckoning:
    """What is expected of the `horizon` days after a cut.

    staying    (R,)  chance that the customer has not left
    chance     (R,)  chance of a purchase in these days
    purchases  (R,)  expected days with a purchase
    value      (R,)  expected spend, currency: gamma-gamma on repeat purchases, as `lifetimes` does it
    spend      (R,)  expected spend per purchase, currency: gamma-gamma on all purchases
    pace       (R,)  purchases per day while they bought
    """

    horizon: float
    staying: Float64s
    chance: Float64s
    purchases: Float64s
    value: Float64s
    spend: Float64s
    pace: Float64s


@dataclass(frozen=True)
class Fitted:
    """The models of one cut: of purchases, of what all of them cost, and of what repeat purchases cost."""

    coming: bgnbd.BgNbd
    spending: spend.Spend
    again: spend.Spend

    def reckon(self, known: PurchaseRecords, horizon: float) -> Reckoning:
        """What is expected of each customer."""
        purchases = self.coming.purchases(known, horizon)
        return Reckoning(
            horizon=horizon,
            staying=self.coming.staying(known),
            chance=self.coming.chance(known, horizon),
            purchases=purchases,
            value=purchases * self.again.expected(known.repeats, known.again_spend),
            spend=self.spending.expected(known.repeats + 1, known.spend),
            pace=self.coming.pace(known),
        )

    def spans(self, known: PurchaseRecords, horizon: float, seed: int) -> tuple[Float64s, Float64s]:
        """(R, 2) purchases and (R, 2) spend between which LEVEL of the draws lie."""
        rng = np.random.default_rng(seed)
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        purchases, value = np.zeros((len(known), 2)), np.zeros((len(known), 2))
        for start in range(0, len(known), BATCH):
            batch = slice(start, start + BATCH)
            part = known.of(batch)
            counts = self.coming.draw(part, horizon, DRAWS, rng)
            spent = self.spending.draw(part.repeats + 1, part.spend, counts, rng)
            purchases[batch] = np.quantile(counts, tails, axis=1, method="inverted_cdf").T
            value[batch] = np.quantile(spent, tails, axis=1).T
        return purchases, value


def fit(known: PurchaseRecords, seed: int) -> Fitted | str:
    """Both models on what was known at a cut; why nothing can be told where nothing can."""
    coming = bgnbd.fit(known, seed)
    if isinstance(coming, str):
        return coming
    return Fitted(coming, spend.fit(known.repeats + 1, known.spend), spend.fit(known.repeats, known.again_spend))
