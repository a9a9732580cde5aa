"""Forecast units per product type and week, for stock; measure how units depended on price and discount.

A week is named by its Monday. metrics.json: how the forecast was judged; the response in words, with its placebo.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.demand import forecast, response, supply
from nightmarket.demand.forecast import Evaluation
from nightmarket.demand.panels import panel
from nightmarket.demand.series import Weekly, kind_paths, weekly
from nightmarket.histories.calendar import last_whole_week, monday
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

BOUNDS = ("low80", "high80", "low95", "high95")
RECENT_WEEKS = 13
"""Weeks whose sales say which products of a type matter for its stock and its cost."""
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "foretell units per product type and week, and measure how they went with price",
    reads=(catalogue.PREPARE,),
    writes=(catalogue.DEMAND,),
    side=True,
)


class Settings(StageSettings):
    """How demand is forecast."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the bootstrap")
    lead_weeks: int = Field(
        2, ge=1, le=forecast.HORIZON, description="weeks from an order to its arrival, which the stock has to last"
    )
    service: float = Field(0.95, ge=0.5, le=0.99, description="chance that the quantity is enough until then")


def run(settings: Settings) -> None:
    """Write artifacts/demand."""
    data = Prepared()
    code, names = pd.factorize(kind_paths(data.products))
    history = weekly(data.histories, code, list(names), last_whole_week(data.windows.test.last_target))
    weeks = history.units.shape[1]
    log.info("demand: %s product types, %s complete weeks", f"{len(history.kinds):,}", weeks)
    judged = forecast.evaluate(history, settings.seed)
    metrics: dict[str, Any] = {"last_complete_week": monday(history.last_week).isoformat()}
    if history.closed.size:
        log.info("demand: %s weeks in which the shop was closed are left out", history.closed.size)
        metrics["closed_weeks"] = [monday(week).isoformat() for week in history.closed.tolist()]
    if judged is None or data.windows.target != "purchase":
        why = f"{weeks} complete weeks; a forecast that can be judged needs 7"
        if data.windows.target != "purchase":
            why = "no purchases are on record, so nothing says what will be sold"
        metrics["forecast"] = {"reason": why}
        log.info("demand: %s", why)
        catalogue.FORECAST.write_empty()
        catalogue.SUPPLY.write_empty()
        metrics["supply"] = {"reason": why}
    else:
        metrics["forecast"] = {"reason": None, "methods": judged.methods} | judged.metrics
        catalogue.FORECAST.write(_forecast(history, judged))
        figures = judged.metrics["classes"]["all"]
        metrics["supply"] = _supply(data, code, list(names), history, judged, settings)
        log.info("demand: WAPE %.3f, naive %.3f", figures["ours"]["wape"], figures["naive"]["wape"])
    metrics["response"] = _response(data, code, list(names), history)
    catalogue.DEMAND_METRICS.write(metrics)


def _forecast(history: Weekly, judged: Evaluation) -> pa.Table:
    units, bounds = forecast.forecast_units(history, judged)
    ahead = judged.horizon
    weeks = [monday(history.last_week + 1 + h) for h in range(ahead)]
    columns = {"units": units} | bounds
    return pa.table(
        {
            "kind": pa.array(np.repeat(np.array(history.kinds, object), ahead), pa.string()),
            "week": pa.array(weeks * len(history.kinds), pa.date32()),
        }
        | {name: np.repeat(columns[name], ahead) for name in ("units", *BOUNDS)},
        schema=catalogue.FORECAST.schema,
    )


def _supply(
    data: Prepared, code: np.ndarray, names: list[str], history: Weekly, judged: Evaluation, settings: Settings
) -> dict[str, Any]:
    """Write when each type's stock runs out, and the quantity that lasts; how often such quantities were enough."""
    lasting = min(settings.lead_weeks, judged.horizon)
    lines = data.histories
    recent = lines.week > history.last_week - RECENT_WEEKS
    sold = np.bincount(lines.item[recent], lines.quantity[recent], len(code)).astype(np.float64)
    place = pd.Index(names).get_indexer(pd.Index(history.kinds))
    held = supply.on_hand(code, len(names), _column(data, "stock"), sold)[place]
    judgement = supply.covered(history, judged, lasting, settings.service, settings.seed)
    told = {"reason": None, "lead_weeks": lasting, "service": settings.service, "horizon": judged.horizon} | judgement
    known = np.isfinite(held)
    if not known.any():
        catalogue.SUPPLY.write_empty()
        return told | {"reason": "no product type of which every product that sold lately has a counted stock"}
    sums = supply.coming(history, judged)
    chance = np.full((len(held), forecast.HORIZON), np.nan)
    chance[:, : judged.horizon] = sums.runs_out(held)
    quantity = sums.covering(lasting, settings.service)
    missing = np.maximum(quantity - held, 0.0)
    cost = missing * supply.unit_costs(code, len(names), _column(data, "cost"), sold)[place]
    columns = {f"out_week{week + 1}": chance[:, week] for week in range(forecast.HORIZON)}
    columns = {"stock": held} | columns | {"quantity": quantity, "missing": missing, "missing_cost": cost}
    table = pd.DataFrame({"kind": list(history.kinds)} | columns)[known]
    catalogue.SUPPLY.write(table.reset_index(drop=True))
    log.info(
        "demand: stock of %s product types, %s of them short", f"{known.sum():,}", f"{(missing[known] > 0).sum():,}"
    )
    return told | {"stocked": int(known.sum()), "short": int((missing[known] > 0).sum())}


def _column(data: Prepared, name: str) -> np.ndarray:
    """(I,) a column of numbers that the catalogue may have, NaN where it has none."""
    products = data.products
    return products.get(name, pd.Series(np.nan, products.index)).to_numpy(np.float64, na_value=np.nan)


def _response(data: Prepared, code: np.ndarray, names: list[str], history: Weekly) -> dict[str, Any]:
    last = max(history.last_week, history.first_week)
    rows = panel(data.histories, history.first_week, last, data.promotions)
    measured = response.response(rows, code, names)
    if measured is None:
        catalogue.PRICE_RESPONSE.write_empty()
        return {"reason": "fewer than 10 products sold ten a week, steadily, at prices or discounts that changed"}
    catalogue.PRICE_RESPONSE.write(measured.kinds)
    return {
        "reason": None,
        "products": int(np.unique(rows.product).size),
        "product_weeks": int(rows.units.size),
        "kinds": len(measured.kinds),
        "kinds_measured": int(measured.kinds["price_measured"].notna().sum()),
        "pooled": measured.pooled,
        "refused": measured.refused,
        "placements_known": measured.shown,
        "between_kinds": measured.between,
        "placebo_next_week": measured.placebo,
        "words": response.words(measured),
    }
