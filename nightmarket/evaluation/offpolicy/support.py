"""Where a log can say nothing of a policy: contexts in which it never took what the policy would do.

Shapes: N rows, F features, A actions.
"""

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.offpolicy.logs import Log, weights

LEAST_LEAF = 100
MOST_LEAVES = 16
_FITTED = 20_000
"""Rows that the regions are sought on; more do not change where they lie."""
_LEAST_TARGET = 0.002
"""Share of the policy's choices below which an action's regions are not sought."""


_LARGE = 10.0
_CERTAIN, _CERTAIN_NEVER = 4.0, 3.0
"""Standard errors by which a region's weights must fall short, that what they lack counts as untried; and where the
action was given to nobody, on either half."""


def untried(log: Log, target: Float64s, seed: int) -> float:
    """Share of the policy's choices, target (N, A), that fall on actions which the log never took there.

    Never at all; where `log.eligible` says that the action could not be taken; or, where nothing is known of that, in a
    region of contexts.
    """
    tried = np.bincount(log.action, minlength=log.num_actions) > 0
    missing = np.broadcast_to(~tried, target.shape)
    if log.eligible is not None:
        missing = missing | ~log.eligible
    share = float(np.where(missing, target, 0.0).sum() / len(log))
    if log.eligible is not None or not log.context.shape[1]:
        return share
    return share + _untried_there(log, np.where(missing, 0.0, target), seed)


def _untried_there(log: Log, target: Float64s, seed: int) -> float:
    """Share of the policy's choices in regions where their action was never, or far too seldom, taken.

    The regions are the leaves of decision trees (Breiman et al., 1984) grown on one half of the rows and read on the
    other: for each action one that parts those that were given it from the others, by context and by how likely the
    policy is to give it, and one that parts small weights from large. There E[1{A = a} target(a) / p] = E[target(a)] as
    everywhere, and the weights' mean is 1: what is lacking was not tried. The larger of both counts.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    order = np.random.default_rng(seed).permutation(len(log))[: 2 * _FITTED]
    grown, read = np.array_split(order, 2)
    if grown.size < 2 * LEAST_LEAF:
        return 0.0
    w, bounds = weights(log, target), {"min_samples_leaf": LEAST_LEAF, "max_leaf_nodes": MOST_LEAVES, "random_state": 0}
    tree = DecisionTreeRegressor(**bounds).fit(log.context[grown], np.minimum(w[grown], _LARGE))
    leaf = tree.apply(log.context[read])
    pooled = _lacking(leaf, w[read], target.sum(axis=1)[read], np.zeros(leaf.max(initial=0) + 1, bool))
    lacking = 0.0
    for action in np.flatnonzero(target.mean(axis=0) >= _LEAST_TARGET):
        taken, wanted = log.action == action, target[:, action]
        if taken[grown].all() or not taken[grown].any():
            continue
        features = np.column_stack([log.context, wanted])[order]
        leaf = DecisionTreeClassifier(**bounds).fit(features[: grown.size], taken[grown]).apply(features)
        never = np.bincount(leaf, taken[order]) == 0
        lacking += _lacking(leaf[grown.size :], np.where(taken, w, 0.0)[read], wanted[read], never)
    return max(lacking, pooled)


def _lacking(leaf: Int64s, weight: Float64s, wanted: Float64s, never: Bools) -> float:
    """Mean of what weights (R,) lack to the chances `wanted` (R,), over leaves (R,) where they do for certain.

    never  (L,)  leaves of which nobody was given the action on either half
    """
    num = never.size
    seen, expected = np.bincount(leaf, weight, num), np.bincount(leaf, wanted, num)
    # where an action is rare its weights are large: between the size of most and that of the largest
    moments = [float((weight**power).sum()) for power in (1, 2, 3)]
    scale = float(np.sqrt(moments[2] / moments[0])) if moments[0] else 1.0
    fall = expected - seen
    ratio = np.maximum(seen, 1e-300) / np.maximum(expected, 1e-300)
    deviance = 2 * (np.where(seen > 0, seen * np.log(ratio), 0.0) + fall) / scale
    short = (fall > 0) & (deviance > np.where(never, _CERTAIN_NEVER, _CERTAIN) ** 2)
    return float(fall[short].sum()) / leaf.size
