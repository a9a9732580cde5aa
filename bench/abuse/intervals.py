"""Intervals of few customers: how often equal ones come out different, and how often the mean is covered.

Differences between two models whose customers mostly tie, with light and heavy tails; figures that are skewed.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bench.abuse.figures import Figure
from nightmarket.contracts.arrays import Float64s
from nightmarket.evaluation.intervals import bootstrap

Draw = Callable[[np.random.Generator, int], Float64s]
SIZES = (10, 20, 50, 100, 200)


def _tied(share: float, draw: Draw) -> Draw:
    return lambda rng, num: np.where(rng.random(num) < share, 0.0, draw(rng, num))


EQUAL: dict[str, Draw] = {
    "normal": lambda rng, num: rng.normal(size=num),
    "90% ties, normal": _tied(0.9, lambda rng, num: rng.normal(size=num)),
    "90% ties, +1 or -1": _tied(0.9, lambda rng, num: rng.choice([-1.0, 1.0], num)),
    "95% ties, normal": _tied(0.95, lambda rng, num: rng.normal(size=num)),
    "70% ties, Student 3": _tied(0.7, lambda rng, num: rng.standard_t(3, num)),
    "of two exponentials": lambda rng, num: rng.exponential(size=num) - rng.exponential(size=num),
}
"""Paired differences with a mean of 0."""
SKEWED: dict[str, tuple[Draw, float]] = {
    "Beta(.5, 2), as NDCG is": (lambda rng, num: rng.beta(0.5, 2, num), 0.2),
    "30% of 0 and 1": (lambda rng, num: np.asarray(rng.random(num) < 0.3, np.float64), 0.3),
    "exponential": (lambda rng, num: rng.exponential(size=num), 1.0),
}
"""Figures with their true means."""


def _missed(draw: Draw, mean: float, num: int, repeats: int, seed: int) -> float:
    """Share of the repeats whose interval leaves the true mean out."""
    rng = np.random.default_rng(seed)
    intervals = (bootstrap(draw(rng, num), seed) for _ in range(repeats))
    return float(np.mean([not low <= mean <= high for _, low, high in intervals]))


def figures(*, quick: bool) -> Iterator[Figure]:
    """Shares of wrong intervals."""
    repeats = 400 if quick else 4000
    slack = 0.02 if quick else 0.005  # two standard errors and a half of a share of .06
    for kind, draw in EQUAL.items():
        for num in SIZES[1:3] if quick else SIZES:
            wrong = _missed(draw, 0.0, num, repeats, 5)
            yield Figure("intervals", f"{num} customers, differences {kind}: equal ones different", wrong, 0.06 + slack)
    for kind, (draw, mean) in SKEWED.items():
        for num, bound in ((20, 0.09), (200, 0.06)):
            wrong = _missed(draw, mean, num, repeats, 6)
            yield Figure("intervals", f"{num} customers, figures {kind}: mean not covered", wrong, bound + slack)
