"""Price and discount response of units: measured in the past on a panel of products and weeks with fixed effects.

ln units = b ln price + d discount + product + type x week + e, over weeks in which a product was sold: products are
held against others of their type in the same week, so that a season of the type is no response to its price. Prices
were set by people who may have known what was coming, so this is observational. The placebo is next week's price, which
this week's buyers did not see: where it matters too, so far is the measured response not one to price.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.histories.calendar import first_day, last_day
from nightmarket.histories.histories import Histories

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


Z = 1.959964
LEAST_PRODUCTS = 10
"""Fewer clusters make an interval that is too narrow; such a type is given what all types share."""
LEAST_SPREAD = 0.005
"""A price or discount that strays less from its usual course (standard deviation, log or share) has not changed."""
NAMES = ("price", "discount")


@dataclass(frozen=True)
class Response:
    """What was measured.

    pooled   per coefficient: value, low, high over all products; without one that never changed
    placebo  the same for next week's price and discount, beside this week's
    kinds    one row per type: kind, products, weeks, then per coefficient measured (NaN under ten products), its
             standard error, and the shrunk value with low, high
    between  per coefficient, the spread of the true response between types (standard deviation)
    """

    pooled: dict[str, dict[str, float]]
    placebo: dict[str, dict[str, float]]
    kinds: pd.DataFrame
    between: dict[str, float]


def response(rows: Panel, kind: Int64s, names: list[str]) -> Response | None:
    """Measure over the panel; kind (I,) code of each product's type, into `names`. None where nothing varies."""
    if np.unique(rows.product).size < LEAST_PRODUCTS:
        return None
    left = within(np.stack([rows.units, rows.price, rows.discount], axis=1), rows.product, _season(rows, kind))
    value, covariance = _measure(left, rows.product)
    if np.isnan(value).all():
        return None
    own = _by_kind(left, rows, kind)
    shrunk, between = _shrunk(own, value, covariance)
    table = pd.DataFrame({"kind": [names[i] for i in own["kind"]]})
    for name in ("products", "weeks"):
        table[name] = own[name]
    for i, name in enumerate(NAMES):
        table[f"{name}_measured"], table[f"{name}_error"] = own["value"][:, i], own["error"][:, i]
        for field, column in shrunk[name].items():
            table[name if field == "value" else f"{name}_{field}"] = column
    return Response(_with_bounds(value, covariance), _placebo(rows, kind), table, between)


def _season(rows: Panel, kind: Int64s) -> Int64s:
    """(N,) a code per type and week."""
    return np.asarray(kind[rows.product] * (int(rows.week.max(initial=0)) + 1) + rows.week)


def _with_bounds(value: Float64s, covariance: Float64s) -> dict[str, dict[str, float]]:
    half = Z * np.sqrt(np.diag(covariance))
    return {
        name: {"value": float(value[i]), "low": float(value[i] - half[i]), "high": float(value[i] + half[i])}
        for i, name in enumerate(NAMES)
        if not np.isnan(value[i])
    }


def _placebo(rows: Panel, kind: Int64s) -> dict[str, dict[str, float]]:
    """Next week's price and discount, with this week's held fixed; empty where they do not vary."""
    here, price, discount = rows.leading()
    columns = np.stack([here.units, price, discount, here.price, here.discount], axis=1)
    if len(columns) < LEAST_PRODUCTS:
        return {}
    left = within(columns, here.product, _season(here, kind))
    value, covariance = _measure(left, here.product)
    return _with_bounds(value[:2], covariance[:2, :2])


def _measure(left: Float64s, product: Int64s) -> tuple[Float64s, Float64s]:
    """Coefficients (P,) and covariance (P, P) of the first column on the others; NaN for one that did not change."""
    num = left.shape[1] - 1
    value, covariance = np.full(num, np.nan), np.full((num, num), np.nan)
    moved = np.flatnonzero(left[:, 1:].std(axis=0) >= LEAST_SPREAD)
    if moved.size:
        with contextlib.suppress(ValueError):
            value[moved], covariance[np.ix_(moved, moved)] = clustered(left[:, 0], left[:, 1 + moved], product)
    return value, covariance


def _by_kind(left: Float64s, rows: Panel, kind: Int64s) -> dict[str, Any]:
    of_row = kind[rows.product]
    order = np.argsort(of_row, kind="stable")
    codes, first = np.unique(of_row[order], return_index=True)
    value, error = np.full((codes.size, 2), np.nan), np.full((codes.size, 2), np.nan)
    products, weeks = np.zeros(codes.size, np.int64), np.zeros(codes.size, np.int64)
    for i, part in enumerate(np.split(order, first[1:])):
        products[i], weeks[i] = np.unique(rows.product[part]).size, part.size
        if products[i] < LEAST_PRODUCTS:
            continue
        value[i], covariance = _measure(left[part], rows.product[part])
        error[i] = np.sqrt(np.diag(covariance))
    return {"kind": codes, "value": value, "error": error, "products": products, "weeks": weeks}


def _shrunk(
    own: dict[str, Any], value: Float64s, covariance: Float64s
) -> tuple[dict[str, dict[str, Float64s]], dict[str, float]]:
    """Empirical Bayes, normal about a mean of the types (DerSimonian & Laird, 1986); a type without a figure
    of its own gets that mean, and the spread between types as its uncertainty."""
    figures, between = {}, {}
    for i, name in enumerate(NAMES):
        mine, error = own["value"][:, i], own["error"][:, i]
        known = ~np.isnan(mine) & (error > 0)
        mean, spread = float(value[i]), float(covariance[i, i])
        variance = 0.0
        if known.sum() >= 2:
            weight = 1 / error[known] ** 2
            mean = float((weight * mine[known]).sum() / weight.sum())
            excess = float((weight * (mine[known] - mean) ** 2).sum()) - (known.sum() - 1)
            variance = max(excess / float(weight.sum() - (weight**2).sum() / weight.sum()), 0.0)
            weight = 1 / (error[known] ** 2 + variance)
            mean, spread = float((weight * mine[known]).sum() / weight.sum()), float(1 / weight.sum())
        share = np.where(known, variance / (variance + np.where(known, error, 1.0) ** 2), 0.0)
        centre = np.where(known, share * np.where(known, mine, 0.0) + (1 - share) * mean, mean)
        half = Z * np.sqrt(variance * (1 - share) + (1 - share) ** 2 * spread)
        figures[name] = {"value": centre, "low": centre - half, "high": centre + half}
        between[name] = float(np.sqrt(variance))
    return figures, between


def words(measured: Response) -> dict[str, str]:
    """What was measured, in a sentence, with the placebo beside it."""
    price, discount = measured.pooled.get("price"), measured.pooled.get("discount")
    english, chinese = [], []
    if price:
        english.append(f"weeks with a 10% higher shelf price went with {_percent(price, 1.1)} units")
        chinese.append(f"货架价高10%的周，销量变动{_percent(price, 1.1)}")
    if discount:
        english.append(f"weeks with 10 points more discount went with {_points(discount)} units")
        chinese.append(f"折扣多10个百分点的周，销量变动{_points(discount)}")
    summary = f"In the past, {', and '.join(english)}. This is observational: what else changed then is in it."
    said = f"历史上，{'；'.join(chinese)}。这是观察所得，同周的其他变动也在其中。"
    tests = [_tested(name, measured) for name in NAMES if name in measured.pooled]
    return {"en": " ".join([summary, *(english for english, _ in tests)]), "zh": said + "".join(zh for _, zh in tests)}


def _tested(name: str, measured: Response) -> tuple[str, str]:
    """What next week's price or discount shows, in English and Chinese."""
    word, value = {"price": "价格", "discount": "折扣"}[name], measured.pooled[name]["value"]
    after = measured.placebo.get(name)
    if after is None:
        return f"No placebo on {name} could be computed.", f"{word}的安慰剂检验无法计算。"
    figures = f"{after['value']:+.2f} [{after['low']:+.2f}, {after['high']:+.2f}]"
    if after["low"] <= 0 <= after["high"]:
        return (
            f"The placebo, next week's {name}, shows nothing: {figures}.",
            f"安慰剂（下周{word}）无显著影响：{figures}。",
        )
    share = f"{abs(after['value'] / value):.0%}" if value else "all"
    return (
        f"The placebo, next week's {name}, should show nothing and shows {figures}, {share} of the measured "
        f"coefficient: do not set a {name} by this figure alone.",
        f"安慰剂（下周{word}）本应为零，却为{figures}，是所测系数的{share}：不要仅凭此定{word}。",
    )


def _percent(figure: dict[str, float], ratio: float) -> str:
    value, low, high = (ratio ** figure[name] - 1 for name in ("value", "low", "high"))
    return f"{value:+.1%} [{low:+.1%}, {high:+.1%}]"


def _points(figure: dict[str, float]) -> str:
    value, low, high = (float(np.expm1(0.1 * figure[name])) for name in ("value", "low", "high"))
    return f"{value:+.1%} [{low:+.1%}, {high:+.1%}]"
