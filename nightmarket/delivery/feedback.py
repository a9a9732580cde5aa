"""A campaign's feedback by period, and which of it still says what an offer does.

A rate that changed makes all that was seen before misleading: an offer that ran out of stock, a link that broke. Each
action's periods are split where that makes its counts much likelier (a change point with a beta prior for each group on
either side; Adams and MacKay, 2007), and only what came since then counts.

Shapes: P periods, G groups of contexts, A actions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.delivery.policies import Rates, Thompson

CHANGE = 0.005
"""Chance that an action's rates change from one period to the next."""
TRIES = 10.0
"""What the prior of a group's rate is worth, in tries, about the campaign's mean rate."""


@dataclass(frozen=True)
class Feedback:
    """Tries and clicks (P, G, A), a period at a time; a reward is a click, 0 or 1."""

    tries: Float64s
    clicks: Float64s

    @classmethod
    def empty(cls, num_groups: int, num_actions: int) -> "Feedback":
        """Nothing tried yet."""
        return cls(np.zeros((0, num_groups, num_actions)), np.zeros((0, num_groups, num_actions)))

    def after(self, group: Int64s, action: Int64s, reward: Float64s) -> "Feedback":
        """With one more period: the feedback of its decisions, each (N,), which may be none.

        Raises InputError for a reward other than 0 or 1, and a group or action that there is not.
        """
        period = Rates.empty(*self.tries.shape[1:]).updated(group, action, reward)
        return Feedback(
            np.concatenate([self.tries, period.tries[None]]), np.concatenate([self.clicks, period.clicks[None]])
        )

    def since(self) -> Int64s:
        """(A,) the first period of each action that still counts."""
        num, _, actions = self.tries.shape
        if num < 2:
            return np.zeros(actions, np.int64)
        mean = (self.clicks.sum() + 0.5) / (self.tries.sum() + 1.0)
        # likelihoods of the periods before and from each place on, both (P, A); place 0 is no change
        tries, clicks = (np.cumsum(part, axis=0) for part in (self.tries, self.clicks))
        before_tries, before_clicks = (np.concatenate([part[:1] * 0, part[:-1]]) for part in (tries, clicks))
        likely = _log_marginal(before_tries, before_clicks, mean) + _log_marginal(
            tries[-1] - before_tries, clicks[-1] - before_clicks, mean
        )
        prior = np.full(num, np.log(CHANGE))
        prior[0] = np.log1p(-CHANGE) * (num - 1)
        return np.asarray((likely + prior[:, None]).argmax(axis=0), np.int64)

    def rates(self) -> Rates:
        """What still counts of it."""
        kept = np.arange(len(self.tries))[:, None] >= self.since()
        return Rates((self.tries * kept[:, None, :]).sum(axis=0), (self.clicks * kept[:, None, :]).sum(axis=0))

    def thompson(self, explore: float = 0.02) -> Thompson:
        """The policy of the next period."""
        return Thompson.of(self.rates(), explore)


def _log_marginal(tries: Float64s, clicks: Float64s, mean: float) -> Float64s:
    """(P, A) log marginal likelihood of counts (P, G, A), each group with a rate of its own."""
    alpha, beta = TRIES * mean, TRIES * (1 - mean)
    return np.asarray((betaln(alpha + clicks, beta + tries - clicks) - betaln(alpha, beta)).sum(axis=1))
