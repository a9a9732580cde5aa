"""A panel of products and weeks, and least squares with fixed effects of both."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.histories import Histories, first_day, last_day

LEAST_WEEKS = 10
LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Panel:
    """N product-weeks with sales, sorted by product, then week.

    product, week  (N,) codes
    units    (N,)  log units
    price    (N,)  log price per unit before reductions, median over the week's lines
    discount (N,)  share of the undiscounted amount that was let off, in [0, 1)
    """

    product: Int64s
    week: Int64s
    units: Float64s
    price: Float64s
    discount: Float64s

    def where(self, mask: Bools) -> "Panel":
        """The rows where the mask (N,) is true."""
        return Panel(self.product[mask], self.week[mask], self.units[mask], self.price[mask], self.discount[mask])

    def leading(self) -> tuple["Panel", Float64s, Float64s]:
        """The rows whose product was sold the week after too, with that week's price and discount."""
        next_row = (self.product[1:] == self.product[:-1]) & (self.week[1:] == self.week[:-1] + 1)
        there = np.append(next_row, False)
        after = np.flatnonzero(there) + 1
        return self.where(there), self.price[after], self.discount[after]


def panel(lines: Histories, first_week: int, last_week: int) -> Panel:
    """Product-weeks from first to last week of products sold in ten weeks at least and in half of those between their
    first sale and their last: a week without a sale has no price, and among slow products only the weeks with luck
    would be seen."""
    inside = lines.between(first_day(first_week), last_day(last_week))
    paid, off = inside.value.astype(np.float64), np.maximum(inside.discount.astype(np.float64), 0)
    inside_full = paid + off
    keep = inside_full > 0
    width = last_week - first_week + 1
    cell = (inside.item.astype(np.int64) * width + (inside.week - first_week))[keep]
    unit = (inside_full / inside.quantity)[keep]
    order = np.lexsort((unit, cell))
    cells, first, count = np.unique(cell[order], return_index=True, return_counts=True)
    middle = unit[order][first + (count - 1) // 2]
    row = np.searchsorted(cells, cell)
    units = np.bincount(row, weights=inside.quantity[keep])
    whole = np.bincount(row, weights=inside_full[keep])
    reduced = np.bincount(row, weights=off[keep]) / whole
    product, week = cells // width, cells % width
    codes, weeks = np.unique(product, return_counts=True)
    where = np.searchsorted(codes, product)
    low, high = np.full(codes.size, width), np.zeros(codes.size, np.int64)
    np.minimum.at(low, where, week)
    np.maximum.at(high, where, week)
    steady = (weeks >= LEAST_WEEKS) & (weeks >= LEAST_SHARE * (high - low + 1))
    observed = Panel(product, week, np.log(units), np.log(middle), np.minimum(reduced, 0.99))
    return observed.where(steady[where])


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


def clustered(y: Float64s, x: Float64s, cluster: Int64s) -> tuple[Float64s, Float64s]:
    """Coefficients (P,) and their covariance (P, P), robust to dependence within clusters (Liang & Zeger, 1986; CR1).

    y (N,), x (N, P) without fixed effects; ValueError where x does not vary or there are fewer than two clusters.
    """
    codes = np.unique(cluster, return_inverse=True)[1]
    num = int(codes.max(initial=-1)) + 1
    square = x.T @ x
    if num < 2 or np.linalg.matrix_rank(square) < x.shape[1]:
        raise ValueError("no variation to measure a response by")
    bread = np.linalg.inv(square)
    coefficients = bread @ (x.T @ y)
    score = x * (y - x @ coefficients)[:, None]
    sums = np.stack([np.bincount(codes, weights=score[:, i], minlength=num) for i in range(x.shape[1])], axis=1)
    # products' means took one degree each already, within clusters, so that only clusters are corrected for
    return coefficients, bread @ (sums.T @ sums) @ bread * num / (num - 1)
