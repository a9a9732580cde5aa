"""What an action earns in a context, predicted by models that did not see the row.

Shapes: N rows, F features, A actions, K folds.
"""

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.logs import Log

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
    found = np.repeat((base + wanted @ shared)[:, None], num_actions, axis=1)
    order = np.argsort(action, kind="stable")
    edges = np.searchsorted(action[order], np.arange(num_actions + 1))
    own = np.column_stack([np.ones(len(features)), features])
    for number in range(num_actions):
        rows = order[edges[number] : edges[number + 1]]
        if rows.size:
            slope = _ridge(own[rows], rest[rows])
            found[:, number] += slope[0] + wanted @ slope[1:]
    return found


def scaled(context: Float64s, asked: Float64s) -> tuple[Float64s, Float64s]:
    """Both with the mean and variance of `context` made 0 and 1."""
    mean, spread = context.mean(axis=0), context.std(axis=0)
    scale: Float64s = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1e-300), spread, np.inf)
    return (context - mean) / scale, (asked - mean) / scale


def _ridge(features: Float64s, values: Float64s) -> Float64s:
    gram = features.T @ features
    gram[np.diag_indices_from(gram)] += PSEUDO_ROWS
    return np.linalg.solve(gram, features.T @ values).astype(np.float64)
