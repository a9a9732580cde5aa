"""What is known of one column: numbers per day. A summary holds no customer's row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nightmarket.contracts.arrays import Float64s
from nightmarket.drift import distances
from nightmarket.drift.nights import Nights

Kind = Literal["number", "category", "missing", "volume", "vectors"]
MIN_ROWS = 50
"""A night whose week or reference has fewer rows says nothing about a column."""
FLOOR = {"psi": 0.002, "wasserstein": 0.005, "missing": 0.002, "means": 0.005, "mmd": 0.01}
"""Distances that are as good as none, added before the logarithm."""
LEAST_LOG, LEAST_VOLUME = 0.25, 0.02
"""The smallest step: a distance that hardly varies must still grow by a quarter, a number by a fiftieth."""


@dataclass(frozen=True)
class Summary:
    """One column, D days.

    counts  (D, K)  number: rows per bin; category: per value, the last for all others; missing: not, is;
                    volume: (D, 1) rows; vectors: (D, 1) vectors
    sums    (D, K)  number: sum of the values per bin; vectors: (D, F) sums of random Fourier features, or empty
    means   (D, G)  vectors: sums of projected vectors
    labels  (K,)    what the bins or values are called
    spread  of the reference, in the column's unit; number alone
    """

    table: str
    name: str
    kind: Kind
    counts: Float64s
    sums: Float64s | None = None
    means: Float64s | None = None
    labels: tuple[str, ...] = ()
    spread: float = 1.0

    def distances(self, nights: Nights) -> dict[str, Float64s]:
        """{statistic: (T,) distances of each night's week from its reference}, NaN where a side has too few rows."""
        here, there = nights.sums(self.counts)
        found: dict[str, Float64s] = {}
        if self.kind == "volume":
            days, usual = nights.weekdays(self.counts[:, 0])
            return {
                "day": distances.volume_distance(days[:, -1], usual[:, -1]),
                "week": distances.volume_distance(days.sum(axis=1), usual.sum(axis=1)),
            }
        if self.kind == "missing":
            found["missing"] = distances.share_distance(here, there)
        if self.kind in ("number", "category"):
            found["psi"] = distances.stability_index(here, there)
        if self.kind == "number" and self.sums is not None:
            found["wasserstein"] = distances.earth_mover(
                here, nights.sums(self.sums)[0], there, nights.sums(self.sums)[1], self.spread
            )
        if self.kind == "vectors" and self.sums is not None and self.means is not None:
            num = here[:, 0], there[:, 0]
            found["means"] = distances.mean_distance(*nights.sums(self.means), *num)
            found["mmd"] = distances.mean_discrepancy(*nights.sums(self.sums), *num)
        few = np.minimum(here.sum(axis=1), there.sum(axis=1)) < MIN_ROWS
        return {name: np.where(few, np.nan, values) for name, values in found.items()}


def comparable(names: Sequence[tuple[Summary, str]], distance: Float64s) -> Float64s:
    """(S, T) distances on scales on which a step from night to night is the same size, small or large, and at least 1.

    Distances of distributions are never below 0 and skewed to the right, so their logarithm is taken; those of volumes
    are logarithms already.
    """
    rows = [
        np.log(values + FLOOR[statistic]) / LEAST_LOG if statistic in FLOOR else values / LEAST_VOLUME
        for (_, statistic), values in zip(names, distance, strict=True)
    ]
    return np.array(rows).reshape(distance.shape)


def every_distance(summaries: Sequence[Summary], nights: Nights) -> tuple[list[tuple[Summary, str]], Float64s]:
    """What was measured, S pairs of a summary and a statistic, and the distances (S, T)."""
    names: list[tuple[Summary, str]] = []
    rows: list[Float64s] = []
    for summary in summaries:
        for statistic, values in summary.distances(nights).items():
            names.append((summary, statistic))
            rows.append(values)
    return names, np.array(rows).reshape(len(rows), len(nights))
