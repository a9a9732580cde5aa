"""Response models, from features to log-odds: each is a few numbers or a LightGBM text, and explains itself.

Shapes: N rows, F features.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize

from nightmarket.contracts.arrays import Bools, Float32s, Float64s

REACH = 4.0
"""Standard deviations at which a logistic model cuts a feature, so that one odd customer moves nothing."""


class ResponseModel(Protocol):
    """A fitted model of log-odds."""

    def log_odds(self, values: Float32s) -> Float64s:
        """(N,) log-odds of rows (N, F)."""

    def terms(self, values: Float32s) -> Float64s:
        """(N, F + 1) what each feature adds to the log-odds, and the constant last; rows sum to `log_odds`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with the key `model`."""


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on standardised features; all arrays (F,)."""

    mean: Float64s
    scale: Float64s
    weight: Float64s
    offset: float

    @classmethod
    def fit(cls, values: Float32s, label: Bools, penalty: float) -> "Logistic":
        """Maximum likelihood with `penalty` / 2 x the sum of squared weights; the offset is not penalised."""
        mean, scale = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        scale = np.where(scale > 1e-6, scale, 1.0)
        scaled = np.clip((values - mean) / scale, -REACH, REACH)
        num, share = label.size, (label.sum() + 0.5) / (label.size + 1)

        def loss(curve: Float64s) -> tuple[float, Float64s]:
            odds = scaled @ curve[:-1] + curve[-1]
            gap = (sigmoid(odds) - label) / num
            weight = curve[:-1]
            value = (np.logaddexp(0, odds) - label * odds).sum() / num + penalty / num / 2 * (weight @ weight)
            return float(value), np.append(scaled.T @ gap + penalty / num * weight, gap.sum())

        start = np.append(np.zeros(values.shape[1]), np.log(share / (1 - share)))
        weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
        return cls(mean, scale, weights[:-1], float(weights[-1]))

    def log_odds(self, values: Float32s) -> Float64s:
        """(N,)."""
        return self.terms(values).sum(axis=1)

    def terms(self, values: Float32s) -> Float64s:
        """(N, F + 1), the offset last."""
        scaled = np.clip((values - self.mean) / self.scale, -REACH, REACH)
        return np.column_stack([scaled * self.weight, np.full(len(values), self.offset)])

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "scale", "weight")}
        return {"model": "logistic", "offset": self.offset, **arrays}


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees by LightGBM (Ke et al., 2017)."""

    booster: lgb.Booster

    @classmethod
    def fit(
        cls, values: Float32s, label: Bools, seed: int, num_trees: int = 200, num_leaves: int = 4
    ) -> "BoostedTrees":
        """Small trees with a strong penalty: there are few responders."""
        params = {
            "objective": "binary",
            "num_leaves": num_leaves,
            "learning_rate": 0.05,
            "min_data_in_leaf": min(20, max(1, label.size // 20)),
            "lambda_l2": 10.0,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
        }
        return cls(_grow(params, values, label, seed, num_trees))

    def log_odds(self, values: Float32s) -> Float64s:
        """(N,)."""
        return np.asarray(self.booster.predict(values, raw_score=True, num_threads=1), np.float64)

    def terms(self, values: Float32s) -> Float64s:
        """(N, F + 1) exact SHAP values (TreeSHAP; Lundberg et al., 2020), the expected log-odds last."""
        return np.asarray(self.booster.predict(values, pred_contrib=True, num_threads=1), np.float64)

    def to_json(self) -> dict[str, Any]:
        """LightGBM's text form."""
        return {"model": "trees", "text": self.booster.model_to_string()}


@dataclass(frozen=True)
class Forest:
    """Random forest (Breiman, 2001): the mean of deep trees, each on other rows and features, as a probability."""

    booster: lgb.Booster

    @classmethod
    def fit(cls, values: Float32s, label: Bools, seed: int, num_trees: int = 200) -> "Forest":
        """Squared error as objective, so that a tree's leaf holds the share of responders."""
        params = {
            "objective": "regression",
            "boosting": "rf",
            "num_leaves": 63,
            "min_data_in_leaf": 5,
            "feature_fraction_bynode": 0.3,
            "bagging_fraction": 0.63,
            "bagging_freq": 1,
        }
        return cls(_grow(params, values, label, seed, num_trees))

    def log_odds(self, values: Float32s) -> Float64s:
        """(N,)."""
        share = np.clip(self.booster.predict(values, num_threads=1), 0.005, 0.995)
        return np.asarray(np.log(share / (1 - share)), np.float64)

    def terms(self, values: Float32s) -> Float64s:
        """(N, F + 1) SHAP values of the share, stretched so that a row sums to the log-odds."""
        terms = np.asarray(self.booster.predict(values, pred_contrib=True, num_threads=1), np.float64)
        terms /= self.booster.num_trees()  # LightGBM sums over the trees of a random forest
        base = np.clip(terms[:, -1], 0.005, 0.995)
        base_odds = np.log(base / (1 - base))
        moved = terms[:, :-1].sum(axis=1)
        stretch = np.where(np.abs(moved) > 1e-9, (self.log_odds(values) - base_odds) / np.where(moved, moved, 1), 0)
        return np.column_stack([terms[:, :-1] * stretch[:, None], base_odds])

    def to_json(self) -> dict[str, Any]:
        """LightGBM's text form."""
        return {"model": "forest", "text": self.booster.model_to_string()}


@dataclass(frozen=True)
class Blend:
    """The mean of several models' log-odds."""

    members: tuple[ResponseModel, ...]

    def log_odds(self, values: Float32s) -> Float64s:
        """(N,)."""
        return np.asarray(np.mean([member.log_odds(values) for member in self.members], axis=0), np.float64)

    def terms(self, values: Float32s) -> Float64s:
        """(N, F + 1), the mean of the members' terms."""
        return np.asarray(np.mean([member.terms(values) for member in self.members], axis=0), np.float64)

    def to_json(self) -> dict[str, Any]:
        """The members'."""
        return {"model": "blend", "members": [member.to_json() for member in self.members]}


def fit(name: str, values: Float32s, label: Bools, seed: int) -> ResponseModel:
    """A model by its name in CANDIDATES."""
    if name == "logistic":
        return Logistic.fit(values, label, penalty=200.0)
    if name == "trees":
        return BoostedTrees.fit(values, label, seed)
    if name == "forest":
        return Forest.fit(values, label, seed)
    # trees of one seed move with it: three of them move less
    trees = Blend(tuple(BoostedTrees.fit(values, label, seed + number) for number in range(3)))
    return Blend((fit("logistic", values, label, seed), trees))


CANDIDATES = ("logistic", "trees", "forest", "blend")


def from_json(content: dict[str, Any]) -> ResponseModel:
    """The reverse of `to_json`."""
    if content["model"] == "logistic":
        arrays = [np.asarray(content[name], np.float64) for name in ("mean", "scale", "weight")]
        return Logistic(arrays[0], arrays[1], arrays[2], float(content["offset"]))
    if content["model"] == "blend":
        return Blend(tuple(from_json(member) for member in content["members"]))
    booster = lgb.Booster(model_str=content["text"])
    return BoostedTrees(booster) if content["model"] == "trees" else Forest(booster)


def sigmoid(log_odds: Float64s) -> Float64s:
    """(N,) probabilities."""
    return np.exp(-np.logaddexp(0.0, -log_odds))


def _grow(params: dict[str, Any], values: Float32s, label: Bools, seed: int, num_trees: int) -> lgb.Booster:
    fixed = {"verbosity": -1, "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 1}
    data = lgb.Dataset(values, label.astype(np.int8), params={"verbosity": -1})
    return lgb.train(params | fixed, data, num_trees)
