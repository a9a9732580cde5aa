"""Evaluation of predicted responses: ranking, calibration, and intervals over customers.

Shapes: N pairs of customer and campaign, R resamples.
"""

from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.evaluation.calibration import LEAST, bins
from nightmarket.evaluation.intervals import bootstrap

BINS = 10
"""Bins of equal mass of the calibration error."""


def figures(probability: Float64s, label: Bools, customer: Int32s, seed: int, num: int = 1000) -> dict[str, Any]:
    """auc, average_precision, log_loss, ece, lift (top tenth), each with its 95% percentile interval over customers.

    An interval's resample draws customers with all their pairs (cluster bootstrap). The bins of `ece` stay those of the
    sample; resampled, it can only look worse, so its interval leans upwards. auc, average_precision and lift are left
    out where nobody or everybody responded.
    """
    if not 0 < label.sum() < label.size:
        return {"num_pairs": int(label.size), "num_responses": int(label.sum())}
    owner = np.unique(customer, return_inverse=True)[1]
    num_owners = int(owner.max()) + 1
    draws = np.random.default_rng(seed).multinomial(num_owners, np.full(num_owners, 1 / num_owners), size=num)
    weights = np.concatenate([np.ones((1, label.size)), draws[:, owner]])
    measured = {
        "auc": auc(probability, label, weights),
        "average_precision": average_precision(probability, label, weights),
        "log_loss": log_loss(probability, label, weights),
        "ece": calibration_error(probability, label, weights),
        "lift": lift(probability, label, weights),
    }
    content: dict[str, Any] = {"num_pairs": int(label.size), "num_responses": int(label.sum())}
    for name, values in measured.items():
        low, high = np.nanquantile(values[1:], [0.025, 0.975])
        content[name] = {"value": float(values[0]), "low": float(low), "high": float(high)}
    content["predicted"], content["observed"] = float(probability.mean()), float(label.mean())
    return content


def auc(probability: Float64s, label: Bools, weights_RN: Float64s) -> Float64s:
    """(R,) chance that a responder stands above another pair; ties count half."""
    level = np.unique(probability, return_inverse=True)[1]
    levels = int(level.max()) + 1
    yes, no = _sums(weights_RN * label, level, levels), _sums(weights_RN * ~label, level, levels)
    below = np.cumsum(no, axis=1) - no / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (yes * below).sum(axis=1) / (yes.sum(axis=1) * no.sum(axis=1))


def average_precision(probability: Float64s, label: Bools, weights_RN: Float64s) -> Float64s:
    """(R,) mean over responders of the share of responders among those at or above; ties share a place."""
    level = np.unique(-probability, return_inverse=True)[1]
    levels = int(level.max()) + 1
    yes, every = _sums(weights_RN * label, level, levels), _sums(weights_RN, level, levels)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(np.cumsum(yes, axis=1) / np.cumsum(every, axis=1))
        return (yes * precision).sum(axis=1) / yes.sum(axis=1)


def log_loss(probability: Float64s, label: Bools, weights_RN: Float64s) -> Float64s:
    """(R,) nats per pair."""
    inside = np.clip(probability, LEAST, 1 - LEAST)
    loss = -np.where(label, np.log(inside), np.log1p(-inside))
    return weights_RN @ loss / weights_RN.sum(axis=1)


def calibration_error(probability: Float64s, label: Bools, weights_RN: Float64s) -> Float64s:
    """(R,) expected calibration error over BINS bins of equal mass (Nguyen & O'Connor, 2015)."""
    place = bins(probability, BINS)
    gap = _sums(weights_RN * (probability - label), place, int(place.max()) + 1)
    return np.abs(gap).sum(axis=1) / weights_RN.sum(axis=1)


def lift(probability: Float64s, label: Bools, weights_RN: Float64s) -> Float64s:
    """(R,) share of responders in the tenth with the highest probability, over the share in all."""
    order = np.argsort(-probability, kind="stable")
    weight = weights_RN[:, order]
    total = weight.sum(axis=1, keepdims=True)
    before = np.cumsum(weight, axis=1) - weight
    top = np.clip(total / 10 - before, 0, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((top @ label[order]) * 10) / (weight @ label[order])


def _sums(weights_RN: Float64s, group: Int64s, num: int) -> Float64s:
    """(R, num) sums of the weights per group."""
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], np.arange(num))
    return np.add.reduceat(weights_RN[:, order], start, axis=1)


def ndcg(scores_NO: Float64s, taken_NO: Bools, k: int = 5) -> Float64s:
    """(N,) NDCG@k of each customer's offers; NaN for a customer who took none that is known."""
    order = np.argsort(-scores_NO, axis=1, kind="stable")[:, :k]
    gain = np.take_along_axis(taken_NO, order, axis=1)
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(taken_NO.sum(axis=1), k)]
    return np.asarray(gain @ discount[: gain.shape[1]] / best, np.float64)


def mean_figure(values: Float64s, customer: Int32s, seed: int) -> dict[str, float]:
    """Mean of values (N,) with its 95% interval over customers; several values of one customer are drawn together."""
    known = ~np.isnan(values)
    if not known.any():
        return {"value": 0.0, "low": 0.0, "high": 0.0, "num_groups": 0}
    owner = np.unique(customer[known], return_inverse=True)[1]
    total, count = np.bincount(owner, values[known]).astype(np.float64), np.bincount(owner)
    num_groups = {"num_groups": int(known.sum())}
    if (count == 1).all():
        return bootstrap(total, seed)._asdict() | num_groups
    draws = np.random.default_rng(seed).multinomial(count.size, np.full(count.size, 1 / count.size), size=1000)
    low, high = np.quantile((draws @ total) / (draws @ count), [0.025, 0.975])
    return {"value": float(total.sum() / count.sum()), "low": float(low), "high": float(high)} | num_groups
