"""What will be sold, how often such forecasts held, and how units went with price."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.pictures import fan
from nightmarket.reporting.quality import ModelRow, figure_row

PRICE_STEP = 1.1
"""Responses are stated for a price 10% higher."""


@dataclass(frozen=True)
class Forecast:
    """One product type: the picture, and the coming weeks in a line."""

    name: str
    chart: Markup
    said: str
    reach: str


@dataclass(frozen=True)
class StockOutlook:
    """One product type: what is there, the chance by each week's end that it is not enough, what is missing."""

    name: str
    units: str
    chances: tuple[str, ...]
    quantity: str
    missing: str
    cost: str


@dataclass(frozen=True)
class DemandView:
    """The section; `reason` and `price_reason` say why a part is missing."""

    reason: str
    verdict: str
    coverage: str
    forecasts: tuple[Forecast, ...]
    weeks: str
    price_reason: str
    price: str
    axis: Markup
    rows: tuple[ModelRow, ...]
    supply_reason: str = ""
    supply: str = ""
    ends: tuple[str, ...] = ()
    stocks: tuple[StockOutlook, ...] = ()


def view(night: Night) -> DemandView | None:
    """The section, or None when nothing was forecast.

    The content is night.demand: `metrics` as the stage demand writes it; `largest`, per product type its path `kind`,
    `past` units per week, and lists `units`, `low80`, `high80` of the coming weeks; `prices`, rows of response.parquet;
    `supply`, rows of supply.parquet, the soonest out first.
    """
    content = night.demand
    if content is None:
        return None
    metrics: Content = content.get("metrics") or {}
    forecast, response = metrics.get("forecast") or {}, metrics.get("response") or {}
    largest: Sequence[Content] = content.get("largest") or ()
    names = _names([str(series["kind"]) for series in largest])
    axis, rows = _prices(response, content.get("prices") or ())
    supply: Content = metrics.get("supply") or {}
    stocked: Sequence[Content] = content.get("supply") or ()
    return DemandView(
        reason=str(forecast.get("reason") or ("" if largest else "no product type was sold")),
        verdict=_verdict(forecast) + _closed(metrics.get("closed_weeks") or ()),
        coverage=_coverage(forecast),
        forecasts=tuple(_forecast(series, name) for series, name in zip(largest, names, strict=True)),
        weeks=words.things(forecast.get("horizon") or 0, "week"),
        price_reason=str(response.get("reason") or ""),
        price=str((response.get("words") or {}).get("en") or ""),
        axis=axis,
        rows=rows,
        supply_reason=str(supply.get("reason") or ""),
        supply=_supply(supply),
        ends=_ends(metrics, supply),
        stocks=tuple(
            _stock(row, name, int(supply.get("horizon") or 0))
            for row, name in zip(stocked, _names([str(row["kind"]) for row in stocked]), strict=True)
        ),
    )


def _names(kinds: Sequence[str]) -> list[str]:
    """The last level of each path, with the one above where two would read the same."""
    last = [kind.rsplit(" > ", 1)[-1] for kind in kinds]
    twice = {name for name, num in Counter(last).items() if num > 1}
    return [
        " · ".join(kind.split(" > ")[-2:]) if name in twice else name for kind, name in zip(kinds, last, strict=True)
    ]


def _verdict(forecast: Content) -> str:
    whole = (forecast.get("classes") or {}).get("all")
    if not whole:
        return ""
    ours, naive = words.percent(whole["ours"]["wape"]), words.percent(whole["naive"]["wape"])
    said = (
        f"On {words.things(forecast['horizon'], 'complete week')} that it had not seen, over "
        f"{words.things(whole['kinds'], 'product type')}, the forecast was off by {ours} of all units; last "
        f"week carried forward by {naive}"
    )
    seasonal, season = (whole.get("seasonal naive") or {}).get("wape"), forecast.get("season")
    if seasonal is None or season is None:
        return f"{said}."
    return f"{said}, what was sold {words.things(season, 'week')} earlier by {words.percent(seasonal)}."


def _closed(weeks: Sequence[str]) -> str:
    """That weeks are left out because the shop was closed."""
    if not weeks:
        return ""
    was = "was" if len(weeks) == 1 else "were"
    return f" {words.things(len(weeks), 'week')} in which the shop was closed {was} left out."


def _coverage(forecast: Content) -> str:
    """How often the intervals held, beside what they promise."""
    whole = (forecast.get("classes") or {}).get("all") or {}
    clauses = [
        f"the {level}% interval held {words.percents(whole[f'coverage{level}'])} of the time"
        for level in ("80", "95")
        if words.known(whole.get(f"coverage{level}"))
    ]
    return f"Measured on the same weeks, {words.listed(clauses)}." if clauses else ""


def _forecast(series: Content, name: str) -> Forecast:
    middle, low, high = (list(series[part]) for part in ("units", "low80", "high80"))
    said, reach = words.whole(middle[0]), f"[{words.whole(low[0])}, {words.whole(high[0])}]"
    last = f"; last week {words.whole(series['past'][-1])}" if series["past"] else ""
    chart = fan(series["past"] or middle[:1], middle, low, high, f"{name}: {said} {reach} units next week{last}")
    return Forecast(name, chart, said, reach)


def _supply(supply: Content) -> str:
    """How often the quantities were enough, beside what they promise, and how many types have less."""
    if "stocked" not in supply:
        return ""
    have = "has" if supply["short"] == 1 else "have"
    said = (
        f"{words.things(supply['short'], 'product type')} of {words.count(supply['stocked'])} {have} less in stock "
        f"than lasts {words.things(supply['lead_weeks'], 'week')} with a chance of {words.percent(supply['service'])}."
    )
    if not words.known(supply.get("coverage")):
        return said
    return f"{said} On the last complete weeks, which it had not seen, such a quantity was enough for " + (
        f"{words.percents(supply['coverage'])} of {words.things(supply['kinds'], 'product type')}."
    )


def _ends(metrics: Content, supply: Content) -> tuple[str, ...]:
    """The Sundays by whose end stock may have run out."""
    last = date.fromisoformat(str(metrics.get("last_complete_week") or "2000-01-03"))
    sundays = [last + timedelta(weeks=week + 1, days=6) for week in range(int(supply.get("horizon") or 0))]
    return tuple(f"{sunday.day} {sunday:%b}" for sunday in sundays)


def _stock(row: Content, name: str, horizon: int) -> StockOutlook:
    chances = tuple(_chance(row[f"out_week{week + 1}"]) for week in range(horizon))
    cost = row["missing_cost"]
    known = isinstance(cost, float) and math.isfinite(cost)
    stock, quantity, missing = (words.whole(row[part]) for part in ("stock", "quantity", "missing"))
    return StockOutlook(name, stock, chances, quantity, missing, words.money(cost) if known else "–")


def _chance(chance: float) -> str:
    """In whole per cent; errors are too few to say more."""
    return "under 1%" if chance < 0.01 else "over 99%" if chance > 0.99 else f"{100 * chance:.0f}%"


def _prices(response: Content, kinds: Sequence[Mapping[str, Any]]) -> tuple[Markup, tuple[ModelRow, ...]]:
    """Change in units in weeks with a price 10% higher: all products, the placebo, and the largest types."""
    measured: list[tuple[str, str, Any]] = [
        (title, note, (response.get(key) or {}).get("price"))
        for title, note, key in (
            ("All products", "", "pooled"), ("Placebo: next week’s price", "should be zero", "placebo_next_week"),
        )
    ]  # fmt: skip
    names = _names([str(row["kind"]) for row in kinds])
    for row, name in zip(kinds, names, strict=True):
        figure = {"value": row["price"], "low": row["price_low"], "high": row["price_high"]}
        measured.append((name, words.things(row["products"], "product"), figure))
    drawn = [
        (name, note, {part: _change(change[part]) for part in ("value", "low", "high")})
        for name, note, change in measured
        if words.known(change)
    ]
    axis = charts.scale([figure for _, _, figure in drawn])
    rows = tuple(figure_row(name, figure, axis, words.change, note, ours=not note) for name, note, figure in drawn)
    return (charts.axis_labels(axis, percent=True) if rows else Markup("")), rows


def _change(elasticity: float) -> float:
    return float(PRICE_STEP**elasticity - 1)
