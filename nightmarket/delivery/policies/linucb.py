"""LinUCB: the action whose reward, as a line in the context, could be highest (Li, Chu, Langford & Schapire, 2010).

By itself it is certain of its choice, and a log of it could judge no other policy; here a share of the choices is dealt
evenly, so that every propensity is above 0. Shapes: N rows, F features, A actions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.delivery.policies.choosing import Choice, choose, mixed


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
