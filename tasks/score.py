"""Recommend for every customer, from the champion and everything known tonight."""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int32s, Int64s
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.encoding.ranks import ALONE, Ranks
from nightmarket.evaluation.protocol import Task
from nightmarket.ranking.candidate_set import Batch, CandidateSet
from nightmarket.ranking.explanations.explaining import explain, mix
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.paths import Paths
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.generators import best_sellers
from nightmarket.ranking.impersonal import PopularList
from nightmarket.ranking.lists import fill
from nightmarket.ranking.model import Model
from nightmarket.ranking.recipe import UNKNOWN
from tasks.campaigns import tonight
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.merchandising import night
from tasks.merchandising.night import NightLists
from tasks.merchandising.rules_file import ShopRules
from tasks.models import recommender
from tasks.models.scored import Scored, scored
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
        catalogue.RULES,
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


@dataclass(frozen=True)
class Delivery:
    """What every list of tonight is made from.

    lists  the shop's rules; None where none is valid tonight
    """

    settings: Settings
    data: Prepared
    champion: Model
    candidate_set: CandidateSet
    goods: Deliverable
    popular: PopularList
    lists: NightLists | None

    @classmethod
    def of(cls, settings: Settings, data: Prepared, champion: Model, shop: ShopRules) -> "Delivery":
        """Of tonight's tables."""
        window = data.windows.deliver
        candidate_set = recommender.candidate_set(champion, data, catalogue.CHAMPION_FINETUNE.path, window)
        goods = tonight.deliverable(data)
        sells = best_sellers(candidate_set.statistics, champion.popular_span)
        lists = night.of_night(shop, data, goods, sells, window.cut)
        popular = _popular(settings, data, champion, candidate_set, goods)
        return cls(settings, data, champion, candidate_set, goods, popular, lists)


def deliver(settings: Settings, data: Prepared, champion: Model, ranks: Ranks = ALONE) -> dict[str, Any]:
    """Write recommendations.parquet and launches.parquet, some customers at a time, popular.parquet and
    factors.safetensors; returns what the summary says.

    Only the first of several processes writes and has something to say; the others score for it.
    """
    shop = ShopRules.load(num_places=settings.num_recommendations)
    delivery = Delivery.of(settings, data, champion, shop)
    candidate_set = delivery.candidate_set
    customers = pa.chunked_array([data.customers["customer_id"]], pa.string())
    tally = Tally(data.histories.num_items)
    mine = list(candidate_set.statistics.slices(SLICE))[ranks.rank :: ranks.size]
    rounds = math.ceil(data.histories.num_customers / SLICE / ranks.size)
    batches = candidate_set.batches(wanted=mine)
    tables = [(catalogue.RECOMMENDATIONS, batches, settings.num_recommendations, Task.ALL, tally)]
    if candidate_set.launched.size:
        young = candidate_set.young(wanted=mine)
        of_launches = Tally(data.histories.num_items)
        tables.append((catalogue.LAUNCHES, young, settings.num_launches, Task.LAUNCH, of_launches))
    elif ranks.first:
        catalogue.LAUNCHES.write_empty()
    if ranks.first:
        night.say(delivery.lists, shop)
        _write_shared(delivery)
    for table, batches, num, task, of_table in tables:
        in_turn = _in_turn(_recommend(delivery, batches, num, task), rounds, ranks)
        if not ranks.first:
            list(in_turn)
            continue
        with table.writer() as write:
            for part in in_turn:
                part = _without_profiles(part, delivery, task)
                if not part["customer"].size:
                    continue
                of_table.see(part)
                write(_table(part, customers, data))
                done = int(part["customer"][-1]) + 1
                if done % STEP < SLICE or done == len(customers):
                    log.info("score: %s: %s of %s customers", table.path.stem, f"{done:,}", f"{len(customers):,}")
    rules = {"rules": len(delivery.lists.rules.held), "notes": list(delivery.lists.notes)} if delivery.lists else {}
    return rules | {
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


def _write_shared(delivery: Delivery) -> None:
    """What is of no customer: popular.parquet and, where looks are recorded, factors.safetensors."""
    popular, goods, data = delivery.popular, delivery.goods, delivery.data
    rows = np.flatnonzero(goods.for_anybody()[popular.items])[: popular.num]
    items, score, reasons = popular.items[rows], popular.score[rows], popular.reasons[rows]
    if delivery.lists is not None:
        chosen = delivery.lists.for_strangers(popular.num, goods)
        items = chosen.item[chosen.item >= 0]
        score, reasons = popular.of_items(items, "")[0], _said(delivery, items, chosen.pinned[chosen.item >= 0])[0]
    products = {name: data.products[name].to_numpy()[items] for name in ("product_id", "title")}
    rank = np.arange(1, items.size + 1, dtype=np.int32)
    catalogue.POPULAR.write({"rank": rank, "score": score, "reason": reasons, **products})
    if delivery.candidate_set.factors is not None:
        catalogue.FACTORS.write(delivery.candidate_set.factors.tensors())


def _objected(data: Prepared) -> NDArray[np.bool_] | None:
    """(C,) who objected to profiling and gets no personal list; None where nobody did."""
    return data.customers["objected"].to_numpy(bool) if "objected" in data.customers else None


def _without_profiles(part: dict[str, NDArray], delivery: Delivery, task: Task) -> dict[str, NDArray]:
    """Lists of some customers: those who objected have the best sellers in place of theirs, and no launches."""
    objected = _objected(delivery.data)
    if objected is None or delivery.lists is not None:  # who makes lists by rules leaves profiles aside
        return part
    if task is Task.ALL:
        return delivery.popular.instead(part, objected, delivery.goods.may)
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


def _recommend(delivery: Delivery, batches: Iterator[Batch], num: int, task: Task) -> Iterator[dict[str, NDArray]]:
    """customer, item, rank, score, probability, reason, reason_kind; the best `num`, for each batch of customers."""
    champion, candidate_set = delivery.champion, delivery.candidate_set
    forest = champion.forests.on_sale(candidate_set.promotion_plan)
    paths, facts = Paths(forest.booster), Facts(candidate_set.statistics, delivery.data.products)
    for every in batches:
        may = delivery.goods.may(every.customer, every.item)
        if delivery.lists is not None:
            may &= delivery.lists.allowed(every.customer, every.item)
        candidates = scored(champion, forest, task, every, candidate_set.features, may, delivery.goods, num)
        placed = _placed(delivery, candidates, num, task)
        part = _shown(delivery, placed)
        own = np.flatnonzero(placed.at >= 0)
        if own.size:
            at = placed.at[own]
            features = candidates.features[candidates.rows[at]]
            explanations = explain(
                features,
                list(forest.features),
                paths.contributions(features),
                placed.customer[own],
                placed.item[own],
                facts,
                delivery.settings.language,
                delivery.data.windows.target,
            )
            part["score"][own] = candidates.score[at]
            raw = part["score"][own]
            if not champion.by_forest(task):
                raw = forest.score(features, list(forest.features))
            if champion.calibration:
                bought = features[:, forest.features.index("item_num")] > 0
                part["probability"][own] = champion.calibration.probability(raw, bought)
            free = ~placed.pinned[own]
            part["reason"][own[free]] = np.array(explanations.texts, object)[free]
            part["reason_kind"][own[free]] = explanations.family[free]
        yield part


@dataclass(frozen=True)
class Placed:
    """Lists of some customers as N lines, by customer and rank.

    at      (N,) the candidate in the place, -1 for a product that the rules put there and that was none
    pinned  (N,) places that a rule holds
    """

    customer: Int32s
    item: Int32s
    rank: Int32s
    at: Int64s
    pinned: Bools


def _placed(delivery: Delivery, candidates: Scored, num: int, task: Task) -> Placed:
    """The best of the candidates, or with rules what they make of them."""
    customer, item, score = candidates.customer, candidates.item, candidates.score
    if delivery.lists is None:
        best, rank = _best(customer, score, num) if item.size else (np.zeros(0, np.int32), np.zeros(0, np.int32))
        return Placed(customer[best], item[best], rank, best.astype(np.int64), np.zeros(best.size, bool))
    rows = candidates.batch.customers.rows
    who = np.arange(rows.start, rows.stop, dtype=np.int32)
    personal = ~delivery.lists.objected[customer]
    chosen = delivery.lists.choose(
        who, customer[personal], item[personal], score[personal], num, delivery.goods, own=task is Task.ALL
    )
    row, place = np.nonzero(chosen.item >= 0)
    at = chosen.at[row, place]
    among = np.where(at >= 0, np.flatnonzero(personal)[at] if personal.any() else -1, -1).astype(np.int64)
    return Placed(who[row], chosen.item[row, place], (place + 1).astype(np.int32), among, chosen.pinned[row, place])


def _shown(delivery: Delivery, placed: Placed) -> dict[str, NDArray]:
    """Lists as they are written, with the reasons of what the rules put there; of all else nothing is known here."""
    num = placed.item.size
    by_rule = placed.pinned | (placed.at < 0)
    reason, kind = np.full(num, "", object), np.full(num, "", object)
    reason[by_rule], kind[by_rule] = _said(delivery, placed.item[by_rule], placed.pinned[by_rule])
    unknown = {name: np.full(num, np.nan) for name in ("score", "probability")}
    named = {"customer": placed.customer, "item": placed.item, "rank": placed.rank}
    return named | unknown | {"reason": reason, "reason_kind": kind}


def _said(delivery: Delivery, items: Int32s, pinned: Bools) -> tuple[NDArray, NDArray]:
    """(N,), (N,) reasons of what rules put into lists, and their kinds."""
    words = LANGUAGES[delivery.settings.language]
    popular = delivery.popular.of_items(items, words.say("in_range"))[1]
    texts = np.where(pinned, words.say("pinned"), popular).astype(object)
    return texts, np.where(pinned, "pinned", "popular").astype(object)


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
