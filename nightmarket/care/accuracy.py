"""How good the outlook was on the last window that is over, beside BG/NBD and recency x frequency, paired.

Shapes: R customers.
"""

from typing import Any

import numpy as np

from nightmarket.care.correction import QUANTITIES, Quantity, losses, outcome
from nightmarket.care.outlook import OutlookTrial
from nightmarket.care.records import PurchaseDays
from nightmarket.care.standing import ACTIVE, LEAVING, Standing
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.calibration import bins
from nightmarket.evaluation.intervals import bootstrap, clustered, paired

TENTHS = 10


def judged(trial: OutlookTrial, priced: bool, seed: int) -> dict[str, Any]:
    """Per quantity: errors and calibration of ours, of BG/NBD with gamma-gamma and of recency x frequency."""
    out: dict[str, Any] = {"num_customers": len(trial.outlook.known), "cut": trial.outlook.known.cut}
    for quantity in QUANTITIES if priced else QUANTITIES[:2]:
        out[quantity] = _of_quantity(trial, quantity, seed)
    return out


def _of_quantity(trial: OutlookTrial, quantity: Quantity, seed: int) -> dict[str, Any]:
    came = outcome(trial.came, quantity)
    said = {"ours": trial.outlook.expected[quantity], "bgnbd": getattr(trial.outlook.reckoned, quantity)}
    if quantity in trial.cells:
        said["recency_frequency"] = trial.cells[quantity]
    out: dict[str, Any] = {name: figures(quantity, values, came, seed) for name, values in said.items()}
    ours = losses(quantity, said.pop("ours"), came)
    for name, values in said.items():
        theirs = losses(quantity, values, came)
        out[f"ours_minus_{name}"] = {
            measure: paired(mine, other, seed).content()
            for measure, mine, other in zip(("error", "deviance"), ours, theirs, strict=True)
        }
    if quantity != "chance":
        low, high = trial.outlook.spans[quantity].T
        inside = ((came >= low - 1e-9) & (came <= high + 1e-9)).astype(np.float64)
        out["coverage80"] = bootstrap(inside, seed).content()
    return out


def figures(quantity: Quantity, predicted: Float64s, came: Float64s, seed: int) -> dict[str, Any]:
    """Mean absolute error and deviance, calibration error, totals, and a row per tenth of the customers.

    calibration_error  mean over customers of |mean said - mean that came| of their tenth; of purchases and value as a
                       share of the mean that came
    """
    error, deviance = losses(quantity, predicted, came)
    rows = tenths(predicted, came, seed)
    gaps = sum(row["num_customers"] * abs(row["said"] - row["value"]) for row in rows) / max(came.size, 1)
    scale = 1.0 if quantity == "chance" else max(float(came.mean()), 1e-12) if came.size else 1.0
    return {
        "error": bootstrap(error, seed).content(),
        "deviance": bootstrap(deviance, seed).content(),
        "calibration_error": gaps / scale,
        "said": float(predicted.mean()) if came.size else None,
        "came": float(came.mean()) if came.size else None,
        "tenths": rows,
    }


def tenths(predicted: Float64s, came: Float64s, seed: int) -> list[dict[str, Any]]:
    """What was said and what came of each tenth of the customers by what was said, the lowest first.

    Groups of fewer than MIN_GROUP customers are not told.
    """
    place = bins(predicted, TENTHS)
    rows = []
    for number in range(int(place.max(initial=-1)) + 1):
        inside = place == number
        if inside.sum() >= MIN_GROUP:
            row: dict[str, Any] = {"said": float(predicted[inside].mean()), "num_customers": int(inside.sum())}
            rows.append(row | bootstrap(came[inside], seed).content())
    return rows


def leaving(trial: OutlookTrial, stood: Standing) -> dict[str, Any]:
    """Whether those who were called about to leave bought in the window, beside those who bought as usual."""
    out: dict[str, Any] = {}
    for name in (LEAVING, ACTIVE):
        inside = stood.name == name
        out[name] = _share(inside, trial.came.bought)
    out["worth_keeping"] = _share(stood.worth, trial.came.bought)
    usual = trial.outlook.reckoned.pace * trial.outlook.reckoned.horizon
    for name in (LEAVING, ACTIVE):
        inside = stood.name == name
        if inside.sum() >= MIN_GROUP:
            out[name]["kept_pace"] = float(trial.came.purchases[inside].sum() / usual[inside].sum())
    return out


def _share(inside: Bools, bought: Bools) -> dict[str, Any]:
    num = int(inside.sum())
    if num < MIN_GROUP:
        return {"num_customers": num, "bought": None}
    return {"num_customers": num, "bought": clustered(np.arange(num), bought[inside]).content()}


def due_error(trial: OutlookTrial, stood: Standing, days: PurchaseDays) -> dict[str, Any] | None:
    """Days between the day that was due and the next purchase, median over those who were not overdue and bought.

    Beside it that of everybody's usual gap. None where fewer than MIN_GROUP were.
    """
    known = trial.outlook.known
    after = (days.day > known.cut) & (days.day <= known.cut + trial.outlook.reckoned.horizon)
    codes, first = np.unique(days.customer[after], return_index=True)
    next_day = np.full(len(known), -1, np.int64)
    at = np.searchsorted(known.customer, codes)
    at = np.minimum(at, len(known) - 1)
    there = known.customer[at] == codes
    next_day[at[there]] = days.day[after][first][there]
    counted = (next_day >= 0) & (stood.due > known.cut)
    if counted.sum() < MIN_GROUP:
        return None
    last = known.cut - known.idle
    same = last + float(np.median(stood.gap[counted]))
    return {
        "num_customers": int(counted.sum()),
        "ours": float(np.median(np.abs(next_day - stood.due)[counted])),
        "same_gap": float(np.median(np.abs(next_day - same)[counted])),
    }
