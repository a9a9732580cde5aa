"""Write what a live site answers visitors from: one half of the version, and one of tonight.

reads   artifacts/prepare    purchases, events, customers, products
        artifacts/score      factors of the products, lists
        artifacts/related    what stands beside products
        data/champion        which version it is
        rules.yaml           the shop's rules
writes  artifacts/bundle     model    what goes with what, factors, the forests that order answers; no customer
                             state    what customers did last, what is in demand and to be had, names, lists, rules,
                                      words of the products, what stands beside them

`nightmarket.serving.live` maps both.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pydantic import Field

from nightmarket.contracts.arrays import Int32s, Values
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import date_of
from nightmarket.ranking import behaviour
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.sessions.cycles import cycles
from nightmarket.ranking.sessions.learning import learn
from nightmarket.ranking.sessions.orders import GOALS, SessionOrder, SessionOrders
from nightmarket.ranking.sessions.shop import Ragged, SessionShop, as_events, build
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live import parts
from nightmarket.serving.live.strings import CodedNames, Strings, hashed
from nightmarket.serving.live.word_index import WordIndex
from tasks.campaigns import tonight
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.merchandising.rules_file import ShopRules
from tasks.merchandising.site import of_site
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
NO_RULES = ShopRules()
STAGE = Stage(
    "write what a live site answers visitors from",
    reads=(
        catalogue.CHAMPION_RECEIPT,
        catalogue.PREPARE,
        catalogue.SCORE,
        catalogue.SIMILAR,
        catalogue.GOES_WITH,
        catalogue.RULES,
    ),
    writes=(catalogue.BUNDLE,),
    phase="deliver",
    side=True,
)


class Settings(StageSettings):
    """What the order of answers is learned from."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the visits that are drawn and of LightGBM")
    days: int = Field(14, ge=1, le=182, description="last days whose visits teach the order of answers")
    max_visits: int = Field(3000, ge=100, le=1_000_000, description="of these days that teach; more are drawn from")


def run(settings: Settings) -> None:
    """Write artifacts/bundle."""
    data = Prepared()
    cut = data.windows.deliver.cut
    orders = _orders(settings, data, cut - settings.days)
    factors = Factors.of(catalogue.FACTORS.read()) if catalogue.FACTORS.exists() else None
    shop = build(recommender.statistics(data, Window.after(cut)), factors)
    version = str(catalogue.CHAMPION_RECEIPT.read()["version"]) if catalogue.CHAMPION_RECEIPT.exists() else ""
    write(catalogue.BUNDLE.path, shop, orders, data, version, _lists(data), ShopRules.load(), _beside(data))


def write(
    folder: Path,
    shop: SessionShop,
    orders: SessionOrders,
    data: Prepared,
    version: str,
    listed: Ragged | None,
    rules: ShopRules = NO_RULES,
    beside: Mapping[str, Ragged] | None = None,
) -> None:
    """Both halves of what a shop knows at a cut, which may lie before the last night's.

    listed  each customer's list of the night; None where there are none
    beside  what stands beside each product, as BESIDE has it, as far as the night wrote it
    """
    products = CodedNames.of(data.products["product_id"])
    facts = {"cut": shop.cut, "last_day": date_of(shop.cut).isoformat(), "products": products.texts.digest()}
    _write_model(folder / parts.MODEL, shop, orders, products, facts | {"version": version})
    nobody = Ragged(np.zeros(len(data.customers) + 1, np.int64), np.zeros(0, np.int32))
    groups = {"listed": listed or nobody, **(beside or {})}
    _write_state(folder / parts.STATE, shop, data, products, groups, facts, rules)


def _write_model(
    folder: Path, shop: SessionShop, orders: SessionOrders, products: CodedNames, facts: dict[str, Any]
) -> None:
    contents = {}
    for goal in GOALS:
        order: SessionOrder = getattr(orders, goal)
        contents[goal] = order.content()
        if order.forest is not None:
            with storage.replacing(folder / f"{goal}.txt") as temporary:
                temporary.write_text(order.forest.text, encoding="utf-8")
        log.info("bundle: %s: by %s, learned from %s visits", goal, order.order, f"{order.num_visits:,}")
    _write(folder, halves.model_arrays(shop, products), facts | {"orders": contents})


def _write_state(
    folder: Path,
    shop: SessionShop,
    data: Prepared,
    products: CodedNames,
    rows: Mapping[str, Ragged],
    facts: dict[str, Any],
    rules: ShopRules,
) -> None:
    goods, table = tonight.deliverable(data), data.products
    customers = CodedNames.of(data.customers["customer_id"])
    paths = [table[level].fillna("").astype(str).to_numpy(object) for level in halves.LEVELS]
    demand = halves.in_demand(shop)
    page_names, pages_of = _pages(paths)
    brand = table["brand"].fillna("").astype(str).to_numpy(object)
    brands = CodedNames.of(pd.unique(brand))
    kinds = [next((name for name in reversed(names) if name), "") for names in zip(*paths, strict=True)]
    names: dict[str, CodedNames | Strings] = {
        "products": products,
        "customers": customers,
        "titles": Strings.of(table["title"].fillna("").astype(str)),
        "kinds": Strings.of(kinds),
        "page_names": page_names,
        "brand_names": brands,
        "maker_names": CodedNames.of(pd.unique(table["maker"].fillna("").astype(str))),
        "group_names": CodedNames.of(table["group_id"].dropna().astype(str).unique() if "group_id" in table else ()),
    }
    by_depth = [halves.grouped(codes, len(page_names), demand) for codes in pages_of]
    groups = {
        "pages": halves.merged(by_depth),
        "brands": halves.grouped(shop.catalogue.brand, len(brands), demand),
        **rows,
    }
    events = data.interactions if len(data.interactions) else as_events(data.histories)
    objected = data.customers.get("objected", pd.Series(False, data.customers.index)).fillna(False).to_numpy(bool)
    lines = data.histories.until(shop.cut)
    arrays = halves.state_arrays(shop, goods, events.until(shop.cut), names, groups, objected)
    arrays |= {"demand": demand, "pages_of": np.stack(pages_of)}
    arrays["text_hash"] = hashed(data.texts)
    words = WordIndex.of(data.texts, table["text_id"].to_numpy(np.int32), shop.popularity)
    arrays |= {f"{halves.WORDS}.{name}": values for name, values in words.tensors().items()}
    arrays["cycle"] = cycles(lines.customer, lines.item, lines.day, data.catalogue)
    site = of_site(rules, data, goods, demand, shop.cut)
    if site is not None:
        arrays |= site.arrays()
        facts |= {"rules": site.facts()}
    _write(folder, arrays, facts | _about(shop, data, goods))


def _about(shop: SessionShop, data: Prepared, goods: Deliverable) -> dict[str, Any]:
    """What of the state half is no array."""
    midnight = datetime.combine(date_of(shop.cut + 1), time(), ZoneInfo(data.windows.time_zone))
    return {
        "time_zone": data.windows.time_zone,
        "markets": list(goods.markets),
        "has_markets": bool((goods.market >= 0).any()),
        "most_of_a_group": goods.most_of_a_group,
        "known_until": midnight.timestamp(),
        "num_products": len(data.products),
        "num_customers": len(data.customers),
        "as_of": data.windows.as_of,
    }


def _write(folder: Path, arrays: dict[str, Values], facts: dict[str, Any]) -> None:
    tidy = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    storage.write_tensors(tidy, folder / parts.ARRAYS)
    storage.write_json(facts, folder / parts.FACTS)
    manifest.write(folder)


def _pages(paths: list[np.ndarray]) -> tuple[CodedNames, list[Int32s]]:
    """Category paths of every length, and their number for each product, by length; -1 where a product has none."""
    name, every, numbers = paths[0], list[str](), []
    for depth, level in enumerate(paths):
        if depth:
            name = np.where(level != "", name + " > " + level, "")
        codes, texts = pd.factorize(pd.Series(name, dtype="object").mask(name == ""))
        numbers.append(np.where(codes >= 0, codes + len(every), -1).astype(np.int32))
        every += [str(text) for text in texts]
    return CodedNames.of(every), numbers


def _lists(data: Prepared) -> Ragged | None:
    """The night's lists; None where there are none tonight."""
    if not catalogue.RECOMMENDATIONS.exists():
        return None
    lists = catalogue.RECOMMENDATIONS.read(["customer_id", "rank", "product_id"]).to_pandas()
    customer, item = (
        pd.Index(names).get_indexer(lists[column])
        for names, column in (
            (data.customers["customer_id"], "customer_id"),
            (data.products["product_id"], "product_id"),
        )
    )
    rows = np.flatnonzero((customer >= 0) & (item >= 0))
    rows = rows[np.lexsort((lists["rank"].to_numpy()[rows], customer[rows]))]
    num = np.bincount(customer[rows], minlength=len(data.customers))
    return Ragged(np.append(0, np.cumsum(num)).astype(np.int64), item[rows].astype(np.int32))


def _beside(data: Prepared) -> dict[str, Ragged]:
    """Of each product what stands beside it, as far as that is there tonight."""
    made, code = {}, pd.Index(data.products["product_id"])
    for name, table in ((halves.SIMILAR, catalogue.SIMILAR), (halves.GOES_WITH, catalogue.GOES_WITH)):
        if table.unavailable() or not table.exists():
            continue
        lists = table.read(["beside", "rank", "product_id"]).to_pandas()
        owner, item = (code.get_indexer(lists[column]) for column in ("beside", "product_id"))
        rows = np.lexsort((lists["rank"].to_numpy(), owner))
        num = np.bincount(owner, minlength=len(data.products))
        made[name] = Ragged(np.append(0, np.cumsum(num)).astype(np.int64), item[rows].astype(np.int32))
    return made


def _orders(settings: Settings, data: Prepared, cut: int) -> SessionOrders:
    """What orders answers, from the visits after a cut; by what goes with what where nothing lies before it."""
    events = data.interactions if len(data.interactions) else as_events(data.histories)
    if len(events) == 0 or events.day.min() > cut:
        return SessionOrders.plain()
    statistics = recommender.statistics(data, Window.after(cut))
    factors = behaviour.latent(statistics) if statistics.behaves else None
    shop = build(statistics, factors and factors.filed())
    return learn(shop, events, settings.max_visits, settings.seed)
