"""The effect of a campaign on its audience, its checks, and what may be said of it.

Exposure that nobody drew by lot is adjusted for what is known of the customers. What is not known stays in the figure,
so a positive effect is claimed only if every check that could have shown it holds:

overlap           the exposed have counterparts among the others
placebo           the same adjustment finds nothing in the weeks before the campaign, which it cannot have moved
                  (Imbens & Rubin, 2015, chapter 21)
negative control  nor in an outcome that it cannot have moved (Lipsitch, Tchetgen Tchetgen & Cohen, 2010)
effect            its interval lies above zero, and so does that of its difference to the placebo, since a placebo that
                  is only vague does not show that nothing is there

The word "incremental" is kept for assignment at random.
"""

from collections.abc import Sequence

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.uplift.checks import LEAST_GROUP, check, overlap, too_few
from nightmarket.evaluation.uplift.doubly_robust import (
    TRIM,
    Estimate,
    design,
    effect_on_all,
    effect_on_exposed,
    estimate,
    folds,
    naive,
    outcomes,
    propensities,
)
from nightmarket.evaluation.uplift.effect import Effect, around_zero, figure, refused


def observational(
    covariates: Float64s,
    exposed: Bools,
    outcome: Float64s,
    placebo: Float64s | None,
    negative_control: Float64s | None,
    names: Sequence[str],
    seed: int,
    tests: int = 1,
) -> Effect:
    """The effect of an exposure that was not assigned at random, by cross-fitted augmented inverse weighting.

    covariates        (C, F)  what was known *before the placebo's weeks*, called `names`; numbers, none missing
    exposed           (C,)    who was exposed
    outcome           (C,)    e.g. spend while the campaign ran, currency
    placebo           (C,)    the same in as many weeks just before it, in the same unit; None if there are none
    negative_control  (C,)    e.g. spend, while it ran, in categories that it did not offer; None if there is none
    tests             claims that are read side by side: the interval of the effect is widened for so many (Bonferroni)

    The placebo is adjusted for the covariates; the outcome and the negative control for the covariates and the placebo,
    which is the latest that is known. Without a placebo nothing is claimed, nor with fewer than 50 exposed or others,
    where only counts are given. Raises InputError on arrays that do not fit, values that are not finite, and a placebo
    that the covariates hold: it would be nil by construction.
    """
    check(covariates, exposed, outcome, placebo, negative_control, names)
    small = too_few(exposed)
    if small:
        return refused("observed", exposed, small)
    fold = folds(exposed, seed)
    base = design(covariates)
    whole = base if placebo is None else design(np.column_stack([covariates, placebo]))
    chance = propensities(whole, exposed, fold)
    kept = chance <= 1 - TRIM
    labels = [*names, *(["placebo"] if placebo is not None else [])]
    columns = covariates if placebo is None else np.column_stack([covariates, placebo])
    shared = overlap(columns, labels, exposed, chance)
    if not (exposed & kept).any() or not (~exposed & kept).any():
        return refused("observed", exposed, shared.reasons(), naive(exposed, outcome), shared)
    late = np.column_stack([outcome] if negative_control is None else [outcome, negative_control])
    expected = outcomes(whole, late, ~exposed, fold)
    freedom = min(shared.num_exposed, shared.effective) - 1
    value, influence = effect_on_exposed(exposed, chance, outcome, expected[:, 0], kept)
    effect = estimate(influence, value, freedom, tests)
    control = None
    if negative_control is not None:
        found = effect_on_exposed(exposed, chance, negative_control, expected[:, 1], kept)
        control = estimate(found[1], found[0], freedom)
    nothing = beyond = None
    if placebo is not None:
        early = propensities(base, exposed, fold)
        guess = outcomes(base, placebo[:, None], ~exposed, fold)[:, 0]
        matched = early <= 1 - TRIM
        if not (exposed & matched).any() or not (~exposed & matched).any():
            matched = kept
        before = effect_on_exposed(exposed, early, placebo, guess, matched)
        nothing = estimate(before[1], before[0], freedom)
        apart = _spread(influence, kept) - _spread(before[1], matched)
        beyond = estimate(apart, value - before[0], freedom, tests)
    reasons = [*shared.reasons(), *_doubts(effect, nothing, control, beyond)]
    return Effect(
        assignment="observed",
        num_exposed=shared.num_exposed,
        num_others=shared.num_others,
        naive=naive(exposed, outcome),
        on_exposed=effect,
        on_all=_on_all(whole, exposed, chance, outcome, expected[:, 0], fold, freedom),
        overlap=shared,
        placebo=nothing,
        negative_control=control,
        beyond_placebo=beyond,
        verdict="no claim" if reasons else "positive",
        reasons=tuple(reasons),
        words=_words(effect, reasons),
    )


def _on_all(
    features: Float64s, exposed: Bools, chance: Float64s, outcome: Float64s, without: Float64s,
    fold: Int64s, freedom: float,
) -> Estimate | None:  # fmt: skip
    inside = (chance >= TRIM) & (chance <= 1 - TRIM)
    if min((exposed & inside).sum(), (~exposed & inside).sum()) < LEAST_GROUP:
        return None
    with_it = outcomes(features, outcome[:, None], exposed, fold)[:, 0]
    value, influence = effect_on_all(exposed, chance, outcome, (without, with_it), inside)
    return estimate(influence, value, freedom)


def _spread(influence: Float64s, kept: Bools) -> Float64s:
    """(C,) influence on the mean over the kept customers, as seen from all."""
    whole = np.zeros(kept.size)
    whole[kept] = influence * (kept.size / influence.size)
    return whole


def _doubts(effect: Estimate, placebo: Estimate | None, control: Estimate | None, beyond: Estimate | None) -> list[str]:
    doubts = []
    if placebo is None:
        doubts.append("no weeks before the exposure to try the adjustment on")
    elif placebo.error == 0:
        doubts.append("nothing happened in the weeks before the exposure, so the placebo shows nothing")
    elif not placebo.covers(0):
        doubts.append(f"placebo: the weeks before already differ by {figure(placebo)}")
    if control is not None and not control.covers(0):
        doubts.append(f"negative control: what it cannot have moved differs by {figure(control)}")
    if effect.low <= 0:
        doubts.append(around_zero("the adjusted effect", effect))
    elif beyond is not None and beyond.low <= 0:
        doubts.append(around_zero("the effect beyond the placebo", beyond))
    return doubts


def _words(effect: Estimate, reasons: Sequence[str]) -> str:
    if reasons:
        said = f"No claim: {'; '.join(reasons)}."
        return said if figure(effect) in said else f"{said} The adjusted difference is {figure(effect)} per customer."
    return (
        f"Positive: {figure(effect)} per customer exposed, after adjustment, with every check passed. Exposure was "
        "not drawn by lot, so what nobody recorded may still explain it."
    )
