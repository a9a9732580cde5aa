"""Campaigns without an experiment whose truth is 0, and experiments with an effect of the size that the design names.

Nobody who reads the tables can tell these nulls from campaigns that work: who is contacted was about to buy anyway, or
is on record only because they visited.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.experiments.design import ControlOutcome, Rule, minimum_detectable_effect
from nightmarket.evaluation.uplift.effects import observational, randomized

NUM = 2000
NAMES = ("activity", "visits")
World = tuple[Float64s, Bools, Float64s, Float64s, Float64s]
"""Covariates (C, 2), exposed, outcome, placebo and negative control (C,)."""


def _customers(rng: np.random.Generator) -> tuple[Float64s, Float64s]:
    activity = rng.gamma(2, 20, NUM)
    return np.column_stack([activity, rng.poisson(activity / 10)]).astype(np.float64), activity


def about_to_buy(rng: np.random.Generator) -> World:
    """An intention that arises when the campaign does, and that whoever chooses the customers can see."""
    covariates, activity = _customers(rng)
    intent = rng.random(NUM) < 0.3
    exposed = rng.random(NUM) < np.where(intent, 0.6, 0.2)
    noise = rng.normal(scale=20, size=(3, NUM))
    return covariates, exposed, activity + 20 * intent + noise[0], activity + noise[1], activity / 2 + noise[2]


def seen_when_visiting(rng: np.random.Generator) -> World:
    """Exposure is on record for those who come while the campaign runs, and nobody else buys then."""
    covariates, activity = _customers(rng)
    visits = rng.poisson(np.minimum(activity / 20, 5), (2, NUM))
    exposed = (visits[0] > 0) & (rng.random(NUM) < 0.8)
    spend = [rng.gamma(np.maximum(visit, 1e-9), 15) for visit in visits]
    return covariates, exposed, spend[0], spend[1], rng.gamma(np.maximum(visits[0] / 3, 1e-9), 15)


def seasonal_kind(rng: np.random.Generator) -> World:
    """Those who buy at this time of the year were chosen by last year's campaign; no covariate knows it."""
    covariates, activity = _customers(rng)
    gifts = rng.random(NUM) < 0.4
    exposed = rng.random(NUM) < np.where(gifts, 0.7, 0.3)
    noise = rng.normal(scale=20, size=(3, NUM))
    return covariates, exposed, activity + 30 * gifts + noise[0], activity + noise[1], activity / 3 + noise[2]


NULLS: dict[str, Callable[[np.random.Generator], World]] = {
    "contacted because about to buy": about_to_buy,
    "seen only when they visit": seen_when_visiting,
    "buyers of the season chosen": seasonal_kind,
}


def figures(*, quick: bool) -> Iterator[Figure]:
    """Positive claims of nulls, and claims of randomised effects."""
    repeats = 10 if quick else 200
    for number, (name, world) in enumerate(NULLS.items()):
        claims = 0
        for repeat in range(repeats):
            covariates, exposed, outcome, placebo, control = world(np.random.default_rng([11, number, repeat]))
            effect = observational(covariates, exposed, outcome, placebo, control, NAMES, repeat)
            claims += effect.verdict != "no claim"
        yield Figure("uplift", f"{name}, no effect: claims of {repeats}", claims, 0)
    yield from _randomised(repeats)


def _randomised(repeats: int) -> Iterator[Figure]:
    """The effect that the design names for one look at these customers, covariates not counted on; and none."""
    rng = np.random.default_rng(12)
    size = rng.gamma(2, 20, 100_000) + rng.normal(scale=20, size=100_000)
    plan = ControlOutcome(float(size.mean()), float(size.std()))
    effect = minimum_detectable_effect(plan, NUM, rule=Rule(always_valid=False))
    claims = {"the effect that the design names": 0, "no effect": 0}
    for name, moved in zip(claims, (effect, 0.0), strict=True):
        for repeat in range(repeats):
            rng = np.random.default_rng([13, repeat])
            covariates, activity = _customers(rng)
            drawn = rng.random(NUM) < 0.5
            outcome = activity + rng.normal(scale=20, size=NUM) + moved * drawn
            claims[name] += randomized(covariates, drawn, 0.5, outcome, NAMES, repeat).verdict == "positive"
    right, false = (count / repeats for count in claims.values())
    yield Figure("uplift", "drawn at random, the effect that the design names: share claimed", right, 0.8, most=False)
    yield Figure("uplift", "drawn at random, no effect: share of positive claims", false, 0.05 if repeats > 99 else 0.2)
