"""Weeks of products with their price, discount and placement; and which products' prices move together."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.histories.calendar import first_day, last_day
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions

LEAST_WEEKS = 10
LEAST_SHARE = 0.5
LEAST_UNITS = 10.0
"""Units a week, on average: of slower products only the weeks with luck are seen, which hides what a price does."""
HALF = 0.5
"""Added to counts before the logarithm, whose mean is then that of the rate's logarithm but for terms of its inverse
square: without it a Poisson count's logarithm leans the more on the rate the smaller that is (Haldane, 1956)."""


@dataclass(frozen=True)
class Panel:
    """N product-weeks with sales, sorted by product, then week.

    product, week  (N,) codes
    units    (N,)  log units
    price    (N,)  log price per unit before reductions, median over the week's lines
    discount (N,)  share of the undiscounted amount that was let off, in [0, 1)
    shown    (N, 2)  shares of channels that displayed and mailed the product that week; None where that is unknown
    """

    product: Int64s
    week: Int64s
    units: Float64s
    price: Float64s
    discount: Float64s
    shown: Float64s | None = None

    @property
    def columns(self) -> Float64s:
        """(N, P) units, price, discount, then placement where it is known."""
        known = [] if self.shown is None else [self.shown]
        return np.column_stack([self.units, self.price, self.discount, *known])

    def where(self, mask: Bools) -> "Panel":
        """The rows where the mask (N,) is true."""
        shown = None if self.shown is None else self.shown[mask]
        return Panel(
            self.product[mask], self.week[mask], self.units[mask], self.price[mask], self.discount[mask], shown
        )

    def leading(self) -> tuple["Panel", Float64s, Float64s]:
        """The rows whose product was sold the week after too, with that week's price and discount."""
        next_row = (self.product[1:] == self.product[:-1]) & (self.week[1:] == self.week[:-1] + 1)
        there = np.append(next_row, False)
        after = np.flatnonzero(there) + 1
        return self.where(there), self.price[after], self.discount[after]


def panel(lines: Histories, first_week: int, last_week: int, promotions: Promotions | None = None) -> Panel:
    """Product-weeks from first to last week of products sold in ten weeks at least, in half of those between their
    first sale and their last, and ten units in a week with sales: a week without a sale has no price, and among slow
    products only the weeks with luck would be seen.

    promotions  what was displayed and mailed; None, or nothing in these weeks: unknown
    """
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
    codes, where, weeks = np.unique(product, return_inverse=True, return_counts=True)
    low, high = np.full(codes.size, width), np.zeros(codes.size, np.int64)
    np.minimum.at(low, where, week)
    np.maximum.at(high, where, week)
    sold = np.bincount(where, weights=units) / weeks
    steady = (weeks >= LEAST_WEEKS) & (weeks >= LEAST_SHARE * (high - low + 1)) & (sold >= LEAST_UNITS)
    counted = bool((units == np.round(units)).all())  # what is weighed has no counting noise
    observed = Panel(
        product,
        week,
        np.log(units + HALF if counted else units),
        np.log(middle),
        np.minimum(reduced, 0.99),
        _shown(promotions, product, week + first_week),
    )
    return observed.where(steady[where])


def _shown(promotions: Promotions | None, product: Int64s, week: Int64s) -> Float64s | None:
    """(N, 2) display and mailer shares of product-weeks; None where no promotion is on record in these weeks."""
    if promotions is None or not np.isin(promotions.week, week).any():
        return None
    width = int(max(week.max(initial=0), promotions.week.max(initial=0))) + 1
    cell = product * width + week
    told = promotions.item.astype(np.int64) * width + promotions.week
    order = np.argsort(told, kind="stable")
    at = np.minimum(np.searchsorted(told[order], cell), told.size - 1)
    there = told[order][at] == cell
    shares = [np.where(there, part[order][at], 0.0) for part in (promotions.display, promotions.mailer)]
    return np.column_stack(shares).astype(np.float64)


TOGETHER = 0.8
"""Correlation of two products' changes from which their prices are set together."""
ODDS = 5.0
"""Standard errors above 0 (Fisher's z) that such a correlation must lie as well."""
BLOCK = 1000


def families(rows: Panel, kind: Int64s, moves: Float64s) -> Int64s:
    """(N,) a code per family: products of a type whose price or discount changes together, such as those of a brand.

    kind   (I,) code of each product's type
    moves  (N, M)  prices and discounts without effects of product and week

    What hits such products hits them together, so they are one cluster. Changes are compared, not levels: two slow
    series that have nothing to do with each other are alike in levels.
    """
    product, code = np.unique(rows.product, return_inverse=True)
    weeks, at = np.unique(rows.week, return_inverse=True)
    parent = np.arange(product.size)
    for number in np.unique(kind[product]):
        members = np.flatnonzero(kind[product] == number)
        if members.size < 2:
            continue
        place = np.full(product.size, -1)
        place[members] = np.arange(members.size)
        mine = place[code] >= 0
        grid = np.full((moves.shape[1], members.size, weeks.size), np.nan)
        grid[:, place[code[mine]], at[mine]] = moves[mine].T
        links = sparse.coo_matrix((members.size, members.size), dtype=bool)
        for series in grid:
            links = links + _alike(np.diff(series, axis=1))
        groups = sparse.csgraph.connected_components(links, directed=False)[1]
        parent[members] = members[np.unique(groups, return_index=True)[1]][groups]
    return np.asarray(parent[code])


def _alike(changes: Float64s) -> sparse.csr_matrix:
    """(K, K) pairs of series (K, W) whose changes go together; NaN where one is not known."""
    known = ~np.isnan(changes)
    filled = np.where(known, changes, 0.0)
    size = np.sqrt((filled**2).sum(axis=1))
    moving = size > 1e-3
    parts = []
    for start in range(0, len(changes), BLOCK):
        block = slice(start, start + BLOCK)
        num = known[block].astype(np.float32) @ known.T.astype(np.float32)
        scale = np.maximum(np.outer(size[block], size), 1e-12)
        least = np.maximum(TOGETHER, np.tanh(ODDS / np.sqrt(np.maximum(num - 3, 1))))
        both = np.outer(moving[block], moving)
        parts.append(sparse.csr_matrix((filled[block] @ filled.T / scale >= least) & both))
    return sparse.vstack(parts).tocsr()
