"""Assignment of new customers to the groups that were made without them. Nothing is retrained."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float64s
from nightmarket.segments.space import FeatureSpace

STRENGTH = 0.3
"""scikit-learn's C: the inverse of the penalty."""


@dataclass(frozen=True)
class Classifier:
    """Multinomial logistic regression: weights (K, F), intercept (K,)."""

    weights: Float64s
    intercept: Float64s

    @classmethod
    def fit(cls, points_NF: Float64s, segment: NDArray, names: tuple[str, ...]) -> "Classifier":
        """Learn from points and their segments; a segment without a point gets no chance."""
        from sklearn.linear_model import LogisticRegression

        weights = np.zeros((len(names), points_NF.shape[1]))
        intercept = np.full(len(names), -50.0)
        there = np.unique(segment)
        rows = [names.index(name) for name in there]
        if len(there) < 2:
            intercept[rows] = 0.0
            return cls(weights, intercept)
        model = LogisticRegression(C=STRENGTH, max_iter=300).fit(points_NF, segment)
        coefficients, constant = np.asarray(model.coef_), np.asarray(model.intercept_)
        if len(there) == 2:  # scikit-learn keeps one row for two classes
            coefficients, constant = (
                np.vstack([-coefficients, coefficients]) / 2,
                np.concatenate([-constant, constant]) / 2,
            )
        weights[rows], intercept[rows] = coefficients, constant
        return cls(weights, intercept)

    def chances(self, points_NF: Float64s) -> Float64s:
        """(N, K), rows sum to 1."""
        score = points_NF @ self.weights.T + self.intercept
        score = np.exp(score - score.max(axis=1, keepdims=True))
        return np.asarray(score / score.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Assigner:
    """Two classifiers over behaviour: for customers of whom much is known, and for beginners of a few weeks.

    segments  (K,)  names, in the order of the classifiers' rows
    """

    space: FeatureSpace
    segments: tuple[str, ...]
    whole: Classifier
    beginner: Classifier

    def probabilities(self, features: pd.DataFrame, beginner: bool = False) -> Float64s:
        """(N, K) chances of each segment for rows of `behaviour`; `beginner` for customers of under eight weeks."""
        return (self.beginner if beginner else self.whole).chances(self.space.standard(features))

    def assign(self, features: pd.DataFrame, beginner: bool = False) -> pd.DataFrame:
        """segment and its probability, one row per row of `features`; the groups must not be empty."""
        chance = self.probabilities(features, beginner)
        best = chance.argmax(axis=1)
        return pd.DataFrame(
            {"segment": np.array(self.segments)[best], "probability": chance[np.arange(len(best)), best]},
            index=features.index,
        )

    def to_json(self) -> dict[str, Any]:
        """For JSON; `from_json` gives it back."""
        classifiers = {"whole": self.whole, "beginner": self.beginner}
        return {
            "space": self.space.to_json(),
            "segments": list(self.segments),
            "classifiers": {
                name: {
                    "weights": classifier.weights.round(6).tolist(),
                    "intercept": classifier.intercept.round(6).tolist(),
                }
                for name, classifier in classifiers.items()
            },
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Assigner":
        """The inverse of `to_json`."""
        space = FeatureSpace.from_json(content["space"])
        classifiers = {
            name: Classifier(
                np.array(classifier["weights"], np.float64).reshape(len(content["segments"]), len(space.columns)),
                np.array(classifier["intercept"], np.float64),
            )
            for name, classifier in content["classifiers"].items()
        }
        return cls(space, tuple(content["segments"]), classifiers["whole"], classifiers["beginner"])
