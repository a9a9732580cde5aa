"""From a ranker's score to the probability that the customer buys the product within the target weeks.

The ranker's score is fitted to order candidates. Planning needs to add it up: 100 customers with 20% each should make
20 buyers. A rising map, fitted on rows that the trees did not learn from, gives that and leaves the order alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s

OWN, OTHER = "own", "other"


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid (Platt, 1999): probability = 1 / (1 + exp(-(slope * score + offset))).

    One for products that the customer bought before, one for others, because at one score they are bought at different
    rates. On earlier windows of the demo isotonic regression and beta calibration were no better:
    docs/experiments/probabilities.md.

    curves  group → (slope above 0, offset)
    """

    curves: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, score: Float64s, label: Bools, weight: Float64s, own: Bools) -> "Calibration":
        """Fit on N pairs, by weighted maximum likelihood with Platt's smoothed labels.

        score   (N,)  raw, log-odds of a binary objective (`predict(raw_score=True)`), from a ranker that did not learn
                      from these pairs: from one that did, the probabilities come out too far from one another
        label   (N,)  bought in the target weeks
        weight  (N,)  how many pairs a row stands for, above 0
        own     (N,)  whether the customer had bought the product before

        A group without pairs takes the curve of all. Where scores do not rise with purchases the probability is the
        share bought. Raises InputError without pairs or where a number is not usable.
        """
        score, weight = np.asarray(score, np.float64), np.asarray(weight, np.float64)
        odd = ~(np.isfinite(score) & np.isfinite(weight) & (weight > 0))
        if score.size == 0 or odd.any():
            raise InputError(
                f"calibration: {int(odd.sum())} of {score.size} scores or weights are not usable numbers; "
                "it needs at least one pair, and finite scores with weights above 0"
            )
        groups = {OWN: np.asarray(own, bool), OTHER: ~np.asarray(own, bool)}
        parts = {name: part if part.any() else np.ones(score.size, bool) for name, part in groups.items()}
        return cls({name: _curve(score[part], label[part], weight[part]) for name, part in parts.items()})

    def probability(self, score: Float64s, own: Bools) -> Float64s:
        """(N,) probabilities that the pairs of raw scores (N,) are bought; `own` (N,) as in `fit`."""
        probabilities = {name: _sigmoid(slope * score + offset) for name, (slope, offset) in self.curves.items()}
        return np.where(own, probabilities[OWN], probabilities[OTHER])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a JSON file."""
        return {name: {"slope": slope, "offset": offset} for name, (slope, offset) in self.curves.items()}

    @classmethod
    def from_json(cls, content: Any) -> "Calibration":
        """The reverse of `to_json`. Raises InputError where the content is not two rising, finite curves."""
        try:
            curves = {name: (float(content[name]["slope"]), float(content[name]["offset"])) for name in (OWN, OTHER)}
        except (KeyError, TypeError, ValueError):
            raise InputError("calibration: not a calibration's content; run the stage `rank` again") from None
        for name, curve in curves.items():
            if not (np.isfinite(curve).all() and curve[0] >= 0):
                raise InputError(f"calibration: the curve `{name}` does not rise; run the stage `rank` again")
        return cls(curves)


def _sigmoid(values: Float64s) -> Float64s:
    chances: Float64s = np.exp(-np.logaddexp(0.0, -values))
    return chances


def _curve(score: Float64s, label: Bools, weight: Float64s) -> tuple[float, float]:
    """Slope and offset of one group."""
    bought, rest = int(label.sum()), int((~label).sum())
    wanted = np.where(label, (bought + 1) / (bought + 2), 1 / (rest + 2))
    share = float((weight * wanted).sum() / weight.sum())
    middle, spread = float(np.average(score, weights=weight)), float(score.std())
    flat = float(np.log(share / (1 - share)))
    if spread == 0:
        return 0.0, flat
    scaled = (score - middle) / spread
    part = weight / weight.sum()

    def loss(curve: Float64s) -> tuple[float, Float64s]:
        log_odds = curve[0] * scaled + curve[1]
        gap = part * (_sigmoid(log_odds) - wanted)
        value = float((part * (np.logaddexp(0.0, log_odds) - wanted * log_odds)).sum())
        return value, np.array([(gap * scaled).sum(), gap.sum()])

    bounds = [(0.0, None), (None, None)]
    fitted = minimize(loss, np.array([1.0, flat]), jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12).x
    return float(fitted[0] / spread), float(fitted[1] - fitted[0] * middle / spread)
