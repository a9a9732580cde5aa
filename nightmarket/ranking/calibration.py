"""From a ranker's score to the probability that the customer buys the product within the target weeks.

The ranker's score is fitted to order candidates. Planning needs to add it up: 100 customers with 20% each should make
20 buyers. A monotone map, fitted on rows that the trees did not learn from, gives that and leaves the order alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from nightmarket.contracts import InputError

Doubles = NDArray[np.float64]
Labels = NDArray[np.bool_]
MAX_KNOTS = 200
MIN_BOUGHT = 20
"""Bought pairs that a knot rests on, at the least where there are so many."""
OWN, OTHER = "own", "other"


@dataclass(frozen=True)
class Calibration:
    """Isotonic regression (Zadrozny & Elkan, 2002) of purchases on scores, as knots with straight lines between.

    Two curves, because at one score products that the customer bought before and others are bought at different rates.

    knots  group → (scores, probabilities), both ascending; beyond the ends the last probability holds
    """

    knots: dict[str, tuple[Doubles, Doubles]]

    @classmethod
    def fit(cls, score: Doubles, label: Labels, weight: Doubles, own: Labels) -> "Calibration":
        """Fit on N pairs.

        score   (N,)  the ranker's, higher is likelier; from a ranker that did not learn from these pairs
        label   (N,)  bought in the target weeks
        weight  (N,)  how many pairs a row stands for, above 0
        own     (N,)  whether the customer had bought the product before

        A group without pairs takes the curve of all. Raises InputError without pairs or where a number is not finite.
        """
        score, weight = np.asarray(score, np.float64), np.asarray(weight, np.float64)
        odd = ~(np.isfinite(score) & np.isfinite(weight) & (weight > 0))
        if score.size == 0 or odd.any():
            raise InputError(
                f"calibration: {int(odd.sum())} of {score.size} scores or weights are not usable numbers; "
                "it needs at least one pair, and finite scores with weights above 0"
            )
        groups = {OWN: own, OTHER: ~own}
        parts = {name: part if part.any() else np.ones(score.size, bool) for name, part in groups.items()}
        return cls({name: _curve(score[part], label[part], weight[part]) for name, part in parts.items()})

    def probability(self, score: Doubles, own: Labels) -> Doubles:
        """(N,) probabilities in [0, 1] that the pairs of scores (N,) are bought; `own` (N,) as in `fit`."""
        found = {name: np.interp(score, *self.knots[name]) for name in (OWN, OTHER)}
        return np.where(own, found[OWN], found[OTHER])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a JSON file."""
        return {
            name: {"score": scores.tolist(), "probability": chances.tolist()}
            for name, (scores, chances) in self.knots.items()
        }

    @classmethod
    def from_json(cls, content: Any) -> "Calibration":
        """The reverse of `to_json`. Raises InputError where the content is not two ascending curves within [0, 1]."""
        try:
            knots = {
                name: (np.array(content[name]["score"], float), np.array(content[name]["probability"], float))
                for name in (OWN, OTHER)
            }
        except (KeyError, TypeError, ValueError):
            raise InputError("calibration: not a calibration's content; run the stage `rank` again") from None
        for name, (scores, chances) in knots.items():
            flat = scores.ndim == chances.ndim == 1 and scores.size == chances.size > 0
            if not (flat and (np.diff(scores) > 0).all() and (np.diff(chances) >= 0).all() and _within(chances)):
                raise InputError(
                    f"calibration: the curve `{name}` does not ascend in [0, 1]; run the stage `rank` again"
                )
        return cls(knots)


def _within(chances: Doubles) -> bool:
    return bool(chances[0] >= 0 and chances[-1] <= 1)


def _curve(score: Doubles, label: Labels, weight: Doubles) -> tuple[Doubles, Doubles]:
    """Scores and probabilities: pairs are put into bins of as many bought ones each, which are then made to ascend."""
    order = np.argsort(score, kind="stable")
    score, label, weight = score[order], label[order], weight[order]
    bought = int(label.sum())
    num = min(max(bought // MIN_BOUGHT, 1), MAX_KNOTS)
    below = np.concatenate([[0], np.cumsum(label)[:-1]])  # bought pairs of a lower place
    place = below * num // max(bought, 1)
    # Pairs of one score share a bin: that of the bought ones below them all.
    place = np.minimum.reduceat(place, _starts(score))[np.cumsum(np.diff(score, prepend=score[0]) > 0)]
    start = _starts(place)
    mass = np.add.reduceat(weight, start)
    middle = np.add.reduceat(weight * score, start) / mass
    rate = np.add.reduceat(weight * label, start) / mass
    blocks = isotonic_regression(rate, weights=mass, increasing=True)
    first = blocks.blocks[:-1]
    total = np.add.reduceat(mass, first)
    return np.add.reduceat(mass * middle, first) / total, np.clip(blocks.x[first], 0.0, 1.0)


def _starts(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where a sorted array's value changes, 0 included."""
    return np.flatnonzero(np.concatenate([[True], np.diff(values) != 0]))
