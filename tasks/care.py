"""What each customer is expected to do in the coming weeks, and who is about to leave.

customers.parquet: a row per customer who has bought, except who objected to profiling. `active` is the chance of a
purchase within the weeks that metrics.json names, `staying` that they have not left for good; `due` the day on which
the next purchase is due, past for whoever is late; of the customers like this one, 80% end between `low80` and
`high80`. customers.csv: the same rows, who is worth keeping first. metrics.json: how good all this was on the last
weeks that are over, beside BG/NBD and recency x frequency.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.care import accuracy
from nightmarket.care.features import Looks
from nightmarket.care.outlook import Care, care
from nightmarket.care.records import PurchaseDays
from nightmarket.care.standing import STANDINGS, Standing, standing
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.histories.calendar import date_of, last_day, last_whole_week, week_of
from nightmarket.segments.worth import horizon
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.files.spreadsheet import write_csv
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

WEEK = 7
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "who buys again, how much and when; who is about to leave",
    reads=(catalogue.PREPARE, catalogue.SEGMENT),
    writes=(catalogue.CARE_CUSTOMERS, catalogue.CARE_LIST, catalogue.CARE_METRICS),
    side=True,
)


class Settings(StageSettings):
    """How customers' next weeks are foretold."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of everything random")


def run(settings: Settings) -> None:
    """Write artifacts/care."""
    data = Prepared()
    objected = data.customers["objected"].to_numpy(bool) if "objected" in data.customers else None
    lines = data.histories if objected is None else data.histories.where(~objected[data.histories.customer])
    left_out = 0 if objected is None else int(objected.sum())
    last_week = last_whole_week(data.windows.test.last_target)
    weeks = horizon(week_of(data.windows.first_day) + 1, last_week)
    days = PurchaseDays.of(lines)
    made: Care | str
    if data.windows.target != "purchase":
        made = "no purchases are on record, so nothing says who will buy again"
    elif not weeks:
        made = "the history is too short: 16 complete weeks are needed, to foretell four and to judge it"
    else:
        looks = Looks.of(data.interactions)
        end, now = last_day(last_week), data.windows.deliver.cut
        made = care(days, looks if looks.day.size else None, end, now, WEEK * weeks, settings.seed)
    if isinstance(made, str):
        log.info("care: %s", made)
        _write(catalogue.CARE_CUSTOMERS.schema.empty_table())
        catalogue.CARE_METRICS.write({"as_of": data.windows.as_of, "reason": made, "objected": left_out})
        return
    stood = standing(made.outlook, days.priced)
    table = _customers(data.customers["customer_id"], made, stood, days.priced)
    _write(table)
    metrics: dict[str, Any] = {"as_of": data.windows.as_of, "reason": None, "weeks": weeks, "objected": left_out}
    metrics |= _figures(made, stood, days, settings.seed) | {"segments": _by_segment(table)}
    catalogue.CARE_METRICS.write(metrics)
    worth = metrics["standing"]["worth_keeping"]
    log.info("care: %s customers; about to leave and worth keeping: %s", f"{table.num_rows:,}", f"{worth:,}")


def _write(table: pa.Table) -> None:
    """customers.parquet, and customers.csv with those first who are worth keeping and of whom most is at risk."""
    catalogue.CARE_CUSTOMERS.write(table)
    order = [("worth_keeping", "descending"), ("at_risk", "descending")]
    with storage.replacing(catalogue.CARE_LIST.path) as temporary:
        write_csv(table.sort_by(order), temporary, excel=False)


def _customers(ids: pd.Series, made: Care, stood: Standing, priced: bool) -> pa.Table:
    """The rows of customers.parquet; value is empty where nothing says what was paid."""
    known, outlook = made.outlook.known, made.outlook
    day = (known.cut - known.idle).astype(np.int64)
    expected, spans = outlook.expected, outlook.spans
    columns: dict[str, Any] = {
        "customer_id": ids.to_numpy()[known.customer],
        "purchases": (known.repeats + 1).astype(np.int32),
        "last": pa.array(day.astype(np.int32), pa.int32()).cast(pa.date32()),
        "gap_days": stood.gap,
        "due": pa.array(stood.due.astype(np.int32), pa.int32()).cast(pa.date32()),
        "active": expected["chance"],
        "staying": outlook.reckoned.staying,
        "expected_purchases": expected["purchases"],
        "purchases_low80": spans["purchases"][:, 0],
        "purchases_high80": spans["purchases"][:, 1],
    }
    nothing = pa.nulls(len(known), pa.float64())
    value = {"expected_value": expected["value"], "value_low80": spans["value"][:, 0]}
    value |= {"value_high80": spans["value"][:, 1]}
    columns |= value if priced else dict.fromkeys(value, nothing)
    columns |= {"at_risk": stood.at_risk, "standing": stood.name, "worth_keeping": stood.worth}
    return pa.table(columns, schema=catalogue.CARE_CUSTOMERS.schema)


def _figures(made: Care, stood: Standing, days: PurchaseDays, seed: int) -> dict[str, Any]:
    """What the whole looks like, and how good it was where that can be known."""
    counts = {name: int((stood.name == name).sum()) for name in STANDINGS}
    expected = made.outlook.expected
    figures: dict[str, Any] = {
        "num_customers": len(made.outlook.known),
        "priced": days.priced,
        "ways": dict(made.ways),
        "bgnbd": made.fitted.coming._asdict(),
        "gamma_gamma": made.fitted.spending._asdict(),
        "standing": counts | {"worth_keeping": int(stood.worth.sum())},
        "expected_purchases": float(expected["purchases"].sum()),
        "expected_value": float(expected["value"].sum()) if days.priced else None,
        "at_risk": float(stood.at_risk[stood.worth].sum()),
        "tested": None,
    }
    if made.trial is not None:
        then = standing(made.trial.outlook, days.priced)
        figures["tested"] = accuracy.judged(made.trial, days.priced, seed) | {
            "window": [date_of(day).isoformat() for day in (made.trial.outlook.known.cut + 1, made.trial.last_day)],
            "leaving": accuracy.leaving(made.trial, then),
            "due": accuracy.due_error(made.trial, then, days),
        }
    return figures


def _by_segment(table: pa.Table) -> list[dict[str, Any]]:
    """Per segment its customers, what is expected of them, and how many are about to leave; none where there are none.

    Segments of fewer than MIN_GROUP customers are not told.
    """
    if catalogue.SEGMENTS.unavailable() or not catalogue.SEGMENTS.exists():
        return []
    segments = catalogue.SEGMENTS.read(["customer_id", "segment"]).to_pandas()
    rows = table.to_pandas().merge(segments, on="customer_id", validate="one_to_one")
    told = []
    for name, group in rows.groupby("segment", sort=True):
        if len(group) >= MIN_GROUP:
            value = group["expected_value"]
            told.append(
                {
                    "segment": str(name),
                    "num_customers": len(group),
                    "active": float(group["active"].mean()),
                    "expected_value": float(value.mean()) if value.notna().any() else None,
                    "leaving": int((group["standing"] == "leaving").sum()),
                    "worth_keeping": int(group["worth_keeping"].sum()),
                }
            )
    return told
