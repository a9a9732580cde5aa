"""A share of the places goes to products drawn at random, with the chance of each on record: M candidates, K places."""

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s

POOL = 5
"""Candidates that may be drawn, for each place."""


def explored(num: int, count: int, share: float, rng: np.random.Generator) -> tuple[Int64s, Float64s]:
    """Which of `num` candidates, best first, get the places, (K,), and the chance that each got its own given those
    before it, (K,): with the chance `share` one of those left in the pool, each as probable, else the best of them."""
    places = min(count, num)
    if share == 0:
        return np.arange(places), np.ones(places)
    left = list(range(min(num, POOL * count)))
    chosen, propensity = np.zeros(places, np.int64), np.ones(places)
    draws = rng.random(places)
    for place in range(places):
        drawn = int(rng.integers(len(left))) if draws[place] < share else 0
        propensity[place] = share / len(left) + (1 - share) * (drawn == 0)
        chosen[place] = left.pop(drawn)
    return chosen, propensity


def around_pins(
    pinned: Bools, last: Bools, count: int, share: float, rng: np.random.Generator
) -> tuple[Int64s, Float64s]:
    """The same where some candidates hold their places, and some come after all others.

    pinned, last  (num,)  of the candidates, best first
    """
    places = np.arange(min(count, pinned.size))
    free = places[~pinned[: places.size]]
    drawn_from, after = np.flatnonzero(~pinned & ~last), np.flatnonzero(~pinned & last)
    drawn, chance = explored(drawn_from.size, free.size, share, rng)
    chosen, propensity = places.copy(), np.ones(places.size)
    chosen[free] = np.concatenate([drawn_from[drawn], after[: free.size - drawn.size]])
    propensity[free[: drawn.size]] = chance
    return chosen, propensity
