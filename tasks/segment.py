"""Group customers who buy alike; say what marks each group and how it answered campaigns.

segments.json holds portraits, stability, methods and the classifier's accuracy; assigner.json the classifier, for
segments.grouping.Assigner.from_json. Events give the time of day.
"""

import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from threadpoolctl import threadpool_limits

from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.contracts.sources import SOURCE, zones
from nightmarket.demand.series import closed_days, closed_weeks
from nightmarket.evaluation.protocol import Windows
from nightmarket.histories.calendar import last_whole_week, offsets, week_of
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import TARGETS
from nightmarket.segments import answers, behaviour, partition, worth
from nightmarket.segments.behaviour import Visits
from nightmarket.segments.grouping import (
    OTHER,
    Assigner,
    Classifier,
    Grouping,
    beginners,
    classifier,
    group,
    held_out_accuracy,
)
from nightmarket.segments.profiles import Reviews, SegmentInput, profiles, value_figures, week_before
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

CLEAN = catalogue.CLEAN.path
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "group customers who buy alike, with portraits and a classifier for new ones",
    reads=(catalogue.PREPARE, catalogue.CLEAN, catalogue.REVIEWS),
    writes=(catalogue.SEGMENT,),
    side=True,
)


class Settings(StageSettings):
    """How customers are grouped."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of everything random")
    num_segments: int | None = Field(None, ge=2, le=50, description="groups to form; null: as many as are stable")
    max_segments: int = Field(8, ge=2, le=50, description="most groups that are tried")
    weeks: int = Field(52, ge=4, le=520, description="weeks of history that behaviour is read from")


def run(settings: Settings) -> None:
    """Write artifacts/segment."""
    with threadpool_limits(limits=1):  # small matrices: threads that wait for each other take twice as long
        _group(settings)


def _group(settings: Settings) -> None:
    data = Prepared()
    products, windows, customers = data.products, data.windows, _unobjected(data.customers)
    lines = data.histories.where(np.isin(data.histories.customer, customers["customer"]))
    sold_on = np.unique(data.histories.day)
    closed, today = closed_days(sold_on), int(sold_on[-1])
    since = today - settings.weeks * 7
    recent = lines.where(lines.day > since)
    visits = read_visits(customers, windows.time_zone, windows.target)
    seen = visits.where((visits.day > since) & (visits.day <= today))
    assortment = behaviour.assortment(products, recent)
    features = behaviour.behaviour(recent, seen, assortment, today, closed).dropna()
    num, seed = len(features), settings.seed
    most = min(settings.num_segments or settings.max_segments, num // (2 * MIN_GROUP))
    if most < 2:
        _write_empty(customers, windows, f"{num} customers bought; groups need at least {4 * MIN_GROUP}")
        return
    log.info("segment: %s customers, %s figures each", f"{num:,}", features.shape[1])
    if without := _without(recent):
        log.info("segment: %s", without)
    fixed = most if settings.num_segments else None
    grouping = group(features, most, seed, fixed)
    log.info("segment: %s groups", len(grouping.names))
    early = beginners(lines, visits, assortment, today, closed).reindex(features.index)
    assigner = classifier(grouping.space, grouping.segment, features, early)
    chance = assigner.assign(features)
    catalogue.SEGMENT_ASSIGNER.write(assigner.to_json())
    _write_customers(customers, features, grouping, chance["probability"].to_numpy())
    first, last = week_of(windows.first_day) + 1, last_whole_week(windows.test.last_target)
    value = worth.worth(lines, first, last, seed, closed_weeks(sold_on))
    pairs, responses = _reached(customers, int(lines.day.min()), today)
    described = SegmentInput(features, recent, seen, assortment, pairs, read_reviews(data.customers), closed)
    result = {
        "as_of": windows.as_of,
        "reason": None,
        "note": "a partition of customers, not a discovery of kinds of people: see methods and stability",
        "without": _without(recent),
        "num_customers": num,
        "num_segments": len(grouping.names),
        "other": len(customers) - int((grouping.segment != OTHER).sum()),
        "segments": profiles(grouping, described, value),
        "stability": [asdict(row) for row in grouping.table],
        "least_ari": partition.STABLE,
        "methods": partition.kmeans_rows(grouping.table, num) + partition.density_methods(grouping.points, seed),
        "week_before": week_before(grouping, described, seed),
        "classifier": held_out_accuracy(grouping, features, early, seed),
        "value": value_figures(value) if value else None,
        "responses": responses,
    }
    catalogue.SEGMENT_PORTRAITS.write(result)


def _unobjected(customers: pd.DataFrame) -> pd.DataFrame:
    """Those who did not object to profiling: the others are in no group, and no group is described by them."""
    return customers[~customers["objected"].astype(bool)] if "objected" in customers else customers


def _without(lines: Histories) -> str | None:
    """What is left out, and why; None where nothing is."""
    lost = catalogue.TOPICS.unavailable()
    parts = [f"topics and praise are left out: {lost}"] if lost else []
    if not lines.value.any():
        parts.append("nothing says what was paid, so categories count by units and spend is left out")
    return "; ".join(parts) or None


def read_visits(customers: pd.DataFrame, time_zone: str, target: str = "purchase") -> Visits:
    """Hours in which customers bought, local to the shop that they bought in; target: what counts as buying."""
    several = zones(catalogue.CLEAN_SNAPSHOT.read())
    wanted = ["customer_id", "timestamp", "kind", *([SOURCE] if several else [])]
    events = catalogue.CLEAN_EVENTS.read(wanted)
    events = events.filter(pc.is_in(events["kind"], pa.array(TARGETS[target])))
    code = pc.index_in(events["customer_id"], pa.array(customers["customer_id"], pa.string())).to_numpy()
    known = ~np.isnan(code)
    numbers = customers["customer"].to_numpy(np.int32)
    seconds = events["timestamp"].cast(pa.int64()).to_numpy() // 1_000_000
    span = pc.min_max(events["timestamp"]).as_py()
    local = seconds.copy()
    for name, zone in (several or {"": time_zone}).items():
        here = pc.equal(events[SOURCE], name).to_numpy() if several else slice(None)
        steps = np.array(offsets(zone, span["min"], span["max"]), np.int64)
        local[here] += steps[np.maximum(np.searchsorted(steps[:, 0], seconds[here], side="right") - 1, 0), 1]
    return behaviour.visits(numbers[code[known].astype(np.int64)], local[known])


def _write_customers(
    customers: pd.DataFrame, features: pd.DataFrame, grouping: Grouping, probability: np.ndarray
) -> None:
    rows = pd.DataFrame(
        {"segment": grouping.segment.astype(str), "probability": probability, "distance": grouping.distance},
        index=features.index,
    ).reindex(customers["customer"])
    catalogue.SEGMENTS.write(
        pa.table(
            {
                "customer_id": pa.array(customers["customer_id"], pa.string()),
                "segment": pa.array(rows["segment"].fillna(OTHER), pa.string()),
                "probability": pa.array(rows["probability"].to_numpy(np.float32), from_pandas=True),
                "distance": pa.array(rows["distance"].to_numpy(np.float32), from_pandas=True),
            }
        )
    )


def _write_empty(customers: pd.DataFrame, windows: Windows, reason: str) -> None:
    """The files of a shop with too few customers, and why."""
    log.info("segment: %s", reason)
    space, classifier = partition.FeatureSpace((), (), (), (), ()), Classifier(np.zeros((0, 0)), np.zeros(0))
    nobody = Grouping(space, np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0, object), np.zeros(0), [])
    _write_customers(customers, pd.DataFrame(index=pd.RangeIndex(0)), nobody, np.zeros(0))
    catalogue.SEGMENT_ASSIGNER.write(Assigner(space, (), classifier, classifier).to_json())
    result: dict[str, Any] = {
        "as_of": windows.as_of,
        "reason": reason,
        "note": "",
        "without": None,
        "num_customers": 0,
        "num_segments": 0,
        "other": len(customers),
        "segments": [],
        "stability": [],
        "least_ari": partition.STABLE,
        "methods": [],
        "week_before": None,
        "classifier": None,
        "value": None,
        "responses": None,
    }
    catalogue.SEGMENT_PORTRAITS.write(result)


def read_reviews(customers: pd.DataFrame) -> Reviews:
    """What the stage `reviews` left of the customers; topics are empty where it found none, or failed tonight."""
    if catalogue.TOPICS.unavailable():
        nobody = np.zeros((len(customers), 1), np.float32)
        return Reviews({"baskets": ([], nobody), "reviews": ([], nobody)}, np.zeros(0, np.int64), np.zeros(0, bool))
    content = catalogue.TOPICS.read()
    names = {kind: [str(row["name"]) for row in content[kind]["topics"]] for kind in ("baskets", "reviews")}
    baskets = catalogue.BASKET_TOPICS.read().to_pandas()
    reviews = catalogue.REVIEW_SENTIMENT.read(["customer_id", "topic", "probability"]).to_pandas()
    reviews = reviews.merge(customers[["customer_id", "customer"]], on="customer_id", validate="many_to_one")
    rows = {"baskets": baskets, "reviews": reviews.assign(num_baskets=1)}
    topics = {}
    for kind, topic_names in names.items():
        counts = np.zeros((len(customers), len(topic_names) + 1), np.float32)
        customer, topic, num = (rows[kind][name].to_numpy() for name in ("customer", "topic", "num_baskets"))
        np.add.at(counts, (customer, topic), num)
        topics[kind] = (topic_names, counts)
    known = reviews["probability"].notna().to_numpy()
    return Reviews(topics, reviews["customer"].to_numpy()[known], (reviews["probability"] > 0.5).to_numpy()[known])


def _reached(customers: pd.DataFrame, first_day: int, today: int) -> tuple[pd.DataFrame, str]:
    """Customers x campaigns reached with answers, and a sentence about what they are."""
    none = pd.DataFrame({"customer": np.zeros(0, int), "customer_id": [], "kind": [], "answered": np.zeros(0, bool)})
    missing = [name for name in ("campaigns", "exposures", "responses") if not (CLEAN / f"{name}.parquet").exists()]
    if missing:
        return none, f"no measured responses: there is no table {', '.join(missing)}"
    tables = [
        storage.read_table(CLEAN / f"{name}.parquet").to_pandas() for name in ("exposures", "responses", "campaigns")
    ]
    # A campaign's days are the shop's; a day more on each side allows for the zone.
    span = [pd.Timestamp("1970-01-01") + pd.Timedelta(days=day) for day in (first_day - 1, today + 2)]
    pairs, left_out = answers.reached(*tables, *span)
    pairs = pairs.merge(customers[["customer_id", "customer"]], on="customer_id", validate="many_to_one")
    return pairs, (
        f"{len(pairs)} customers x campaigns of {pairs['campaign_id'].nunique()} campaigns; {left_out} campaigns that "
        "began before the data or end after them are left out. Nobody was reached at random, so a difference between "
        "kinds or groups need not be an effect of the campaign"
    )
