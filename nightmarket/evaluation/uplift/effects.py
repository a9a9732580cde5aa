"""The effect of an exposure, randomized or observed, its checks, and the claim that it supports.

An effect is claimed only where exposure was assigned at random. Elsewhere what is known of the customers is adjusted
for, and what is not known stays in the figure: who is contacted because they are about to buy, or seen only when they
visit, buys more with no effect at all, and no check on the weeks before can show it. What remains is a description
with its doubts, and with how strong something unrecorded would have to be to explain it away (`sensitivity`):

overlap           the exposed have too few counterparts among the others
placebo           the same adjustment finds something in the weeks before the campaign, which it cannot have moved
                  (Imbens & Rubin, 2015, chapter 21)
negative control  or in an outcome that it cannot have moved (Lipsitch, Tchetgen Tchetgen & Cohen, 2010)
effect            its interval does not lie above zero, or that of its difference to the placebo does not, since a
                  placebo that is only vague does not show that nothing is there

The word "incremental" is kept for assignment at random.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.uplift.checks import LEAST_GROUP, Overlap, check, overlap, too_few
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
from nightmarket.evaluation.uplift.sensitivity import Sensitivity, sensitivity


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an exposure did, per customer and in the outcome's unit.

    assignment        "random" where exposure was assigned at random, "observed" where it was not
    naive             exposed less others, unadjusted: what a report without adjustment would say
    on_exposed        the effect on the exposed (ATT); where assignment was random, on all who were assigned
    on_all            the effect on all customers with counterparts (ATE); None where it cannot be estimated
    placebo           as `on_exposed`, in the weeks before the exposure; None if there are none
    negative_control  as `on_exposed`, on an outcome that cannot have moved; None if there is none
    beyond_placebo    `on_exposed` less `placebo`
    sensitivity       how strong something unrecorded would have to be to explain an observed difference away
    verdict           "positive", "negative" or "no claim"; always "no claim" where assignment was not random
    reasons           why there is no claim
    words             one sentence for people
    """

    assignment: Literal["random", "observed"]
    num_exposed: int
    num_others: int
    naive: Estimate | None
    on_exposed: Estimate | None = None
    on_all: Estimate | None = None
    overlap: Overlap | None = None
    placebo: Estimate | None = None
    negative_control: Estimate | None = None
    beyond_placebo: Estimate | None = None
    sensitivity: Sensitivity | None = None
    verdict: Literal["positive", "negative", "no claim"]
    reasons: tuple[str, ...] = ()
    words: str

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


NOT_RANDOM = "exposure was not assigned at random"


def refused(
    assignment: Literal["random", "observed"],
    exposed: Bools,
    reasons: Sequence[str],
    plain: Estimate | None = None,
    shared: Overlap | None = None,
) -> Effect:
    """No claim and no adjusted figure, for these reasons."""
    return Effect(
        assignment=assignment,
        num_exposed=int(exposed.sum()),
        num_others=int((~exposed).sum()),
        naive=plain,
        overlap=shared,
        verdict="no claim",
        reasons=tuple(reasons),
        words=f"No claim: {'; '.join(reasons)}.",
    )


def around_zero(what: str, effect: Estimate) -> str:
    """Why an estimate whose interval does not lie above zero carries no claim."""
    return f"{what} is not above zero: {figure(effect)}" if effect.high < 0 else f"{what} may be zero: {figure(effect)}"


def figure(effect: Estimate) -> str:
    """value [low, high] for people."""
    places = 0 if max(abs(effect.low), abs(effect.high)) >= 20 else 2
    return f"{effect.value:+,.{places}f} [{effect.low:+,.{places}f}, {effect.high:+,.{places}f}]"


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
    """The adjusted difference of an exposure not assigned at random, cross-fitted AIPW: a description, never a claim.

    covariates        (C, F)  what was known *before the placebo's weeks*, called `names`; numbers, none missing
    exposed           (C,)    who was exposed
    outcome           (C,)    e.g. spend while the campaign ran, currency
    placebo           (C,)    the same in as many weeks just before it, in the same unit; None if there are none
    negative_control  (C,)    e.g. spend, while it ran, in categories that it did not offer; None if there is none
    tests             claims that are read side by side: the interval of the effect is widened for so many (Bonferroni)

    The placebo is adjusted for the covariates; the outcome and the negative control for the covariates and the placebo,
    which is the latest that is known. With fewer than 50 exposed or others only counts are given. Raises InputError as
    `check` does.
    """
    check(covariates, exposed, outcome, placebo, negative_control, names)
    if small := too_few(exposed):
        return refused("observed", exposed, small)
    fold, plain = folds(exposed, seed), naive(exposed, outcome)
    columns = covariates if placebo is None else np.column_stack([covariates, placebo])
    whole = design(columns)
    chance = propensities(whole, exposed, fold)
    kept = chance <= 1 - TRIM
    shared = overlap(columns, [*names, "placebo"][: columns.shape[1]], exposed, chance)
    if not _both(exposed, kept):
        return refused("observed", exposed, shared.reasons(), plain, shared)
    late = np.column_stack([outcome] if negative_control is None else [outcome, negative_control])
    expected = outcomes(whole, late, ~exposed, fold)
    freedom = min(shared.num_exposed, shared.effective) - 1
    value, influence = effect_on_exposed(exposed, chance, outcome, expected[:, 0], kept)
    effect = estimate(influence, value, freedom, tests)
    control = nothing = beyond = None
    if negative_control is not None:
        change, of_control = effect_on_exposed(exposed, chance, negative_control, expected[:, 1], kept)
        control = estimate(of_control, change, freedom)
    if placebo is not None:
        before, of_placebo, matched = _placebo(covariates, exposed, placebo, fold, kept)
        nothing = estimate(of_placebo, before, freedom)
        beyond = estimate(_spread(influence, kept) - _spread(of_placebo, matched), value - before, freedom, tests)
    on_all = _on_all(whole, exposed, chance, outcome, expected[:, 0], fold, freedom)
    hidden = sensitivity(columns, [*names, "placebo"][: columns.shape[1]], exposed, outcome)
    return _described(shared, plain, effect, on_all, nothing, control, beyond, hidden)


def _described(
    shared: Overlap,
    plain: Estimate,
    effect: Estimate,
    on_all: Estimate | None,
    placebo: Estimate | None,
    control: Estimate | None,
    beyond: Estimate | None,
    hidden: Sensitivity,
) -> Effect:
    """The adjusted difference, what speaks against it, and what could hide behind it."""
    reasons = [NOT_RANDOM, *shared.reasons(), *_doubts(effect, placebo, control, beyond)]
    return Effect(
        assignment="observed",
        num_exposed=shared.num_exposed,
        num_others=shared.num_others,
        naive=plain,
        on_exposed=effect,
        on_all=on_all,
        overlap=shared,
        placebo=placebo,
        negative_control=control,
        beyond_placebo=beyond,
        sensitivity=hidden,
        verdict="no claim",
        reasons=tuple(reasons),
        words=_words(effect, reasons, hidden),
    )


def _both(exposed: Bools, kept: Bools) -> bool:
    """Whether both groups have customers among the kept."""
    return bool((exposed & kept).any() and (~exposed & kept).any())


def _placebo(
    covariates: Float64s, exposed: Bools, placebo: Float64s, fold: Int64s, kept: Bools
) -> tuple[float, Float64s, Bools]:
    """The effect on the placebo, adjusted for what was known before it; its influence, and who was compared."""
    base = design(covariates)
    early = propensities(base, exposed, fold)
    guess = outcomes(base, placebo[:, None], ~exposed, fold)[:, 0]
    matched = early <= 1 - TRIM
    matched = matched if _both(exposed, matched) else kept
    return *effect_on_exposed(exposed, early, placebo, guess, matched), matched


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


def _words(effect: Estimate, reasons: Sequence[str], hidden: Sensitivity) -> str:
    said = f"No claim: {'; '.join(reasons)}."
    if figure(effect) not in said:
        said += f" The adjusted difference is {figure(effect)} per customer."
    return f"{said} {hidden.words()}"
