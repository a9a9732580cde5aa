"""Experiments with few buyers and heavy tails: false claims at fifty looks, and what the looks cost in power.

A twentieth of the customers has an outcome: one, log-normal revenue, or revenue with a Pareto tail of 2.2, whose
variance hardly exists; or clicks over impressions of customers who differ. The arms hold 50:50, 10:90 or 90:10. Both
kinds of bound read the same experiments: `ends`, where the plan names the last customer, and open. The power is a share
of what one look at the end finds, at 1.96 of the same standard errors.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.experiments import randomization, sequence
from nightmarket.evaluation.experiments.effects import MIN_CUSTOMERS, MIN_NONZERO, Metric, compare

LOOKS = 50
ALPHA = 0.05
BUYERS = 0.05
Outcome = Callable[[np.random.Generator, Float64s], tuple[Float64s, Float64s]]
"""(U,) how many times as often each customer buys → numerators and denominators (U,)."""


def _paid(draw: Callable[[np.random.Generator, int], Float64s]) -> Outcome:
    def outcome(rng: np.random.Generator, often: Float64s) -> tuple[Float64s, Float64s]:
        buys = rng.random(often.size) < BUYERS * often
        return np.where(buys, draw(rng, often.size), 0.0), np.ones(often.size)

    return outcome


def _clicks(rng: np.random.Generator, often: Float64s) -> tuple[Float64s, Float64s]:
    views = 1.0 + np.floor(rng.lognormal(1.0, 1.0, often.size))
    return rng.binomial(views.astype(int), np.minimum(rng.beta(0.3, 5.7, often.size) * often, 1.0)).astype(float), views


OUTCOMES: dict[str, Outcome] = {
    "0 or 1": _paid(lambda rng, num: np.ones(num)),
    "log-normal revenue": _paid(lambda rng, num: rng.lognormal(3.0, 1.0, num)),
    "Pareto 2.2 revenue": _paid(lambda rng, num: rng.pareto(2.2, num) + 1.0),
    "clicks by view": _clicks,
}


class Rates(NamedTuple):
    """Shares of the experiments that were claimed."""

    ends: float
    open: float
    once: float


def claims(outcome: Outcome, num: int, share: float, repeats: int, seed: int, gain: float = 1.0) -> Rates:
    """How often a difference is claimed at any of the looks.

    share  of the customers, each at random, in the arm
    gain   how many times as often those buy
    """
    rng = np.random.default_rng(seed)
    claimed = np.zeros(3)
    for _ in range(repeats):
        arm = rng.random(num) < share
        claimed += _claimed(*outcome(rng, np.where(arm, gain, 1.0)), arm)
    return Rates(*(claimed / repeats).tolist())


def looked(numerator: Float64s, denominator: Float64s, arm: Bools) -> tuple[Float64s, Bools]:
    """(LOOKS,) Welch's score of the differences at equal steps, and where there are enough customers to compare."""
    last = np.arange(1, LOOKS + 1) * (arm.size // LOOKS) - 1
    ratio, square, size = [], [], []
    for side in (~arm, arm):
        n, d = numerator * side, denominator * side
        nn, dd, nd, a, b, num = (np.cumsum(part)[last] for part in (n * n, d * d, n * d, n, d, side))
        with np.errstate(divide="ignore", invalid="ignore"):
            r = a / b
            ratio.append(r)
            square.append((nn - 2 * r * nd + r * r * dd) / (num - 1) / num / (b / num) ** 2)
        size.append(num)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num((ratio[1] - ratio[0]) / np.sqrt(square[0] + square[1]), posinf=0.0, neginf=0.0)
    enough = (np.minimum(*size) >= MIN_CUSTOMERS) & (np.cumsum(numerator != 0)[last] >= MIN_NONZERO)
    return z, enough


def _claimed(numerator: Float64s, denominator: Float64s, arm: Bools) -> tuple[bool, bool, bool]:
    """Whether the bound with an end, the open one, and one look at the end claim a difference."""
    num = np.arange(1, LOOKS + 1) * (arm.size // LOOKS)
    z, enough = looked(numerator, denominator, arm)
    bounds = [sequence.critical(num, arm.size, ALPHA, ends=ends) for ends in (True, False)]
    once = np.where(np.arange(LOOKS) == LOOKS - 1, norm.isf(ALPHA / 2), np.inf)
    careful = np.zeros(LOOKS)
    # the score is never larger than Welch's, so it matters only where that one claims something
    for look in np.flatnonzero(enough & (np.abs(z) >= np.minimum.reduce([*bounds, once]))):
        n, d, dealt = (part[: num[look]] for part in (numerator, denominator, arm))
        score = randomization.score((n - n.sum() / d.sum() * d) / d.mean(), dealt)
        careful[look] = min(abs(z[look]), abs(score))
    return tuple(bool((careful >= bound).any()) for bound in (*bounds, once))


def same_as_library(seed: int) -> bool:
    """The fast sums above against `compare` on the same customers, at the end of one experiment."""
    rng = np.random.default_rng(seed)
    arm = rng.random(2000) < 0.1
    numerator, denominator = _clicks(rng, np.where(arm, 1.5, 1.0))
    slow = compare(Metric("clicks", numerator, denominator), "arm", arm, ~arm, planned=2000, ends=True)
    z = looked(numerator, denominator, arm)[0][-1]
    score = abs(randomization.score((numerator - numerator.sum() / denominator.sum() * denominator), arm))
    fast = sequence.p_value(min(abs(z), score) if abs(z) > 1 else z, 2000, 2000, ends=True)
    return bool(np.isclose(slow.p_always, fast) and np.isclose(slow.effect / slow.standard_error, z))


GAINS = {
    "0 or 1": {(4000, 0.5): 1.45, (20_000, 0.1): 1.36, (60_000, 0.9): 1.2},
    "log-normal revenue": {(4000, 0.5): 1.8, (20_000, 0.1): 1.6, (60_000, 0.9): 1.27},
    "Pareto 2.2 revenue": {(4000, 0.5): 1.7, (20_000, 0.1): 1.55, (60_000, 0.9): 1.25},
}
"""{outcome: {(customers, share): how many times as often the treated buy}}: one look finds 70% to 90%."""


def figures(*, quick: bool) -> Iterator[Figure]:
    """False claims, then power."""
    slack = 0.02 if quick else 0.0
    for name, outcome in OUTCOMES.items():
        for share in (0.1,) if quick else (0.5, 0.1, 0.9):
            rates = claims(outcome, 4000, share, 200 if quick else 2000, 7)
            told = f"A/A, {name}, {share:.0%} in the arm, 4,000 customers, {LOOKS} looks: claims"
            yield Figure("experiments", f"{told}, planned end", rates.ends, 0.05 + slack)
            yield Figure("experiments", f"{told}, open end", rates.open, 0.05 + slack)
    for name, worlds in GAINS.items():
        for (num, share), gain in list(worlds.items())[: 1 if quick else None]:
            rates = claims(OUTCOMES[name], num, share, 100 if quick else 400, 8, gain)
            told = f"{name}, {share:.0%} of {num:,} buy {gain:g} times as often: power over one look's"
            yield Figure("experiments", f"{told}, planned end", rates.ends / max(rates.once, 1e-9), 0.8, most=False)
            yield Figure("experiments", f"{told}, open end", rates.open / max(rates.once, 1e-9), 0.5, most=False)
