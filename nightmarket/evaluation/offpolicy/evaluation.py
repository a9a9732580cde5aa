"""Off-policy evaluation: whether a log can say anything about a policy, every estimate side by side, and the verdict.

A refusal is not a bad mark for the policy: the log does not carry a verdict on it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.estimators import (
    FEW_CLICKS,
    ValueEstimate,
    cross_fitted,
    direct,
    doubly_robust,
    effective_clicks,
    folds,
    importance,
    normal,
    scaled,
    scores,
    self_normalised,
    standard_error,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.logs import Log, check_target, weights
from nightmarket.evaluation.offpolicy.steadiness import MOST_REPEATED, Change, change, repeated
from nightmarket.evaluation.offpolicy.support import untried

WEIGHT_OFF = 0.1
LEAST_ESS = 500.0
LEAST_EFFECTIVE_CLICKS = 25.0
LEAST_CLICKS = 50
"""Rows with a reward, however weighted: 50 clicks are known to 28%, more than any policy is likely to gain."""
MOST_OF_ONE = 0.10
MOST_UNTRIED = 0.01
FALSE_ALARMS = 0.0001
"""How often true propensities would be called wrong if the test were exactly normal. It is not quite: they were in
fewer than 1 of 1,000 simulated logs (`python -m bench.offpolicy`), which is the rate that we state."""
_LEAST_EXPECTED = 20.0
_LEAST_EFFECTIVE = 50.0
MOST_ROUNDED = 0.05
"""What rounding of the propensities may do to the mean weight at the worst."""
_DESIGNED = 10
"""Distinct propensities; so few are those of a design, and exact however short they are."""
_FLOOR = 1e-3


@dataclass(frozen=True)
class Refusal:
    """One reason against a verdict: what was looked at, its figure, the limit, and a sentence."""

    check: str
    figure: float
    limit: float
    words: str


@dataclass(frozen=True)
class Diagnostics:
    """What the weights look like.

    mean_weight       1 where propensities are true and the log tried what the policy would do
    ess               (sum w)² / sum w², rows (Kish, 1965)
    effective_clicks  (sum w r)² / sum (w r)²
    clicks            rows with a reward other than 0
    largest_share     of all weight, on one row
    untried           share of the policy's choices that fall on actions which the log never took, or never there
    propensity_z      largest deviation, in standard errors, of the propensities from the actions taken
    propensity_limit  what true propensities exceed in fewer than one log of 1,000
    weight_z          largest deviation of the weights' mean from 1, over all rows and within the policy's actions
    weight_limit      what a log exceeds as seldom that tried all that the policy would do
    rounded_to        unit that all propensities are multiples of, where they are not those of a design; else 0
    rounding          what half of that unit does to the mean weight at the worst, as a share
    """

    num_rows: int
    mean_weight: float
    ess: float
    effective_clicks: float
    clicks: int
    largest_share: float
    untried: float
    propensity_z: float
    propensity_limit: float
    weight_z: float = 0.0
    weight_limit: float = np.inf
    rounded_to: float = 0.0
    rounding: float = 0.0

    def refusals(self) -> tuple[Refusal, ...]:
        """Why there is no verdict; empty where there may be one."""
        checks = [
            (
                "propensities", self.propensity_z, self.propensity_limit, self.propensity_z > self.propensity_limit,
                "the propensities do not agree with the actions taken: {0:.1f} standard errors (more than {1:.1f})",
            ),
            (
                "mean weight", self.mean_weight, WEIGHT_OFF, abs(self.mean_weight - 1) > WEIGHT_OFF,
                "the weights' mean is {0:.3f}, not within {1} of 1",
            ),
            ("ess", self.ess, LEAST_ESS, self.ess < LEAST_ESS, "{0:,.0f} effective rows (fewer than {1:,.0f})"),
            (
                "effective clicks", self.effective_clicks, LEAST_EFFECTIVE_CLICKS,
                self.effective_clicks < LEAST_EFFECTIVE_CLICKS, "{0:.1f} effective clicks (fewer than {1:.0f})",
            ),
            ("clicks", self.clicks, LEAST_CLICKS, self.clicks < LEAST_CLICKS, "{0} clicks in the log (fewer than {1})"),
            (
                "one row", self.largest_share, MOST_OF_ONE, self.largest_share > MOST_OF_ONE,
                "one row carries {0:.0%} of the weight (more than {1:.0%})",
            ),
            (
                "untried", self.untried, MOST_UNTRIED, self.untried > MOST_UNTRIED,
                "{0:.1%} of the policy's choices are actions that the log never took (more than {1:.0%})",
            ),
            (
                "support", self.weight_z, self.weight_limit, self.weight_z > self.weight_limit,
                "the log did not try all that the policy would do, or its propensities are wrong: the weights of an "
                "action are {0:.1f} standard errors off their mean (more than {1:.1f})",
            ),
            (
                "rounding", self.rounding, MOST_ROUNDED, self.rounding > MOST_ROUNDED,
                f"the propensities are rounded to {self.rounded_to:g}, which may move the mean weight by {{0:.0%}} "
                "(more than {1:.0%}): write them down with four significant digits",
            ),
        ]  # fmt: skip
        return tuple(
            Refusal(check, float(figure), float(limit), words.format(figure, limit))
            for check, figure, limit, refuse, words in checks
            if refuse
        )


def diagnose(log: Log, target: Float64s, seed: int) -> Diagnostics:
    """Look at the weights of a target policy (N, A) on a log."""
    w, r = weights(log, target), log.reward
    total, squares = float(w.sum()), float((w**2).sum())
    z, limit = propensity_test(log, seed)
    weight_z, weight_limit = weight_test(log, target)
    unit = rounded_to(log.propensity)
    return Diagnostics(
        num_rows=len(log),
        mean_weight=float(w.mean()),
        ess=total**2 / squares if squares else 0.0,
        effective_clicks=effective_clicks(w, r),
        clicks=int((r != 0).sum()),
        largest_share=float(w.max()) / total if total else 1.0,
        untried=untried(log, target, seed),
        propensity_z=z,
        propensity_limit=limit,
        weight_z=weight_z,
        weight_limit=weight_limit,
        rounded_to=unit,
        rounding=float((w * np.minimum(unit / 2 / log.propensity, 1.0)).sum()) / total if total and unit else 0.0,
    )


def rounded_to(propensity: Float64s) -> float:
    """The largest of .1, .01 and .001 that all propensities (N,) are multiples of; 0 if none is, or there are few."""
    distinct = np.unique(propensity)
    if distinct.size <= _DESIGNED:
        return 0.0
    for unit in (0.1, 0.01, 0.001):
        if np.abs(distinct / unit - np.round(distinct / unit)).max() < 1e-6:
            return unit
    return 0.0


def propensity_test(log: Log, seed: int) -> tuple[float, float]:
    """Largest z over the actions and over all of them together, and the limit that true propensities exceed in
    fewer than one log of 1,000 (normal, Bonferroni, see FALSE_ALARMS).

    If p is the chance with which the logged action was drawn, then for any function g of context and action
    E[1{A = a} g(x, a) / p] = E[g(x, a)]. As g serves a guess of p itself, a cross-fitted ridge regression of the
    actions on the context: its terms are near 1, so means are nearly normal, and propensities that belong to other rows
    give a mean above 1 wherever they differ from row to row. Actions expected fewer than 20 times are only tested
    together. Propensities that are all equal pass when shuffled, rightly: nothing was changed.

    The identity needs p > 0 wherever g is: with `log.eligible` g is 0 where an action could not be taken. Without, a
    mean below 1 may come of actions that a context cannot have, and only one above 1 speaks against the propensities;
    `weight_test` looks at both sides, with the policy's own probabilities as g.
    """
    guess = _guess(log, seed)
    if log.eligible is not None:
        guess = np.where(log.eligible, guess, 0.0)
        guess = guess / guess.sum(axis=1, keepdims=True)
    rows = np.arange(len(log))
    ratio = guess[rows, log.action] / log.propensity
    pairs = [(ratio, guess.sum(axis=1))]
    enough = guess.sum(axis=0) >= _LEAST_EXPECTED
    for action in np.flatnonzero(enough) if log.num_actions > 1 else ():
        pairs.append((np.where(log.action == action, ratio, 0.0), guess[:, action]))
    both = log.eligible is not None
    tests = [_z(seen, expected, log) if both or seen.sum() > expected.sum() else 0.0 for seen, expected in pairs]
    return max(tests), float(stats.norm.isf(FALSE_ALARMS / 2 / len(tests)))


def weight_test(log: Log, target: Float64s) -> tuple[float, float]:
    """Largest |z| of the weights' sum from what it must be, over all rows and for each action that the policy takes,
    and the limit, as in `propensity_test`.

    E[1{A = a} target(a) / p] = E[target(a)] where the log can take what the policy would: below it lies a policy that
    would do what contexts never saw, whatever the log says of sets. Actions whose weights are worth fewer than 50
    rows, (sum w)² / sum w², are tested together with the others alone.
    """
    w = weights(log, target)
    pairs = [(w, np.ones(len(log)))]
    for action in np.flatnonzero(target.sum(axis=0) >= _LEAST_EXPECTED) if log.num_actions > 1 else ():
        own = np.where(log.action == action, w, 0.0)
        squares = float((own**2).sum())
        if squares and own.sum() ** 2 / squares >= _LEAST_EFFECTIVE:
            pairs.append((own, target[:, action]))
    return max(_z(seen, expected, log) for seen, expected in pairs), float(
        stats.norm.isf(FALSE_ALARMS / 2 / len(pairs))
    )


def _z(seen: Float64s, expected: Float64s, log: Log) -> float:
    """How far the sum of `seen` lies from that of `expected`, both (N,) and not negative, in standard errors.

    The signed root of a Poisson deviance whose scale is the variance per unit of sum: a plain ratio to the standard
    error calls true propensities wrong ten times too often where an action was taken some dozens of times.
    """
    s, e = float(seen.sum()), float(expected.sum())
    error = standard_error(seen - expected, log.unit) * len(log)
    if error == 0:
        return 0.0 if abs(s - e) < 1e-6 * e else np.inf
    scale = error**2 / s if s > 0 else 1.0
    deviance = (s * np.log(s / e) if s > 0 else 0.0) - (s - e)
    return float(np.sqrt(2 * max(deviance, 0.0) / scale))


def _guess(log: Log, seed: int) -> Float64s:
    """(N, A) chance of each action in each context, at least .001, from the other folds."""
    taken = np.zeros((len(log), log.num_actions))
    taken[np.arange(len(log)), log.action] = 1.0
    fold = folds(log.unit, seed)
    guess = np.empty_like(taken)
    for number in np.unique(fold):
        out = fold == number
        known = ~out if not out.all() else out
        features, asked = scaled(log.context[known], log.context[out])
        mean = taken[known].mean(axis=0)
        gram = features.T @ features + len(features) * 1e-3 * np.eye(features.shape[1])
        slope = np.linalg.solve(gram, features.T @ (taken[known] - mean)) if gram.size else np.zeros((0, mean.size))
        guess[out] = np.clip(mean + asked @ slope, _FLOOR, 1.0)
    return guess


MODEL_ERRS = 2.576
"""Standard errors between DM and DR beyond which the reward model is said to err: a true one does in 1% of logs."""


@dataclass(frozen=True)
class PolicyEvaluation:
    """What a log says about a policy.

    estimates    IPS, SNIPS, DM, DR and switch-DR, in the reward's unit per decision
    logging      what the logging policy earned, the same
    difference   DR less that, row by row
    model_errs   DM and DR differ by more than chance: the reward model is wrong for this policy, DM is not to be used
    change       the least likely change of rewards over the log
    refusals     why no verdict may be given; empty where one may
    verdict      "certified better", "not certified", or "refused"
    words        one sentence for people
    """

    estimates: tuple[ValueEstimate, ...]
    logging: ValueEstimate
    difference: ValueEstimate
    model_errs: bool
    diagnostics: Diagnostics
    change: Change
    refusals: tuple[Refusal, ...]
    verdict: Literal["certified better", "not certified", "refused"]
    words: str

    def of(self, name: str) -> ValueEstimate:
        """The estimate called `name`; KeyError if there is none."""
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


def evaluate(
    log: Log, target: Float64s, seed: int, chosen_on: Int64s | None = None, q: Float64s | None = None
) -> PolicyEvaluation:
    """Estimate the value of a policy and say whether it is certified better than the one that logged.

    target     (N, A)  the policy's probabilities in the log's contexts
    chosen_on  numbers (`Log.row`) of the rows that the policy was learned or picked on; None where it was fixed before
               any. A row that is in the log too gives a refusal: a policy is not judged on what chose it
    q          (N, A)  expected rewards by a model that did not see these rows; None fits one, cross-fitted

    Certified is what has no refusal and a difference to the logging policy whose interval lies above zero; with fewer
    than 100 effective clicks the gamma interval of IPS must lie above the logged mean as well. Raises InputError where
    `target` is no distribution.
    """
    check_target(log, target)
    q = cross_fitted(log, seed) if q is None else q
    if q.shape != target.shape or not np.isfinite(q).all():
        raise InputError(f"expected rewards are {q.shape}, or not finite; they must be finite and {target.shape}")
    estimates = (
        importance(log, target),
        self_normalised(log, target),
        direct(log, target, q),
        doubly_robust(log, target, q),
        switch_doubly_robust(log, target, q),
    )
    logging = normal("logging", float(log.reward.mean()), log.reward, log.unit)
    score = scores(log, target, q)
    gain = score - log.reward
    difference = normal("DR less logging", float(gain.mean()), gain, log.unit)
    apart = score - (target * q).sum(axis=1)
    errs = bool(abs(apart.mean()) > MODEL_ERRS * standard_error(apart, log.unit))
    diagnostics = diagnose(log, target, seed)
    changed = change(log, q, score)
    refusals = (*diagnostics.refusals(), *_seen(log, chosen_on), *_repeated(log), *_unsteady(changed))
    better = difference.low is not None and difference.low > 0
    if better and diagnostics.effective_clicks < FEW_CLICKS:
        floor = estimates[0].low
        better = floor is not None and floor > logging.value
    verdict: Literal["certified better", "not certified", "refused"] = (
        "refused" if refusals else "certified better" if better else "not certified"
    )
    return PolicyEvaluation(
        estimates, logging, difference, errs, diagnostics, changed, refusals, verdict,
        _words(verdict, difference, refusals, estimates, errs),
    )  # fmt: skip


def _seen(log: Log, chosen_on: Int64s | None) -> tuple[Refusal, ...]:
    if chosen_on is None:
        return ()
    num = int(np.isin(log.row, chosen_on).sum())
    words = f"{num:,} of {len(log):,} rows also chose the policy; it must be judged on others"
    return (Refusal("same data", float(num), 0.0, words),) if num else ()


def _repeated(log: Log) -> tuple[Refusal, ...]:
    share = repeated(log)
    words = f"{share:.0%} of the rows say again what others say, under other numbers; keep each decision once"
    return (Refusal("repeated", share, MOST_REPEATED, words),) if share > MOST_REPEATED else ()


def _unsteady(changed: Change) -> tuple[Refusal, ...]:
    check = "unfinished" if changed.unfinished else "drift"
    return (Refusal(check, changed.z, changed.limit, changed.words()),) if changed.unsteady else ()


def _words(
    verdict: str,
    difference: ValueEstimate,
    refusals: tuple[Refusal, ...],
    estimates: tuple[ValueEstimate, ...],
    errs: bool,
) -> str:
    gain = f"{difference.value:+.4g} [{difference.low:+.4g}, {difference.high:+.4g}] per decision"
    if refusals:
        said = f"No verdict, collect more exploration: {'; '.join(refusal.words for refusal in refusals)}."
    elif verdict == "certified better":
        said = f"Certified better than the policy that logged: {gain}."
    else:
        said = f"Not certified: the difference to the policy that logged may be zero or less, {gain}."
    if errs:
        said += f" The reward model errs: DM says {estimates[2].value:.4g}, DR {estimates[3].value:.4g}; do not use DM."
    return said
