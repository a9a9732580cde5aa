"""Pacing on days that are not as usual: what a budget earns, as a share of what it could have with the day in view.

Each kind of day has a shop of its own, of 56 earlier days; values are lognormal, costs differ, arrivals are Poisson.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.abuse.figures import Figure
from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s
from nightmarket.delivery.pacing import HOURS, Pacer, Profile, hindsight

DAYS = 56
OPEN = np.concatenate([np.zeros(8), np.linspace(1, 3, 8), np.linspace(3, 1.5, 6), np.zeros(2)])
SHAPE = OPEN / OPEN.sum()
BUDGETS = (0.1, 0.3)
"""Of what serving all arrivals of a usual day would cost."""
Arrivals = tuple[Float64s, Float64s, Float64s]
Rates = Callable[[np.random.Generator, int], Float64s]
"""(draws, days until today) → expected arrivals per hour over the usual day's total (24,)."""


@dataclass(frozen=True)
class Kind:
    """A kind of day.

    rates   of each day; today is day 0, the same weekday as 7, 14, …
    worth   factor on the value by hour
    closes  what is known of today's end
    least   share of hindsight that it must earn
    """

    rates: Rates
    worth: Float64s
    closes: float = HOURS
    least: float = 0.9


def _usual(rng: np.random.Generator, ago: int) -> Float64s:
    return SHAPE * rng.gamma(40, 1 / 40)


def _cut(shape: Float64s, hour: int) -> Float64s:
    return np.where(np.arange(HOURS) < hour, shape, 0.0)


def _half_day(rng: np.random.Generator, ago: int) -> Float64s:
    """Every seventh day ends at 14, and holds the same rush before it."""
    return _cut(_usual(rng, ago), 14) if ago % 7 == 0 else _usual(rng, ago)


def _announced(rng: np.random.Generator, ago: int) -> Float64s:
    return _cut(_usual(rng, ago), 14) if ago == 0 else _usual(rng, ago)


def _shifted(rng: np.random.Generator, ago: int) -> Float64s:
    """Every seventh day opens and ends five hours later."""
    return np.roll(_usual(rng, ago), 2) if ago % 7 == 0 else _usual(rng, ago)


def _spikes(times: float, known: bool) -> Rates:
    def rates(rng: np.random.Generator, ago: int) -> Float64s:
        out = _usual(rng, ago)
        if known or ago == 0:
            for hour in rng.choice(np.arange(9, 21), 2, replace=False):
                out[hour] *= times
        return out

    return rates


def _level(factor: float) -> Rates:
    return lambda rng, ago: _usual(rng, ago) * (factor if ago == 0 else 1.0)


EVEN = np.ones(HOURS)
LATE = np.where(np.arange(HOURS) >= 18, 3.0, 1.0)
EARLY = np.where(np.arange(HOURS) < 11, 3.0, 1.0)
KINDS: dict[str, Kind] = {
    "a usual day": Kind(_usual, EVEN),
    "a shop that closes at 14 on this weekday": Kind(_half_day, EVEN),
    "a shop that closes at 14 today, as was said": Kind(_announced, EVEN, closes=14),
    "a weekday with other hours": Kind(_shifted, EVEN),
    "two hours of five times the arrivals, as on other days": Kind(_spikes(5, known=True), EVEN),
    "two hours of five times the arrivals, for the first time": Kind(_spikes(5, known=False), EVEN),
    "two hours of ten times the arrivals, for the first time": Kind(_spikes(10, known=False), EVEN, least=0.85),
    "best hours late": Kind(_usual, LATE),
    "best hours early": Kind(_usual, EARLY),
    "a third of the usual arrivals": Kind(_level(1 / 3), EVEN),
    "three times the usual arrivals": Kind(_level(3), EVEN),
}


def day(rng: np.random.Generator, kind: Kind, ago: int, num: float) -> Arrivals:
    """Hours, values and costs of a day's arrivals, in order."""
    counts = rng.poisson(num * kind.rates(rng, ago))
    hour = np.sort(np.repeat(np.arange(HOURS), counts) + rng.random(counts.sum()))
    value = rng.lognormal(1, 0.8, hour.size) * kind.worth[hour.astype(int)]
    return hour, value, np.asarray(0.5 + rng.random(hour.size))


def profile(rng: np.random.Generator, kind: Kind, num: float) -> tuple[Profile, float]:
    """What earlier days say, and what serving all arrivals of one of them costs."""
    earlier = [day(rng, kind, ago, num) for ago in range(1, DAYS + 1)]
    counts: NDArray = np.array([np.bincount(hour.astype(int), minlength=HOURS) for hour, _, _ in earlier])
    hour, value, cost = (np.concatenate(part) for part in zip(*earlier, strict=True))
    return Profile.fit(counts, hour, value, cost, np.arange(1, DAYS + 1) % 7 == 0), float(cost.sum()) / DAYS


def earned(rng: np.random.Generator, kind: Kind, num: float, budget: float) -> tuple[float, float]:
    """Share of hindsight on one day, and what was spent beyond the budget, currency."""
    learned, whole = profile(rng, kind, num)
    hour, value, cost = day(rng, kind, 0, num)
    pacer, worth = Pacer(learned, budget * whole, kind.closes), 0.0
    for arrival in zip(hour.tolist(), value.tolist(), cost.tolist(), strict=True):
        worth += arrival[1] if pacer.offer(*arrival) else 0.0
    return worth / hindsight(value, cost, budget * whole), max(-pacer.left, 0.0)


def _accepted() -> int:
    """Of costs and budgets that cannot be, how many are taken for an answer; and of free arrivals that are not sent."""
    learned, _ = profile(np.random.default_rng(8), KINDS["a usual day"], 200)
    wrong = 0
    for value, cost in ((3.0, np.nan), (3.0, -1.0), (np.nan, 1.0), (3.0, np.inf)):
        try:
            Pacer(learned, 10.0).offer(12.0, value, cost)
            wrong += 1
        except InputError:
            pass
    for budget in (np.nan, -1.0, np.inf):
        try:
            Pacer(learned, budget)
            wrong += 1
        except InputError:
            pass
    return wrong + (not Pacer(learned, 0.0).offer(12.0, 3.0, 0.0))


def figures(*, quick: bool) -> Iterator[Figure]:
    """Shares of hindsight by kind of day."""
    repeats = 8 if quick else 60
    over = 0.0
    for name, kind in KINDS.items():
        for num in (500,) if quick else (150, 500, 2000):
            rng = np.random.default_rng([12, num])
            days = [earned(rng, kind, num, budget) for budget in BUDGETS for _ in range(repeats)]
            over = max(over, *(spent for _, spent in days))
            shares = np.array([share for share, _ in days]).reshape(len(BUDGETS), repeats).mean(axis=1)
            bound = kind.least if num > 150 else kind.least - 0.05  # of 15 that are paid for, one more or less shows
            yield Figure("pacing", f"{num:,} arrivals, {name}: share of hindsight", float(shares.min()), bound, False)
    yield Figure("pacing", "any of these: spent beyond the budget, currency", over, 0.0)
    yield Figure("pacing", "costs and budgets that cannot be: taken for an answer", float(_accepted()), 0.0)
