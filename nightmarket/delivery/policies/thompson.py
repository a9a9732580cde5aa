"""Thompson sampling: an action is chosen as often as it is believed to be the best (Thompson, 1933)."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.delivery.policies.choosing import Choice, choose, mixed
from nightmarket.delivery.policies.rates import Rates, best_chances

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
