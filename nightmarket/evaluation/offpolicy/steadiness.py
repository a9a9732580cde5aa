"""Whether a log's rewards are those of one time: no drift, no rewards that are still to come, no row twice.

A log tells what a policy would have earned *then*. Where rewards fall, the mean over the log is not what is earned now;
where the last ones are not in yet, or those of some actions come later, it is what nobody ever earned.

Shapes: N rows, F features, A actions, K contrasts.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.estimators import PSEUDO_ROWS, scaled, standard_error
from nightmarket.evaluation.offpolicy.logs import Log

DRIFT_ALARMS = 0.001
"""How often a steady log is called unsteady, all contrasts together, if they were exactly normal."""
LEAST_CHANGE = 0.05
"""Share of the mean reward; a change that is certain but smaller is let pass."""
LEAST_REWARDED = 30.0
"""Rewards that a part of the log must be expected to have, for its mean to be nearly normal."""
LAST = (0.05, 0.1, 0.2, 0.4)
"""Parts at the end of the log that are held against what lies before."""


@dataclass(frozen=True)
class Change:
    """The least likely change of rewards over a log.

    z, limit  its size in standard errors, and what steady logs exceed in 1 of 1,000
    share     its size, as a share of the mean reward; negative where rewards fell
    part      the part at the end that differs from what lies before; 0 for a course over the whole log
    action    the action whose rewards changed; None for all of them
    """

    z: float
    limit: float
    share: float
    part: float
    action: int | None

    @property
    def unsteady(self) -> bool:
        """Whether it is more than chance, and large enough to matter."""
        return self.z > self.limit and abs(self.share) >= LEAST_CHANGE

    @property
    def unfinished(self) -> bool:
        """Whether it looks like rewards that are still to come."""
        return self.part > 0 and self.share < 0

    def words(self) -> str:
        """What changed and what to do, as a refusal says it."""
        whose = "rewards" if self.action is None else f"rewards of action {self.action}"
        size = f"by {self.share:+.0%} of the mean reward ({self.z:.1f} standard errors, more than {self.limit:.1f})"
        if self.unfinished:
            return (
                f"{whose} fall {size} in the last {self.part:.0%} of the log: they may not be in yet; leave out "
                "decisions younger than the time that rewards take"
            )
        part = f"in the last {self.part:.0%} of the log" if self.part else "over the log"
        return f"{whose} change {size} {part}; judge on a part in which they do not"


def change(log: Log, q: Float64s, score: Float64s) -> Change:
    """The least likely change, over courses and last parts: of all rewards, of each action's, of the policy's value.

    q      (N, A)  expected rewards that know nothing of time
    score  (N,)    terms whose mean is the policy's value

    Rewards less q are held against time. A policy that changes, and customers who do, change which rewards q errs on,
    so that time, too, is taken less what action and context tell of it, action by action: a change of policy is no
    drift (the moment is orthogonal to both models: Chernozhukov et al., 2018). Values beyond the 1st and 99th
    hundredth are drawn in, so that single large rewards do not decide.
    """
    contrasts, parts = _contrasts(log.time)
    rest = log.reward - q[np.arange(len(log)), log.action]
    rest, drawn_in = (np.clip(values, *np.quantile(values, (0.01, 0.99))) for values in (rest, score))
    left = _without_context(contrasts, log)
    tested: list[tuple[float, float, float, int | None]] = []
    groups = [(None, np.ones(len(log), bool))] + [(a, log.action == a) for a in range(log.num_actions)]
    for action, rows in groups if log.num_actions > 1 else groups[:1]:
        rewarded = int((log.reward[rows] != 0).sum())
        for column, part in enumerate(parts):
            if rewarded * (part or 0.5) < LEAST_REWARDED:
                continue
            tested.append((*_test(rest, np.where(rows, left[:, column], 0.0), log), part, action))
    course = contrasts[:, 0] - contrasts[:, 0].mean()
    # under a policy that learns, large terms become larger and rarer: drawn in, their mean moves, the value does not
    value = min((_test(terms - terms.mean(), course, log) for terms in (score, drawn_in)), key=lambda seen: seen[0])
    tested.append((*value, 0.0, None))
    limit = float(stats.norm.isf(DRIFT_ALARMS / 2 / len(tested)))
    scale = max(float(np.abs(log.reward).mean()), 1e-300)
    changes = [Change(z, limit, size / scale, part, action) for z, size, part, action in tested]
    return max(changes, key=lambda seen: (seen.unsteady, seen.z))


def _contrasts(time: Float64s) -> tuple[Float64s, tuple[float, ...]]:
    """(N, K) functions of time, each of range 1, and the last part that each looks at, 0 for the whole."""
    order = np.unique(time, return_inverse=True)[1]
    place = np.searchsorted(np.sort(order), order, side="right") / order.size
    columns = [place, 4 * (place - 0.5) ** 2, *(place > 1 - part for part in LAST)]
    return np.column_stack(columns).astype(np.float64), (0.0, 0.0, *LAST)


def _without_context(contrasts: Float64s, log: Log) -> Float64s:
    """(N, K) contrasts less what a ridge regression on context and its squares tells of them, for each action."""
    features = scaled(log.context, log.context)[0]
    features = scaled(np.hstack([features, features**2]), np.hstack([features, features**2]))[0]
    left = contrasts.copy()
    for action in np.unique(log.action):
        rows = log.action == action
        known = features[rows] - features[rows].mean(axis=0)
        left[rows] -= left[rows].mean(axis=0)
        gram = known.T @ known + PSEUDO_ROWS * np.eye(known.shape[1])
        left[rows] -= known @ np.linalg.solve(gram, known.T @ left[rows])
    return left


def _test(values: Float64s, contrast: Float64s, log: Log) -> tuple[float, float]:
    """How many standard errors the values' slope on a contrast lies from 0, and the slope."""
    square = float((contrast**2).sum())
    product = values * contrast
    error = standard_error(product, log.unit) * len(log)
    if square == 0 or error == 0:
        return 0.0, 0.0
    return abs(float(product.sum())) / error, float(product.sum()) / square


LEAST_KINDS = 14
"""Kinds of rows that all come an even number of times: of fewer they might by chance."""
MOST_REPEATED = 0.01
"""Share of rows that may be another's twin."""
_TWINS = 20
_TWIN_Z = 5.0


def repeated(log: Log) -> float:
    """Share of rows that say again what another row said, under another number; 0 where chance alone can explain them.

    Three ways: the log, or each row, comes again as a block; every kind of row comes a multiple of k times; or rows of
    other units with the very same context took the same action more often than its propensity allows.
    """
    columns = np.column_stack([log.context, log.action, log.reward, log.propensity])
    kind = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    num = len(log)
    if num >= _TWINS and num % 2 == 0 and np.unique(kind).size > 1:
        halves = (kind[: num // 2] == kind[num // 2 :]).all()
        if halves or (kind[::2] == kind[1::2]).all():
            return 0.5
    counts = np.bincount(kind)
    times = int(np.gcd.reduce(counts))
    if times > 1 and counts.size >= LEAST_KINDS:
        return 1 - 1 / times
    return _twins(log, kind)


def _twins(log: Log, kind: Int64s) -> float:
    """Share of neighbours in context, of two units, that agree in all beyond what propensities allow."""
    if log.context.shape[1] == 0:
        return 0.0
    where = np.unique(log.context, axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((log.time, where))
    here, after = order[:-1], order[1:]
    pair = (where[here] == where[after]) & (log.unit[here] != log.unit[after])
    here, after = here[pair], after[pair]
    if here.size < _TWINS:
        return 0.0
    chance = log.propensity[here]
    agree = kind[here] == kind[after]
    spread = max(float(np.sqrt((chance * (1 - chance)).sum())), 1e-9)
    beyond = float(agree.sum() - chance.sum())
    return max(beyond, 0.0) / len(log) if beyond / spread > _TWIN_Z else 0.0
