"""How long the stock lasts, and how much covers the time until more comes.

What counts is what sells until then together, and weeks that follow each other err alike: the quantiles are of sums
over weeks, taken from the errors of such sums at earlier origins (split conformal, as in `forecast`).

Shapes: K types, H weeks ahead, N errors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.demand.forecast import LEAST_ERRORS, Evaluation, conformal_quantile, origins, point, spread
from nightmarket.demand.series import CLASSES, Weekly, classes
from nightmarket.evaluation.intervals import bootstrap


@dataclass(frozen=True)
class Sums:
    """What each type may sell in the first weeks together.

    said    (K,)    forecast of one week
    spread  (K,)    units that one unit of an error stands for
    cell    (K,)    the row of `errors` that a type's error is drawn from
    errors  (N, H) each: errors of sums over the first 1 to H weeks at earlier origins, over the spread
    """

    said: Float64s
    spread: Float64s
    cell: Int64s
    errors: tuple[Float64s, ...]

    @property
    def ahead(self) -> int:
        """Weeks ahead."""
        return self.errors[0].shape[1]

    def runs_out(self, stock: Float64s) -> Float64s:
        """(K, H) chance that more than the stock (K,) is wanted by the end of each week; NaN where stock is NaN."""
        weeks = np.arange(1, self.ahead + 1)
        room = (stock[:, None] - self.said[:, None] * weeks) / self.spread[:, None]
        chance = np.full(room.shape, np.nan)
        for number, errors in enumerate(self.errors):
            rows = (self.cell == number) & np.isfinite(stock)
            more = (errors[None] > room[rows][:, None]).sum(axis=1)
            chance[rows] = (more + 0.5) / (len(errors) + 1)
        # by the end of a later week it has run out wherever it had before
        return np.maximum.accumulate(chance, axis=1)

    def covering(self, weeks: int, service: float) -> Float64s:
        """(K,) whole units that are enough for `weeks` weeks with chance `service`."""
        quantile = np.array([conformal_quantile(errors[:, weeks - 1], service) for errors in self.errors])
        return np.ceil(np.maximum(weeks * self.said + quantile[self.cell] * self.spread, 0.0) - 1e-9)


def sums(past: Weekly, methods: dict[str, str], before: list[int], ahead: int) -> Sums:
    """What errors at the origins `before` say of the `ahead` weeks after `past`, per class and third of the forecast.

    A class with few errors draws from those of all.
    """
    parts = []
    for origin in before:
        known = past.until(origin)
        truth = past.units[past.start < origin, origin : origin + ahead].cumsum(axis=1)
        said = point(known, methods)
        error = (truth - said[:, None] * np.arange(1, ahead + 1)) / spread(known, said)[:, None]
        parts.append((classes(known), said, error))
    group, level, error = (np.concatenate(column) for column in zip(*parts, strict=True))
    said, mine = point(past, methods), classes(past)
    cell = np.zeros(len(said), np.int64)
    errors: list[Float64s] = []
    for number in range(len(CLASSES)):
        source = group == number if (group == number).sum() >= LEAST_ERRORS else np.ones(len(group), bool)
        cuts = np.quantile(level[source], [1 / 3, 2 / 3])
        for third in range(3):
            near = error[source & (np.searchsorted(cuts, level) == third)]
            cell[(mine == number) & (np.searchsorted(cuts, said) == third)] = len(errors)
            errors.append(near if len(near) >= LEAST_ERRORS else error[source])
    return Sums(said, spread(past, said), cell, tuple(errors))


def coming(history: Weekly, judged: Evaluation) -> Sums:
    """What may sell in the weeks after the last complete one, by the methods of the evaluation."""
    width = history.units.shape[1]
    return sums(history, judged.methods, origins(width, judged.horizon), judged.horizon)


def covered(history: Weekly, judged: Evaluation, weeks: int, service: float, seed: int) -> dict[str, Any]:
    """How often the quantity for `weeks` weeks was enough, on the last weeks, which nothing was fitted on: one figure
    per type, with its interval; and what it was in units beside what sold."""
    start = history.units.shape[1] - judged.horizon
    past = history.until(start)
    quantity = sums(past, judged.methods, origins(start, judged.horizon), judged.horizon).covering(weeks, service)
    sold = history.units[history.start < start, start : start + weeks].sum(axis=1)
    held = bootstrap((sold <= quantity).astype(np.float64), seed)
    return {"coverage": held.content(), "kinds": len(sold), "units": float(quantity.sum()), "sold": float(sold.sum())}


def on_hand(kind: Int64s, num: int, stock: Float64s, sold: Float64s) -> Float64s:
    """(num,) units of each type that are there; NaN where a product that sold lately has no known stock.

    kind   (I,)  type of each product
    stock  (I,)  of tonight, NaN where it is not known; below 0 is none
    sold   (I,)  units of the last weeks

    Where no product has more than one, the table says "in stock" and "sold out": it counts nothing, and all are NaN.
    """
    known = np.isfinite(stock)
    if not known.any() or float(stock[known].max()) <= 1:
        return np.full(num, np.nan)
    units = np.bincount(kind[known], np.maximum(stock[known], 0), num).astype(np.float64)
    some = np.bincount(kind[known], minlength=num) > 0
    gap = np.bincount(kind[~known & (sold > 0)], minlength=num) > 0
    units[~some | gap] = np.nan
    return units


def unit_costs(kind: Int64s, num: int, cost: Float64s, sold: Float64s) -> Float64s:
    """(num,) what a unit of each type costs, as it sold lately; NaN where no product that sold has a cost."""
    known = np.isfinite(cost) & (sold > 0)
    units = np.bincount(kind[known], sold[known], num)
    paid = np.bincount(kind[known], (cost * sold)[known], num)
    return np.where(units > 0, paid / np.where(units > 0, units, 1.0), np.nan)
