"""The second stage: gradient-boosted trees that order the candidates of one customer.

Two objectives: LambdaMART (Burges, 2010) learns the order, `binary` the probability of a purchase. With thinned
negatives only the second can be weighed back to the truth, and on earlier windows of the demo it ordered better.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np

from nightmarket.contracts import InputError, ModelError
from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s

log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class TrainingRows:
    """Labelled candidates.

    features  (N, F)
    label     (N,)   bought in the target weeks
    group     (Q,)   rows per customer, in order
    weight    (N,)   how many candidates a row stands for after thinning
    customer  (Q,)   whose rows they are
    interest  (N,)   in [0, 1]: 1 for bought, less for looked at or put into a cart; None where purchases alone count
    """

    features: Float32s
    label: Bools
    group: Int64s
    weight: Float32s
    customer: Int32s
    interest: Float32s | None = None

    def split(self, held: Bools) -> tuple["TrainingRows", "TrainingRows"]:
        """These rows without and of the customers `held` (C,)."""
        second = held[self.customer]
        return self._where(~second), self._where(second)

    def _where(self, groups: Bools) -> "TrainingRows":
        rows = np.repeat(groups, self.group)
        interest = None if self.interest is None else self.interest[rows]
        kept = (self.features[rows], self.label[rows], self.group[groups], self.weight[rows], self.customer[groups])
        return TrainingRows(*kept, interest)


@dataclass(frozen=True)
class Trees:
    """How a forest is grown; every field is a key of the section `rank` and explained there."""

    num_trees: int
    num_leaves: int
    learning_rate: float
    min_leaf_rows: int
    l2: float
    seed: int
    objective: Literal["binary", "lambdarank"] = "binary"
    feature_share: float = 0.5


@dataclass(frozen=True)
class Ranker:
    """A fitted order of candidates, and the names of the features it was fitted on."""

    booster: lgb.Booster
    features: tuple[str, ...]

    def score(self, rows: Float32s, names: list[str]) -> Float64s:
        """(N,) raw scores of feature rows (N, F) with columns `names`: log-odds under the binary objective.

        Columns that the ranker does not know are left aside. Raises ModelError when one that it needs is missing.
        """
        if rows.shape[0] == 0:
            return np.zeros(0)
        return np.asarray(self.booster.predict(self.columns(rows, names), raw_score=True), np.float64)

    def shortlist(self, rows: Float32s, customer: Int32s, num: int) -> Int64s:
        """Rows, rising, of each customer's best `num` by the first fifth of the trees: a cascade (Wang, Lin & Metzler,
        2011), for lists so much shorter than `num` that the other trees cannot move anything into them.

        rows      (N, G)  the ranker's own columns
        customer  (N,)    ascending
        """
        if np.bincount(customer - customer[:1].sum()).max(initial=0) <= num:
            return np.arange(customer.size)
        first = max(1, self.booster.num_trees() // 5)
        rough = np.asarray(self.booster.predict(rows, raw_score=True, num_iteration=first))
        order = np.lexsort((-rough, customer))
        place = np.arange(customer.size) - np.searchsorted(customer, customer)
        return np.sort(order[place < num])

    def columns(self, rows: Float32s, names: list[str]) -> Float32s:
        """(N, G) the ranker's own columns, in its order, of rows (N, F) with columns `names`."""
        if list(self.features) == names:
            return rows
        lacking = [name for name in self.features if name not in names]
        if lacking:
            raise ModelError(
                f"the ranker was fitted on {len(lacking)} features that are not made here, first '{lacking[0]}'; "
                "retrain it with this code"
            )
        return rows[:, [names.index(name) for name in self.features]]

    def text(self) -> str:
        """LightGBM's own text form."""
        return self.booster.model_to_string()

    @classmethod
    def load(cls, text: str) -> "Ranker":
        """From the text form."""
        booster = lgb.Booster(model_str=text)
        return cls(booster, tuple(booster.feature_name()))

    @classmethod
    def silent(cls, features: list[str]) -> "Ranker":
        """One that scores everything 0, for a shop in which nothing was bought of what could be proposed."""
        rows = np.zeros((2, len(features)), np.float32)
        data = lgb.Dataset(rows, [0, 1], feature_name=features, params={"verbosity": -1, "min_data_in_bin": 1})
        return cls(lgb.train({"objective": "binary", "verbosity": -1}, data, 1), tuple(features))

    def gains(self) -> dict[str, float]:
        """Share of the total gain that each feature brought."""
        gain = self.booster.feature_importance("gain")
        total = max(float(gain.sum()), 1e-12)
        return {name: float(value) / total for name, value in zip(self.features, gain, strict=True)}


def fit(parts: list[TrainingRows], names: list[str], features: list[str], trees: Trees, name: str = "rank") -> Ranker:
    """Fit a forest on the labelled candidates of one or more origins.

    names     (F,) the columns of the rows
    features  those of them that are learned from

    Raises InputError when no candidate was bought: there is nothing to learn an order from.
    """
    label = np.concatenate([part.label for part in parts])
    if not label.any():
        raise InputError(f"{name}: no candidate was bought in the training windows; bring more history or customers")
    soft = trees.objective == "binary" and all(part.interest is not None for part in parts)
    params: dict[str, Any] = {
        "objective": "cross_entropy" if soft else trees.objective,
        "lambdarank_truncation_level": 20,
        "num_leaves": trees.num_leaves,
        "learning_rate": trees.learning_rate,
        "min_data_in_leaf": min(trees.min_leaf_rows, max(1, label.size // 200)),
        "lambda_l2": trees.l2,
        "feature_fraction": trees.feature_share,
        "max_bin": 63,
        "verbosity": -1,
        "seed": trees.seed,
        "deterministic": True,
        "force_row_wise": True,
    }
    known = [names.index(feature) for feature in features]
    rows = np.concatenate([part.features if features == names else part.features[:, known] for part in parts])
    data = lgb.Dataset(
        rows,
        np.concatenate([part.interest for part in parts]) if soft else label.astype(np.int8),
        group=np.concatenate([part.group for part in parts]) if trees.objective == "lambdarank" else None,
        weight=np.concatenate([part.weight for part in parts]) if trees.objective == "binary" else None,
        feature_name=features,
        params={"max_bin": params["max_bin"], "verbosity": -1},
        free_raw_data=True,
    )

    def progress(env: Any) -> None:
        done = env.iteration + 1
        if done % 50 == 0 or done == trees.num_trees:
            log.info("%s: %d of %d trees", name, done, trees.num_trees)

    booster = lgb.train(params, data, trees.num_trees, callbacks=[progress])
    return Ranker(booster, tuple(features))


def thinned(
    label: Bools, own: Bools, keep_own: float, keep_other: float, rng: np.random.Generator
) -> tuple[Bools, Float32s]:
    """Which training rows to keep, (N,) bool, and how many rows each kept one stands for, (N,).

    Every bought candidate stays, and a random share of the others.
    """
    chance = np.where(own, keep_own, keep_other)
    keep = label | (rng.random(label.size) < chance)
    return keep, np.where(label, 1.0, 1.0 / chance).astype(np.float32)
