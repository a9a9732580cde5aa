"""The second stage: gradient-boosted trees that order the candidates of one customer.

Two objectives: LambdaMART (Burges, 2010) learns the order, `binary` the probability of a purchase. With thinned
negatives only the second can be weighed back to the truth, and on earlier windows of the demo it ordered better.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError

Floats = NDArray[np.float32]
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class TrainingRows:
    """Labelled candidates.

    features  (N, F)
    label     (N,)   bought in the target weeks
    group     (Q,)   rows per customer, in order
    weight    (N,)   how many candidates a row stands for after thinning
    """

    features: Floats
    label: NDArray[np.bool_]
    group: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Ranker:
    """A fitted order of candidates, and the names of the features it was fitted on."""

    booster: lgb.Booster
    features: tuple[str, ...]

    def score(self, rows: Floats, names: list[str]) -> NDArray[np.float64]:
        """(N,) scores of feature rows (N, F) with columns `names`; only their order within a customer means something.

        Raises InputError when the columns are not those that the ranker was fitted on, in their order.
        """
        if list(self.features) != names:
            odd = sorted(set(self.features) ^ set(names))
            which = ", ".join(odd[:3]) if odd else "another order"
            raise InputError(f"the ranker was fitted on other features ({which}); retrain it with this code")
        if rows.shape[0] == 0:
            return np.zeros(0)
        return np.asarray(self.booster.predict(rows), np.float64)

    def text(self) -> str:
        """LightGBM's own text form."""
        return self.booster.model_to_string()

    @classmethod
    def load(cls, text: str) -> "Ranker":
        """From the text form."""
        booster = lgb.Booster(model_str=text)
        return cls(booster, tuple(booster.feature_name()))

    def gains(self) -> dict[str, float]:
        """Share of the total gain that each feature brought."""
        gain = self.booster.feature_importance("gain")
        total = max(float(gain.sum()), 1e-12)
        return {name: float(value) / total for name, value in zip(self.features, gain, strict=True)}


def fit(
    parts: list[TrainingRows],
    features: list[str],
    *,
    objective: Literal["binary", "lambdarank"],
    num_trees: int,
    num_leaves: int,
    learning_rate: float,
    seed: int,
    num_threads: int = 0,
    name: str = "rank",
) -> Ranker:
    """Fit the trees on the labelled candidates of one or more origins.

    Raises InputError when no candidate was bought: there is nothing to learn an order from.
    """
    label = np.concatenate([part.label for part in parts])
    if not label.any():
        raise InputError(f"{name}: no candidate was bought in the training windows; bring more history or customers")
    params: dict[str, Any] = {
        "objective": objective,
        "lambdarank_truncation_level": 20,
        "num_leaves": num_leaves,
        "learning_rate": learning_rate,
        "min_data_in_leaf": min(50, max(1, label.size // 200)),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 63,
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": num_threads,
    }
    data = lgb.Dataset(
        np.concatenate([part.features for part in parts]),
        label.astype(np.int8),
        group=np.concatenate([part.group for part in parts]) if objective == "lambdarank" else None,
        weight=np.concatenate([part.weight for part in parts]) if objective == "binary" else None,
        feature_name=features,
        params={"max_bin": params["max_bin"], "verbosity": -1},
        free_raw_data=True,
    )

    def progress(env: Any) -> None:
        done = env.iteration + 1
        if done % 50 == 0 or done == num_trees:
            log.info("%s: %d of %d trees", name, done, num_trees)

    booster = lgb.train(params, data, num_trees, callbacks=[progress])
    return Ranker(booster, tuple(features))


def thinned(
    label: NDArray[np.bool_], own: NDArray[np.bool_], keep_own: float, keep_other: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which training rows to keep, (N,) bool, and how many rows each kept one stands for, (N,).

    Every bought candidate stays, and a random share of the others.
    """
    chance = np.where(own, keep_own, keep_other)
    keep = label | (rng.random(label.size) < chance)
    return keep, np.where(label, 1.0, 1.0 / chance).astype(np.float32)
