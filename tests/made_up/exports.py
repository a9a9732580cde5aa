"""A small shop's export, to spoil as shops do, and what the snapshot makes of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError
from tasks import snapshot

LINES, CUSTOMERS, PRODUCTS, WEEKS = 1_500, 60, 40, 12
COLUMNS = ["customer_id", "product_id", "timestamp", "kind", "quantity", "value", "basket_id"]


class Shop:
    """1,500 purchases of 60 customers in baskets of about three, over 12 weeks from 2025-01-06."""

    def __init__(self):
        self.rng = rng = np.random.default_rng(3)
        basket = np.sort(rng.integers(0, LINES // 3, LINES))
        owner, moment = rng.integers(0, CUSTOMERS, LINES), np.sort(rng.integers(0, WEEKS * 7 * 86_400, LINES))
        first = np.searchsorted(basket, basket)
        when = pd.Timestamp("2025-01-06") + pd.to_timedelta(moment[first], unit="s")
        self.events = pd.DataFrame(
            {
                "customer_id": [f"c{number}" for number in owner[first]],
                "product_id": [f"p{number}" for number in (PRODUCTS * rng.random(LINES) ** 2).astype(int)],
                "timestamp": when.strftime("%Y-%m-%d %H:%M:%S"),
                "kind": "purchase",
                "quantity": 1,
                "value": np.round(rng.random(LINES) * 30 + 1, 2),
                "basket_id": [f"b{number}" for number in basket],
            }
        )
        names = np.arange(PRODUCTS)
        self.products = pd.DataFrame(
            {
                "product_id": [f"p{number}" for number in names],
                "title": [f"Thing {number} of sort {number % 9}" for number in names],
                "category": [f"sort {number % 3} > sub {number % 9}" for number in names],
                "price": 10.0,
            }
        )
        self.others = {}
        self.raw = {}
        self.settings = {}

    def some(self, share):
        """Rows by chance."""
        return self.rng.random(len(self.events)) < share


def arrives(shop):
    """Its events after the snapshot."""
    folder = Path("tables")
    folder.mkdir(exist_ok=True)
    for name, table in {"events": shop.events, "products": shop.products, **shop.others}.items():
        if f"{name}.csv" not in shop.raw:
            table.to_csv(folder / f"{name}.csv", index=False)
    for name, content in shop.raw.items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    settings = {"source": "folder", "folder": str(folder.resolve()), **shop.settings}
    snapshot.run(snapshot.Settings.model_validate(settings))
    return pq.read_table("data/raw/events.parquet").to_pandas()


def notes(table="events"):
    """What the snapshot says of a table."""
    return json.loads(Path("data/raw/snapshot.json").read_text()).get("notes", {}).get(table, {})


def refused(shop):
    """The line with which it is refused."""
    with pytest.raises(InputError) as error:
        arrives(shop)
    return str(error.value)
