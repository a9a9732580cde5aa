"""Spend a budget over a day, on the arrivals that are worth most, without knowing who is still to come.

An arrival has a value and a cost. With the whole day in view one would take the best ratios of value to cost until the
budget is spent: all above one threshold. The pacer sets that threshold anew before every arrival, so that what it lets
pass is expected to cost what is left: a fluid approximation that is solved again and again (Gallego and van Ryzin 1994;
for budgets under dual prices Balseiro, Lu and Mirrokni 2020).

Shapes: D earlier days, N their arrivals, L ratios.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s

HOURS = 24
RATIOS = 512
"""Ratios of value to cost among which the threshold is chosen: quantiles of the earlier ones."""
OWN_HOUR = 30
"""Arrivals of all hours that an hour's own ones are shrunk to."""
ALL_DAYS = (0.0, 0.25, 1.0, 4.0, 16.0, 64.0)
"""Days' worth of all weekdays that a weekday's own hours are shrunk to; the likeliest is taken."""


@dataclass(frozen=True)
class Profile:
    """What earlier days say of a day.

    arrivals  (24,)  expected per hour
    strength  expected arrivals that the prior of the day's own level is worth: 1 / variance of level over expected,
              times how much more the arrivals of an hour vary than chance alone lets them
    ratio     (L,)  value per cost, descending
    spend     (24, L)  expected cost of one arrival in each hour, counted where its ratio is at least each one, currency
    """

    arrivals: Float64s
    strength: float
    ratio: Float64s
    spend: Float64s

    @classmethod
    def fit(cls, counts: NDArray, hour: Float64s, value: Float64s, cost: Float64s, same: Bools) -> "Profile":
        """From arrivals per earlier day and hour (D, 24), and the hours, values and costs (N,) of all those arrivals.

        same (D,) marks the days whose level and hours count most, such as those of the same weekday; the level's mean
        is shrunk to that of all days, as if there were four of these, and the hours as far as these days bear out.
        Raises InputError for a value that is not a number and a cost that is not, or lies below 0.
        """
        _check("the profile's arrivals", value, cost)
        counts = counts.astype(np.float64)
        totals = counts.sum(axis=1)
        mean = totals.mean()
        level = (totals[same].sum() + 4 * mean) / (int(same.sum()) + 4)
        shape = _shape(counts, same)
        around = np.where(
            same, totals[same].mean() if same.any() else mean, totals[~same].mean() if (~same).any() else 0
        )
        extra = max(float(((totals - around) ** 2).mean()) - mean, 1e-9)
        strength = float(min(mean**2 / extra, 1e6)) * _unrest(counts)
        ratio, spend = _spend(hour, value, cost)
        return cls(level * shape, strength, ratio, spend)


def _shape(counts: Float64s, same: Bools) -> Float64s:
    """(24,) share of a day's arrivals in each hour."""
    every = (counts.sum(axis=0) + 0.5) / (counts.sum() + 0.5 * HOURS)
    own = counts[same]
    if len(own) < 2:
        return every
    day = max(float(counts.sum(axis=1).mean()), 1.0)
    rest = own.sum(axis=0) - own  # of the other such days

    def likelihood(days: float) -> float:
        guess = rest + days * day * every + 1e-3
        return float((own * np.log(guess / guess.sum(axis=1, keepdims=True))).sum())

    best = max(ALL_DAYS, key=likelihood)
    shape = own.sum(axis=0) + best * day * every + 1e-3
    return np.asarray(shape / shape.sum(), np.float64)


def _unrest(counts: Float64s) -> float:
    """How much more the arrivals of an hour vary than chance alone lets them, about their day's level; at least 1."""
    totals = counts.sum(axis=1, keepdims=True)
    expected = totals * counts.sum(axis=0) / max(float(counts.sum()), 1.0)
    some = expected > 1
    return max(1.0, float(((counts - expected)[some] ** 2 / expected[some]).mean())) if some.any() else 1.0


def _spend(hour: Float64s, value: Float64s, cost: Float64s) -> tuple[Float64s, Float64s]:
    """(L,) ratios, descending, and (24, L) cost per arrival of each hour above each of them; what is free costs 0."""
    paid = cost > 0
    if not paid.any():
        return np.zeros(0), np.zeros((HOURS, 0))
    ratio = np.full(cost.size, np.inf)
    ratio[paid] = value[paid] / cost[paid]
    levels = np.unique(np.quantile(ratio[paid], np.linspace(0, 1, RATIOS), method="lower"))[::-1]
    at = np.searchsorted(-levels, -ratio)  # the first level that the ratio reaches
    at = np.minimum(at, levels.size - 1)
    inside = np.zeros((HOURS, levels.size))
    hours = np.clip(hour.astype(np.int64), 0, HOURS - 1)
    np.add.at(inside, (hours, at), cost)
    num = np.bincount(hours, minlength=HOURS).astype(np.float64)
    above = np.cumsum(inside, axis=1)
    every = above.sum(axis=0) / cost.size
    return levels, (above + OWN_HOUR * every) / (num + OWN_HOUR)[:, None]


class Pacer:
    """Decides arrival by arrival; never spends more than the budget.

    budget  currency, for the day
    closes  hour of the day at which it ends, where that is known to be earlier than usual, in (0, 24]
    """

    def __init__(self, profile: Profile, budget: float, closes: float = HOURS) -> None:
        if not (np.isfinite(budget) and budget >= 0):
            raise InputError(f"the budget is {budget}; give an amount, 0 or more")
        if not 0 < closes <= HOURS:
            raise InputError(f"the day closes at {closes}; give an hour above 0, at most {HOURS}")
        open_for = np.clip(closes - np.arange(HOURS), 0, 1)
        expected = profile.arrivals * open_for
        self._profile, self._left = profile, budget
        self._before = np.concatenate([[0.0], np.cumsum(expected)])
        spend = expected[:, None] * profile.spend
        self._ahead = np.concatenate([np.cumsum(spend[::-1], axis=0)[::-1], np.zeros((1, profile.ratio.size))])
        self._counted = 0.0
        self._hour, self._in_hour = 0, 0

    @property
    def left(self) -> float:
        """What is not spent yet, currency."""
        return self._left

    def _gone(self, hour: float) -> float:
        return float(np.interp(hour, np.arange(HOURS + 1), self._before))

    def _level(self, gone: float, seen: float) -> float:
        """The day's arrivals over what was expected, as far as it has gone (gamma-Poisson)."""
        prior = self._profile.strength
        return (prior + seen) / (prior + gone) if prior + gone > 0 else 1.0

    def _settle(self, hour: float) -> float:
        """Count the hours that are over, and return the arrivals seen: an hour's burst or lull is no level of the day,
        so it counts within twice and half of what was to be expected, and chance."""
        while self._hour < min(int(hour), HOURS - 1):
            self._counted += self._within(self._hour + 1.0)
            self._hour, self._in_hour = self._hour + 1, 0
        return self._counted + self._within(hour)

    def _within(self, hour: float) -> float:
        usual, chance = self._usual(hour)
        return float(np.clip(self._in_hour, usual / 2 - chance, 2 * usual + chance))

    def _usual(self, hour: float) -> tuple[float, float]:
        """Arrivals that were to be expected since this hour began, and how many more or fewer may be chance."""
        start = float(self._before[self._hour])
        usual = self._level(start, self._counted) * (self._gone(hour) - start)
        return usual, 3 * usual**0.5 + 1

    def _burst(self, hour: float) -> float:
        """How many times the arrivals that were to be expected this hour brings, where that is beyond chance; a burst
        is taken to last as long as the hour."""
        usual, chance = self._usual(hour)
        return self._in_hour / (usual + chance) if self._in_hour > usual + chance else 1.0

    def threshold(self, hour: float) -> float:
        """Least value per unit of cost that is taken at an hour of the day, in [0, 24)."""
        if not self._profile.ratio.size:
            return 0.0
        seen = self._settle(hour)
        at, part = int(hour), hour - int(hour)
        this_hour = (1 - part) * self._burst(hour) * (self._ahead[at] - self._ahead[at + 1])
        coming = (this_hour + self._ahead[at + 1]) * self._level(self._gone(hour), seen)
        place = int(np.searchsorted(coming, self._left, side="right"))
        return float(self._profile.ratio[place]) if place < self._profile.ratio.size else 0.0

    def offer(self, hour: float, value: float, cost: float) -> bool:
        """Whether an arrival is served; if so its cost is spent. What is free and worth something always is.

        Raises InputError for a value that is not a number and a cost that is not, or lies below 0.
        """
        _check("an arrival", np.array([value], np.float64), np.array([cost], np.float64))
        level = self.threshold(hour) if cost > 0 else 0.0
        self._settle(hour)
        self._in_hour += 1
        if cost > self._left or value < level * cost or (cost == 0 and value <= 0):
            return False
        self._left -= cost
        return True


def _check(what: str, value: Float64s, cost: Float64s) -> None:
    bad = ~np.isfinite(value) | ~np.isfinite(cost) | (cost < 0)
    if bad.any():
        first = int(bad.argmax())
        raise InputError(
            f"{what}: {int(bad.sum()):,} of {bad.size:,} have a value or cost that is not a number, or a cost below 0, "
            f"first in row {first}; give amounts, and 0 for what is free"
        )


def hindsight(value: Float64s, cost: Float64s, budget: float) -> float:
    """What a budget could have earned with the day in view: the linear relaxation of the knapsack, an upper bound.

    Raises InputError for a value that is not a number and a cost that is not, or lies below 0.
    """
    _check("arrivals", value, cost)
    free = float(np.maximum(value[cost == 0], 0).sum())
    some = (cost > 0) & (value > 0)
    value, cost = value[some], cost[some]
    order = np.argsort(-value / cost, kind="stable")
    spent = np.cumsum(cost[order])
    whole = int(np.searchsorted(spent, budget, side="right"))
    best = free + float(value[order[:whole]].sum())
    if whole < value.size:
        rest = budget - (spent[whole - 1] if whole else 0.0)
        best += float(value[order[whole]] * rest / cost[order[whole]])
    return best
