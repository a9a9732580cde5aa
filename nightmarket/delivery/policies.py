"""Which offer next: policies that draw with known propensities, learn from the day's feedback, and pass a gate.

Shapes: N decisions, A actions.

Shapes: G groups of contexts, A actions, N rows of feedback.

By itself it is certain of its choice, and a log of it could judge no other policy; here a share of the choices is dealt
evenly, so that every propensity is above 0. Shapes: N rows, F features, A actions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.evaluation.offpolicy.evaluation import PolicyEvaluation, evaluate
from nightmarket.evaluation.offpolicy.logs import Log


@dataclass(frozen=True)
class Choice:
    """action (N,), and propensity (N,): the exact chance with which it was drawn. Both go into the log."""

    action: Int64s
    propensity: Float64s


def choose(probabilities: Float64s, rng: np.random.Generator) -> Choice:
    """Draw an action per row of `probabilities` (N, A), which sum to 1."""
    bad = (probabilities < 0).any(axis=1) | (np.abs(probabilities.sum(axis=1) - 1) > 1e-9)
    if bad.any():
        raise InputError(f"{int(bad.sum())} rows of probabilities are no distribution, the first is row {bad.argmax()}")
    edges = probabilities.cumsum(axis=1)
    edges /= edges[:, -1:]
    action = (rng.random(len(probabilities))[:, None] >= edges).sum(axis=1)
    return Choice(action, probabilities[np.arange(len(probabilities)), action])


def mixed(probabilities: Float64s, explore: float) -> Float64s:
    """(N, A) the same, with a share `explore` in (0, 1] dealt evenly, so that no action has less than explore / A.

    Weights of a policy that is judged on the log are then at most A / explore. Raises InputError for no exploration:
    what is never tried can never be judged.
    """
    if not 0 < explore <= 1:
        raise InputError(f"explore is {explore}, it must lie in (0, 1]: what is never tried can never be judged")
    return (1 - explore) * probabilities + explore / probabilities.shape[1]


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
    chances = np.empty(posterior.alpha.shape)
    for group, (alpha, beta) in enumerate(zip(posterior.alpha, posterior.beta, strict=True)):
        x = np.unique(special.betaincinv(alpha, beta, ends[:, None]))
        below = special.betainc(alpha, beta, x[:, None])
        middle = np.log(np.maximum((below[1:] + below[:-1]) / 2, 1e-300))
        others = np.exp(middle.sum(axis=1, keepdims=True) - middle)
        chances[group] = (np.diff(below, axis=0) * others).sum(axis=0)
    return chances / chances.sum(axis=1, keepdims=True)


MOST_TRIES = 50.0
"""What the fitted prior may be worth at the utmost. On few counts it can be very sure that one action is bad, which is
then hardly tried again: with no limit, one of eight simulated worlds lost three times as many clicks as with this."""


@dataclass(frozen=True)
class Thompson:
    """Over the shrunken rates of groups and actions.

    chances (G, A) are worked out once a night, by quadrature, and the action is drawn from them: that is the same
    policy as drawing a rate per action and taking the largest, and the propensity that is logged is the one that was
    used, not an estimate of it. A share `explore` is dealt evenly.
    """

    chances: Float64s

    @classmethod
    def of(cls, rates: Rates, explore: float = 0.02) -> "Thompson":
        """The policy that the feedback so far gives."""
        return cls(mixed(best_chances(rates.posterior(MOST_TRIES)), explore))

    def probabilities(self, group: Int64s) -> Float64s:
        """(N, A) for rows in these groups (N,)."""
        return self.chances[group]

    def choose(self, group: Int64s, rng: np.random.Generator) -> Choice:
        """An action per row, with its propensity."""
        return choose(self.probabilities(group), rng)


SHARPNESS = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Softmax:
    """Chances (G, A) proportional to rate to the power of `sharpness`, with a share `explore` dealt evenly.

    That is a softmax of the logarithms: it does not depend on the rates' level, and 0 is the uniform policy.
    """

    chances: Float64s
    sharpness: float

    @classmethod
    def of(cls, rates: Rates, sharpness: float, explore: float = 0.05) -> "Softmax":
        """The policy over the shrunken rates of the feedback so far."""
        score = sharpness * np.log(rates.posterior().mean)
        chances = np.exp(score - score.max(axis=1, keepdims=True))
        return cls(mixed(chances / chances.sum(axis=1, keepdims=True), explore), sharpness)

    def probabilities(self, group: Int64s) -> Float64s:
        """(N, A) for rows in these groups (N,)."""
        return self.chances[group]

    def choose(self, group: Int64s, rng: np.random.Generator) -> Choice:
        """An action per row, with its propensity."""
        return choose(self.probabilities(group), rng)


@dataclass(frozen=True)
class Gated:
    """A learned policy and what the half that did not learn it says. Deliver it only if `passed`."""

    policy: Softmax
    verdict: PolicyEvaluation

    @property
    def passed(self) -> bool:
        """Whether the policy is certified better than the one that logged."""
        return self.verdict.verdict == "certified better"


def learn(log: Log, group: Int64s, num_groups: int, seed: int, explore: float = 0.05) -> Gated:
    """Learn a softmax policy on half of the units, with the sharpness that a part of them kept aside values most, and
    judge it once on the other half by the doubly robust estimate.

    group  (N,)  the group of each row of the log, 0 to num_groups - 1

    Rewards are clicks, 0 or 1. The rates are of the clicks per action as logged, within groups: where the logging
    policy looked at more than the group, the estimate that judges them corrects for it, the rates do not.
    """
    if group.shape != log.action.shape:
        raise InputError(f"group has {group.shape[0]} rows, the log {len(log)}; they must be the same")
    of_row = dict(zip(log.row.tolist(), group.tolist(), strict=True))

    def groups(part: Log) -> Int64s:
        return np.array([of_row[row] for row in part.row.tolist()], np.int64)

    learning, judging = log.halves(seed)
    fitting, picking = learning.halves(seed + 1)

    def rates(part: Log) -> Rates:
        return Rates.empty(num_groups, log.num_actions).updated(groups(part), part.action, part.reward)

    seen = rates(fitting)
    tried = [Softmax.of(seen, sharpness, explore) for sharpness in SHARPNESS]
    gains = [evaluate(picking, policy.probabilities(groups(picking)), seed).difference.low for policy in tried]
    best = int(np.argmax([-np.inf if gain is None else gain for gain in gains]))
    policy = Softmax.of(rates(learning), SHARPNESS[best], explore)
    verdict = evaluate(judging, policy.probabilities(groups(judging)), seed, chosen_on=learning.row)
    return Gated(policy, verdict)


@dataclass(frozen=True)
class LinUCB:
    """State: per action the sums of x x' (A, F, F) and of reward times x (A, F), which add up in any order.

    alpha    width of the confidence bound, in standard errors
    explore  share of choices dealt evenly
    """

    gram: Float64s
    moment: Float64s
    alpha: float = 1.0
    explore: float = 0.05

    @classmethod
    def empty(cls, num_features: int, num_actions: int, alpha: float = 1.0, explore: float = 0.05) -> "LinUCB":
        """Nothing tried yet."""
        return cls(
            np.zeros((num_actions, num_features, num_features)), np.zeros((num_actions, num_features)), alpha, explore
        )

    def updated(self, context: Float64s, action: Int64s, reward: Float64s) -> "LinUCB":
        """With the feedback of some decisions: context (N, F), action and reward (N,)."""
        if (
            context.shape[1:] != self.moment.shape[1:]
            or not np.isfinite(context).all()
            or not np.isfinite(reward).all()
        ):
            raise InputError(
                f"feedback: contexts are {context.shape}, or not finite; {self.moment.shape[1]} features needed"
            )
        bad = (action < 0) | (action >= len(self.moment))
        if bad.any():
            raise InputError(
                f"feedback: {bad.sum()} actions are not 0 to {len(self.moment) - 1}, first in row {bad.argmax()}"
            )
        gram, moment = self.gram.copy(), self.moment.copy()
        for number in np.unique(action):
            rows = context[action == number]
            gram[number] += rows.T @ rows
            moment[number] += rows.T @ reward[action == number]
        return LinUCB(gram, moment, self.alpha, self.explore)

    def bounds(self, context: Float64s) -> Float64s:
        """(N, A) theta' x + alpha sqrt(x' (I + sum x x')^-1 x)."""
        inverse = np.linalg.inv(self.gram + np.eye(self.gram.shape[1]))
        theta = np.einsum("afg,ag->af", inverse, self.moment)
        width = np.einsum("nf,afg,ng->na", context, inverse, context, optimize=True)
        return context @ theta.T + self.alpha * np.sqrt(np.maximum(width, 0.0))

    def probabilities(self, context: Float64s) -> Float64s:
        """(N, A): the highest bound, of equals each alike, mixed with the share dealt evenly."""
        bounds = self.bounds(context)
        best = (bounds >= bounds.max(axis=1, keepdims=True) - 1e-12).astype(np.float64)
        return mixed(best / best.sum(axis=1, keepdims=True), self.explore)

    def choose(self, context: Float64s, rng: np.random.Generator) -> Choice:
        """An action per row, with its propensity."""
        return choose(self.probabilities(context), rng)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return {
            "gram": self.gram.tolist(), "moment": self.moment.tolist(), "alpha": self.alpha, "explore": self.explore,
        }  # fmt: skip

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "LinUCB":
        """The inverse of `to_json`."""
        return cls(
            np.array(state["gram"], np.float64), np.array(state["moment"], np.float64), state["alpha"], state["explore"]
        )
