"""Customer value in the coming weeks: three predictors of spend, shrunk and weighed by least squares."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.histories.calendar import first_day, last_day
from nightmarket.histories.histories import Histories

HORIZON = 13
LEAST_BEFORE = 4


@dataclass(frozen=True)
class Worth:
    """Spend in the `weeks` after the last complete week, currency, per customer (C,); NaN: did not buy before.

    error     (C,) what held-out weeks brought minus what was said of them; NaN for customers who came later
    model, naive, paired  mean absolute error per customer on the held-out weeks, with intervals over customers: ours,
                          that of "as much as in the weeks before", and ours minus it
    weights   of the last weeks' spend, of the last four weeks', of the rate since the first purchase, of the mean
    """

    weeks: int
    value: Float64s
    error: Float64s
    model: Interval
    naive: Interval
    paired: Interval
    weights: tuple[float, ...]


def horizon(first_week: int, last_week: int) -> int:
    """Weeks that can be forecast and evaluated: 13, fewer where the history is short, 0 where it is too short."""
    weeks = min(HORIZON, (last_week - first_week + 1 - LEAST_BEFORE) // 3)
    return weeks if weeks >= LEAST_BEFORE else 0


def worth(lines: Histories, first_week: int, last_week: int, seed: int, closed: Int64s | None = None) -> Worth | None:
    """Fit on one span, evaluate on the next, then fit on that and predict the one to come.

    None where the history is short, or says of nobody what they paid before the first span: a shop may have no prices.

    first_week, last_week  the complete weeks of the history
    closed                 numbers of the weeks in which the shop was closed: nobody could buy, and they are left out
    """
    shut = np.zeros(0, np.int64) if closed is None else closed[(closed >= first_week) & (closed <= last_week)]
    weeks = horizon(first_week, last_week - shut.size)
    if not weeks:
        return None
    spent = np.delete(_weekly(lines, first_week, last_week), shut - first_week, axis=1)
    end = spent.shape[1]
    early, late = _views(spent[:, : end - 2 * weeks], weeks), _views(spent[:, : end - weeks], weeks)
    if np.isnan(early).all():
        return None
    between, held_out = spent[:, end - 2 * weeks : end - weeks].sum(1), spent[:, end - weeks :].sum(1)
    said = _predict(late, _fit(early, between))
    ours, naive = np.abs(held_out - said), np.abs(held_out - late[:, 0])
    naive = np.where(np.isnan(ours), np.nan, naive)
    weights = _fit(late, held_out)
    return Worth(
        weeks=weeks,
        value=_predict(_views(spent, weeks), weights),
        error=held_out - said,
        model=bootstrap(ours, seed),
        naive=bootstrap(naive, seed),
        paired=paired(ours, naive, seed),
        weights=tuple(float(w) for w in weights),
    )


def group_worth(worth: Worth, members: Bools) -> Interval | None:
    """Mean value of a group with a 95% interval: the held-out errors of its members, their bias and their spread.

    None for groups with fewer than two members who were there in the held-out weeks.
    """
    value, error = worth.value[members], worth.error[members]
    value, error = value[~np.isnan(value)], error[~np.isnan(error)]
    if error.size < 2 or not value.size:
        return None
    half = 1.959964 * float(np.sqrt(error.var(ddof=1) / error.size + error.mean() ** 2))
    mean = float(value.mean())
    return Interval(mean, max(mean - half, 0.0), mean + half)


def _weekly(lines: Histories, first_week: int, last_week: int) -> Float64s:
    """(C, W) spend per complete week."""
    inside = lines.between(first_day(first_week), last_day(last_week))
    width = last_week - first_week + 1
    cell = inside.customer.astype(np.int64) * width + (inside.week - first_week)
    paid = np.bincount(cell, weights=inside.value, minlength=lines.num_customers * width)
    return np.asarray(paid, np.float64).reshape(lines.num_customers, width)


def _views(spent: Float64s, weeks: int) -> Float64s:
    """(C, 4) what `weeks` bring at the rate of the last `weeks`, of the last four, of all since the
    first purchase, and at everybody's mean; NaN for customers who have not bought."""
    width = spent.shape[1]
    bought = spent > 0
    since = np.where(bought.any(1), width - bought.argmax(1), 0)
    known = since > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = spent.sum(1) / since
    span = min(weeks, width)
    out = np.stack(
        [
            spent[:, width - span :].sum(1) * weeks / span,
            spent[:, -LEAST_BEFORE:].sum(1) * weeks / LEAST_BEFORE,
            rate * weeks,
            np.full(len(spent), rate[known].mean() * weeks if known.any() else 0.0),
        ],
        axis=1,
    )
    out[~known] = np.nan
    return out


def _fit(views: Float64s, target: Float64s) -> Float64s:
    """Non-negative least squares (Lawson & Hanson, 1974); rows weigh 1 / (rate + mean), as spread grows with spend."""
    from scipy.optimize import nnls

    known = ~np.isnan(views[:, 0])
    scale = 1 / (views[known, 2] + views[known, 3] + 1e-9)
    return nnls(views[known] * scale[:, None], target[known] * scale)[0]


def _predict(views: Float64s, weights: Float64s) -> Float64s:
    return np.asarray(views @ weights)
