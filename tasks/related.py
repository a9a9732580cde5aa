"""What stands beside a product, and what is in demand in each part of the shop, for a site's pages.

reads   artifacts/prepare    purchases, events, customers, products
        artifacts/score      factors of the products
        rules.yaml           the shop's rules
writes  artifacts/related    similar.parquet, goes_with.parquet   per product the products beside it, best first
                             popular.parquet   the same per category of any level, and per market

Lists are for somebody of whom nothing is known: whatever limits a rule sets holds in them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Values
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.rules.choosing import choose
from nightmarket.delivery.rules.tonight import Recipients
from nightmarket.evaluation.protocol import Window
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.related.goes_with import goes_with
from nightmarket.ranking.related.neighbours import Beside, unit
from nightmarket.ranking.related.occasions import Occasions
from nightmarket.ranking.related.popular import popular_in
from nightmarket.ranking.related.similar import similar
from nightmarket.ranking.sessions import co_visits
from nightmarket.ranking.sessions.shop import HALF_LIFE, as_events
from tasks.campaigns import tonight
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.merchandising import night
from tasks.merchandising.night import NightLists
from tasks.merchandising.rules_file import ShopRules
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "what can be taken in place of a product, what goes with it, and what is popular where",
    reads=(catalogue.PREPARE, catalogue.SCORE, catalogue.RULES),
    writes=(catalogue.SIMILAR, catalogue.GOES_WITH, catalogue.POPULAR_IN),
    phase="deliver",
    side=True,
)
SPARE = 20
"""Places beyond those asked for, for what rules take out."""
STEP = 2048
LEVELS = ("department", "category", "type")


class Settings(StageSettings):
    """How long the lists are."""

    num: int = Field(20, ge=1, le=100, description="products beside a product, and of a category or market, each")


def run(settings: Settings) -> None:
    """Write artifacts/related."""
    data = Prepared()
    cut = data.windows.deliver.cut
    goods, statistics = tonight.deliverable(data), recommender.statistics(data, Window.after(cut))
    events = statistics.events if statistics.behaves else as_events(statistics.histories)
    strength = np.maximum(events.strengths(cut + 1, HALF_LIFE), 0)
    popularity = np.bincount(events.item, strength, len(data.products)).astype(np.float32)
    shop = ShopRules.load()
    lists = night.of_night(shop, data, goods, popularity, cut)
    offered = goods.for_anybody() & data.catalogue.on_sale(cut + 1)
    beside = _beside(statistics, data.terms, offered, popularity, settings.num + SPARE)
    for table, neighbours in zip((catalogue.SIMILAR, catalogue.GOES_WITH), beside, strict=True):
        who = Recipients.unknown(len(data.products))
        kept = _kept(neighbours.one_of_group(goods.group), who, lists, settings.num)
        table.write(_named(kept, {"beside": data.products["product_id"].to_numpy()}, data, table.schema))
        log.info("related: %s: lists of %s products", table.path.stem, f"{int((kept.item[:, 0] >= 0).sum()):,}")
    _write_popular(data, goods, lists, _Demand(events.customer, events.item, strength), settings.num)


def _beside(
    statistics: PointInTimeStatistics, terms: sparse.csr_matrix, offered: Bools, popularity: Float32s, num: int
) -> tuple[Beside, Beside]:
    """Similar products, and what goes with each."""
    today, known = statistics.today, statistics.catalogue
    events = statistics.events if statistics.behaves else as_events(statistics.histories)
    factors = Factors.of(catalogue.FACTORS.read()) if catalogue.FACTORS.exists() else None
    taste = unit(factors.items) if factors is not None else None
    near = co_visits.in_session(events, today) if statistics.behaves else co_visits.CoVisits.none(known.num_items)
    instead = similar(known, offered, near, popularity, taste, terms, num)
    lines = statistics.histories
    bought = Occasions.of(lines.where(known.recommendable[lines.item]), today)
    return instead, goes_with(bought, known, offered, today, taste, num)


def _kept(beside: Beside, who: Recipients, lists: NightLists | None, num: int) -> Beside:
    """The first `num` of each list that the shop's rules leave."""
    if lists is None:
        return Beside(beside.item[:, :num], beside.score[:, :num])
    made = Beside.none(who.num, num)
    for start in range(0, who.num, STEP):
        rows = slice(start, min(start + STEP, who.num))
        row, place = np.nonzero(beside.item[rows] >= 0)
        item, score = beside.item[rows][row, place], beside.score[rows][row, place]
        part = replace(who, market=who.market[rows], age=who.age[rows])
        chosen = choose(
            lists.rules,
            part,
            row.astype(np.int32),
            item,
            score.astype(np.float64),
            num,
            lambda _, items: np.ones(items.size, bool),  # no list has what may not be offered
            pins=False,
            fill_up=False,
        )
        made.item[rows] = chosen.item
        made.score[rows] = np.where(chosen.at >= 0, np.append(score, 0)[chosen.at], 0)
    return made


def _named(beside: Beside, first: Mapping[str, Values], data: Prepared, schema: pa.Schema) -> pa.Table:
    """A row per place of each list; `first` columns (rows,) of what the lists belong to."""
    row, place = np.nonzero(beside.item >= 0)
    item = beside.item[row, place]
    columns = [pa.array(np.asarray(values, object)[row], pa.string()) for values in first.values()]
    columns.append(pa.array((place + 1).astype(np.int32)))
    for name in ("product_id", "title"):
        columns.append(pa.array(data.products[name].to_numpy(object)[item], pa.string(), from_pandas=True))
    columns.append(pa.array(beside.score[row, place].astype(np.float32)))
    return pa.table(columns, schema=schema)


@dataclass(frozen=True)
class _Demand:
    """(N,) each: by whom, with what, how strong."""

    customer: Int32s
    item: Int32s
    strength: Float32s


def _write_popular(data: Prepared, goods: Deliverable, lists: NightLists | None, done: _Demand, num: int) -> None:
    """popular.parquet."""
    schema, on_sale = catalogue.POPULAR_IN.schema, data.catalogue.on_sale(data.windows.deliver.cut + 1)
    offered = goods.for_anybody() & on_sale
    tables = [schema.empty_table()]
    paths = data.products[LEVELS[0]].fillna("").astype(str)
    for depth, level in enumerate(LEVELS):
        if depth:
            below = data.products[level].fillna("").astype(str)
            paths = (paths + " > " + below).where((below != "") & (paths != ""), "")
        codes, names = pd.factorize(paths.where(paths != "", None))
        where = codes.astype(np.int32)[done.item]
        popular = popular_in(where, done.item, done.strength, offered, len(names), num + SPARE)
        alone = popular.one_of_group(goods.group, np.full(len(names), -1, np.int32))
        kept = _kept(alone, Recipients.unknown(len(names)), lists, num)
        tables.append(_named(kept, {"kind": np.full(len(names), level), "place": np.array(names)}, data, schema))
    tables += _of_markets(data, goods, lists, done, num) if "market" in data.customers else []
    catalogue.POPULAR_IN.write(pa.concat_tables(tables))


def _of_markets(
    data: Prepared, goods: Deliverable, lists: NightLists | None, done: _Demand, num: int
) -> list[pa.Table]:
    """What is popular among the customers of each market that has MIN_GROUP of them."""
    codes, names = pd.factorize(pd.Series(night.names_compared(data, "market"), dtype="object"))
    on_sale, tables = data.catalogue.on_sale(data.windows.deliver.cut + 1), []
    for code, name in enumerate(names):
        members = codes == code
        if members.sum() < MIN_GROUP:
            continue
        here = np.where((done.customer >= 0) & members[np.maximum(done.customer, 0)], 0, -1).astype(np.int32)
        offered = goods.for_anybody(int(goods.market[members][0])) & on_sale
        popular = popular_in(here, done.item, done.strength, offered, 1, num + SPARE)
        alone = popular.one_of_group(goods.group, np.full(1, -1, np.int32))
        kept = _kept(alone, Recipients(np.array([name], object), np.full(1, np.nan)), lists, num)
        told = {"kind": np.array(["market"]), "place": data.customers["market"].to_numpy(object)[members][:1]}
        tables.append(_named(kept, told, data, catalogue.POPULAR_IN.schema))
    return tables
