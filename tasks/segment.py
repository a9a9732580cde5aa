"""Group customers who buy alike; say what marks each group and how it answered campaigns.

reads   artifacts/prepare          purchases, products, customers, windows
        artifacts/validate/clean   events (for the time of day); campaigns, exposures, responses where there are any
        artifacts/reviews            topics of baskets and reviews
writes  artifacts/segment          segments.parquet   customer_id, segment, probability, distance
                                   segments.json      portraits, stability, methods, accuracy of the classifier
                                   assigner.json      the classifier, for nightmarket.segments.Assigner.from_json
"""

import logging
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from threadpoolctl import threadpool_limits

from nightmarket import segments
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.contracts.sources import SOURCE, zones
from nightmarket.evaluation.intervals import clustered
from nightmarket.histories import Histories, offsets
from nightmarket.segments import OTHER, Assortment, Grouping, Visits, Worth, naming, partition
from tasks.files import catalogue, storage
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

PREPARED = catalogue.PREPARE.path
CLEAN = catalogue.CLEAN.path
REVIEWS = catalogue.REVIEWS.path
OUT = catalogue.SEGMENT.path
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "group customers who buy alike, with portraits and a classifier for new ones",
    reads=(catalogue.PREPARE, catalogue.CLEAN, catalogue.REVIEWS),
    writes=(catalogue.SEGMENT,),
)


class Settings(StageSettings):
    """How customers are grouped."""

    seed: int = Field(17, ge=0, description="seed of everything random")
    num_segments: int | None = Field(None, ge=2, le=50, description="groups to form; null: as many as are stable")
    max_segments: int = Field(8, ge=2, le=50, description="most groups that are tried")
    weeks: int = Field(52, ge=4, le=520, description="weeks of history that behaviour is read from")


@threadpool_limits.wrap(limits=1)  # small matrices: threads that wait for each other take twice as long
def run(settings: Settings) -> None:
    """Write artifacts/segment."""
    customers = catalogue.CUSTOMERS.read().to_pandas()
    products = catalogue.PRODUCTS.read().to_pandas()
    windows = catalogue.WINDOWS.read()
    lines = read_lines(len(customers), len(products))
    today = int(lines.day.max())
    since = today - settings.weeks * 7
    recent = lines.where(lines.day > since)
    visits = read_visits(customers, windows["time_zone"])
    seen = visits.where((visits.day > since) & (visits.day <= today))
    shelf = segments.shelf(products, recent)
    features = segments.behaviour(recent, seen, shelf, today).dropna()
    num = len(features)
    most = min(settings.num_segments or settings.max_segments, num // (2 * MIN_GROUP))
    if most < 2:
        _write_empty(customers, windows, f"{num} customers bought; groups need at least {4 * MIN_GROUP}")
        return
    log.info("segment: %s customers, %s figures each", f"{num:,}", features.shape[1])
    fixed = most if settings.num_segments else None
    found = segments.group(features, most, settings.seed, fixed)
    log.info("segment: %s groups", len(found.names))
    early = segments.beginners(lines, visits, shelf, today).reindex(features.index)
    assigner = segments.classifier(found.space, found.segment, features, early)
    chance = assigner.assign(features)
    catalogue.SEGMENT_ASSIGNER.write(assigner.to_json())
    _write_customers(customers, features, found, chance["probability"].to_numpy())
    value = segments.worth(lines, windows["first_week"] + 1, windows["test"]["last_target"], settings.seed)
    pairs, responses = _reached(customers, int(lines.day.min()), today)
    result = {
        "as_of": windows["as_of"],
        "reason": None,
        "note": "a partition of customers, not a discovery of kinds of people: see methods and stability",
        "num_customers": num,
        "num_segments": len(found.names),
        "other": len(customers) - int((found.segment != OTHER).sum()),
        "segments": _portraits(found, features, recent, seen, shelf, value, pairs, read_reviews(customers)),
        "stability": [asdict(row) for row in found.table],
        "least_ari": segments.STABLE,
        "methods": partition.kmeans_rows(found.table, num) + segments.density_methods(found.points, settings.seed),
        "week_before": _week_before(found, features, recent, seen, shelf, settings.seed),
        "classifier": segments.held_out_accuracy(found, features, early, settings.seed),
        "value": _value(value),
        "responses": responses,
    }
    catalogue.SEGMENT_PORTRAITS.write(result)


def read_lines(num_customers: int, num_items: int) -> Histories:
    """The purchase lines that `prepare` wrote."""
    table = catalogue.PURCHASES.read()
    arrays = {name: table[name].to_numpy() for name in table.column_names}
    return Histories(**arrays, num_customers=num_customers, num_items=num_items)


def read_visits(customers: pd.DataFrame, time_zone: str) -> Visits:
    """Hours in which customers bought, local to the shop that they bought in."""
    several = zones(catalogue.CLEAN_SNAPSHOT.read())
    wanted = ["customer_id", "timestamp", "kind", *([SOURCE] if several else [])]
    events = catalogue.CLEAN_EVENTS.read(wanted)
    events = events.filter(pc.equal(events["kind"], "purchase"))
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
    return segments.visits(numbers[code[known].astype(np.int64)], local[known])


def _write_customers(customers: pd.DataFrame, features: pd.DataFrame, found: Grouping, probability: np.ndarray) -> None:
    rows = pd.DataFrame(
        {"segment": found.segment.astype(str), "probability": probability, "distance": found.distance},
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


def _write_empty(customers: pd.DataFrame, windows: dict[str, Any], reason: str) -> None:
    """No groups, and why."""
    log.info("segment: %s", reason)
    space, classifier = segments.FeatureSpace((), (), (), (), ()), segments.Classifier(np.zeros((0, 0)), np.zeros(0))
    nobody = Grouping(space, np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0, object), np.zeros(0), [])
    _write_customers(customers, pd.DataFrame(index=pd.RangeIndex(0)), nobody, np.zeros(0))
    catalogue.SEGMENT_ASSIGNER.write(segments.Assigner(space, (), classifier, classifier).to_json())
    result = {
        "as_of": windows["as_of"],
        "reason": reason,
        "note": "",
        "num_customers": 0,
        "num_segments": 0,
        "other": len(customers),
        "segments": [],
        "stability": [],
        "least_ari": segments.STABLE,
        "methods": [],
        "week_before": None,
        "classifier": None,
        "value": None,
        "responses": None,
    }
    catalogue.SEGMENT_PORTRAITS.write(result)


def _portraits(
    found: Grouping,
    features: pd.DataFrame,
    lines: Histories,
    seen: Visits,
    shelf: Assortment,
    value: Worth | None,
    pairs: pd.DataFrame,
    reviews: "Reviews",
) -> list[dict[str, Any]]:
    """One portrait per group; `pairs` are customers x campaigns, as `reached` gives them, with their customer code."""
    marks = [segments.traits(features, found.segment == name) for name in found.names]
    spend = np.bincount(lines.customer, weights=lines.value, minlength=lines.num_customers)
    today = int(lines.day.max())
    out = []
    for name, mark, words in zip(found.names, marks, segments.names(marks), strict=True):
        inside = found.segment == name
        member = np.zeros(lines.num_customers, bool)
        member[features.index[inside]] = True
        mine = member[pairs["customer"]]
        answered = segments.answers(pairs[mine])
        others = {row["kind"]: row for row in segments.answers(pairs[~mine])}
        worth = segments.group_worth(value, member) if value else None
        out.append(
            {
                "segment": name,
                "name": words,
                "size": int(inside.sum()),
                "share_customers": float(inside.mean()),
                "share_value": float(spend[member].sum() / max(spend.sum(), 1e-9)),
                "traits": naming.to_json(mark),
                "rfm": segments.rfm(lines, member, today),
                "value": {"weeks": value.weeks, **worth._asdict()} if value and worth else None,
                "categories": segments.bought(lines, shelf, member),
                "when": segments.when(seen, member),
                "responses": answered,
                "strategy": segments.strategy(answered, others),
                "reviews": _reviews(reviews, member, len(found.names)),
            }
        )
    return out


class Reviews(NamedTuple):
    """What customers buy together and say: per kind of document the topics' names and counts (C, T + 1), those without
    a topic last; and per review with a known customer who wrote it and whether it is praise."""

    topics: dict[str, tuple[list[str], np.ndarray]]
    writer: np.ndarray
    praise: np.ndarray


def read_reviews(customers: pd.DataFrame) -> Reviews:
    """What the stage `reviews` left of the customers; topics are empty where it found none."""
    content = catalogue.TOPICS.read()
    names = {kind: [str(row["name"]) for row in content[kind]["topics"]] for kind in ("baskets", "reviews")}
    baskets = catalogue.BASKET_TOPICS.read().to_pandas()
    reviews = catalogue.REVIEW_SENTIMENT.read(["customer_id", "topic", "probability"]).to_pandas()
    reviews = reviews.merge(customers[["customer_id", "customer"]], on="customer_id", validate="many_to_one")
    rows = {"baskets": baskets, "reviews": reviews.assign(num_baskets=1)}
    counted = {}
    for kind, told in names.items():
        counts = np.zeros((len(customers), len(told) + 1), np.float32)
        found = rows[kind]
        np.add.at(counts, (found["customer"].to_numpy(), found["topic"].to_numpy()), found["num_baskets"].to_numpy())
        counted[kind] = (told, counts)
    known = reviews["probability"].notna().to_numpy()
    return Reviews(counted, reviews["customer"].to_numpy()[known], (reviews["probability"] > 0.5).to_numpy()[known])


def _reviews(reviews: Reviews, member: np.ndarray, num_groups: int) -> dict[str, Any]:
    """Topics that the group has more of than the others, and its share of praise; nothing of fewer than 20 people."""
    told: dict[str, Any] = {}
    for kind, (names, counts) in reviews.topics.items():
        rows = segments.more_often(counts[:, :-1], counts.sum(1), member, num_groups * max(len(names), 1))
        told[kind] = [{"name": names[row["topic"]]} | row for row in rows]
    mine = member[reviews.writer]
    people = int(np.unique(reviews.writer[mine]).size)
    enough = people >= MIN_GROUP
    told["praise"] = (
        clustered(reviews.writer[mine], reviews.praise[mine])._asdict() | {"people": people} if enough else None
    )
    return told


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
    pairs, left_out = segments.reached(*tables, *span)
    pairs = pairs.merge(customers[["customer_id", "customer"]], on="customer_id", validate="many_to_one")
    return pairs, (
        f"{len(pairs)} customers x campaigns of {pairs['campaign_id'].nunique()} campaigns; {left_out} campaigns that "
        "began before the data or end after them are left out. Nobody was reached at random, so a difference between "
        "kinds or groups need not be an effect of the campaign"
    )


def _week_before(
    found: Grouping, features: pd.DataFrame, recent: Histories, seen: Visits, shelf: Assortment, seed: int
) -> dict[str, float]:
    """The same number of groups, made from what was known a week ago, beside tonight's."""
    day = int(recent.day.max()) - 7
    earlier = segments.behaviour(recent.where(recent.day <= day), seen.where(seen.day <= day), shelf, day).dropna()
    before = segments.group(earlier, 0, seed, len(found.centres))
    return segments.agreement(pd.Series(found.segment, features.index), pd.Series(before.segment, earlier.index))


def _value(value: Worth | None) -> dict[str, Any] | None:
    """How the value was judged: mean absolute error per customer, against as much as in the weeks before."""
    if value is None:
        return None
    judged = {name: getattr(value, name)._asdict() for name in ("model", "naive", "paired")}
    return {"weeks": value.weeks, "weights": list(value.weights), "mean": float(np.nanmean(value.value))} | judged
