"""Confidence sequences: intervals that may be looked at every night.

A fixed-horizon interval holds for one look, fixed beforehand. Looked at a hundred times, it misses the truth at some
look far more often than its level says. A confidence sequence covers the truth at all looks together.

Theory: asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 2024, arXiv 2103.06476, the Gaussian mixture of
section 2). For an estimate that is asymptotically a mean of n terms with standard error s, and a scale m > 0 fixed
before the start,

    estimate ± s · sqrt((1 + 1/M) (log(1 + M) + 2 log(1/α))),   M = m n / planned

covers the truth at every n from the first look on, with probability 1 − α as that first look moves out. It is the
sequential test with a Gaussian mixture (Robbins, 1970; Johari, Koomen, Pekelis, Walsh, "Always valid inference",
Operations Research 2022), whose likelihood ratio gives the p-value. As every normal approximation it needs some
customers before the first look; `python -m bench.experiments` measures the level from that look on.

n counts customers whose outcome is complete: a customer whose responses still come in is not yet one of the n terms.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import lambertw

from nightmarket.contracts.arrays import Float64s

Numbers = float | Float64s


@lru_cache(maxsize=16)
def scale(alpha: float) -> float:
    """The m that makes the sequence narrowest at n = planned: −W₋₁(−α²/e) − 1 (the paper, tuning of ρ)."""
    return float(-lambertw(-(alpha**2) / np.e, k=-1).real - 1)


def critical(num: Any, planned: Any, alpha: float = 0.05, comparisons: int = 1) -> Any:
    """Standard errors to each side of the estimate, where a fixed interval has 1.96.

    num          customers so far, all arms of the comparison together; broadcast with `planned`
    planned      customers at which the sequence is narrowest; fixed before the start, never from the data
    comparisons  sequences that are to cover together (Bonferroni)
    """
    m = scale(alpha) * np.asarray(num, np.float64) / planned
    return np.sqrt((1 + 1 / m) * (np.log1p(m) + 2 * np.log(comparisons / alpha)))


def p_value(z: Any, num: Any, planned: Any, alpha: float = 0.05) -> Any:
    """Always-valid p-value of "no effect": below a level exactly where the sequence of that scale leaves zero out.

    z      estimate / standard error
    alpha  decides the scale, as in `critical`; p <= alpha exactly where |z| >= critical(num, planned, alpha)
    """
    m = scale(alpha) * np.asarray(num, np.float64) / planned
    log_ratio = 0.5 * np.square(z) * m / (1 + m) - 0.5 * np.log1p(m)
    return np.exp(-np.maximum(log_ratio, 0.0))
