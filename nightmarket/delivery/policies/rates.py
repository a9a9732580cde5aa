"""Clicks and tries per group and action: kept as sums, so that the day's feedback adds up in any order.

Shapes: G groups of contexts, A actions, N rows of feedback.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s

_STRENGTHS = np.logspace(0, 6, 49)


@dataclass(frozen=True)
class Posterior:
    """Beta distributions of the rates, alpha and beta (G, A)."""

    alpha: Float64s
    beta: Float64s

    @property
    def mean(self) -> Float64s:
        """(G, A) shrunken rates."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True)
class Rates:
    """Tries and clicks (G, A) so far. A reward is a click, 0 or 1."""

    tries: Float64s
    clicks: Float64s

    @classmethod
    def empty(cls, num_groups: int, num_actions: int) -> "Rates":
        """Nothing tried yet."""
        return cls(np.zeros((num_groups, num_actions)), np.zeros((num_groups, num_actions)))

    def updated(self, group: Int64s, action: Int64s, reward: Float64s) -> "Rates":
        """With the feedback of some decisions, each (N,). Batches may come in any order, and in any cut.

        Raises InputError for a reward other than 0 or 1, and a group or action that there is not.
        """
        groups, actions = self.tries.shape
        for name, values, limit in (("group", group, groups), ("action", action, actions)):
            bad = (values < 0) | (values >= limit)
            if bad.any():
                raise InputError(
                    f"feedback: {bad.sum()} values of {name} are not 0 to {limit - 1}, first in row {bad.argmax()}"
                )
        bad = (reward != 0) & (reward != 1)
        if bad.any():
            raise InputError(f"feedback: {bad.sum()} rewards are neither 0 nor 1, the first in row {bad.argmax()}")
        cell, size = group * actions + action, groups * actions
        tries = np.bincount(cell, minlength=size).reshape(groups, actions)
        clicks = np.bincount(cell, reward, size).reshape(groups, actions)
        return Rates(self.tries + tries, self.clicks + clicks)

    def posterior(self, most: float = 1e6) -> Posterior:
        """Empirical Bayes in two steps: actions shrink to the overall rate, and each group's to its action's rate.

        How far is fitted, too: the prior's strength, in tries, is the one under which the counts are most likely
        (beta-binomial; Skellam, 1948; Robbins, 1956; Efron & Morris, 1975), and `most` at the utmost. Rates that do not
        differ by more than chance become nearly equal.
        """
        tries, clicks = self.tries.sum(axis=0), self.clicks.sum(axis=0)
        overall = np.full(tries.shape, (clicks.sum() + 0.5) / (tries.sum() + 1.0))
        own = min(_strength(tries, clicks, overall), most)
        rate = (clicks + own * overall) / (tries + own)
        near = own
        if len(self.tries) > 1:
            near = min(_strength(self.tries, self.clicks, np.broadcast_to(rate, self.tries.shape)), most)
        base = rate if len(self.tries) > 1 else overall
        return Posterior(self.clicks + near * base, self.tries - self.clicks + near * (1 - base))

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {"tries": self.tries.tolist(), "clicks": self.clicks.tolist()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Rates":
        """The inverse of `to_json`."""
        return cls(np.array(state["tries"], np.float64), np.array(state["clicks"], np.float64))


def _strength(tries: Float64s, clicks: Float64s, mean: Float64s) -> float:
    """Tries that the prior is worth, 1 to a million: where the beta-binomial likelihood of the counts is largest."""
    s = _STRENGTHS.reshape(-1, *([1] * tries.ndim))
    likely = special.betaln(clicks + s * mean, tries - clicks + s * (1 - mean)) - special.betaln(
        s * mean, s * (1 - mean)
    )
    return float(_STRENGTHS[likely.reshape(_STRENGTHS.size, -1).sum(axis=1).argmax()])


def best_chances(posterior: Posterior, points: int = 60) -> Float64s:
    """(G, A) probability that each action has the group's highest rate, by quadrature over the rates' quantiles.

    P(a best) = integral of f_a(x) times the product of F_b(x) over the others; steps of F_a are weighed by the middle
    of the product, exact to about 1e-4 with 60 points an action. Rows sum to 1.
    """
    inside = (np.arange(points) + 0.5) / points
    ends = np.concatenate([[1e-9, 1e-6, 1e-4], inside, [1 - 1e-4, 1 - 1e-6, 1 - 1e-9]])
    found = np.empty(posterior.alpha.shape)
    for group, (alpha, beta) in enumerate(zip(posterior.alpha, posterior.beta, strict=True)):
        x = np.unique(special.betaincinv(alpha, beta, ends[:, None]))
        below = special.betainc(alpha, beta, x[:, None])
        middle = np.log(np.maximum((below[1:] + below[:-1]) / 2, 1e-300))
        others = np.exp(middle.sum(axis=1, keepdims=True) - middle)
        found[group] = (np.diff(below, axis=0) * others).sum(axis=0)
    return found / found.sum(axis=1, keepdims=True)
