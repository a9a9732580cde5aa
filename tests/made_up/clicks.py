"""A world of logged decisions whose truth is known.

Ten actions, five features, clicks in a third of the decisions, logistic in the features and their squares,
so that the linear reward model is somewhat wrong, and a logging policy that leans the wrong way and explores with a
fifth of its choices.
"""

import numpy as np

from nightmarket.delivery.policies import choose, mixed
from nightmarket.evaluation.offpolicy.logs import Log

NUM_ACTIONS, NUM_FEATURES = 10, 5
_DRAWN = np.random.default_rng(7)
SLOPES = _DRAWN.normal(size=(NUM_FEATURES, NUM_ACTIONS)) * 0.5
LEVELS = _DRAWN.normal(size=NUM_ACTIONS) * 0.3 - 1.0
CURVES = _DRAWN.normal(size=(NUM_FEATURES, NUM_ACTIONS)) * 0.15
LEANING = _DRAWN.normal(size=(NUM_FEATURES, NUM_ACTIONS)) * 0.4


def click_rates(context: np.ndarray) -> np.ndarray:
    """(N, A) true chances of a click."""
    return 1 / (1 + np.exp(-(context @ SLOPES + LEVELS + (context**2 - 1) @ CURVES)))


def softmax(score: np.ndarray) -> np.ndarray:
    """(N, A) rows that sum to 1."""
    chances = np.exp(score - score.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


def logged(context: np.ndarray) -> np.ndarray:
    """(N, A) the logging policy."""
    return mixed(softmax(context @ LEANING + LEVELS), 0.2)


def target(context: np.ndarray) -> np.ndarray:
    """(N, A) the policy to be judged: it leans where clicks are."""
    return mixed(softmax(3 * (context @ SLOPES + LEVELS)), 0.1)


def world(num: int, seed: int, level: float = 1.0) -> Log:
    """A log of `num` decisions; clicks `level` times as frequent."""
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(num, NUM_FEATURES))
    drawn = choose(logged(context), rng)
    chance = level * click_rates(context)[np.arange(num), drawn.action]
    return Log(context, drawn.action, (rng.random(num) < chance).astype(float), drawn.propensity, NUM_ACTIONS)


def truth() -> float:
    """The target policy's value, from two million contexts."""
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(200_000, NUM_FEATURES)) for _ in range(10)]
    return float(np.mean([(target(x) * click_rates(x)).sum(axis=1).mean() for x in parts]))
