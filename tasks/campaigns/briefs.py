"""Briefs: what is to be written, per group of customers, offer, channel and language, from plan and catalogue."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.copywriting.facts import Angle, CopyFacts, CopyOffer, Locale, Product, spoken
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.labels import customer_words
from nightmarket.copywriting.phrases import vocabulary
from nightmarket.copywriting.writers.prompt import Brief
from tasks.files import catalogue

_TRAITS: dict[tuple[str, bool], Angle] = {
    ("discount", True): "saving",
    ("discounted", True): "saving",
    ("price", False): "saving",
    ("price", True): "quality",
    ("visits", True): "routine",
    ("kinds", False): "routine",
}


@dataclass(frozen=True)
class ShopFacts:
    """What every text knows of the shop."""

    name: str
    currency: str
    locales: tuple[Locale, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """Tonight's plan and what its texts are made of.

    rows      plan.parquet; who is in no segment is in "other"
    summary   summary.json
    offered   offer → products that it applies to, as rows of `products`
    products  product_id, title, brand, category, price, num_buyers (last four weeks), name
    praise    (product_id, locale) → what reviews measurably praise, most mentioned first
    readers   segment → what marks it
    """

    rows: pd.DataFrame
    summary: dict[str, Any]
    offered: dict[str, pd.DataFrame]
    products: pd.DataFrame
    praise: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    readers: dict[str, "Readers"] = field(default_factory=dict)


@dataclass(frozen=True)
class Readers:
    """What marks a segment, in words without a figure.

    marks  locale → a few words each, strongest first
    """

    angle: Angle = "plain"
    marks: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read(products: pd.DataFrame, buyers: np.ndarray) -> Planned:
    """The plan; `buyers` (I,) is how many customers bought each product in the last four weeks."""
    table = table_of(products, buyers)
    offers = catalogue.PLAN_OFFERS.read().to_pandas()
    offered = {str(name): table.loc[group["product_id"]] for name, group in offers.groupby("offer", sort=True)}
    rows = catalogue.CONTACTS.at(catalogue.PLAN.path).read().to_pandas().fillna({"segment": "other"})
    return Planned(rows, catalogue.PLAN_SUMMARY.read(), offered, table, praise(), readers())


def table_of(products: pd.DataFrame, buyers: np.ndarray) -> pd.DataFrame:
    """The products by product_id, with num_buyers and the name that a text calls them by."""
    names = [
        spoken(title, kind_of(kind), "")
        for title, kind in zip(products["title"].tolist(), products["type"].tolist(), strict=True)
    ]
    return products.assign(num_buyers=buyers, name=names).set_index("product_id", drop=False)


def lexicon(products: pd.DataFrame, more: Iterable[str] = ()) -> Lexicon:
    """Names of the catalogue: `products` with name, brand, type and category, and names beside it."""
    names = pd.concat([products[column] for column in ("name", "brand", "type", "category")])
    return Lexicon([*names.dropna().unique().tolist(), *more], vocabulary())


def of_segments(
    planned: Planned, shop: ShopFacts, favourites: dict[tuple[str, str], str]
) -> Iterator[tuple[Brief, str, str]]:
    """(brief, segment, offer) for every group of at least MIN_GROUP customers in the plan that gets an offer.

    favourites  (segment, offer) → product_id that stands in the foreground
    """
    offers = {offer["name"]: offer for offer in planned.summary["offers"]}
    groups = planned.rows.groupby(["segment", "offer"], sort=True)
    for (segment, name), group in groups:
        if group["customer_id"].nunique() < MIN_GROUP or name not in planned.offered:
            continue
        product = planned.products.loc[favourites[str(segment), str(name)]]
        channels = shop.channels or tuple(sorted(group["channel"].unique()))
        for channel in channels:
            for locale in locales_of(group, shop):
                facts = facts_of(planned, offers[name], product, shop, locale, str(segment))
                yield Brief(f"{segment}|{name}|{channel}|{locale}", channel, facts), str(segment), str(name)


def facts_of(
    planned: Planned, offer: dict[str, Any], product: pd.Series, shop: ShopFacts, locale: Locale, segment: str = ""
) -> CopyFacts:
    """What a text about an offer may say, with one of its products in the foreground; segment: "" for one customer."""
    terms, name = dict(offer["customer_terms"]), str(product["name"])
    scope = (offer.get("called") or {}).get(locale) or name
    start = date.fromisoformat(planned.summary["campaign"]["start"])
    end = start + timedelta(planned.summary["campaign"]["days"] - 1)
    num, whose = int(product["num_buyers"]), planned.readers.get(segment, Readers())
    return CopyFacts(
        locale,
        shop.name,
        shop.currency,
        Product(name, category=kind_of(product["type"])),
        CopyOffer(offer["kind"], scope, start, end, **terms),
        reason=_reason(num, locale) if num >= MIN_GROUP else "",
        praise=planned.praise.get((str(product["product_id"]), locale), ()),
        angle=whose.angle,
        readers=whose.marks.get(locale, ()),
    )


def praise() -> dict[tuple[str, str], tuple[str, ...]]:
    """(product_id, locale) → what reviews measurably praise, most mentioned first; empty without reviews."""
    if catalogue.PRAISE.unavailable() or not catalogue.PRAISE.exists():
        return {}
    table = catalogue.PRAISE.read().to_pandas().sort_values(["num_mentions", "aspect"], ascending=[False, True])
    return {
        (str(product), locale): tuple(dict.fromkeys(words))
        for locale in ("en", "zh")
        for product, words in table.dropna(subset=[locale]).groupby("product_id", sort=False)[locale]
    }


def unwritable(offer: dict[str, Any]) -> str | None:
    """Why no text can be written about an offer; None where one can."""
    if offer["kind"] == "gift" and "gift" not in offer["customer_terms"]:
        return f"offer '{offer['name']}': its gift has no name; give one in params.yaml: plan.offers: gift"
    return None


def _reason(num: int, locale: Locale) -> str:
    return f"近 4 周有 {num:,} 位顾客买过" if locale == "zh" else f"bought by {num:,} customers in the last 4 weeks"


def kind_of(name: str | None) -> str:
    """A kind of product as people write it."""
    return customer_words(name)


def locales_of(contacts: pd.DataFrame, shop: ShopFacts) -> tuple[Locale, ...]:
    """The languages of these contacts: each customer's own, and the shop's for those whose language is not known."""
    known: list[Locale] = [locale for locale in ("en", "zh") if (contacts["language"] == locale).any()]
    rest = shop.locales if contacts["language"].isna().any() else ()
    return tuple(dict.fromkeys([*known, *rest]))


def readers() -> dict[str, Readers]:
    """What marks each segment, and the angle that follows from its strongest trait that has one."""
    if not catalogue.SEGMENT_PORTRAITS.exists():
        return {}
    readers_of = {}
    for segment in catalogue.SEGMENT_PORTRAITS.read()["segments"]:
        traits = segment.get("traits", [])
        angles = [_TRAITS.get((trait["feature"], trait["difference"] > 0)) for trait in traits]
        marks = {
            locale: tuple(trait[locale] for trait in traits[:3] if not any(c.isdigit() for c in trait[locale]))
            for locale in ("en", "zh")
        }
        readers_of[str(segment["segment"])] = Readers(next((angle for angle in angles if angle), "plain"), marks)
    return readers_of
