"""Quality by group of customers, and a warning where a group falls behind.

Groups differ in how much and how regularly they buy, so a lower NDCG says little about the model. What a group can ask
is whether it would be served better by the best simple method, and that is what the warning tests.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.intervals import Interval, bootstrap
from nightmarket.histories.histories import Histories

MIN_CUSTOMERS = 50
MAX_LEVELS = 12
ERROR = 0.05
"""Two-sided error of all groups' differences together."""


def groups(
    ours: Float64s,
    baselines: Mapping[str, Float64s],
    customers: pd.DataFrame,
    histories: Histories,
    seed: int,
    num_resamples: int = 1000,
) -> dict[str, Any]:
    """Quality by length of history and by each attribute.

    ours, baselines  (C,) one figure per customer, higher is better; NaN where it does not concern the customer
    customers        row c is customer c; columns `attr_*` of any type, nulls allowed, are what groups are made of
    histories        purchases before the window

    Returns {"against": name of the baseline with the highest mean, "confidence": of each `gain`, "by": {"history":
    {level: {value, low, high, num_customers, gain: {value, low, high}, behind}}, "attr_…": …}, "warnings": [{attribute,
    level, num_customers, value, low, high}]}. `value` has a 95% bootstrap interval over customers; `gain` is the paired
    difference to the baseline with a Student interval, widened after Bonferroni so that with probability 95% or more
    every one of them holds its true difference. A group is `behind`, and warned of, when its whole `gain` lies below 0:
    where no group is worse off, a night gives a warning with probability 2.5% at most.

    Levels with fewer than 50 customers are pooled as "other", which is left out if it stays below; columns with more
    than 12 levels are left out, numbers with more are cut into quartiles. A missing value is the level "unknown".
    Raises InputError when the arrays do not have one entry per customer.
    """
    sizes = {ours.size, len(customers), histories.num_customers, *(theirs.size for theirs in baselines.values())}
    if len(sizes) != 1:
        raise InputError(f"groups: {sorted(sizes)} customers in figures, table and histories; they must be the same")
    against = max(baselines, key=lambda name: (_mean(baselines[name]), name), default=None)
    gain = ours - baselines[against] if against else np.full(ours.size, np.nan)
    known = ~np.isnan(ours)
    cuts = dict(_cuts(customers, histories, known))
    num_groups = sum(len(levels) for levels in cuts.values())
    by: dict[str, dict[str, Any]] = {}
    warnings = []
    for name, levels in cuts.items():
        by[name] = {}
        for level, member in levels.items():
            figure = bootstrap(np.where(member, ours, np.nan), seed, num_resamples)._asdict()
            entry: dict[str, Any] = figure | {"num_customers": int(member.sum())}
            if against:
                reach = student(gain[member], ERROR / num_groups)
                entry |= {"gain": reach._asdict(), "behind": reach.high < 0}
                if reach.high < 0:
                    warning = {"attribute": name, "level": level, "num_customers": entry["num_customers"]}
                    warnings.append(warning | reach._asdict())
            by[name][level] = entry
    confidence = 1 - ERROR / max(num_groups, 1)
    return {"against": against, "confidence": confidence, "by": by, "warnings": warnings}


def student(values: Float64s, error: float) -> Interval:
    """Mean of (n,) values with Student's interval of confidence 1 - `error`; NaN are left out.

    The bootstrap's 1,000 resamples cannot tell the far quantiles that a Bonferroni correction asks for. Without spread
    to judge by (fewer than two values) the interval is the whole line.
    """
    values = values[~np.isnan(values)]
    if values.size < 2:
        return Interval(float(values.mean()) if values.size else 0.0, -np.inf, np.inf)
    reach = special.stdtrit(values.size - 1, 1 - error / 2) * values.std(ddof=1) / np.sqrt(values.size)
    return Interval(float(values.mean()), float(values.mean() - reach), float(values.mean() + reach))


def _mean(values: Float64s) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else -np.inf


def _cuts(customers: pd.DataFrame, histories: Histories, known: Bools) -> Iterator[tuple[str, dict[str, Bools]]]:
    """Attribute and {level: (C,) members with a figure}; attributes that make no two groups are left out."""
    lines = np.bincount(histories.customer, minlength=histories.num_customers).astype(np.float64)
    columns = {"history": _quartiles(lines, known, " lines")}
    columns |= {name: _levels(customers[name], known) for name in customers if str(name).startswith("attr_")}
    for name, labels in columns.items():
        if labels is None:
            continue
        names, counts = np.unique(labels[known], return_counts=True)
        large = set(names[counts >= MIN_CUSTOMERS].tolist())
        labels = np.where([label in large for label in labels], labels, "other")
        levels = {str(level): known & (labels == level) for level in dict.fromkeys(labels[known].tolist())}
        levels = {level: member for level, member in levels.items() if member.sum() >= MIN_CUSTOMERS}
        if len(levels) >= 2:
            yield str(name), dict(sorted(levels.items()))


def _levels(column: pd.Series, known: Bools) -> NDArray[Any] | None:
    """(C,) level names; None where there are too many to be groups."""
    column = column.reset_index(drop=True)
    missing = column.isna().to_numpy(bool)
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if number and column[known & ~missing].nunique() > MAX_LEVELS:
        values = column.astype("float64").to_numpy(na_value=np.nan)
        return _quartiles(np.where(np.isfinite(values), values, np.nan), known)
    labels = column.astype(object).map(str).to_numpy(object)
    labels[missing] = "unknown"
    return labels if np.unique(labels[known & ~missing]).size <= MAX_LEVELS else None


def _quartiles(values: Float64s, known: Bools, unit: str = "") -> NDArray[Any]:
    """(C,) names of the quarter that each value lies in, cut at the quartiles of the customers that count."""
    counted = values[known & ~np.isnan(values)]
    cuts = np.unique(np.quantile(counted, [0.25, 0.5, 0.75], method="lower")) if counted.size else np.zeros(1)
    names = [f"up to {cuts[0]:.6g}{unit}"]
    names += [f"over {low:.6g} up to {high:.6g}{unit}" for low, high in pairwise(cuts)]
    names += [f"over {cuts[-1]:.6g}{unit}"]
    labels = np.array(names, object)[np.searchsorted(cuts, values)]
    labels[np.isnan(values)] = "unknown"
    return labels
