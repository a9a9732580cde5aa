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
from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.delivery.arrivals import DayLevels

HOURS = 24
RATIOS = 512
"""Ratios of value to cost among which the threshold is chosen: quantiles of the earlier ones."""
OWN_HOUR = 30
"""Arrivals of all hours that an hour's own ones are shrunk to."""
LEAST_MOVE, UNLIKE, ODD_DAYS = 0.05, 1.5, 0.05
"""Least standard deviation of a day's mean log ratio; that of a day unlike all earlier ones; and the share of these."""
ALL_DAYS = (0.0, 0.25, 1.0, 4.0, 16.0, 64.0)
"""Days' worth of all weekdays that a weekday's own hours are shrunk to; the likeliest is taken."""


@dataclass(frozen=True)
class Profile:
    """What earlier days say of a day.

    arrivals  (24,)  expected per hour
    shape     1 / variance of a day's level over expected
    unrest    how much more the arrivals of an hour vary than chance alone lets them, at least 1
    ratio     (L,)  value per cost above 0, descending
    spend     (24, L)  expected cost of one arrival in each hour, counted where its ratio is at least each one, currency
    worth     what ratios are usually like
    """

    arrivals: Float64s
    shape: float
    unrest: float
    ratio: Float64s
    spend: Float64s
    worth: "UsualRatios"

    @classmethod
    def fit(cls, counts: NDArray, hour: Float64s, value: Float64s, cost: Float64s, same: Bools) -> "Profile":
        """From arrivals per earlier day and hour (D, 24), and the hours, values and costs (N,) of all those arrivals,
        day by day.

        same (D,) marks the days whose level, hours and values count most, such as those of the same weekday; the
        level's mean is shrunk to that of all days, as if there were four of these, hours and values as far as these
        days bear out. Days without an arrival do not count.
        Raises InputError for a value that is not a number and a cost that is not, or lies below 0, and for arrivals
        that are not as many as the counts say.
        """
        _check("the profile's arrivals", value, cost)
        counts = counts.astype(np.float64)
        if not len(counts):
            raise InputError("the profile's arrivals: there is no earlier day to learn from; give one at least")
        if counts.sum() != hour.size:
            raise InputError(
                f"the profile's arrivals: the counts per day and hour make {int(counts.sum()):,}, but {hour.size:,} "
                "are given; give every arrival of these days, day by day"
            )
        day = np.repeat(np.arange(len(counts)), counts.sum(axis=1).astype(np.int64))
        worth = UsualRatios.fit(day, hour, value, cost, same)
        traded = counts.sum(axis=1) > 0
        if traded.any():
            counts, same = counts[traded], same[traded]
        totals = counts.sum(axis=1)
        mean = totals.mean()
        level = (totals[same].sum() + 4 * mean) / (int(same.sum()) + 4)
        around = np.where(
            same, totals[same].mean() if same.any() else mean, totals[~same].mean() if (~same).any() else 0
        )
        extra = max(float(((totals - around) ** 2).mean()) - mean, 1e-9)
        ratio, spend = _spend(hour, value, cost, worth)
        shape = float(np.clip(mean**2 / extra, 0.1, 1e6))
        return cls(level * _shape(counts, same), shape, _unrest(counts), ratio, spend, worth)


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
    """How much more the arrivals of an hour vary than chance alone lets them, about their day's level; at least 1.
    Hours beyond three of these deviations count as if they lay there: bursts are no unrest."""
    totals = counts.sum(axis=1, keepdims=True)
    expected = totals * counts.sum(axis=0) / max(float(counts.sum()), 1.0)
    some = expected > 1
    if not some.any():
        return 1.0
    off = (counts - expected)[some] ** 2 / expected[some]
    unrest = max(1.0, 2 * float(np.median(off)))
    for _ in range(5):
        unrest = max(1.0, float(np.minimum(off, 9 * unrest).mean()))
    return unrest


@dataclass(frozen=True)
class UsualRatios:
    """What the logs of ratios of value to cost are like.

    hourly  (24,)  their mean in each hour of a usual day
    own     (24,)  what the days of the same kind add to it
    spread  standard deviation of one about its hour and day
    moves   standard deviation of a day's mean
    """

    hourly: Float64s
    own: Float64s
    spread: float
    moves: float

    @classmethod
    def fit(cls, day: Int64s, hour: Float64s, value: Float64s, cost: Float64s, same: Bools) -> "UsualRatios":
        """From arrivals (N,) of days that are numbered as in `same` (D,); those of no value or cost say nothing."""
        some = (cost > 0) & (value > 0)
        log = np.log(value[some] / cost[some])
        day, at = day[some], _hour(hour[some])
        if not log.size:
            return cls(np.zeros(HOURS), np.zeros(HOURS), 1.0, 0.0)
        num = np.bincount(at, minlength=HOURS)
        hourly = (np.bincount(at, log, HOURS) + OWN_HOUR * log.mean()) / (num + OWN_HOUR)
        left = log - hourly[at]
        days = np.bincount(day, minlength=same.size)
        spread = max(float(left.std()), 1e-3)
        mine = same[day]
        own = np.zeros(HOURS)
        by_day = np.bincount(day, left, same.size) / np.maximum(days, 1)
        moves = _between(by_day[days > 0], spread**2 / days[days > 0])
        if mine.any() and not mine.all():
            own = _shrunk(left[mine], at[mine], spread**2, moves / max(int(same.sum()), 1))
            left = left - np.where(mine, own[at], 0.0)
            by_day = np.bincount(day, left, same.size) / np.maximum(days, 1)
            moves = _between(by_day[days > 0], spread**2 / days[days > 0])
        return cls(hourly, own, spread, float(np.sqrt(moves)))

    def shift(self, num: float, total: float) -> float:
        """What today adds to the logs of ratios, from `num` of them that add up to `total` beyond what was expected.

        The posterior mean, where most days move as earlier ones did, and one in twenty is unlike all of them.
        """
        if num < 1:
            return 0.0
        mean, noise = total / num, self.spread**2 / num
        prior = np.array([max(self.moves, LEAST_MOVE) ** 2, UNLIKE**2])
        log = np.log([1 - ODD_DAYS, ODD_DAYS]) - 0.5 * np.log(prior + noise) - 0.5 * mean**2 / (prior + noise)
        weight = np.exp(log - log.max())
        return float(mean * (weight / weight.sum()) @ (prior / (prior + noise)))


def _hour(hour: Float64s) -> Int64s:
    return np.clip(hour.astype(np.int64), 0, HOURS - 1)


def _between(means: Float64s, noise: Float64s) -> float:
    """The variance of true means, from measured ones whose noise has these variances (weighted moments)."""
    if means.size < 2:
        return 0.0
    weight = 1 / (noise + noise.mean())
    centre = float(weight @ means / weight.sum())
    return max(float(weight @ ((means - centre) ** 2 - noise) / weight.sum()), 0.0)


def _shrunk(left: Float64s, hour: Int64s, variance: float, of_days: float) -> Float64s:
    """(24,) means of what is left, by hour, shrunk to their common mean and that to 0, each as far as they bear out.

    variance  of one; of_days  of the mean of the days' own moves
    """
    num = np.bincount(hour, minlength=HOURS)
    seen = num > 0
    noise = variance / num[seen]
    mean = np.bincount(hour, left, HOURS)[seen] / num[seen]
    between = _between(mean, noise)
    weight = 1 / (between + noise)
    centre, error = float(weight @ mean / weight.sum()), 1 / float(weight.sum()) + of_days
    centre *= max(1 - error / centre**2, 0.0) if centre else 0.0
    out = np.full(HOURS, centre)
    out[seen] += (mean - centre) * between / (between + noise)
    return out


def _spend(hour: Float64s, value: Float64s, cost: Float64s, worth: UsualRatios) -> tuple[Float64s, Float64s]:
    """(L,) ratios, descending, and (24, L) cost per arrival of each hour above each of them; what is free costs 0."""
    paid = (cost > 0) & (value > 0)
    if not paid.any():
        return np.zeros(0), np.zeros((HOURS, 0))
    ratio = value[paid] / cost[paid]
    levels = np.unique(np.quantile(ratio, np.linspace(0, 1, RATIOS), method="lower"))[::-1]
    at = np.searchsorted(-levels, -ratio)  # the first level that the ratio reaches
    at = np.minimum(at, levels.size - 1)
    inside = np.zeros((HOURS, levels.size))
    np.add.at(inside, (_hour(hour[paid]), at), cost[paid])
    num = np.bincount(_hour(hour), minlength=HOURS).astype(np.float64)
    above = np.cumsum(inside, axis=1)
    every = above.sum(axis=0) / cost.size
    spend = (above + OWN_HOUR * every) / (num + OWN_HOUR)[:, None]
    if worth.own.any():
        log = np.log(levels[::-1])
        curves = zip(spend[:, ::-1], worth.own, strict=True)
        spend = np.stack([np.interp(log - own, log, curve, right=0.0) for curve, own in curves])[:, ::-1]
    return levels, spend


class Pacer:
    """Decides arrival by arrival; never spends more than the budget.

    budget  currency, for the day
    closes  hour of the day at which it ends, where that is known to be earlier than usual, in (0, 24]
    """

    def __init__(self, profile: Profile, budget: float, closes: float = HOURS) -> None:
        if not (np.isfinite(budget) and budget >= 0):
            raise InputError(f"the budget is {budget}; give an amount, 0 or more")
        self._profile, self._left = profile, budget
        self._usual = profile.worth.hourly + profile.worth.own
        self._num, self._beyond = 0.0, 0.0
        self._ratios = np.append(profile.ratio, 0.0)
        self.close_at(closes)
        self._levels = DayLevels(profile.arrivals * self._open, profile.shape, profile.unrest)

    def close_at(self, closes: float) -> None:
        """The day ends at this hour, in (0, 24], as is known now; InputError for another."""
        if not 0 < closes <= HOURS:
            raise InputError(f"the day closes at {closes}; give an hour above 0, at most {HOURS}")
        self._open = np.clip(closes - np.arange(HOURS), 0, 1)
        spend = (self._profile.arrivals * self._open)[:, None] * self._profile.spend
        self._ahead = np.concatenate([np.cumsum(spend[::-1], axis=0)[::-1], np.zeros((1, self._profile.ratio.size))])

    @property
    def left(self) -> float:
        """What is not spent yet, currency."""
        return self._left

    def threshold(self, hour: float) -> float:
        """Least value per unit of cost that is taken at an hour of the day, in [0, 24)."""
        if not self._profile.ratio.size:
            return 0.0
        chance, now, later = self._levels.scenarios(hour)
        at = int(hour)
        # of an hour in which the day ends, what is left until then
        part = max(self._open[at] - (hour - at), 0.0) / self._open[at] if self._open[at] else 0.0
        rest = part * (self._ahead[at] - self._ahead[at + 1])
        coming = now[:, None] * rest + later[:, None] * self._ahead[at + 1]
        # the mean price of the scenarios, not the price of their mean: that is what a unit of budget is worth later
        price = float(chance @ self._ratios[(coming <= self._left).sum(axis=1)])
        return price * float(np.exp(self._profile.worth.shift(self._num, self._beyond)))

    def offer(self, hour: float, value: float, cost: float) -> bool:
        """Whether an arrival is served; if so its cost is spent. What is free and worth something always is.

        Raises InputError for a value that is not a number, a cost that is not, or lies below 0, and an hour of no day.
        """
        _check("an arrival", np.array([value], np.float64), np.array([cost], np.float64))
        if not 0 <= hour < HOURS:
            raise InputError(f"an arrival at {hour}; give an hour of the day from 0 to below {HOURS}")
        served = self.wants(hour, value, cost)
        self.note(hour, value, cost, served)
        return served

    def wants(self, hour: float, value: float, cost: float) -> bool:
        """Whether such an arrival would be served, without taking note of it."""
        level = self.threshold(hour) if cost > 0 else 0.0
        return cost <= self._left and value > 0 and value >= level * cost

    def note(self, hour: float, value: float, cost: float, served: bool) -> None:
        """An arrival that was decided upon, here or elsewhere with the same budget."""
        self._levels.arrived(hour)
        if cost > 0 and value > 0:
            self._num += 1
            self._beyond += float(np.log(value / cost) - self._usual[int(hour)])
        if served:
            self._left = max(self._left - cost, 0.0)


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
