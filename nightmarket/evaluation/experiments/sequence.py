"""Bounds that may be looked at every night.

A fixed-horizon interval holds for one look, fixed beforehand. Looked at a hundred times, it misses the truth at some
look far more often than its level says. These bounds hold at all looks together.

Where an estimate is asymptotically a mean of n terms with standard error s, z = estimate / s, and n = `planned` was
fixed before the start, z √t with t = n / planned goes as a Brownian motion does, B(t) (Lan and Wittes, 1988).

`ends`: the experiment is over at t = 1, whatever comes. No more than α of all motions ever leave ±c until then, with
P(max |B| ≥ c) = 4 Σ (-1)^k Φ(-(2k + 1) c) = α: O'Brien and Fleming's bound for any number of looks, planned or not
(Lan and DeMets, 1983). For α = .05 the last look asks for 2.24 standard errors, where a single one asks for 1.96.

Without an end, exp(λ B - λ² t / 2) is a martingale that starts at 1 for any λ, so it ever reaches 1 / p with a chance
of p at most (Ville, 1939; Robbins, 1970). Two such bounds on both sides share α: one is narrowest at the planned
number, the other far beyond it (`TUNED`). It may go on for ever and asks for 2.76 standard errors at t = 1.

Both ask for many standard errors while customers are few, where no approximation holds; what is skewed is dealt with
before it comes here (`randomization`). `python -m bench.experiments` measures the level.

n counts customers whose outcome is complete: a customer whose responses still come in is not yet one of the n terms.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from nightmarket.contracts.arrays import Float64s

TUNED = ((1.0, 0.9), (8.0, 0.1))
"""Multiples of the planned number at which a bound is narrowest, and its share of α."""
_TERMS = 12
_SURE = 0.3
"""A reach that all motions but one in a million leave, from which on the terms of the series are enough."""


def _leaves(reach: Any) -> Any:
    """Chance that a Brownian motion leaves ±reach before t = 1."""
    odd = 2 * np.arange(_TERMS) + 1
    sign = (-1.0) ** np.arange(_TERMS)
    terms = sign * norm.sf(odd * np.maximum(reach, _SURE)[..., None])
    return np.clip(4 * terms.sum(axis=-1), 0.0, 1.0)


@lru_cache(maxsize=64)
def _reach(alpha: float) -> float:
    return float(brentq(lambda reach: float(_leaves(reach)) - alpha, 0.5, 40.0))


def _tilt(alpha: float) -> tuple[Float64s, Float64s]:
    """λ of each bound, and the logarithm of 2 / its share of α; the 2 is for both sides."""
    when, share = np.array(TUNED).T
    edge = np.log(2 / (share * alpha))
    return np.sqrt(2 * edge / when), edge


def critical(num: Any, planned: Any, alpha: float = 0.05, comparisons: int = 1, *, ends: bool = False) -> Any:
    """Standard errors to each side of the estimate, where a fixed interval has 1.96.

    num          customers so far, all arms of the comparison together; broadcast with `planned`
    planned      customers at which the bound is narrowest; fixed before the start, never from the data
    comparisons  bounds that are to hold together (Bonferroni)
    ends         nothing is read after `planned` customers
    """
    t = np.asarray(num, np.float64) / planned
    if ends:
        return _reach(alpha / comparisons) / np.sqrt(np.minimum(t, 1.0))
    tilt, edge = _tilt(alpha)
    t = t[..., None]
    return (((edge + np.log(comparisons)) / tilt + tilt * t / 2) / np.sqrt(t)).min(axis=-1)


def p_value(z: Any, num: Any, planned: Any, alpha: float = 0.05, *, ends: bool = False) -> Any:
    """Always-valid p-value of "no effect": below a level exactly where the bound of that level leaves zero out.

    z      estimate / standard error
    alpha  tunes the bounds, as in `critical`; p <= alpha / comparisons exactly where |z| reaches `critical`
    """
    t = np.asarray(num, np.float64) / planned
    if ends:
        return _leaves(np.abs(z) * np.sqrt(np.minimum(t, 1.0)))
    tilt, edge = _tilt(alpha)
    walk = (np.abs(z) * np.sqrt(t))[..., None]
    exponent = edge + np.log(alpha) - tilt * walk + tilt**2 * t[..., None] / 2
    return np.exp(np.minimum(exponent.min(axis=-1), 0.0))
