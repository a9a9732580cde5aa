"""The texts of a launch: about products that nobody has bought."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd

from nightmarket.copywriting.facts import CopyFacts, Product, spoken
from nightmarket.copywriting.writers.prompt import Brief
from tasks.campaigns import writing
from tasks.campaigns.briefs import Readers, ShopFacts, kind_of, readers, table_of
from tasks.campaigns.newcomers import Newcomers
from tasks.campaigns.tastes import Taste, buyers
from tasks.files.prepared import Prepared
from tasks.pipeline import settings

log = logging.getLogger("nightmarket")


def write(launched: Newcomers, rows: pd.DataFrame, currency: str, out: Path) -> dict[str, Any]:
    """Write copy.parquet and decisions.parquet for a launch's contacts; returns their summary.

    rows  of the launch's plan.parquet
    """
    manner = cast(writing.Manner, settings.load("compose"))
    data = Prepared()
    taste = Taste(data)
    shop = ShopFacts(manner.shop, currency, manner.locales, manner.channels)
    placed = rows.fillna({"segment": "other"})
    taste.group(placed)
    lexicon = writing.lexicon(table_of(data.products, buyers(data, 4)), launched.names)
    texts = writing.write(list(launch_briefs(placed, launched, shop)), taste, lexicon, manner, writing.writer(manner))
    texts.save(out)
    return texts.summary(manner)


def launch_briefs(rows: pd.DataFrame, launched: Newcomers, shop: ShopFacts) -> Iterator[tuple[Brief, str, str]]:
    """(brief, segment, product) for every segment that hears of a new product, and its channels and languages.

    There is no offer, no reason by buyers and no praise, for nobody has bought it; that it is new is a fact.

    rows  contacts of the launch, a segment for everybody; `offer` the product's name in `launched`
    """
    traits = readers()
    place = {name: number for number, name in enumerate(launched.names)}
    for (segment, name), group in rows.groupby(["segment", "offer"], sort=True):
        row = launched.data.products.iloc[launched.items[place[name]]]
        kind = kind_of(row["type"])
        title = spoken(row["title"], kind)
        if not title:
            continue
        whose = traits.get(str(segment), Readers())
        new = Product(title, category=kind, price=float(launched.price[place[name]]), is_new=True)
        for channel in shop.channels or tuple(sorted(group["channel"].unique())):
            for locale in shop.locales:
                facts = CopyFacts(
                    locale, shop.name, shop.currency, new, angle=whose.angle, readers=whose.marks.get(locale, ())
                )
                yield Brief(f"{segment}|{name}|{channel}|{locale}", channel, facts), str(segment), str(name)
