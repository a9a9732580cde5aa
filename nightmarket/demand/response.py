"""Price and discount response of units: measured in the past on a panel of products and weeks with fixed effects.

ln units = b ln price + d discount + what was displayed and mailed + product + type x week + e, over weeks in which a
product was sold: products are held against others of their type in the same week, so that a season of the type is no
response to its price. Prices were set by people who may have known what was coming, so this is observational. The
placebo is next week's price, which this week's buyers did not see: where it matters too, so far is the measured
response not one to price, and no figure is given.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Float64s, Int64s
from nightmarket.demand.effects import Coefficients, Z, clustered, within
from nightmarket.demand.panels import Panel, families

LEAST_PRODUCTS = 10
"""Fewer products make no figure of their own; such a type is given what all types share."""
LEAST_SPREAD = 0.005
"""A price or discount that strays less from its usual course (standard deviation, log or share) has not changed."""
TELLING = 0.1
"""Of a figure, what its placebo may come to: where it shows more than that, beyond chance, there is no figure."""
NAMES = ("price", "discount")
Z99 = 2.575829


@dataclass(frozen=True)
class Response:
    """What was measured.

    pooled   per coefficient: value, low, high over all products; without one that never changed or was refused
    placebo  the same for next week's price and discount, beside this week's
    kinds    one row per type: kind, products, weeks, then per coefficient measured (NaN under ten products), its
             standard error, and the shrunk value with low, high; NaN for one that was refused
    between  per coefficient, the spread of the true response between types (standard deviation)
    refused  per coefficient, the figure that its placebo gives the lie to
    shown    whether displays and mailers are on record, and held fixed
    """

    pooled: dict[str, dict[str, float]]
    placebo: dict[str, dict[str, float]]
    kinds: pd.DataFrame
    between: dict[str, float]
    refused: dict[str, dict[str, float]]
    shown: bool


def response(rows: Panel, kind: Int64s, names: list[str]) -> Response | None:
    """Measure over the panel; kind (I,) code of each product's type, into `names`. None where nothing varies."""
    if np.unique(rows.product).size < LEAST_PRODUCTS:
        return None
    left = within(rows.columns, rows.product, _season(rows, kind))
    family = families(rows, kind, left[:, 1:3])
    whole = _measure(left, family)
    if np.isnan(whole.value[:2]).all():
        return None
    own = _by_kind(left, family, rows, kind)
    shrunk, between = _shrunk(own, whole)
    pooled, placebo = _with_bounds(whole), _placebo(rows, kind)
    refused = {name: pooled[name] for name in pooled if _lies(pooled[name], placebo.get(name))}
    table = pd.DataFrame({"kind": [names[i] for i in own["kind"]]})
    for name in ("products", "weeks"):
        table[name] = own[name]
    for i, name in enumerate(NAMES):
        table[f"{name}_measured"], table[f"{name}_error"] = own["value"][:, i], own["error"][:, i]
        for field, column in shrunk[name].items():
            table[name if field == "value" else f"{name}_{field}"] = column
        if name in refused:
            table.loc[:, [column for column in table.columns if column.startswith(name)]] = np.nan
    pooled = {name: figure for name, figure in pooled.items() if name not in refused}
    return Response(pooled, placebo, table, between, refused, rows.shown is not None)


def _lies(figure: dict[str, float], placebo: dict[str, float] | None) -> bool:
    """Whether a placebo shows, beyond chance (99%: a clean figure is seldom refused), more than TELLING of it."""
    if placebo is None:
        return False
    beyond = abs(placebo["value"]) > (placebo["high"] - placebo["low"]) / 2 * Z99 / Z
    return beyond and abs(placebo["value"]) > TELLING * abs(figure["value"])


def _season(rows: Panel, kind: Int64s) -> Int64s:
    """(N,) a code per type and week."""
    return np.asarray(kind[rows.product] * (int(rows.week.max(initial=0)) + 1) + rows.week)


def _with_bounds(fit: Coefficients) -> dict[str, dict[str, float]]:
    half = Z * fit.error
    return {
        name: {"value": float(value), "low": float(value - side), "high": float(value + side)}
        for name, value, side in zip(NAMES, fit.value, half, strict=False)
        if not np.isnan(value)
    }


def _placebo(rows: Panel, kind: Int64s) -> dict[str, dict[str, float]]:
    """Next week's price and discount, with this week's held fixed; empty where they do not vary."""
    here, price, discount = rows.leading()
    if len(here.product) < LEAST_PRODUCTS:
        return {}
    columns = np.column_stack([here.units, price, discount, here.columns[:, 1:]])
    left = within(columns, here.product, _season(here, kind))
    return _with_bounds(_measure(left, families(here, kind, left[:, 1:5])))


def _measure(left: Float64s, cluster: Int64s) -> Coefficients:
    """The first column on the others (P of them); NaN for one that did not change."""
    num = left.shape[1] - 1
    value, covariance, degrees = np.full(num, np.nan), np.full((num, num), np.nan), np.ones(num)
    moved = np.flatnonzero(left[:, 1:].std(axis=0) >= LEAST_SPREAD)
    if moved.size:
        with contextlib.suppress(ValueError):
            fit = clustered(left[:, 0], left[:, 1 + moved], cluster)
            value[moved], covariance[np.ix_(moved, moved)], degrees[moved] = fit.value, fit.covariance, fit.degrees
    return Coefficients(value, covariance, degrees)


def _by_kind(left: Float64s, family: Int64s, rows: Panel, kind: Int64s) -> dict[str, Any]:
    of_row = kind[rows.product]
    order = np.argsort(of_row, kind="stable")
    codes, first = np.unique(of_row[order], return_index=True)
    value, error = np.full((codes.size, 2), np.nan), np.full((codes.size, 2), np.nan)
    products, weeks = np.zeros(codes.size, np.int64), np.zeros(codes.size, np.int64)
    for i, part in enumerate(np.split(order, first[1:])):
        products[i], weeks[i] = np.unique(rows.product[part]).size, part.size
        if products[i] < LEAST_PRODUCTS:
            continue
        fit = _measure(left[part], family[part])
        value[i], error[i] = fit.value[:2], fit.error[:2]
    return {"kind": codes, "value": value, "error": error, "products": products, "weeks": weeks}


def _shrunk(own: dict[str, Any], whole: Coefficients) -> tuple[dict[str, dict[str, Float64s]], dict[str, float]]:
    """Empirical Bayes, normal about a mean of the types (DerSimonian & Laird, 1986); a type without a figure
    of its own gets that mean, and the spread between types as its uncertainty."""
    figures, between = {}, {}
    for i, name in enumerate(NAMES):
        mine, error = own["value"][:, i], own["error"][:, i]
        known = ~np.isnan(mine) & (error > 0)
        mean, spread = float(whole.value[i]), float(whole.error[i] ** 2)
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
    summary, said = "", ""
    if english:
        summary = f"In the past, {', and '.join(english)}. This is observational: what else changed then is in it."
        said = f"历史上，{'；'.join(chinese)}。这是观察所得，同周的其他变动也在其中。"
        if not measured.shown:
            summary += " Displays and mailers are not on record, so what they did is in it too."
            said += "陈列与海报无记录，其作用也在其中。"
    tests = [_tested(name, measured) for name in NAMES if name in measured.pooled or name in measured.refused]
    return {
        "en": " ".join(part for part in (summary, *(english for english, _ in tests)) if part),
        "zh": said + "".join(zh for _, zh in tests),
    }


def _tested(name: str, measured: Response) -> tuple[str, str]:
    """What next week's price or discount shows, in English and Chinese."""
    word = {"price": "价格", "discount": "折扣"}[name]
    value = (measured.pooled.get(name) or measured.refused[name])["value"]
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
    if name in measured.refused:
        return (
            f"No response to {name} is given: the placebo, next week's {name}, which buyers did not see, should show "
            f"nothing and shows {figures}, {share} of what would have been the figure.",
            f"不给出对{word}的反应：安慰剂（下周{word}，顾客未见）本应为零，却为{figures}，是所测系数的{share}。",
        )
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
