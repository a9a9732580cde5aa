"""Scores as probabilities, and how good they are. Shapes: N texts."""

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.intervals import wilson


def platt(scores: Float64s, positive: Bools) -> tuple[float, float]:
    """Slope and level of P = 1 / (1 + exp(-(slope x score + level))), by Newton's steps (Platt, 1999).

    His targets are a little inside 0 and 1, so that scores which part the classes still give finite figures.
    """
    num = int(positive.sum())
    target = np.where(positive, (num + 1) / (num + 2), 1 / (positive.size - num + 2))
    scale = float(scores.std()) or 1.0
    design = np.column_stack([scores / scale, np.ones(scores.size)])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slack = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(slack, design.T @ (target - chance))
        weights = weights + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return float(weights[0] / scale), float(weights[1])


def probability(logits: Float64s) -> Float64s:
    """1 / (1 + exp(-logit)), never quite 0 or 1."""
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def accuracy_figures(logits: Float64s, positive: Bools) -> dict[str, float]:
    """`accuracy` with its 95% interval `low`, `high`, and `log_loss` in nats, of calibrated logits."""
    chance = probability(logits)
    right = float(((chance > 0.5) == positive).mean())
    bounds = wilson(right, positive.size)
    loss = float(-np.where(positive, np.log(chance), np.log1p(-chance)).mean())
    return {"accuracy": right, "low": bounds.low, "high": bounds.high, "log_loss": loss}
