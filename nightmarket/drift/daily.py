"""Numbers per day of a column, as Ibis expressions: the same on DuckDB, Spark or a warehouse."""

import functools
import itertools
import operator
from collections.abc import Sequence

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.drift.summaries import Summary

NUM_BINS = 16
RARE = 0.005
"""A value with a smaller share of the reference's rows is pooled with the others."""
MAX_VALUES = 40
OTHERS = "all others"


def number(rows: ir.Table, table: str, name: str, reference: tuple[int, int], days: tuple[int, int]) -> Summary | None:
    """Summary of a numeric column; None where the reference holds fewer than two values.

    rows       with `day` and the column `name`
    reference  first and last day whose quantiles are the bins' edges
    days       first and last day of the summary
    """
    known = rows.filter(rows[name].notnull())
    inside = known.filter(known.day.between(*reference))
    places = [i / NUM_BINS for i in range(1, NUM_BINS)]
    asked = {f"q{i}": inside[name].quantile(place) for i, place in enumerate(places)}
    found = inside.agg(**asked, spread=inside[name].std()).to_pandas().iloc[0]
    quantiles = found.drop("spread").to_numpy(np.float64)
    spread = float(found["spread"])
    if not (np.isfinite(quantiles).all() and spread > 0):
        return None
    edges = np.unique(quantiles)
    above = [(known[name] > float(edge)).ifelse(1, 0) for edge in edges]
    binned = known.mutate(place=functools.reduce(operator.add, above), x=known[name].cast("float64"))
    told = binned.group_by(["day", "place"]).agg(num=binned.count(), total=binned.x.sum()).to_pandas()
    shape = days[1] - days[0] + 1, edges.size + 1
    bounds = ["-∞", *(f"{edge:.4g}" for edge in edges), "∞"]
    labels = tuple(f"{low} to {high}" for low, high in itertools.pairwise(bounds))
    return Summary(
        table,
        name,
        "number",
        _grid(told, "num", days[0], shape),
        _grid(told, "total", days[0], shape),
        labels=labels,
        spread=spread,
    )


def category(
    rows: ir.Table, table: str, name: str, reference: tuple[int, int], days: tuple[int, int], per: str | None = None
) -> Summary | None:
    """Summary of a column of values, rare ones pooled; None where the reference holds one value or none.

    per  a column of which a value of the reference must hold MIN_GROUP to be named; None: no such column
    """
    known = rows.filter(rows[name].notnull())
    kept = _frequent(known.filter(known.day.between(*reference)), name, per)
    if not kept:
        return None
    labels = known[name].cast("string")
    named = known.mutate(label=labels.isin(kept).ifelse(labels, OTHERS))
    told = named.group_by(["day", "label"]).agg(num=named.count()).to_pandas()
    every = (*kept, OTHERS)
    told["place"] = told["label"].map({label: i for i, label in enumerate(every)})
    shape = days[1] - days[0] + 1, len(every)
    return Summary(table, name, "category", _grid(told, "num", days[0], shape), labels=every)


def _frequent(rows: ir.Table, name: str, per: str | None) -> list[str]:
    people = rows.count() if per is None else rows[per].nunique()
    found = rows.group_by(label=rows[name].cast("string")).agg(num=rows.count(), people=people).to_pandas()
    found = found.sort_values(["num", "label"], ascending=[False, True], kind="stable")
    often = found["num"] >= RARE * found["num"].sum()
    kept = found[often & (found["people"] >= (MIN_GROUP if per else 1))]
    return [str(label) for label in kept["label"][:MAX_VALUES]]


def missing(rows: ir.Table, table: str, names: Sequence[str], days: tuple[int, int]) -> list[Summary]:
    """Share of missing values of each column."""
    asked = {name: rows[name].isnull().ifelse(1, 0).sum() for name in names}
    told = rows.group_by("day").agg(rows_of_day=rows.count(), **asked).to_pandas()
    told["place"] = 0
    shape = days[1] - days[0] + 1, 1
    whole = _grid(told, "rows_of_day", days[0], shape)
    found = []
    for name in names:
        gone = _grid(told, name, days[0], shape)
        found.append(
            Summary(table, name, "missing", np.concatenate([whole - gone, gone], axis=1), labels=("no", "yes"))
        )
    return found


def volume(rows: ir.Table, table: str, name: str, days: tuple[int, int], per: str | None = None) -> Summary:
    """Rows per day, or distinct values of the column `per`."""
    counted = rows.count() if per is None else rows[per].nunique()
    told = rows.group_by("day").agg(num=counted).to_pandas()
    told["place"] = 0
    return Summary(table, name, "volume", _grid(told, "num", days[0], (days[1] - days[0] + 1, 1)))


def _grid(told: pd.DataFrame, column: str, first_day: int, shape: tuple[int, int]) -> Float64s:
    """(D, K) of rows with `day`, `place` and a number; days outside are left out."""
    grid = np.zeros(shape)
    day = told["day"].to_numpy(np.int64) - first_day
    inside = (day >= 0) & (day < shape[0])
    grid[day[inside], told["place"].to_numpy(np.int64)[inside]] = told[column].to_numpy(np.float64)[inside]
    return grid
