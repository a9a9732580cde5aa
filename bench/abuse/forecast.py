"""Forecasts of shops whose past misleads: closed for weeks, in the middle of a season, grown or shrunk overnight.

Each shop sells 60 types by the day, through the stage's own road from purchase lines to weeks; four weeks are the test.
Naive is last week's units, which a closure or a season makes hard to beat or easy: ours must never be clearly worse.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Float64s
from nightmarket.demand.forecast import choose, evaluate, origins
from nightmarket.demand.methods import METHODS
from nightmarket.demand.series import CLASSES, Weekly, classes, weekly
from nightmarket.histories.calendar import MONDAY
from nightmarket.histories.histories import Histories

TYPES = 60
FIRST_WEEK = 2400
AHEAD = 4
Level = Callable[[Float64s], Float64s]
"""Weeks since the first (D,), with fractions → what a day sells, over what is usual."""


def _closed(first: float, last: float) -> Level:
    return lambda week: np.where((week >= first) & (week < last), 0.0, 1.0)


def _season(peak: float) -> Level:
    """A yearly season with its peak in a week."""
    return lambda week: np.exp(1.2 * np.cos(2 * np.pi * (week - peak) / 52))


def _step(week_of_step: float, times: float) -> Level:
    return lambda week: np.where(week >= week_of_step, times, 1.0)


SHOPS: dict[str, tuple[int, Level]] = {
    "nothing happens": (52, lambda week: np.ones_like(week)),
    "closed for five weeks, long ago": (52, _closed(20, 25)),
    "closed for five weeks, until three weeks before the end": (52, _closed(40, 45)),
    "closed for five weeks, until the last weeks begin": (52, _closed(43, 48)),
    "closed for five weeks, from the middle of a week": (40, _closed(25.4, 30.4)),
    "30 weeks of a yearly season, rising": (30, _season(34)),
    "30 weeks of a yearly season, the peak just over": (30, _season(24)),
    "30 weeks of a yearly season, falling": (30, _season(16)),
    "30 weeks of a yearly season, the low": (30, _season(2)),
    "60 weeks of a yearly season": (60, _season(24)),
    "twice as much since six weeks": (52, _step(42, 2)),
    "a third since three weeks": (52, _step(45, 1 / 3)),
    "grows by 3% a week": (40, lambda week: 1.03**week),
}


def shop(rng: np.random.Generator, num_weeks: int, level: Level) -> Weekly:
    """Weekly units of a shop, from its purchase lines."""
    days = np.arange(7 * num_weeks)
    usual = rng.lognormal(1.0, 1.2, TYPES)
    noise = np.exp(rng.normal(0, 0.25, (TYPES, num_weeks)))[:, days // 7]
    units = rng.poisson(usual[:, None] * level(days / 7) * noise)
    item, day = np.nonzero(units)
    order = np.argsort(day, kind="stable")
    item, day = item[order], day[order]
    size = item.size
    first = MONDAY + 7 * FIRST_WEEK
    lines = Histories(
        customer=np.zeros(size, np.int32),
        item=item.astype(np.int32),
        week=(FIRST_WEEK + day // 7).astype(np.int32),
        day=(first + day).astype(np.int32),
        quantity=units[item, day].astype(np.float32),
        value=np.ones(size, np.float32),
        discount=np.zeros(size, np.float32),
        basket=np.arange(size, dtype=np.int32),
        channel=np.zeros(size, np.int32),
        num_customers=1,
        num_items=TYPES,
    )
    return weekly(lines, np.arange(TYPES), [f"type {i}" for i in range(TYPES)], FIRST_WEEK + num_weeks - 1)


def worse(history: Weekly) -> int:
    """Classes whose method misses more units than naive on the windows that chose it: on the latest, or on all."""
    known = history.until(history.units.shape[1] - AHEAD)
    before = origins(known.units.shape[1], AHEAD)
    methods = choose(known, before, AHEAD)
    missed = np.zeros((2, len(before), len(CLASSES)))
    for number, origin in enumerate(before):
        past = known.until(origin)
        truth = known.units[known.start < origin, origin : origin + AHEAD]
        group = classes(past)
        for i, name in enumerate(CLASSES):
            rows = group == i
            for side, method in enumerate((methods[name], "naive")):
                said = METHODS[method](past.units, past.start)
                missed[side, number, i] = np.abs(truth - said[:, None])[rows].sum()
    latest, every = missed[:, 0], missed.sum(axis=1)
    return int(((latest[0] > latest[1] + 1e-9) | (every[0] > every[1] + 1e-9)).sum())


def figures(*, quick: bool) -> Iterator[Figure]:
    """Errors over naive's, and what the choice did on its own windows."""
    shops = 3 if quick else 20
    wrong = 0
    for name, (num_weeks, level) in SHOPS.items():
        ratios = []
        for seed in range(shops):
            history = shop(np.random.default_rng([11, seed]), num_weeks, level)
            evaluation = evaluate(history, seed)
            if evaluation is None:
                raise AssertionError(f"{name}: no forecast")
            whole = evaluation.metrics["classes"]["all"]
            ratios.append(whole["ours"]["wape"] / whole["naive"]["wape"])
            wrong += worse(history)
        # where a falling season crosses its mean, all windows that choose may favour that mean (3 shops of 20)
        bound = 1.15 if name.endswith("falling") else 1.02
        yield Figure("forecast", f"{name}: WAPE over naive's, mean of {shops} shops", float(np.mean(ratios)), bound)
    yield Figure("forecast", "classes whose method was worse than naive on the windows that chose it", float(wrong), 0)
