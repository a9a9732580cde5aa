"""An action by lot, with the chance it had: what a log needs so that another policy can be judged on it later.

Shapes: N decisions, A actions.
"""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s


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
