"""Softmax policies over shrunken rates, learned on one half of a log and let through by the other."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.delivery.policies.choosing import Choice, choose, mixed
from nightmarket.delivery.policies.rates import Rates
from nightmarket.evaluation.offpolicy import Log, Verdict, evaluate

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
    verdict: Verdict

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
