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
HOUR = np.arange(HOURS)
EVEN = np.ones(HOURS)
Arrivals = tuple[Float64s, Float64s, Float64s]
ByHour = Callable[[np.random.Generator, int], Float64s]
"""(draws, days until today) → a figure per hour (24,)."""


@dataclass(frozen=True)
class Kind:
    """A kind of day.

    rates   of each day, arrivals over the usual day's total; today is day 0, the same weekday as 7, 14, …
    worth   factor on the value, of each day
    values  of arrivals before that factor, from draws and how many
    closes  when today ends, and the hour from which that is known
    least   share of hindsight that it must earn
    """

    rates: ByHour
    worth: ByHour = lambda rng, ago: EVEN
    values: Callable[[np.random.Generator, int], Float64s] = lambda rng, num: rng.lognormal(1, 0.8, num)
    closes: tuple[float, float] = (HOURS, 0)
    least: float = 0.9


def _usual(rng: np.random.Generator, ago: int) -> Float64s:
    return SHAPE * rng.gamma(40, 1 / 40)


def _cut(shape: Float64s, hour: int) -> Float64s:
    return np.where(hour > HOUR, shape, 0.0)


def _half_day(rng: np.random.Generator, ago: int) -> Float64s:
    """Every seventh day ends at 14, and holds the same rush before it."""
    return _cut(_usual(rng, ago), 14) if ago % 7 == 0 else _usual(rng, ago)


def _announced(rng: np.random.Generator, ago: int) -> Float64s:
    return _cut(_usual(rng, ago), 14) if ago == 0 else _usual(rng, ago)


def _shifted(rng: np.random.Generator, ago: int) -> Float64s:
    """Every seventh day opens and ends two hours later."""
    return np.roll(_usual(rng, ago), 2) if ago % 7 == 0 else _usual(rng, ago)


def _spikes(times: float, known: bool) -> ByHour:
    def rates(rng: np.random.Generator, ago: int) -> Float64s:
        out = _usual(rng, ago)
        if known or ago == 0:
            for hour in rng.choice(np.arange(9, 21), 2, replace=False):
                out[hour] *= times
        return out

    return rates


def _growing(rng: np.random.Generator, ago: int) -> Float64s:
    return _usual(rng, ago) * np.exp(-1.5 * ago / DAYS)


def _closures(rng: np.random.Generator, ago: int) -> Float64s:
    return _usual(rng, ago) * (ago % 7 != 1 and not 20 < ago < 30)


def _when(ago: int, every: int) -> bool:
    """Whether a day is like today: the same weekday, or today alone."""
    return ago % every == 0 if every else ago == 0


def _level(factor: float, since: int = 0, every: int = 0) -> ByHour:
    """So many times as many arrivals from an hour on."""
    return lambda rng, ago: _usual(rng, ago) * np.where(_when(ago, every) & (since <= HOUR), factor, 1.0)


def _worth(factor: float, since: int = 0, until: int = HOURS, every: int = 1) -> ByHour:
    """So many times the value within some hours."""
    return lambda rng, ago: np.where(_when(ago, every) & (since <= HOUR) & (until > HOUR), factor, 1.0)


def _moody(rng: np.random.Generator, ago: int) -> Float64s:
    return EVEN * np.exp(rng.normal(0, 0.3))


KINDS: dict[str, Kind] = {
    "a usual day": Kind(_usual),
    "values with a Pareto tail of 2.2": Kind(_usual, values=lambda rng, num: rng.pareto(2.2, num) + 0.1),
    "all worth the same": Kind(_usual, values=lambda rng, num: np.ones(num)),
    "a shop that closes at 14 on this weekday": Kind(_half_day),
    "a shop that closes at 14 today, as was said": Kind(_announced, closes=(14, 0)),
    "a shop that closes at 14 today, as is said at 11": Kind(_announced, closes=(14, 11), least=0.85),
    "a weekday with other hours": Kind(_shifted),
    "two hours of five times the arrivals, as on other days": Kind(_spikes(5, known=True)),
    "two hours of five times the arrivals, for the first time": Kind(_spikes(5, known=False)),
    "two hours of ten times the arrivals, for the first time": Kind(_spikes(10, known=False), least=0.85),
    "best hours late": Kind(_usual, _worth(3, since=18)),
    "best hours late on this weekday": Kind(_usual, _worth(4, since=18, every=7)),
    "best hours early": Kind(_usual, _worth(3, until=11)),
    "a third of the usual arrivals": Kind(_level(1 / 3)),
    "three times the usual arrivals": Kind(_level(3)),
    "a weekday with two and a half times the arrivals": Kind(_level(2.5, every=7)),
    "arrivals that halve at noon, for the first time": Kind(_level(0.5, since=12)),
    # who knew it at 14 could earn .89 and .82 of hindsight with the two budgets: the morning was paced for a whole day
    "a fifth of the arrivals from 14 on, for the first time": Kind(_level(0.2, since=14), least=0.78),
    "arrivals that double at noon, for the first time": Kind(_level(2, since=12)),
    "a shop that grows by a fifth a week": Kind(_growing),
    "days on which the shop was closed": Kind(_closures),
    "half the usual values today": Kind(_usual, _worth(0.5, every=0)),
    "five times the usual values today": Kind(_usual, _worth(5, every=0)),
    "two fifths of the values on this weekday": Kind(_usual, _worth(0.4, every=7)),
    "days of better and of worse values": Kind(_usual, _moody),
}


def day(rng: np.random.Generator, kind: Kind, ago: int, num: float) -> Arrivals:
    """Hours, values and costs of a day's arrivals, in order."""
    counts = rng.poisson(num * kind.rates(rng, ago))
    hour = np.sort(np.repeat(HOUR, counts) + rng.random(counts.sum()))
    value = kind.values(rng, hour.size) * kind.worth(rng, ago)[hour.astype(int)]
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
    closes, known = kind.closes
    pacer, worth = Pacer(learned, budget * whole), 0.0
    for arrival in zip(hour.tolist(), value.tolist(), cost.tolist(), strict=True):
        if closes < HOURS and arrival[0] >= known:
            pacer.close_at(closes)
            closes = HOURS
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
    over = 0.0
    for name, kind in KINDS.items():
        for num, repeats in ((300, 5),) if quick else ((150, 60), (500, 30), (2000, 8)):
            rng = np.random.default_rng([12, num])
            days = [earned(rng, kind, num, budget) for budget in BUDGETS for _ in range(repeats)]
            over = max(over, *(spent for _, spent in days))
            shares = np.array([share for share, _ in days]).reshape(len(BUDGETS), repeats).mean(axis=1)
            bound = kind.least if num > 300 else kind.least - 0.05  # of 15 that are paid for, one more or less shows
            yield Figure("pacing", f"{num:,} arrivals, {name}: share of hindsight", float(shares.min()), bound, False)
    yield Figure("pacing", "any of these: spent beyond the budget, currency", over, 0.0)
    yield Figure("pacing", "costs and budgets that cannot be: taken for an answer", float(_accepted()), 0.0)
