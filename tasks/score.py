"""Recommend for every customer, from the champion and everything known tonight."""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.encoding.ranks import ALONE, Ranks
from nightmarket.evaluation.protocol import Task
from nightmarket.ranking.candidate_set import Batch, CandidateSet
from nightmarket.ranking.explanations.explaining import explain, mix
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.paths import Paths
from nightmarket.ranking.impersonal import PopularList
from nightmarket.ranking.lists import fill
from nightmarket.ranking.model import SHORTLIST, Model
from nightmarket.ranking.ranker import Ranker
from nightmarket.ranking.recipe import UNKNOWN
from tasks.campaigns import tonight
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings
from tasks.registry.champion import stands_in

SLICE = 256
"""Customers that are scored together; with several processes, slices are dealt out in turn."""
STEP = 1024
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "recommend for every customer, from the champion",
    reads=(
        catalogue.CHAMPION_RANK,
        catalogue.CHAMPION_FINETUNE,
        catalogue.CHAMPION_RECEIPT,
        catalogue.CHAMPION_MANIFEST,
        catalogue.CHAMPION_SCORES,
        catalogue.PREPARE,
    ),
    writes=(catalogue.SCORE,),
    phase="deliver",
    timeout_s=3_600,
)


class Settings(StageSettings):
    """What each customer gets."""

    num_recommendations: int = Field(20, ge=1, le=200, description="products per customer")
    num_launches: int = Field(
        10, ge=1, le=200, description="products on sale for at most four weeks, or announced, each"
    )
    language: Literal["en", "zh"] = Field("en", description="language of the reasons")


def run(settings: Settings) -> None:
    """Write artifacts/score."""
    if not (catalogue.CHAMPION_RECEIPT.path).exists():
        raise InputError("there is no champion yet; run `make nightly`, whose gate makes the first")
    manifest.verify(storage.CHAMPION)
    champion = recommender.load(catalogue.CHAMPION_RANK.path)
    receipt, ranks = catalogue.CHAMPION_RECEIPT.read(), Ranks.current()
    if stands_in(receipt):
        champion = champion.popular()
        log.info("score: version %s stands in: what is popular is delivered", receipt["version"])
    summary = deliver(settings, Prepared(), champion, ranks)
    if not ranks.first:
        return
    catalogue.SCORE_SUMMARY.write(summary | {"champion": receipt["version"]})
    log.info("score: %s recommendations from version %s", f"{summary['num_recommendations']:,}", receipt["version"])


def deliver(settings: Settings, data: Prepared, champion: Model, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Write recommendations.parquet and launches.parquet, some customers at a time, popular.parquet and
    factors.safetensors; returns what the summary says.

    Only the first of several processes writes and has something to say; the others score for it.
    """
    candidate_set = recommender.candidate_set(champion, data, catalogue.CHAMPION_FINETUNE.path, data.windows.deliver)
    customers = pa.chunked_array([data.customers["customer_id"]], pa.string())
    tally, goods = Tally(data.histories.num_items), tonight.deliverable(data)
    mine = list(candidate_set.statistics.slices(SLICE))[ranks.rank :: ranks.size]
    rounds = math.ceil(data.histories.num_customers / SLICE / ranks.size)
    forest = champion.forests.on_sale(candidate_set.promotion_plan)
    batches = candidate_set.batches(wanted=mine)
    lists = [(catalogue.RECOMMENDATIONS, batches, settings.num_recommendations, Task.ALL, tally)]
    objected = _objected(data)
    popular = _popular(settings, data, champion, candidate_set, goods)
    if candidate_set.launched.size:
        young = candidate_set.young(wanted=mine)
        of_launches = Tally(data.histories.num_items)
        lists.append((catalogue.LAUNCHES, young, settings.num_launches, Task.LAUNCH, of_launches))
    elif ranks.first:
        catalogue.LAUNCHES.write_empty()
    if ranks.first:
        _write_shared(popular, candidate_set, data, goods)
    for table, batches, num, task, of_table in lists:
        scored = _recommend(champion, candidate_set, data, goods, settings, batches, num, forest, task)
        in_turn = _in_turn(scored, rounds, ranks)
        if not ranks.first:
            list(in_turn)
            continue
        with table.writer() as write:
            for part in in_turn:
                part = _without_profiles(part, objected, popular, goods, task)
                if not part["customer"].size:
                    continue
                of_table.see(part)
                write(_table(part, customers, data))
                done = int(part["customer"][-1]) + 1
                if done % STEP < SLICE or done == len(customers):
                    log.info("score: %s: %s of %s customers", table.path.stem, f"{done:,}", f"{len(customers):,}")
    return {
        "num_customers": tally.served,
        "num_products": int(tally.shown.sum()),
        "num_recommendations": tally.total,
        "num_not_on_sale": tally.not_on_sale,
        "num_launches": int(candidate_set.launched.size),
        "reasons": mix(np.repeat(np.array(list(tally.kinds), object), list(tally.kinds.values()))),
        "promotion_plan": candidate_set.promotion_plan,
        "as_of": data.windows.as_of,
    }


def _popular(
    settings: Settings, data: Prepared, champion: Model, candidate_set: CandidateSet, goods: Deliverable
) -> PopularList:
    statistics, span, target = candidate_set.statistics, champion.popular_span, data.windows.target
    num, language = settings.num_recommendations, settings.language
    return PopularList.of(statistics, num, language, target, span, goods.on_sale, goods.group)


def _write_shared(popular: PopularList, candidate_set: CandidateSet, data: Prepared, goods: Deliverable) -> None:
    """What is of no customer: popular.parquet and, where looks are recorded, factors.safetensors."""
    rows = np.flatnonzero(goods.for_anybody()[popular.items])[: popular.num]
    products = {name: data.products[name].to_numpy()[popular.items[rows]] for name in ("product_id", "title")}
    rank = np.arange(1, rows.size + 1, dtype=np.int32)
    catalogue.POPULAR.write({"rank": rank, "score": popular.score[rows], "reason": popular.reasons[rows], **products})
    if candidate_set.factors is not None:
        catalogue.FACTORS.write(candidate_set.factors.tensors())


def _objected(data: Prepared) -> NDArray[np.bool_] | None:
    """(C,) who objected to profiling and gets no personal list; None where nobody did."""
    return data.customers["objected"].to_numpy(bool) if "objected" in data.customers else None


def _without_profiles(
    part: dict[str, NDArray], objected: NDArray[np.bool_] | None, popular: PopularList, goods: Deliverable, task: Task
) -> dict[str, NDArray]:
    """Lists of some customers: those who objected have the best sellers in place of theirs, and no launches."""
    if objected is None:
        return part
    if task is Task.ALL:
        return popular.instead(part, objected, goods.may)
    stays = ~objected[part["customer"]]
    return {name: values[stays] for name, values in part.items()}


class Tally:
    """What a table says in all: customers served, lines, products shown (I,), reasons by kind; and lines of products
    that cannot be had on the day of the delivery, of which there should be none.

    on_sale  (I,) that can be had
    """

    def __init__(self, num_items: int, on_sale: NDArray[np.bool_] | None = None) -> None:
        self.kinds: Counter[str] = Counter()
        self.not_on_sale = 0
        self._on_sale = np.ones(num_items, bool) if on_sale is None else on_sale
        self.shown = np.zeros(num_items, bool)
        self.served = self.total = 0

    def see(self, part: dict[str, NDArray]) -> None:
        """Count the lines of a slice of customers."""
        self.kinds.update(part["reason_kind"].tolist())
        self.shown[part["item"]] = True
        self.served += int(np.unique(part["customer"]).size)
        self.total += part["item"].size
        self.not_on_sale += int((~self._on_sale[part["item"]]).sum())


def _recommend(
    champion: Model,
    candidate_set: CandidateSet,
    data: Prepared,
    goods: Deliverable,
    settings: Settings,
    batches: Iterator[Batch],
    num: int,
    forest: Ranker,
    task: Task,
) -> Iterator[dict[str, NDArray]]:
    """customer, item, rank, score, probability, reason, reason_kind; the best `num`, for each batch of customers."""
    paths, facts = Paths(forest.booster), Facts(candidate_set.statistics, data.products)
    for every in batches:
        batch = every.where(goods.may(every.customer, every.item))
        if not batch.item.size:
            yield _nothing()
            continue
        features = forest.columns(batch.features, candidate_set.features)
        near = np.arange(batch.item.size)  # the first trees say nothing of what a simple score puts first
        if champion.by_forest(task):
            near = forest.shortlist(features, batch.customer, SHORTLIST * num * goods.most_of_a_group)
        score = champion.order(task, forest, batch.customer[near], features[near], list(forest.features))
        first, score = goods.first_of_groups(batch.customer[near], batch.item[near], score)
        near, score = near[first], score[first]
        best, rank = _best(batch.customer[near], score, num)
        row, score = near[best], score[best]
        features = features[row]
        explanations = explain(
            features,
            list(forest.features),
            paths.contributions(features),
            batch.customer[row],
            batch.item[row],
            facts,
            settings.language,
            data.windows.target,
        )
        own = features[:, forest.features.index("item_num")] > 0
        raw = score if champion.by_forest(task) else forest.score(features, list(forest.features))
        chance = champion.calibration.probability(raw, own) if champion.calibration else np.full(row.size, np.nan)
        yield {
            "customer": batch.customer[row],
            "item": batch.item[row],
            "rank": rank,
            "score": score,
            "probability": chance,
            "reason": np.array(explanations.texts, object),
            "reason_kind": explanations.family,
        }


def _nothing() -> dict[str, NDArray]:
    """Lists of customers to whom nothing may be recommended."""
    kinds = {"customer": "i4", "item": "i4", "rank": "i4", "score": "f8", "probability": "f8"}
    empty = {name: np.zeros(0, kind) for name, kind in kinds.items()}
    return empty | {name: np.zeros(0, object) for name in ("reason", "reason_kind")}


def _in_turn(scored: Iterator[dict[str, NDArray]], rounds: int, ranks: Ranks) -> Iterator[dict[str, NDArray]]:
    """What all ranks scored, in the order of the customers, on the first; nothing on the others.

    One slice of each rank travels per round, so memory does not grow with the number of customers.
    """
    if ranks.size == 1:
        yield from scored
        return
    for _ in range(rounds):
        own = _packed(next(scored, None))
        ends = np.cumsum(ranks.counts(own.size))
        whole = ranks.gather(own)
        for part in np.split(whole, ends[:-1]) if whole is not None else ():
            if part.size:
                table = pa.ipc.open_stream(pa.py_buffer(part)).read_all()
                yield {name: table[name].to_numpy() for name in table.column_names}


def _packed(arrays: dict[str, NDArray] | None) -> NDArray[np.uint8]:
    """Arrays as bytes; none for None."""
    if arrays is None:
        return np.zeros(0, np.uint8)
    table = pa.table(arrays)
    with pa.BufferOutputStream() as stream:
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        return np.frombuffer(stream.getvalue(), np.uint8)


def _best(
    customer: NDArray[np.int32], score: NDArray[np.float64], num: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows that are recommended, by customer, best first, and their ranks from 1."""
    first, last = int(customer[0]), int(customer[-1])
    lists = np.full((last - first + 1, num), -1, np.int32)
    fill(lists, customer - first, np.arange(score.size, dtype=np.int32), score)
    rank = np.broadcast_to(np.arange(1, num + 1, dtype=np.int32), lists.shape)
    return lists[lists >= 0], rank[lists >= 0]


def _table(part: dict[str, NDArray], customers: pa.ChunkedArray, data: Prepared) -> pa.Table:
    products = data.products
    columns = {
        "customer_id": customers.take(pa.array(part["customer"])),
        "rank": part["rank"],
        "product_id": products["product_id"].to_numpy()[part["item"]],
        "title": products["title"].to_numpy()[part["item"]],
        "score": pa.array(
            np.where(part["score"] > UNKNOWN, part["score"], np.nan).astype(np.float32), from_pandas=True
        ),
        "probability": pa.array(part["probability"].astype(np.float32), from_pandas=True),
        "reason": part["reason"],
        "reason_kind": part["reason_kind"],
    }
    return pa.table(columns, schema=catalogue.RECOMMENDATIONS.schema)
