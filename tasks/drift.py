"""Does tonight look like what the champion was trained on?

drift.json holds the verdict and every column; nights.parquet how far off each past night was; shares.parquet what the
reference looked like, and tonight.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.contracts.sources import SOURCE
from nightmarket.drift import daily, predictions
from nightmarket.drift.changes import changes, moved, sentence
from nightmarket.drift.nights import REFERENCE_DAYS, WEEK, MaxT, Nights, max_t, nights
from nightmarket.drift.summaries import Summary, comparable, every_distance
from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.evaluation.protocol import Windows
from nightmarket.histories.calendar import MONDAY, date_of, day_of, offsets
from nightmarket.histories.purchases import local_days
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings
from tasks.registry.champion import stands_in

HISTORY_DAYS = 60 * WEEK
"""Older days play no part: a year and its season are enough."""
NEW_DAYS = 28
MAX_SOURCES = 20
log = logging.getLogger("nightmarket")
NUMBERS = ("quantity", "value", "discount", "coupon", "price paid", "hour")
CATEGORIES = ("kind", "channel", "department", "brand")
MAY_MISS = ("value", "discount", "coupon", "basket_id", "channel", "title", "brand", "department")
STAGE = Stage(
    "does tonight look like what the champion was trained on",
    reads=(
        catalogue.CHAMPION_RECEIPT,
        catalogue.CLEAN_EVENTS,
        catalogue.CLEAN_SNAPSHOT,
        catalogue.PREPARE,
        catalogue.EMBED,
        catalogue.SCORE,
    ),
    writes=(catalogue.DRIFT_FOLDER,),
    phase="deliver",
    timeout_s=600,
    side=True,
)


class Settings(StageSettings):
    """What counts as drift."""

    alpha: float = Field(
        0.02, gt=0, lt=0.5, description="nights with a false alarm that are accepted, over all columns together"
    )
    retrain: Literal["recommend", "start"] = Field(
        "recommend",
        description="what `deliver` does when two of the last five nights drifted: say so, or start `retrain` as well, "
        "at most once a day",
    )
    seed: int = Field(17, ge=0, lt=2**31, description="seed of the random projections of text vectors")


@dataclass(frozen=True)
class Span:
    """Days since 1970-01-01 of the summaries, what the champion learned from, and how far back a fresh one would look.

    trained  days that the champion learned from, counted from `first`
    gap      days between the training window of a model trained tonight and tonight's week
    """

    first: int
    last: int
    trained: int
    gap: int

    @property
    def days(self) -> int:
        """How many."""
        return self.last - self.first + 1

    @property
    def all(self) -> tuple[int, int]:
        """First and last day."""
        return self.first, self.last

    @property
    def reference(self) -> tuple[int, int]:
        """First and last day of the reference."""
        end = self.first + self.trained - 1
        return end - REFERENCE_DAYS + 1, end


def run(settings: Settings) -> None:
    """Write artifacts/drift."""
    snapshot = catalogue.CLEAN_SNAPSHOT.read()
    windows = Prepared().windows
    receipt = catalogue.CHAMPION_RECEIPT.read()
    engine = _engine()
    try:
        events = _events(engine, snapshot["time_zone"])
        span = _span(events, snapshot, windows, receipt)
        summaries = list(_summaries(engine, events, span, settings.seed))
    finally:
        engine.disconnect()
    when = nights(span.days, span.trained, span.gap)
    verdict, of_columns = _judged(summaries, when, span.first, settings.alpha)
    lists = _predictions(receipt, settings)
    columns = [*lists["columns"], *of_columns]
    content = {
        "as_of": windows.as_of,
        "champion": receipt["version"],
        "week": [_iso(span.last - WEEK + 1), _iso(span.last)],
        "reference": [_iso(day) for day in span.reference],
        "alpha": settings.alpha,
        "num_nights": max(len(when) - 1, 0),
        "tested": when.testable,
        "drifted": any(column["drifted"] for column in columns),
        "p": round(verdict.p, 6) if when.testable else None,
        "limit": _finite(verdict.limit),
        "score": _finite(verdict.largest[-1]) if len(when) else None,
        "columns": columns,
        "predictions": lists,
        "fresh": _fresh(summaries[0], when, span, snapshot["last_full_day"]),
        "words": sentence(columns, len(when) - 1, when.testable),
    }
    catalogue.DRIFT.write(content)
    past = {
        "day": (when.stop + span.first - 1).astype(np.int32),
        "score": pa.array([_finite(score) for score in verdict.largest], pa.float64()),
    }
    catalogue.DRIFT_NIGHTS.write(pa.table(past))
    catalogue.DRIFT_SHARES.write(_shares(summaries, when))
    log.info("drift: %s", content["words"])


def _judged(
    summaries: Sequence[Summary], when: Nights, first_day: int, alpha: float
) -> tuple[MaxT, list[dict[str, Any]]]:
    """How far off tonight is, and each column's entry; none where the champion learned from less than a reference."""
    if len(when) == 0:
        return MaxT(np.zeros((0, 0)), np.zeros(0, bool), np.zeros(0), math.inf, 1.0), []
    names, distance = every_distance(summaries, when)
    verdict = max_t(comparable(names, distance), alpha if when.testable else 0.0)
    return verdict, changes(names, distance, verdict, when, first_day)


def _engine() -> Any:
    """One thread, because sums of floats depend on their order."""
    engine = ibis.duckdb.connect(threads=1)
    engine.raw_sql("SET enable_progress_bar = false")
    return engine


def _events(engine: ibis.BaseBackend, time_zone: str) -> ir.Table:
    """Events with the shop's day and hour, and what is known of the product."""
    events = engine.read_parquet(catalogue.CLEAN_EVENTS.path)
    bounds = events.agg(first=events.timestamp.min(), last=events.timestamp.max()).to_pandas().iloc[0]
    first, last = (pd.Timestamp(bounds[name]).to_pydatetime().replace(tzinfo=None) for name in ("first", "last"))
    shifts = offsets(time_zone, first, last)
    dated = local_days(events, shifts)
    seconds = dated.timestamp.epoch_seconds()
    shift = ibis.cases(*[(seconds >= start, shift) for start, shift in reversed(shifts)], else_=shifts[0][1])
    bought = (dated.kind == "purchase") & (dated.quantity > 0)
    dated = dated.mutate(
        {
            "hour": ((seconds + shift) % 86_400 / 3600).floor().cast("float64"),
            "price paid": bought.ifelse(dated.value / dated.quantity, ibis.null("float64")),
        }
    )
    products = engine.read_parquet(catalogue.PRODUCTS.path)
    sentence = products["product_id", "title", "brand", "department", "text_id"]
    return dated.left_join(sentence, "product_id")


def _span(events: ir.Table, snapshot: dict[str, Any], windows: Windows, receipt: dict[str, Any]) -> Span:
    """The summaries' days end with the last full day of the snapshot, or with the last events where those are older."""
    bounds = events.agg(first=events.day.min(), last=events.day.max()).to_pandas().iloc[0]
    last = min(day_of(date.fromisoformat(snapshot["last_full_day"])), int(bounds["last"]))
    first = max(int(bounds["first"]), last - HISTORY_DAYS + 1)
    learned_until = int(receipt["trained_until"]) + 1
    gap = max(last - WEEK - windows.test.cut, 0)
    return Span(first, last, min(learned_until, last - WEEK + 1) - first, gap)


def _summaries(engine: ibis.BaseBackend, events: ir.Table, span: Span, seed: int) -> Iterator[Summary]:
    bought = events.filter((events.kind == "purchase") & (events.quantity > 0))
    first_sale = bought.filter(bought.text_id.notnull()).group_by("product_id").agg(day=bought.day.min())
    products = engine.read_parquet(catalogue.PRODUCTS.path)
    new = engine.create_table("new", first_sale.inner_join(products, "product_id"), temp=True)
    inside = engine.create_table("inside", events.filter(events.day.between(*span.all)), temp=True)
    yield daily.volume(inside, "events", "rows", span.all)
    yield daily.volume(inside, "events", "customers", span.all, per="customer_id")
    if SOURCE in inside.columns:
        for source in sorted(inside[SOURCE].value_counts().to_pandas()[SOURCE].dropna())[:MAX_SOURCES]:
            yield daily.volume(inside.filter(inside[SOURCE] == source), "events", f"rows of {source}", span.all)
    yield from daily.missing(inside, "events", MAY_MISS, span.all)
    for name in NUMBERS:
        yield from _present(daily.number(inside, "events", name, span.reference, span.all))
    for name in CATEGORIES:
        yield from _present(daily.category(inside, "events", name, span.reference, span.all))
    log.info("drift: %s events by day", f"{int(inside.count().to_pandas()):,}")
    yield from _of_customers(engine, inside, span)
    yield daily.volume(new, "products", "new products", span.all)
    yield from _present(daily.number(new, "products", "price", span.reference, span.all))
    yield from _present(daily.category(new, "products", "department", span.reference, span.all))
    yield from _of_texts(inside, new, span, seed)


def _of_customers(engine: ibis.BaseBackend, inside: ir.Table, span: Span) -> Iterator[Summary]:
    """Attributes of the customers of each day; each customer counts once a day."""
    customers = engine.read_parquet(catalogue.CUSTOMERS.path)
    seen = inside[["customer_id", "day"]].distinct().inner_join(customers, "customer_id")
    age = seen.day - (seen.first_week * WEEK + MONDAY)
    seen = seen.mutate({"with the shop": (age < NEW_DAYS).ifelse("new", "known")})
    seen = engine.create_table("seen", seen, temp=True)
    attributes = [name for name in customers.columns if name.startswith("attr_")]
    for name in ("with the shop", *attributes):
        yield from _present(daily.category(seen, "customers", name, span.reference, span.all, per="customer_id"))
    if attributes:
        yield from daily.missing(seen, "customers", attributes, span.all)


def _of_texts(inside: ir.Table, new: ir.Table, span: Span, seed: int) -> Iterator[Summary]:
    """What is bought and what is new, by the vectors of the frozen language model."""
    stored = catalogue.EMBEDDINGS.read()
    names = catalogue.TEXTS.read(["text"])["text"].to_pylist()
    vectors, _ = lookup(text_hashes(names), stored["hashes"], stored["vectors"])
    bought = inside.filter((inside.kind == "purchase") & (inside.quantity > 0) & inside.text_id.notnull())
    for name, rows in (("texts of what is bought", bought), ("texts of new products", new)):
        sentence = rows.group_by(["day", "text_id"]).agg(num=rows.count()).order_by(["day", "text_id"]).to_pandas()
        sentence = sentence[sentence["day"].between(*span.all)]
        day, text = sentence["day"].to_numpy(np.int64) - span.first, sentence["text_id"].to_numpy(np.int64)
        yield from _present(daily.vectors(name, text, day, sentence["num"].to_numpy(), vectors, span.days, seed))


def _predictions(receipt: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Tonight's lists beside those of the champion's evaluation, which its receipt carries as counts."""
    if stands_in(receipt):
        return {"columns": [], "words": "predictions are not compared: what is popular is delivered, not the model's"}
    if not receipt.get("predictions"):
        why = "the champion's receipt does not say what it recommended when it was evaluated"
        return {"columns": [], "words": f"predictions are not compared: {why}"}
    tonight = _lists()
    if tonight is None:
        return {"columns": [], "words": "predictions are not compared: the shop has too few customers"}
    return predictions.compare(receipt["predictions"], tonight, settings.alpha, settings.seed)


def _lists() -> Any:
    """Counts of tonight's lists."""
    lists = catalogue.RECOMMENDATIONS.read().to_pandas()
    lists = lists[lists["rank"] <= predictions.FIRST]
    data = Prepared()
    customers = data.customers[["customer_id", "customer"]]
    products = data.products[["product_id", "item", "department"]]
    lists = lists.merge(customers, on="customer_id", validate="many_to_one").merge(products, on="product_id")
    bought, num_items = data.histories, len(products)
    pair = bought.customer.astype(np.int64) * num_items + bought.item
    shown = lists["customer"].to_numpy(np.int64) * num_items + lists["item"].to_numpy()
    return predictions.profile(
        lists["customer"].to_numpy(),
        lists["probability"].to_numpy(np.float64),
        np.isin(shown, pair),
        lists["department"].to_numpy(object),
        len(customers),
    )


def _fresh(rows: Summary, when: Nights, span: Span, last_full_day: str) -> dict[str, Any]:
    """The last day with events, and the full days since on which this shop usually has some."""
    until = day_of(date.fromisoformat(last_full_day))
    open_days = set(range(WEEK))
    if len(when) and when.testable:
        usual = when.weekdays(rows.counts[:, 0])[1][-1]
        open_days = {(span.last - WEEK + 1 + place) % WEEK for place in np.flatnonzero(usual > 0).tolist()}
    silent = [day for day in range(span.last + 1, until + 1) if day % WEEK in open_days]
    return {"last_events": _iso(span.last), "last_full_day": last_full_day, "silent_days": len(silent)}


def _present(summary: Summary | None) -> list[Summary]:
    return [] if summary is None else [summary]


def _shares(summaries: list[Summary], when: Nights) -> dict[str, Any]:
    """Share of each bin and value, in the reference and in tonight's week."""
    rows: list[tuple[Any, ...]] = [
        (summary.table, summary.name, *row) for summary in summaries if len(when) for row in moved(summary, when)
    ]
    return {name: [row[i] for row in rows] for i, name in enumerate(catalogue.DRIFT_SHARES.schema.names)}


def _iso(day: int) -> str:
    return date_of(day).isoformat()


def _finite(number: float) -> float | None:
    return float(f"{number:.6g}") if math.isfinite(number) else None
