"""How long the stock lasts: is a quantity enough as often as it says, and does as much run out as the chances say?

Made-up shops of 200 product types and 44 weeks; the last four are what nobody had seen.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Float64s
from nightmarket.demand.forecast import evaluate
from nightmarket.demand.series import Weekly
from nightmarket.demand.supply import coming

NUM, WEEKS, AHEAD = 200, 48, 4
LEAD, SERVICE = 2, 0.95
LEAST, MOST_OFF = 0.92, 0.06
FIRST = 2800


def _plain(rng: np.random.Generator) -> Float64s:
    return np.ones((NUM, WEEKS))


def _moody(rng: np.random.Generator) -> Float64s:
    """Weeks of each type lie apart by more than counting."""
    return rng.gamma(4, 1 / 4, (NUM, WEEKS))


def _together(rng: np.random.Generator) -> Float64s:
    """Good and bad weeks of the whole shop."""
    return np.repeat(rng.gamma(25, 1 / 25, (1, WEEKS)), NUM, axis=0)


def _wandering(rng: np.random.Generator) -> Float64s:
    """Each type's level drifts."""
    return np.exp(rng.normal(0, 0.08, (NUM, WEEKS)).cumsum(axis=1))


def _growing(rng: np.random.Generator) -> Float64s:
    return np.repeat(1.01 ** np.arange(WEEKS)[None], NUM, axis=0)


KINDS: dict[str, Callable[[np.random.Generator], Float64s]] = {
    "steady": _plain,
    "weeks apart": _moody,
    "the shop's weeks apart": _together,
    "levels that drift": _wandering,
    "1% more a week": _growing,
}


def tried(kind: str, seed: int) -> tuple[float, float]:
    """Share of types for which the quantity was enough; and by how much fewer ran out within four weeks than said."""
    rng = np.random.default_rng([22, seed])
    rate = rng.lognormal(2.0, 1.0, NUM)
    units = rng.poisson(rate[:, None] * KINDS[kind](rng)).astype(np.float64)
    past = units[:, :-AHEAD]
    sold = past.sum(axis=1) > 0
    units, past = units[sold], past[sold]
    history = Weekly(tuple(map(str, range(len(past)))), past, (past > 0).argmax(axis=1), FIRST)
    judged = evaluate(history, seed)
    assert judged is not None
    sums = coming(history, judged)
    wanted = units[:, -AHEAD:].cumsum(axis=1)
    enough = float((wanted[:, LEAD - 1] <= sums.covering(LEAD, SERVICE)).mean())
    stock = np.ceil(rng.uniform(2, 6, len(past)) * past[:, -13:].mean(axis=1))
    return enough, float(sums.runs_out(stock)[:, -1].mean() - (wanted[:, -1] > stock).mean())


def figures(*, quick: bool) -> Iterator[Figure]:
    """Coverage of the quantity, and the chances' error, by kind of shop."""
    for kind in KINDS:
        both = np.array([tried(kind, seed) for seed in range(3 if quick else 20)])
        told = f"{kind}: a quantity for {LEAD} weeks at {SERVICE:.0%} is enough, share of types"
        yield Figure("supply", told, float(both[:, 0].mean()), LEAST, most=False)
        off = f"{kind}: types that run out within {AHEAD} weeks, off from the chances"
        yield Figure("supply", off, float(abs(both[:, 1].mean())), MOST_OFF)
