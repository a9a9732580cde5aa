"""Clustering of customers on scaled features, and how stable the partition is under resampling.

Two questions (Ben-Hur et al., 2002; Tibshirani & Walther, 2005). Do two halves of the customers, nobody in both, give
the same groups? Then there are groups to be found. Does the partition come back when a fifth of the customers is left
out? Then it is at least one to work with, as a whole by the adjusted Rand index (Hubert & Arabie, 1985) and group by
group by the Jaccard index (Hennig, 2007), since one group cut in two hardly moves the whole.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float64s, Int32s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.segments.behaviour import BLOCKS, SHARE

LIMIT = 3.0


@dataclass(frozen=True)
class FeatureSpace:
    """A fitted transform of F columns.

    centre, scale  medians, and tenth-to-ninetieth percentile ranges in standard deviations of a normal
    shift, weight  mean after clipping at 3, and what gives every block variance 1
    """

    columns: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    weight: tuple[float, ...]

    @classmethod
    def fit(cls, features: pd.DataFrame) -> "FeatureSpace":
        """Learn the scales from rows without NaN; a column that does not vary is left out."""
        blocks = [*BLOCKS.values(), tuple(name for name in features if name.startswith(SHARE))]
        kept: list[list[Any]] = []
        for names in blocks:
            block = []
            for name in names:
                if name not in features:
                    continue
                values = features[name].to_numpy(np.float64)
                low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
                spread = (high - low) / 2.563 if high - low > 1e-9 else values.std()
                if spread > 1e-9:
                    clipped = np.clip((values - middle) / spread, -LIMIT, LIMIT)
                    block.append([name, middle, spread, clipped.mean(), clipped.var()])
            total = sum(row[4] for row in block)
            kept += [[*row[:4], 1 / np.sqrt(total)] for row in block]
        columns = [tuple(column) for column in zip(*kept, strict=True)] if kept else [()] * 5
        return cls(columns[0], *(tuple(float(v) for v in column) for column in columns[1:]))

    def standard(self, features: pd.DataFrame) -> Float64s:
        """(N, F) robust z values, clipped; a column that the rows lack counts as the mean."""
        values = features.reindex(columns=list(self.columns)).to_numpy(np.float64)
        z = np.clip((values - np.array(self.centre)) / np.array(self.scale), -LIMIT, LIMIT) - np.array(self.shift)
        return np.nan_to_num(z)

    def transform(self, features: pd.DataFrame) -> Float64s:
        """(N, F) points in which distance means unlike behaviour."""
        return self.standard(features) * np.array(self.weight)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories whose shares are among the columns."""
        return tuple(name.removeprefix(SHARE) for name in self.columns if name.startswith(SHARE))

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "FeatureSpace":
        """The inverse of `to_json`."""
        return cls(**{name: tuple(value) for name, value in content.items()})


STABLE = 0.85
"""The least mean adjusted Rand index at which a partition counts as stable."""
FOUND = 0.9
"""The least mean index between partitions made from disjoint halves at which groups count as found, not made."""
DISSOLVED = 0.75
"""A group whose mean Jaccard index is lower does not count as one (Hennig, 2007)."""
_SAMPLE = 5_000
_DENSE = 4_000
_FIT = 200_000


@dataclass(frozen=True)
class Stability:
    """How a partition into k groups comes back.

    ari, worst     adjusted Rand index under 80% resampling, mean and worst
    weakest_group  mean Jaccard index of the group that comes back least
    halves         mean adjusted Rand index of partitions made from disjoint halves; None where the 80% already fail
    silhouette     Rousseeuw (1987); decides nothing
    smallest       customers in the smallest group, of those looked at
    """

    k: int
    ari: float
    worst: float
    weakest_group: float
    halves: float | None
    silhouette: float
    smallest: int


def kmeans(points_NF: Float64s, k: int, seed: int, starts: int = 10) -> Float64s:
    """(k, F) centres by Lloyd's algorithm, best of several starts; at most 200,000 points are looked at."""
    from sklearn.cluster import KMeans

    fitted = KMeans(k, n_init=starts, random_state=seed).fit(_sample(points_NF, _FIT, seed))
    return np.asarray(fitted.cluster_centers_, np.float64)


def nearest(points_NF: Float64s, centres_KF: Float64s) -> tuple[Int32s, Float64s]:
    """(N,) the nearest centre of each point and (N,) the distance to it."""
    square = (points_NF**2).sum(1)[:, None] - 2 * points_NF @ centres_KF.T + (centres_KF**2).sum(1)
    label = square.argmin(axis=1)
    return label.astype(np.int32), np.sqrt(np.maximum(square[np.arange(len(label)), label], 0))


def stability(points_NF: Float64s, k: int, seed: int, resamples: int = 10) -> Stability:
    """Cluster 80% samples and halves, carry each partition to all points, compare."""
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    points = _sample(points_NF, _SAMPLE, seed)
    whole, _ = nearest(points, kmeans(points, k, seed))
    rng = np.random.default_rng(seed)
    agreements, jaccard = [], np.zeros(k)
    for i in range(resamples):
        rows = rng.permutation(len(points))[: int(0.8 * len(points))]
        again, _ = nearest(points, kmeans(points[rows], k, seed + i + 1, starts=5))
        agreements.append(adjusted_rand_score(whole, again))
        jaccard += _jaccard(whole, again, k) / resamples
    lasting = np.mean(agreements) >= STABLE and jaccard.min() >= DISSOLVED
    halves = []
    for i in range(resamples // 2 if lasting else 0):
        sides = np.array_split(rng.permutation(len(points)), 2)
        both = [nearest(points, kmeans(points[side], k, seed + i, starts=5))[0] for side in sides]
        halves.append(adjusted_rand_score(*both))
    return Stability(
        k=k,
        ari=float(np.mean(agreements)),
        worst=float(np.min(agreements)),
        weakest_group=float(jaccard.min()),
        halves=float(np.mean(halves)) if halves else None,
        silhouette=_silhouette(silhouette_score, points, whole, seed),
        smallest=int(np.bincount(whole, minlength=k).min()),
    )


def choose(points_NF: Float64s, most: int, seed: int) -> tuple[int, list[Stability]]:
    """How many groups from 2 to `most`, with the table; none under 20 people.

    Where three or more are found in disjoint halves, the largest number that is; else the largest that comes back under
    80% resampling, group by group too; else the one with the highest ARI.
    """
    table = [stability(points_NF, k, seed) for k in range(2, most + 1)]
    stable = [row for row in table if row.halves is not None and row.smallest >= MIN_GROUP]
    good = [row for row in stable if row.k > 2 and row.halves is not None and row.halves >= FOUND] or stable
    return (good[-1].k if good else max(table, key=lambda row: row.ari).k), table


def density_methods(points_NF: Float64s, seed: int) -> list[dict[str, Any]]:
    """What DBSCAN (Ester et al., 1996) and HDBSCAN (Campello et al., 2013) find: groups and share of noise.

    DBSCAN's radius is the median distance to the tenth neighbour, and its square root of two.
    """
    from sklearn.cluster import DBSCAN, HDBSCAN
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    points = _sample(points_NF, _DENSE, seed)
    apart, _ = NearestNeighbors(n_neighbors=min(11, len(points))).fit(points).kneighbors(points)
    radius = float(np.median(apart[:, -1]))
    rows = []
    tries: list[tuple[str, dict[str, Any]]] = [
        ("HDBSCAN", {"min_cluster_size": size}) for size in (MIN_GROUP, 3 * MIN_GROUP)
    ]
    tries += [("DBSCAN", {"eps": round(radius * factor, 4), "min_samples": 10}) for factor in (1.0, 1.4142)]
    for name, parameters in tries:
        model = HDBSCAN(**parameters, copy=True) if name == "HDBSCAN" else DBSCAN(**parameters)
        label = model.fit(points).labels_
        inside = label >= 0
        num = int(label.max(initial=-1)) + 1
        width = _silhouette(silhouette_score, points[inside], label[inside], seed) if num > 1 else None
        rows.append(
            {
                "method": name,
                "parameters": parameters,
                "groups": num,
                "noise": float((~inside).mean()),
                "silhouette": width,
                "customers": len(points),
            }
        )
    return rows


def kmeans_rows(table: list[Stability], customers: int) -> list[dict[str, Any]]:
    """The stability table in the shape of `density_methods`."""
    return [
        {"method": "K-means", "parameters": {"k": row.k}, "groups": row.k, "noise": 0.0, "customers": customers}
        | {name: value for name, value in asdict(row).items() if name != "k"}
        for row in table
    ]


def _jaccard(labels: Int32s, again: Int32s, k: int) -> Float64s:
    """(k,) for each group, its Jaccard index with the group of the other partition that is most like it."""
    both = np.bincount(labels.astype(np.int64) * k + again, minlength=k * k).reshape(k, k)
    union = both.sum(1)[:, None] + both.sum(0)[None] - both
    return np.asarray((both / np.maximum(union, 1)).max(axis=1))


def by_spend(labels_N: Int32s, spend_N: Float64s) -> Int32s:
    """(k,) rank of each label when groups are put in order of mean spend, highest first: a number that stays."""
    k = int(labels_N.max()) + 1
    mean = np.bincount(labels_N, weights=spend_N, minlength=k) / np.maximum(np.bincount(labels_N, minlength=k), 1)
    rank = np.empty(k, np.int32)
    rank[np.argsort(-mean, kind="stable")] = np.arange(k)
    return rank


def _silhouette(score: Any, points: Float64s, labels: NDArray, seed: int) -> float:
    if len(np.unique(labels)) < 2 or len(np.unique(labels)) >= len(points):
        return 0.0
    return float(score(points, labels, sample_size=min(_DENSE, len(points)), random_state=seed))


def _sample(points: Float64s, most: int, seed: int) -> Float64s:
    if len(points) <= most:
        return points
    return points[np.sort(np.random.default_rng(seed).permutation(len(points))[:most])]
