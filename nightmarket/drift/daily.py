"""Summaries by day: columns of tables as Ibis expressions (the same on DuckDB, Spark or a warehouse), text vectors."""

import functools
import itertools
import operator
from collections.abc import Sequence

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.distance import pdist

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
    statistics = inside.agg(**asked, spread=inside[name].std()).to_pandas().iloc[0]
    quantiles = statistics.drop("spread").to_numpy(np.float64)
    spread = float(statistics["spread"])
    if not (np.isfinite(quantiles).all() and spread > 0):
        return None
    edges = np.unique(quantiles)
    above = [(known[name] > float(edge)).ifelse(1, 0) for edge in edges]
    binned = known.mutate(place=functools.reduce(operator.add, above), x=known[name].cast("float64"))
    per_day = binned.group_by(["day", "place"]).agg(num=binned.count(), total=binned.x.sum()).to_pandas()
    shape = days[1] - days[0] + 1, edges.size + 1
    bounds = ["-∞", *(f"{edge:.4g}" for edge in edges), "∞"]
    labels = tuple(f"{low} to {high}" for low, high in itertools.pairwise(bounds))
    return Summary(
        table,
        name,
        "number",
        _grid(per_day, "num", days[0], shape),
        _grid(per_day, "total", days[0], shape),
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
    per_day = named.group_by(["day", "label"]).agg(num=named.count()).to_pandas()
    every = (*kept, OTHERS)
    per_day["place"] = per_day["label"].map({label: i for i, label in enumerate(every)})
    shape = days[1] - days[0] + 1, len(every)
    return Summary(table, name, "category", _grid(per_day, "num", days[0], shape), labels=every)


def _frequent(rows: ir.Table, name: str, per: str | None) -> list[str]:
    people = rows.count() if per is None else rows[per].nunique()
    counts = rows.group_by(label=rows[name].cast("string")).agg(num=rows.count(), people=people).to_pandas()
    counts = counts.sort_values(["num", "label"], ascending=[False, True], kind="stable")
    often = counts["num"] >= RARE * counts["num"].sum()
    kept = counts[often & (counts["people"] >= (MIN_GROUP if per else 1))]
    return [str(label) for label in kept["label"][:MAX_VALUES]]


def missing(rows: ir.Table, table: str, names: Sequence[str], days: tuple[int, int]) -> list[Summary]:
    """Share of missing values of each column."""
    asked = {name: rows[name].isnull().ifelse(1, 0).sum() for name in names}
    per_day = rows.group_by("day").agg(rows_of_day=rows.count(), **asked).to_pandas()
    per_day["place"] = 0
    shape = days[1] - days[0] + 1, 1
    whole = _grid(per_day, "rows_of_day", days[0], shape)
    summaries = []
    for name in names:
        gone = _grid(per_day, name, days[0], shape)
        summaries.append(
            Summary(table, name, "missing", np.concatenate([whole - gone, gone], axis=1), labels=("no", "yes"))
        )
    return summaries


def volume(rows: ir.Table, table: str, name: str, days: tuple[int, int], per: str | None = None) -> Summary:
    """Rows per day, or distinct values of the column `per`."""
    counted = rows.count() if per is None else rows[per].nunique()
    per_day = rows.group_by("day").agg(num=counted).to_pandas()
    per_day["place"] = 0
    return Summary(table, name, "volume", _grid(per_day, "num", days[0], (days[1] - days[0] + 1, 1)))


def _grid(per_day: pd.DataFrame, column: str, first_day: int, shape: tuple[int, int]) -> Float64s:
    """(D, K) of rows with `day`, `place` and a number; days outside are left out."""
    grid = np.zeros(shape)
    day = per_day["day"].to_numpy(np.int64) - first_day
    inside = (day >= 0) & (day < shape[0])
    grid[day[inside], per_day["place"].to_numpy(np.int64)[inside]] = per_day[column].to_numpy(np.float64)[inside]
    return grid


PROJECTED = 32
"""Dimensions after a random projection, which keeps distances to about a tenth (Johnson and Lindenstrauss, 1984)."""
FEATURES = 64
"""Random frequencies of the kernel's features."""
CHUNK = 65_536
SAMPLE = 1_000


def vectors(
    name: str, text: NDArray, day: NDArray, num: NDArray, vectors_TD: NDArray, num_days: int, seed: int
) -> Summary | None:
    """Summary of the texts that turned up; None where there are none.

    text, day, num  (N,)  row of `vectors_TD`; place of the day, 0 to num_days - 1; how often
    vectors_TD      (T, D) unit vectors

    The kernel is Gaussian, as wide as the median distance of a sample of texts (Gretton et al., 2012).
    """
    if text.size == 0:
        return None
    rng = np.random.default_rng(seed)
    dim = vectors_TD.shape[1]
    project = rng.standard_normal((dim, min(PROJECTED, dim))).astype(np.float32) / np.sqrt(min(PROJECTED, dim))
    times = sparse.coo_matrix((num.astype(np.float64), (day, text)), shape=(num_days, len(vectors_TD))).tocsc()
    used = np.flatnonzero(np.diff(times.indptr))
    some = rng.choice(used, min(SAMPLE, used.size), replace=False)
    width = float(np.median(pdist(vectors_TD[some].astype(np.float32) @ project))) if some.size > 1 else 1.0
    frequencies = rng.standard_normal((project.shape[1], FEATURES)) / (width or 1.0)
    means = np.zeros((num_days, project.shape[1]))
    features = np.zeros((num_days, 2 * FEATURES))
    for start in range(0, used.size, CHUNK):
        rows = used[start : start + CHUNK]
        small = vectors_TD[rows].astype(np.float32) @ project
        angles = small @ frequencies
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(FEATURES)
        of_day = times[:, rows]
        means += of_day @ small
        features += of_day @ waves
    counts = np.bincount(day, num.astype(np.float64), minlength=num_days)[:, None].astype(np.float64)
    return Summary("products", name, "vectors", counts, features, means)
