"""The value of a target policy on the log of another: five estimators, and the reward model that some of them use.

Shapes: N rows, F features, A actions, K folds.

Every estimator takes w (N,), the weights target over logged probability of the logged action, and r (N,), the rewards;
those with a model take q (N, A), expected rewards, too. Each gives a 95% interval with the unit, e.g. the customer,
as what repeats. Shapes: N rows, A actions.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.logs import Log, weights

NUM_FOLDS = 5
PSEUDO_ROWS = 10.0
"""Ridge penalty: an action with this many rows is half its own, half what all actions share."""


def cross_fitted(log: Log, seed: int, num_folds: int = NUM_FOLDS) -> Float64s:
    """(N, A) expected rewards; a row's come from models on the other folds, and units never straddle folds
    (Chernozhukov et al., 2018).

    A ridge regression on the context that all actions share, and one per action on what it leaves over: an action
    that was seldom tried stays near the shared one.
    """
    fold = folds(log.unit, seed, num_folds)
    expected = np.empty((len(log), log.num_actions))
    for number in range(num_folds):
        out = fold == number
        if out.any():
            known = log.where(~out) if not out.all() else log
            expected[out] = predicted(known.context, known.action, known.reward, log.context[out], log.num_actions)
    return expected


def folds(unit: Int64s, seed: int, num_folds: int = NUM_FOLDS) -> Int64s:
    """(N,) fold of each row; the rows of a unit share theirs."""
    units, place = np.unique(unit, return_inverse=True)
    return np.random.default_rng(seed).permutation(units.size)[place] % num_folds


def predicted(context: Float64s, action: Int64s, reward: Float64s, asked: Float64s, num_actions: int) -> Float64s:
    """(asked, A) expected rewards in the contexts `asked` from rows of (context, action, reward)."""
    features, wanted = scaled(context, asked)
    base = float(reward.mean())
    shared = _ridge(features, reward - base)
    rest = reward - base - features @ shared
    rewards = np.repeat((base + wanted @ shared)[:, None], num_actions, axis=1)
    order = np.argsort(action, kind="stable")
    edges = np.searchsorted(action[order], np.arange(num_actions + 1))
    own = np.column_stack([np.ones(len(features)), features])
    for number in range(num_actions):
        rows = order[edges[number] : edges[number + 1]]
        if rows.size:
            slope = _ridge(own[rows], rest[rows])
            rewards[:, number] += slope[0] + wanted @ slope[1:]
    return rewards


def scaled(context: Float64s, asked: Float64s) -> tuple[Float64s, Float64s]:
    """Both with the mean and variance of `context` made 0 and 1."""
    mean, spread = context.mean(axis=0), context.std(axis=0)
    scale: Float64s = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1e-300), spread, np.inf)
    return (context - mean) / scale, (asked - mean) / scale


def _ridge(features: Float64s, values: Float64s) -> Float64s:
    gram = features.T @ features
    gram[np.diag_indices_from(gram)] += PSEUDO_ROWS
    return np.linalg.solve(gram, features.T @ values).astype(np.float64)


FEW_CLICKS = 100.0
"""Fewer effective clicks, and the interval of `importance` is gamma's."""


@dataclass(frozen=True)
class ValueEstimate:
    """A value with its 95% interval, in the reward's unit; low and high are None where no honest interval is known."""

    name: str
    value: float
    low: float | None
    high: float | None
    interval: str


def effective_clicks(w: Float64s, r: Float64s) -> float:
    """(sum w r)² / sum (w r)²: clicks of an unweighted log that would say as much (for them r² is r). 0 without any."""
    total = float(((w * r) ** 2).sum())
    return float((w * r).sum()) ** 2 / total if total > 0 else 0.0


def normal(name: str, value: float, influence: Float64s, unit: Int64s) -> ValueEstimate:
    """The interval from an influence function (N,), summed within units."""
    reach = 1.959964 * standard_error(influence, unit)
    return ValueEstimate(name, value, value - reach, value + reach, "normal, from the influence function")


def standard_error(influence: Float64s, unit: Int64s) -> float:
    """Of the mean of (N,) values whose rows hang together within units."""
    codes = np.unique(unit, return_inverse=True)[1]
    sums = np.bincount(codes, influence - influence.mean())
    some = max(sums.size - 1, 1)
    return float(np.sqrt((sums**2).sum() * sums.size / some) / influence.size)


def importance(log: Log, target: Float64s) -> ValueEstimate:
    """IPS: mean of w r (Horvitz & Thompson, 1952; Precup, Sutton & Singh, 2000).

    With fewer than 100 effective clicks and rewards from 0 the interval is gamma's (Fay & Feuer, 1997): a weighted sum
    of Poisson counts is matched by a gamma variable in mean and variance, the upper end with one more click of the
    largest weight. It covers where a normal interval is too short, and takes rows for independent.
    """
    w, r = weights(log, target), log.reward
    value = float((w * r).mean())
    if effective_clicks(w, r) >= FEW_CLICKS or r.min() < 0:
        return normal("IPS", value, w * r, log.unit)
    low, high = gamma_interval(w * r / len(log), float(w.max() * r.max(initial=0.0)) / len(log))
    return ValueEstimate("IPS", value, low, high, "gamma (Fay & Feuer, 1997)")


def gamma_interval(terms: Float64s, largest: float) -> tuple[float, float]:
    """95% interval of the expected sum of `terms`, weights of Poisson events, of which `largest` is the largest."""
    y, v = float(terms.sum()), float((terms**2).sum())
    low = v / (2 * y) * float(stats.chi2.ppf(0.025, 2 * y**2 / v)) if y > 0 else 0.0
    y, v = y + largest, v + largest**2
    return low, (v / (2 * y) * float(stats.chi2.ppf(0.975, 2 * y**2 / v)) if y > 0 else 0.0)


def self_normalised(log: Log, target: Float64s) -> ValueEstimate:
    """SNIPS: sum of w r over sum of w (Swaminathan & Joachims, 2015); biased by O(1/N), variance by linearisation."""
    w, r = weights(log, target), log.reward
    if w.sum() == 0:
        return ValueEstimate("SNIPS", 0.0, None, None, "none: no weight")
    value = float((w * r).sum() / w.sum())
    return normal("SNIPS", value, w * (r - value) / w.mean(), log.unit)


def direct(log: Log, target: Float64s, q: Float64s) -> ValueEstimate:
    """DM: mean over rows of sum over actions of target x q. As right as the model is; no interval, since what the
    model errs by is not in its spread."""
    return ValueEstimate("DM", float((target * q).sum(axis=1).mean()), None, None, "none: the model's error is unknown")


def doubly_robust(log: Log, target: Float64s, q: Float64s) -> ValueEstimate:
    """DR: DM plus the mean of w (r - q of the logged action) (Dudík, Langford & Li, 2011), with q cross-fitted."""
    score = scores(log, target, q)
    return normal("DR", float(score.mean()), score, log.unit)


def switch_doubly_robust(log: Log, target: Float64s, q: Float64s, tau: float = 10.0) -> ValueEstimate:
    """Switch-DR: DR whose correction is left out where w > tau; there the model is trusted (Wang, Agarwal & Dudík,
    2017). Less variance, and a bias where the model errs: an interval only where no weight is above tau, since one that
    left out the bias covered half the time in our simulation."""
    score = scores(log, target, q, tau)
    if (weights(log, target) > tau).any():
        return ValueEstimate(
            "switch-DR", float(score.mean()), None, None, f"none: the model's error above tau = {tau:g}"
        )
    return normal("switch-DR", float(score.mean()), score, log.unit)


def scores(log: Log, target: Float64s, q: Float64s, tau: float = np.inf) -> Float64s:
    """(N,) terms whose mean is the doubly robust estimate; no correction where w > tau."""
    w = weights(log, target)
    rest = log.reward - q[np.arange(len(log)), log.action]
    return (target * q).sum(axis=1) + np.where(w > tau, 0.0, w) * rest
