"""Units of the coming weeks with intervals: the method per class of series, and how often the intervals held."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.demand.methods import METHODS, seasonal_naive
from nightmarket.demand.series import CLASSES, Weekly, classes
from nightmarket.evaluation.intervals import Interval, bootstrap

HORIZON = 4
CALIBRATIONS = 5
LEAST_FIT = 3
YEAR = 52
UNSEEN = "mean of 4 weeks"
"""The method of a class that had no series at the earlier origins."""
LEAST_ERRORS = 20
"""Errors of a class and third that are enough to take quantiles of; else the class's."""
LEVELS = {"low95": 0.025, "low80": 0.1, "high80": 0.9, "high95": 0.975}


@dataclass(frozen=True)
class Evaluation:
    """How the last `horizon` complete weeks came out.

    metrics  figures per class and over all, for JSON
    methods  the method per class, chosen on earlier weeks
    """

    horizon: int
    methods: dict[str, str]
    metrics: dict[str, Any]


def horizon(weeks: int) -> int:
    """Weeks that `weeks` complete weeks are enough to forecast and evaluate; 0 where they are too few."""
    ahead = min(HORIZON, (weeks - LEAST_FIT) // 2)
    return ahead if ahead >= 2 else 0


def evaluate(history: Weekly, seed: int) -> Evaluation | None:
    """Choose methods and intervals on origins before the last weeks, then test them there; None: history too short."""
    width = history.units.shape[1]
    ahead = horizon(width)
    if not ahead or not history.kinds:
        return None
    before = origins(width - ahead, ahead)
    past = history.until(width - ahead)
    methods = choose(history, before, ahead)
    truth = history.units[history.start < width - ahead, width - ahead :]
    bounds, level = intervals(past, methods, residuals(history, before, ahead, methods))
    season = YEAR if width - ahead >= YEAR + ahead else ahead
    said = {
        "ours": np.repeat(level[:, None], ahead, axis=1),
        "naive": np.repeat(METHODS["naive"](past.units, past.start)[:, None], ahead, axis=1),
        "seasonal naive": seasonal_naive(past.units, past.weeks, history.weeks[width - ahead :], season),
    }
    group = classes(past)
    figures = {"all": _figures(truth, said, bounds, past, np.ones(len(truth), bool), seed)}
    for i, name in enumerate(CLASSES):
        if (group == i).any():
            figures[name] = _figures(truth, said, bounds, past, group == i, seed)
    missed = history.units[history.start >= width - ahead].sum()
    metrics = {
        "weeks": width,
        "horizon": ahead,
        "season": season,
        "kinds": len(truth),
        "unforeseen_units": float(missed),
        "calibration_origins": len(before),
        "classes": figures,
    }
    return Evaluation(ahead, methods, metrics)


def origins(width: int, ahead: int) -> list[int]:
    """Weeks known at each origin whose `ahead` target weeks end by week `width`; latest first."""
    weeks = range(width - ahead, LEAST_FIT - 1, -max(ahead // 2, 1))
    return list(weeks)[:CALIBRATIONS]


def choose(history: Weekly, before: list[int], ahead: int) -> dict[str, str]:
    """Per class of series, the method with the least mean scaled squared error (RMSSE; Makridakis et al., 2022), among
    those that are never worse than last week's figure: not over all origins, not at the latest one, not over the weeks
    since then, and in units neither.
    In the middle of a season a long mean may look best over weeks that lie on both sides of the peak or of the mean,
    and after a step it still knows what was before.
    """
    lost = {name: np.zeros(len(CLASSES)) for name in METHODS}
    width = before[0] + ahead  # what lies behind the latest window is not known yet
    recent = [origin for origin in range(width - 1, before[0], -1) if origin >= LEAST_FIT]
    missed = {name: np.zeros((len(before) + len(recent), 2, len(CLASSES))) for name in METHODS}
    for number, origin in enumerate([*before, *recent]):
        past = history.until(origin)
        truth = history.units[history.start < origin, origin : min(origin + ahead, width)]
        group, unit = classes(past), np.sqrt(_squared_scale(past))
        for name, method in METHODS.items():
            apart = truth - method(past.units, past.start)[:, None]
            error = np.sqrt((apart**2).mean(axis=1)) / unit
            if number < len(before):
                lost[name] += np.bincount(group, weights=error, minlength=len(CLASSES))
            for row, size in enumerate((error, np.abs(apart).sum(axis=1))):
                missed[name][number, row] = np.bincount(group, weights=size, minlength=len(CLASSES))
    seen = np.sum(list(lost.values()), axis=0) > 0
    worse = {name: _worse(missed[name], missed["naive"], len(before)) for name in METHODS}
    best = [min(METHODS, key=lambda name: (worse[name][i], lost[name][i])) for i in range(len(CLASSES))]
    return {kind: best[i] if seen[i] else UNSEEN for i, kind in enumerate(CLASSES)}


def _worse(missed: Float64s, naive: Float64s, num: int) -> Bools:
    """(classes,) whether errors (origins, 2, classes) lie above naive's: at the first of the `num` whole windows, which
    is the latest, over all of these, or over the others, which are cut short by the last week."""
    pairs = [(part[0], part[:num].sum(axis=0), part[num:].sum(axis=0)) for part in (missed, naive)]
    return np.any([ours > theirs for ours, theirs in zip(*pairs, strict=True)], axis=(0, 1))


def point(past: Weekly, methods: dict[str, str]) -> Float64s:
    """(K,) units per coming week, each series by the method of its class."""
    group = classes(past)
    out = np.zeros(len(group))
    for i, kind in enumerate(CLASSES):
        inside = group == i
        if inside.any():
            out[inside] = METHODS[methods[kind]](past.units[inside], past.start[inside])
    return np.maximum(out, 0)


def residuals(
    history: Weekly, before: list[int], ahead: int, methods: dict[str, str]
) -> tuple[Int64s, Float64s, Float64s]:
    """(N,) class, (N,) forecast and (N,) error over its scale, of all series and weeks at the earlier origins."""
    parts = []
    for origin in before:
        past = history.until(origin)
        truth = history.units[history.start < origin, origin : origin + ahead]
        said = point(past, methods)
        error = (truth - said[:, None]) / spread(past, said)[:, None]
        parts.append((np.repeat(classes(past), ahead), np.repeat(said, ahead), error.ravel()))
    group, said, error = (np.concatenate(column) for column in zip(*parts, strict=True))
    return group, said, error


def intervals(
    past: Weekly, methods: dict[str, str], seen: tuple[Int64s, Float64s, Float64s]
) -> tuple[dict[str, Float64s], Float64s]:
    """Split-conformal bounds (K,) per level (Papadopoulos et al., 2002; Lei et al., 2018), and the forecast (K,).

    Errors over their scale at earlier origins give the quantiles, per class and third of the forecast, so that slow
    types do not borrow the spread of quick ones. Origins follow each other in time, so coverage is not guaranteed but
    measured.
    """
    said, group = point(past, methods), classes(past)
    unit = spread(past, said)
    bounds = {name: np.zeros(len(said)) for name in LEVELS}
    for i in range(len(CLASSES)):
        earlier = seen[0] == i
        mine = group == i
        if not mine.any():
            continue
        source = earlier if earlier.any() else np.ones_like(earlier)
        cuts = np.quantile(seen[1][source], [1 / 3, 2 / 3])
        for third in range(3):
            rows = mine & (np.searchsorted(cuts, said) == third)
            errors = seen[2][source & (np.searchsorted(cuts, seen[1]) == third)]
            errors = errors if errors.size >= LEAST_ERRORS else seen[2][source]
            for name, level in LEVELS.items():
                bounds[name][rows] = np.maximum(said[rows] + conformal_quantile(errors, level) * unit[rows], 0)
    # of a type that sells once a year most weeks are 0, and the mean lies above almost all of them
    widest = {name: np.minimum if name.startswith("low") else np.maximum for name in LEVELS}
    return {name: widest[name](bound, said) for name, bound in bounds.items()}, said


def conformal_quantile(errors: Float64s, level: float) -> float:
    """The conformal quantile: (n + 1) in place of n."""
    n = errors.size
    high = level > 0.5
    place = min(np.ceil((n + 1) * level) / n, 1.0) if high else max(np.floor((n + 1) * level) / n, 0.0)
    return float(np.quantile(errors, place, method="higher" if high else "lower"))


def spread(past: Weekly, said: Float64s) -> Float64s:
    """(K,) how far a week may lie off: the spread of the last half year about its mean, no less than a count's."""
    recent = past.units[:, -26:]
    counted = np.minimum(past.units.shape[1] - past.start, recent.shape[1])
    mean = recent.sum(axis=1) / counted
    variance = np.maximum((recent**2).sum(axis=1) / counted - mean**2, 0)
    return np.sqrt(np.maximum(variance, said) + 0.25)


def _squared_scale(past: Weekly) -> Float64s:
    steps = np.diff(past.units, axis=1)
    counted = np.arange(1, past.units.shape[1])[None] > past.start[:, None]
    return np.asarray((steps**2 * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1) + 0.25)


def _figures(
    truth: Float64s, said: dict[str, Float64s], bounds: dict[str, Float64s], past: Weekly, rows: Bools, seed: int
) -> dict[str, Any]:
    """WAPE and MASE (Hyndman & Koehler, 2006) per forecast; coverage; intervals by bootstrap over types."""
    steps = np.abs(np.diff(past.units, axis=1))
    counted = np.arange(1, past.units.shape[1])[None] > past.start[:, None]
    scale = (steps * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    scaled = rows & (scale > 0)
    out: dict[str, Any] = {"kinds": int(rows.sum()), "units": float(truth[rows].sum())}
    error = {name: np.abs(truth - values).mean(axis=1) for name, values in said.items()}
    total = max(float(truth[rows].mean(axis=1).sum()), 1e-9)
    for name, values in error.items():
        out[name] = {
            "wape": float(values[rows].sum() / total),
            "mase": bootstrap(values[scaled] / scale[scaled], seed).content(),
        }
    for name in ("naive", "seasonal naive"):
        gain = bootstrap((error["ours"] - error[name])[rows], seed)
        size = int(rows.sum()) / total
        out[name]["ours_minus_it_wape"] = Interval(*(part * size for part in gain)).content()
    for level in ("80", "95"):
        inside = (truth >= bounds[f"low{level}"][:, None]) & (truth <= bounds[f"high{level}"][:, None])
        out[f"coverage{level}"] = bootstrap(inside[rows].mean(axis=1), seed).content()
        width = (bounds[f"high{level}"] - bounds[f"low{level}"])[rows]
        out[f"width{level}"] = float(width.mean())
    return out


def forecast_units(history: Weekly, evaluation: Evaluation) -> tuple[Float64s, dict[str, Float64s]]:
    """(K,) units of each week to come, and bounds per level, by the methods of the evaluation; errors up to the last
    complete week set the intervals."""
    before = origins(history.units.shape[1], evaluation.horizon)
    seen = residuals(history, before, evaluation.horizon, evaluation.methods)
    bounds, said = intervals(history, evaluation.methods, seen)
    return said, bounds
