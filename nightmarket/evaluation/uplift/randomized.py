"""The effect of an assignment at random."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.uplift.checks import check, too_few
from nightmarket.evaluation.uplift.doubly_robust import design, effect_on_all, estimate, folds, naive, outcomes
from nightmarket.evaluation.uplift.effect import Effect, around_zero, figure, refused

_MISMATCH = 0.001
"""p-value below which the sample ratio is refused."""


def randomized(
    covariates: Float64s,
    assigned: Bools,
    chance: float | Float64s,
    outcome: Float64s,
    names: Sequence[str],
    seed: int,
    tests: int = 1,
) -> Effect:
    """The incremental effect of an assignment at random on all who were assigned, whoever then saw it.

    covariates  (C, F)  known before the assignment; they make the interval shorter, and cannot bias it
    assigned    (C,)    who was drawn
    chance      (C,) or one number: the probability with which each was drawn, in (0, 1)
    outcome     (C,)    in the outcome's unit

    Augmented inverse weighting with the known chance. Refused where the number drawn does not agree with the chances
    (sample ratio, p < .001): then the assignment was not what it is said to be.
    """
    check(covariates, assigned, outcome, None, None, names)
    known = np.broadcast_to(np.asarray(chance, np.float64), assigned.shape)
    if not ((known > 0) & (known < 1)).all():
        raise InputError(f"the chance of assignment lies outside (0, 1) for {int(((known <= 0) | (known >= 1)).sum())}")
    small = too_few(assigned)
    if small:
        return refused("random", assigned, small)
    apart = (assigned.sum() - known.sum()) / np.sqrt((known * (1 - known)).sum())
    chance_of_it = float(2 * stats.norm.sf(abs(apart)))
    plain = naive(assigned, outcome)
    if chance_of_it < _MISMATCH:
        counts = f"{int(assigned.sum()):,} were assigned where {known.sum():,.0f} were expected"
        return refused("random", assigned, [f"{counts} (p = {chance_of_it:.1g})"], plain)
    fold, features = folds(assigned, seed), design(covariates)
    expected = tuple(outcomes(features, outcome[:, None], group, fold)[:, 0] for group in (~assigned, assigned))
    value, influence = effect_on_all(assigned, known, outcome, (expected[0], expected[1]), np.ones(assigned.size, bool))
    effect = estimate(influence, value, min(assigned.sum(), (~assigned).sum()) - 1, tests)
    shown = effect.low > 0 or effect.high < 0
    return Effect(
        assignment="random",
        num_exposed=int(assigned.sum()),
        num_others=int((~assigned).sum()),
        naive=plain,
        on_exposed=effect,
        on_all=effect,
        verdict="positive" if effect.low > 0 else "negative" if shown else "no claim",
        reasons=() if shown else (around_zero("the effect", effect),),
        words=f"{'Incremental' if shown else 'No incremental effect shown'}: {figure(effect)} per customer, at random.",
    )
