"""Diagnostics of a log for off-policy evaluation: whether it can say anything about a policy, and why not.

A refusal is not a bad mark for the policy: the log does not carry a verdict on it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Float64s
from nightmarket.evaluation.offpolicy.estimators import effective_clicks, folds, scaled, standard_error
from nightmarket.evaluation.offpolicy.logs import Log, weights

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
    untried           share of the policy's choices that fall on actions which the log never took
    propensity_z      largest deviation, in standard errors, of the propensities from the actions taken
    propensity_limit  what true propensities exceed in fewer than one log of 1,000
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
    tried = np.bincount(log.action, minlength=log.num_actions) > 0
    z, limit = propensity_test(log, seed)
    return Diagnostics(
        num_rows=len(log),
        mean_weight=float(w.mean()),
        ess=total**2 / squares if squares else 0.0,
        effective_clicks=effective_clicks(w, r),
        clicks=int((r != 0).sum()),
        largest_share=float(w.max()) / total if total else 1.0,
        untried=float(target[:, ~tried].sum() / len(log)),
        propensity_z=z,
        propensity_limit=limit,
    )


def propensity_test(log: Log, seed: int) -> tuple[float, float]:
    """Largest |z| over the actions and over all of them together, and the limit that true propensities exceed in
    fewer than one log of 1,000 (normal, Bonferroni, see FALSE_ALARMS).

    If p is the chance with which the logged action was drawn, then for any function g of context and action
    E[1{A = a} g(x, a) / p] = E[g(x, a)]. As g serves a guess of p itself, a cross-fitted ridge regression of the
    actions on the context: its terms are near 1, so means are nearly normal, and propensities that belong to other rows
    give a mean above 1 wherever they differ from row to row. Actions expected fewer than 20 times are only tested
    together. Propensities that are all equal pass when shuffled, rightly: nothing was changed.
    """
    guess = _guess(log, seed)
    rows = np.arange(len(log))
    ratio = guess[rows, log.action] / log.propensity
    tests = [_z(ratio, guess.sum(axis=1), log)]
    enough = guess.sum(axis=0) >= _LEAST_EXPECTED
    for action in np.flatnonzero(enough) if log.num_actions > 1 else ():
        tests.append(_z(np.where(log.action == action, ratio, 0.0), guess[:, action], log))
    return max(tests), float(stats.norm.isf(FALSE_ALARMS / 2 / len(tests)))


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
