"""From behaviour to groups: the partition, its numbers, and the assignment of new customers without retraining."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.histories.histories import Histories
from nightmarket.segments.behaviour import Assortment, Visits, behaviour
from nightmarket.segments.partition import FeatureSpace, Stability, by_spend, choose, kmeans, nearest

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


OTHER = "other"
FIRST_DAYS = 28
"""A new customer is one of whom four weeks are known."""


@dataclass(frozen=True)
class Grouping:
    """Groups of N customers.

    segment   (N,)  "1" spends most; OTHER for those in groups under 20 people
    distance  (N,)  to the group's centre, in the space of behaviour
    points    (N, F), centres (K, F) in the order of the numbers
    table     stability per number of groups tried; empty where the number was given
    """

    space: FeatureSpace
    points: Float64s
    centres: Float64s
    segment: NDArray
    distance: Float64s
    table: list[Stability]

    @property
    def names(self) -> list[str]:
        """The groups that may be reported."""
        return [name for name in map(str, range(1, len(self.centres) + 1)) if (self.segment == name).any()]


def group(features: pd.DataFrame, most: int, seed: int, num: int | None = None) -> Grouping:
    """Group rows of behaviour without NaN; `num` groups where given, else as many as are stable, up to `most`."""
    space = FeatureSpace.fit(features)
    points = space.transform(features)
    k, table = (num, []) if num is not None else choose(points, most, seed)
    centres = kmeans(points, k, seed)
    label, distance = nearest(points, centres)
    k = int(label.max()) + 1
    rank = by_spend(label, np.exp(features["spend"].to_numpy(np.float64)))
    ordered = np.empty_like(centres[:k])
    ordered[rank] = centres[:k]
    segment = (rank[label] + 1).astype(str).astype(object)
    segment[np.bincount(label)[label] < MIN_GROUP] = OTHER
    return Grouping(space, points, ordered, segment, distance, table)


def beginners(
    lines: Histories, seen: Visits, assortment: Assortment, today: int, closed: Int64s | None = None
) -> pd.DataFrame:
    """Behaviour of each customer in the first four weeks, as it stood at their end; NaN for those who began later."""
    first = np.full(lines.num_customers, 2**31 - 1, np.int64)
    np.minimum.at(first, lines.customer, lines.day)
    until = first + FIRST_DAYS - 1
    early = lines.where(lines.day <= until[lines.customer])
    seen = seen.where((seen.day >= first[seen.customer]) & (seen.day <= until[seen.customer]))
    features = behaviour(early, seen, assortment, np.minimum(until, 2**31 - 1).astype(np.int32), closed)
    return features[until + FIRST_DAYS <= today].reindex(features.index)


def classifier(space: FeatureSpace, segment: NDArray, features: pd.DataFrame, early: pd.DataFrame) -> Assigner:
    """Learn to tell groups from all that is known of customers, and from their first four weeks.

    segment   (N,) as in Grouping; features (N, ·) the rows that were grouped
    early     (N, ·) the same customers' beginnings, NaN where there are none
    """
    known = segment != OTHER
    began = known & early["spend"].notna().to_numpy()
    names = tuple(np.unique(segment[known].astype(str)))
    return Assigner(
        space,
        names,
        Classifier.fit(space.standard(features[known]), segment[known].astype(str), names),
        Classifier.fit(space.standard(early[began]), segment[began].astype(str), names),
    )


def held_out_accuracy(
    grouping: Grouping, features: pd.DataFrame, early: pd.DataFrame, seed: int, folds: int = 5
) -> dict[str, Any]:
    """Share of customers whom a classifier that has not seen them puts into their group.

    whole, first_weeks      from all that is known of them; from their first four weeks
    nearest_first_weeks     from their first four weeks by the nearest centre instead
    largest_group           by always naming the largest group
    """
    fold = np.random.default_rng(seed).permutation(len(features)) % folds
    known = grouping.segment != OTHER
    began = known & early["spend"].notna().to_numpy()
    said, said_early = np.full(len(features), "", object), np.full(len(features), "", object)
    for i in range(folds):
        out = fold == i
        fitted = classifier(grouping.space, grouping.segment[~out], features[~out], early[~out])
        said[out] = fitted.assign(features[out])["segment"]
        if (out & began).any():
            said_early[out & began] = fitted.assign(early[out & began], beginner=True)["segment"]
    names = np.arange(1, len(grouping.centres) + 1).astype(str)
    near = names[nearest(grouping.space.transform(early[began]), grouping.centres)[0]] if began.any() else said[:0]
    truth = grouping.segment
    largest = pd.Series(truth[known]).value_counts(normalize=True)
    return {
        "customers": int(known.sum()),
        "beginners": int(began.sum()),
        "whole": _share(said[known] == truth[known]),
        "first_weeks": _share(said_early[began] == truth[began]),
        "nearest_first_weeks": _share(near == truth[began]),
        "largest_group": float(largest.iloc[0]) if len(largest) else None,
    }


def _share(right: Bools) -> float | None:
    return float(right.mean()) if right.size else None


def agreement(segment: pd.Series, before: pd.Series) -> dict[str, float]:
    """How far the groups of two nights agree over the customers of both: share with the same number, and ARI."""
    from sklearn.metrics import adjusted_rand_score

    both = pd.concat([segment.rename("now"), before.rename("before")], axis=1, join="inner")
    same = float((both["now"] == both["before"]).mean()) if len(both) else 0.0
    return {"same": same, "ari": float(adjusted_rand_score(both["now"], both["before"])) if len(both) else 0.0}
