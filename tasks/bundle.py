"""Write what a live site answers visitors from: one half of the version, and one of tonight.

reads   artifacts/prepare    purchases, events, customers, products
        artifacts/score      factors of the products, lists
        data/champion        which version it is
writes  artifacts/bundle     model    what goes with what, factors, the forests that order answers; no customer
                             state    what customers did last, what is in demand and to be had, names, lists

`nightmarket.serving.live` maps both.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from nightmarket.contracts.arrays import Int32s, Values
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import date_of
from nightmarket.ranking import behaviour
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.sessions.cycles import cycles
from nightmarket.ranking.sessions.learning import GOALS, SessionOrder, SessionOrders, learn
from nightmarket.ranking.sessions.shop import Ragged, SessionShop, as_events, build
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live import parts
from nightmarket.serving.live.strings import CodedNames, Strings
from tasks.campaigns import tonight
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "write what a live site answers visitors from",
    reads=(catalogue.CHAMPION_RECEIPT, catalogue.PREPARE, catalogue.SCORE),
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
    products = CodedNames.of(data.products["product_id"])
    facts = {"cut": cut, "last_day": date_of(cut).isoformat(), "products": products.texts.digest()}
    version = str(catalogue.CHAMPION_RECEIPT.read()["version"]) if catalogue.CHAMPION_RECEIPT.exists() else ""
    _write_model(shop, orders, products, facts | {"version": version})
    _write_state(shop, data, products, facts)


def _write_model(shop: SessionShop, orders: SessionOrders, products: CodedNames, facts: dict[str, Any]) -> None:
    contents = {}
    for goal in GOALS:
        order: SessionOrder = getattr(orders, goal)
        contents[goal] = order.content()
        if order.forest is not None:
            with storage.replacing(catalogue.BUNDLE / parts.MODEL / f"{goal}.txt") as temporary:
                temporary.write_text(order.forest.text(), encoding="utf-8")
        log.info("bundle: %s: by %s, learned from %s visits", goal, order.order, f"{order.num_visits:,}")
    _write(parts.MODEL, halves.model_arrays(shop, products), facts | {"orders": contents})


def _write_state(shop: SessionShop, data: Prepared, products: CodedNames, facts: dict[str, Any]) -> None:
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
    }
    by_depth = [halves.grouped(codes, len(page_names), demand) for codes in pages_of]
    groups = {
        "pages": halves.merged(by_depth),
        "brands": halves.grouped(shop.catalogue.brand, len(brands), demand),
        "listed": _lists(products, customers),
    }
    events = data.interactions if len(data.interactions) else as_events(data.histories)
    objected = data.customers.get("objected", pd.Series(False, data.customers.index)).fillna(False).to_numpy(bool)
    lines = data.histories.until(shop.cut)
    arrays = halves.state_arrays(shop, goods, events.until(shop.cut), names, groups, objected)
    arrays |= {"demand": demand, "pages_of": np.stack(pages_of)}
    arrays["cycle"] = cycles(lines.customer, lines.item, lines.day, data.catalogue)
    facts |= {"time_zone": data.windows.time_zone, "markets": list(goods.markets)}
    facts |= {"has_markets": bool((goods.market >= 0).any()), "most_of_a_group": goods.most_of_a_group}
    facts |= {"num_products": len(products), "num_customers": len(customers), "as_of": data.windows.as_of}
    _write(parts.STATE, arrays, facts)


def _write(half: str, arrays: dict[str, Values], facts: dict[str, Any]) -> None:
    folder = catalogue.BUNDLE / half
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


def _lists(products: CodedNames, customers: CodedNames) -> Ragged:
    """The night's lists; empty ones where there are none tonight."""
    if not catalogue.RECOMMENDATIONS.exists():
        return Ragged(np.zeros(len(customers) + 1, np.int64), np.zeros(0, np.int32))
    lists = catalogue.RECOMMENDATIONS.read(["customer_id", "rank", "product_id"]).to_pandas()
    customer, item = (
        pd.Index(list(names.texts)).get_indexer(lists[column])
        for names, column in ((customers, "customer_id"), (products, "product_id"))
    )
    rows = np.flatnonzero((customer >= 0) & (item >= 0))
    rows = rows[np.lexsort((lists["rank"].to_numpy()[rows], customer[rows]))]
    num = np.bincount(customer[rows], minlength=len(customers))
    return Ragged(np.append(0, np.cumsum(num)).astype(np.int64), item[rows].astype(np.int32))


def _orders(settings: Settings, data: Prepared, cut: int) -> SessionOrders:
    """What orders answers, from the visits after a cut; by what goes with what where nothing lies before it."""
    events = data.interactions if len(data.interactions) else as_events(data.histories)
    if len(events) == 0 or events.day.min() > cut:
        return SessionOrders.plain()
    statistics = recommender.statistics(data, Window.after(cut))
    shop = build(statistics, behaviour.latent(statistics) if statistics.behaves else None)
    return learn(shop, events, settings.max_visits, settings.seed)
