"""Regressions with fixed effects of product and week, and intervals that hold with few clusters."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from nightmarket.contracts.arrays import Float64s, Int64s

Z = 1.959964


def within(columns: Float64s, product: Int64s, week: Int64s, tolerance: float = 1e-6, most: int = 200) -> Float64s:
    """(N, P) what is left of each column after effects of product and week, by alternating projections."""
    groups = [np.unique(code, return_inverse=True)[1] for code in (product, week)]
    counts = [np.bincount(group) for group in groups]
    left = columns - columns.mean(axis=0)
    size = max(float(np.abs(left).max(initial=0)), 1e-12)
    for _ in range(most):
        step = 0.0
        for group, count in zip(groups, counts, strict=True):
            for i in range(left.shape[1]):
                mean = np.bincount(group, weights=left[:, i]) / count
                step = max(step, float(np.abs(mean).max()))
                left[:, i] -= mean[group]
        if step < tolerance * size:
            break
    return left


@dataclass(frozen=True)
class Coefficients:
    """P coefficients.

    value       (P,)
    covariance  (P, P)
    degrees     (P,) of freedom of each one's Student's t: as many clusters as really say something of it, minus 1
    """

    value: Float64s
    covariance: Float64s
    degrees: Float64s

    @property
    def error(self) -> Float64s:
        """(P,) standard errors, widened so that a normal quantile makes the interval that Student's would."""
        return np.sqrt(np.diag(self.covariance)) * special.stdtrit(self.degrees, 0.975) / Z


LEAST_CLUSTERS = 5


def clustered(y: Float64s, x: Float64s, cluster: Int64s) -> Coefficients:
    """Least squares whose covariance is robust to dependence within clusters: the jackknife over them (CV3; MacKinnon,
    Nielsen & Webb, 2023), which few or unequal clusters do not make too small, with as many degrees of freedom as there
    are effective clusters (Carter, Schnepel & Steigerwald, 2017).

    y (N,), x (N, P) without fixed effects; ValueError where x does not vary or there are fewer than five clusters.
    """
    codes = np.unique(cluster, return_inverse=True)[1]
    num, size = int(codes.max(initial=-1)) + 1, x.shape[1]
    square, moment = x.T @ x, x.T @ y
    if num < LEAST_CLUSTERS or np.linalg.matrix_rank(square) < size:
        raise ValueError("no variation to measure a response by")
    squares = np.empty((num, size, size))
    for i in range(size):
        for j in range(size):
            squares[:, i, j] = np.bincount(codes, weights=x[:, i] * x[:, j], minlength=num)
    moments = np.stack([np.bincount(codes, weights=x[:, i] * y, minlength=num) for i in range(size)], axis=1)
    value = np.asarray(np.linalg.solve(square, moment), np.float64)
    without = np.linalg.pinv(square - squares) @ (moment - moments)[:, :, None]
    apart = without[:, :, 0] - value
    own = squares[:, np.arange(size), np.arange(size)]  # how much of the variation of each column a cluster holds
    effective = own.sum(axis=0) ** 2 / (own**2).sum(axis=0)
    # effects of the week leave the mean of the clusters out, so that each varies less by one part in them
    covariance = apart.T @ apart * num / (num - 1)
    return Coefficients(value, covariance, np.maximum(effective - 1, 1.0))
