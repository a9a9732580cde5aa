"""What is to be written: a brief per group of customers, offer, channel and language, from plan and catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.copywriting.facts import Angle, Facts, Kind, Locale, Offer, Product, spoken
from nightmarket.copywriting.writers import Brief
from tasks import storage

PLAN = storage.ARTIFACTS / "plan"
SEGMENTS = storage.ARTIFACTS / "segment" / "segments.json"
LEAST = 20
"""Fewest customers that anything measured is said of."""
_TRAITS: dict[tuple[str, bool], Angle] = {
    ("discount", True): "saving",
    ("discounted", True): "saving",
    ("price", False): "saving",
    ("price", True): "quality",
    ("visits", True): "routine",
    ("kinds", False): "routine",
}


@dataclass(frozen=True)
class Shop:
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
    """

    rows: pd.DataFrame
    summary: dict[str, Any]
    offered: dict[str, pd.DataFrame]
    products: pd.DataFrame


def read(products: pd.DataFrame, buyers: np.ndarray) -> Planned:
    """The plan; `buyers` (I,) is how many customers bought each product in the last four weeks."""
    names = [
        spoken(title, _kind(kind), "")
        for title, kind in zip(products["title"].tolist(), products["type"].tolist(), strict=True)
    ]
    table = products.assign(num_buyers=buyers, name=names).set_index("product_id", drop=False)
    offers = storage.read_table(PLAN / "offers.parquet").to_pandas()
    offered = {str(name): table.loc[group["product_id"]] for name, group in offers.groupby("offer", sort=True)}
    rows = storage.read_table(PLAN / "plan.parquet").to_pandas().fillna({"segment": "other"})
    return Planned(rows, storage.read_json(PLAN / "summary.json"), offered, table)


def of_segments(
    planned: Planned, shop: Shop, favourites: dict[tuple[str, str], str]
) -> Iterator[tuple[Brief, str, str]]:
    """(brief, segment, offer) for every group of at least LEAST customers in the plan that gets an offer.

    favourites  (segment, offer) → product_id that stands in the foreground
    """
    angles = _angles()
    offers = {offer["name"]: offer for offer in planned.summary["offers"]}
    groups = planned.rows.groupby(["segment", "offer"], sort=True)
    for (segment, name), group in groups:
        if group["customer_id"].nunique() < LEAST or name not in planned.offered:
            continue
        product = planned.products.loc[favourites[str(segment), str(name)]]
        channels = shop.channels or tuple(sorted(group["channel"].unique()))
        for channel in channels:
            for locale in shop.locales:
                facts = facts_of(planned, offers[name], product, shop, locale, angles.get(str(segment), "plain"))
                yield Brief(f"{segment}|{name}|{channel}|{locale}", channel, facts), str(segment), str(name)


def facts_of(
    planned: Planned, offer: dict[str, Any], product: pd.Series, shop: Shop, locale: Locale, angle: Angle
) -> Facts:
    """What a text about an offer may say, with one of its products in the foreground."""
    told, start = offer["told"], date.fromisoformat(planned.summary["campaign"]["start"])
    kind: Kind = offer["kind"]
    name = str(product["name"])
    terms = Offer(
        kind,
        _kind(told["scope"]) if "scope" in told else name,
        start,
        start + timedelta(planned.summary["campaign"]["days"] - 1),
        percent=told.get("percent"),
        amount=told.get("amount"),
        threshold=told.get("threshold"),
        gift=told.get("gift"),
        code=told.get("code"),
    )
    num = int(product["num_buyers"])
    return Facts(
        locale,
        shop.name,
        shop.currency,
        Product(name, category=_kind(product["type"])),
        terms,
        reason=_reason(num, locale) if num >= LEAST else "",
        angle=angle,
    )


def tellable(offer: dict[str, Any]) -> str | None:
    """Why nothing can be written about an offer; None where something can."""
    if offer["kind"] == "gift" and "gift" not in offer["told"]:
        return f"offer '{offer['name']}': its gift has no name; give one in params.yaml: plan.offers: gift"
    return None


def _reason(num: int, locale: Locale) -> str:
    return f"近 4 周有 {num:,} 位顾客买过" if locale == "zh" else f"bought by {num:,} customers in the last 4 weeks"


def _kind(name: str | None) -> str:
    """A kind of product as people write it: the catalogue's capitals are lowered."""
    text = (name or "").strip()
    return text.lower() if text.isupper() else text


def _angles() -> dict[str, Angle]:
    """segment → what matters to it, from its strongest trait that says so."""
    if not SEGMENTS.exists():
        return {}
    found: dict[str, Angle] = {}
    for segment in storage.read_json(SEGMENTS)["segments"]:
        for trait in segment.get("traits", []):
            angle = _TRAITS.get((trait["feature"], trait["difference"] > 0))
            if angle is not None:
                found[str(segment["segment"])] = angle
                break
    return found
