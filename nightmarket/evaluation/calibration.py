"""Calibration of purchase probabilities: of the pairs that were given 20%, were 20% bought?

Shapes: N pairs of customer and product.
"""

from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s

LEAST = 1e-9
"""Probabilities nearer to 0 or 1 are taken for this far, so that the log-loss stays finite."""


def bins(probability: Float64s, num_bins: int = 15) -> Int64s:
    """(N,) bins of equal mass, 0 upwards; equal probabilities share a bin, so there may be fewer than `num_bins`."""
    if probability.size == 0:
        return np.zeros(0, np.int64)
    cuts = np.unique(np.quantile(probability, np.arange(1, num_bins) / num_bins, method="higher"))
    return np.unique(np.searchsorted(cuts, probability, side="right"), return_inverse=True)[1].astype(np.int64)


def ece(probability: Float64s, label: Bools, num_bins: int = 15) -> float:
    """Expected calibration error: mean over pairs of |mean probability - share bought| of the pair's bin.

    Bins of equal mass (Nguyen & O'Connor, 2015; Naeini et al., 2015, cut the axis evenly, where most bins stay empty
    if few pairs are bought). probability (N,) in [0, 1]; label (N,) bought. 0.0 without pairs.
    """
    if probability.size == 0:
        return 0.0
    place = bins(probability, num_bins)
    gap = np.bincount(place, probability) - np.bincount(place, label)
    return float(np.abs(gap).sum() / probability.size)


def reliability(probability: Float64s, label: Bools, customer: Int32s, num_bins: int = 15) -> list[dict[str, float]]:
    """Per bin of equal mass: mean probability, share bought with its 95% interval, and pairs.

    customer  (N,)  whose pair it is. A customer's purchases hang together, so the interval takes the customer for the
    unit: the share is a ratio of sums over customers, with the linearised variance (Cochran, 1977, chapter 6).
    """
    place = bins(probability, num_bins)
    shown = []
    for number in range(int(place.max(initial=-1)) + 1):
        inside = place == number
        num, observed = int(inside.sum()), float(label[inside].mean())
        off = np.bincount(customer[inside], label[inside] - observed)
        reach = 1.96 * float(np.sqrt((off**2).sum())) / num
        shown.append(
            {
                "predicted": float(probability[inside].mean()),
                "value": observed,
                "low": max(observed - reach, 0.0),
                "high": min(observed + reach, 1.0),
                "num_pairs": num,
            }
        )
    return shown


def calibration_figures(probability: Float64s, label: Bools, customer: Int32s, num_bins: int = 15) -> dict[str, Any]:
    """`ece`, `log_loss` (nats), `brier`, mean probability `predicted`, share bought `observed`, `num_pairs` and the
    bins of `reliability`."""
    inside = np.clip(probability, LEAST, 1 - LEAST)
    log_loss = -np.where(label, np.log(inside), np.log1p(-inside))
    some = max(probability.size, 1)
    return {
        "ece": ece(probability, label, num_bins),
        "log_loss": float(log_loss.sum() / some),
        "brier": float(((probability - label) ** 2).sum() / some),
        "predicted": float(probability.sum() / some),
        "observed": float(label.sum() / some),
        "num_pairs": int(probability.size),
        "bins": reliability(probability, label, customer, num_bins),
    }
