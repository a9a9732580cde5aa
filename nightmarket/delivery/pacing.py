"""Spend a budget over a day, on the arrivals that are worth most, without knowing who is still to come.

An arrival has a value and a cost. With the whole day in view one would take the best ratios of value to cost until the
budget is spent: all above one threshold. The pacer sets that threshold anew before every arrival, so that what it lets
pass is expected to cost what is left: a fluid approximation that is solved again and again (Gallego and van Ryzin 1994;
for budgets under dual prices Balseiro, Lu and Mirrokni 2020).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s

HOURS = 24


@dataclass(frozen=True)
class Profile:
    """What earlier days say of a day.

    arrivals  (24,)  expected per hour
    strength  expected arrivals that the prior of the day's own level is worth: 1 / variance of level over expected
    value, cost (N,)  arrivals of earlier days, any order
    """

    arrivals: Float64s
    strength: float
    value: Float64s
    cost: Float64s

    @classmethod
    def fit(cls, counts: NDArray, value: Float64s, cost: Float64s, same: Bools) -> "Profile":
        """From arrivals per earlier day and hour (D, 24), and the values and costs of all those arrivals.

        same (D,) marks the days whose level counts most, such as those of the same weekday; their mean is shrunk to
        that of all days, as if there were four of these.
        """
        totals = counts.sum(axis=1).astype(np.float64)
        mean = totals.mean()
        level = (totals[same].sum() + 4 * mean) / (int(same.sum()) + 4)
        shape = (counts.sum(axis=0) + 0.5) / (counts.sum() + 0.5 * HOURS)
        around = np.where(
            same, totals[same].mean() if same.any() else mean, totals[~same].mean() if (~same).any() else 0
        )
        extra = max(float(((totals - around) ** 2).mean()) - mean, 1e-9)
        return cls(level * shape, float(min(mean**2 / extra, 1e6)), value, cost)


class Pacer:
    """Decides arrival by arrival; never spends more than the budget.

    budget  currency, for the day
    """

    def __init__(self, profile: Profile, budget: float) -> None:
        ratio = profile.value / profile.cost
        order = np.argsort(-ratio, kind="stable")
        self._ratio = ratio[order]
        self._spend = np.cumsum(profile.cost[order]) / max(profile.cost.size, 1)  # per arrival, above each ratio
        self._profile, self._left = profile, budget
        self._before = np.concatenate([[0.0], np.cumsum(profile.arrivals)])
        self._seen = 0

    @property
    def left(self) -> float:
        """What is not spent yet, currency."""
        return self._left

    def threshold(self, hour: float) -> float:
        """Least value per unit of cost that is taken at an hour of the day, in [0, 24)."""
        gone = float(np.interp(hour, np.arange(HOURS + 1), self._before))
        prior = self._profile.strength
        pace = (prior + self._seen) / (prior + gone) if prior + gone > 0 else 1.0
        coming = max((self._before[-1] - gone) * pace, 1e-9)
        at = int(np.searchsorted(self._spend, self._left / coming))
        return float(self._ratio[at]) if at < self._ratio.size else 0.0

    def offer(self, hour: float, value: float, cost: float) -> bool:
        """Whether an arrival is served; if so its cost is spent."""
        level = self.threshold(hour)
        self._seen += 1
        if cost > self._left or value < level * cost:
            return False
        self._left -= cost
        return True


def hindsight(value: Float64s, cost: Float64s, budget: float) -> float:
    """What a budget could have earned with the day in view: the linear relaxation of the knapsack, an upper bound."""
    order = np.argsort(-value / cost, kind="stable")
    spent = np.cumsum(cost[order])
    whole = int(np.searchsorted(spent, budget, side="right"))
    best = float(value[order[:whole]].sum())
    if whole < value.size:
        rest = budget - (spent[whole - 1] if whole else 0.0)
        best += float(value[order[whole]] * rest / cost[order[whole]])
    return best
