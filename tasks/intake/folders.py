"""Several shops as one source: each a folder with its own columns, time zone, currency and ids.

What is one shop's alone gets its name as prefix (`london:4711`): campaigns, offers, baskets and channels always,
customers and products unless the shops share them. Money is multiplied by the shop's rate. Every table gets the column
`source`, and a table's rows stand shop after shop.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from nightmarket.contracts import InputError
from nightmarket.contracts.sources import SOURCE, fuse, with_source
from nightmarket.contracts.tables import TABLES, Table, arrow_schema
from tasks.intake import BATCH_ROWS, Feed, Origin
from tasks.intake.folder import FolderConnector
from tasks.intake.reading import Reading

LOG = logging.getLogger("nightmarket")

ALWAYS_OWN = ("campaign_id", "offer_id", "basket_id")
SHARED = {"products": "product_id", "customers": "customer_id"}
"""Tables whose ids shops may share, and the id."""

TAKEN = "attr_source"
"""An attribute of this name would be taken for ours, which `prepare` makes."""


class ShopFolder(Reading):
    """One entry of params.yaml: snapshot.folders."""

    name: str = Field(description="up to 20 letters or digits; stands in the column `source` and before ids")
    folder: str = Field(description="where its tables lie; relative to the main checkout")
    time_zone: str | None = Field(None, description="null: snapshot.time_zone")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="as EUR; null: snapshot.currency")
    rate: float | None = Field(
        None, gt=0, lt=float("inf"), description="what one unit of its currency is worth in snapshot.currency"
    )
    customers: Literal["own", "shared"] = Field(
        "own", description="shared: the same customer id in another shared folder is the same person"
    )
    products: Literal["own", "shared"] = Field(
        "own", description="shared: the same product id in another shared folder is the same product"
    )

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if not (name.isalnum() and len(name) <= 20):
            raise ValueError("must be 1 to 20 letters or digits")
        return name

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and known_zone(name)

    @model_validator(mode="after")
    def _worth(self) -> Self:
        if self.rate is not None and self.currency is None:
            raise ValueError(f"{self.name} has a rate and no currency; name its currency")
        return self


def known_zone(name: str) -> str:
    """The name. Raises ValueError where there is no such time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{name}' is not a time zone; write one like Europe/Berlin or Asia/Shanghai") from None
    return name


def check(shops: Sequence[ShopFolder], currency: str | None) -> None:
    """Raises ValueError, naming the shop, where names repeat or a rate is missing or too many."""
    names = [shop.name.casefold() for shop in shops]
    for shop in shops:
        if names.count(shop.name.casefold()) > 1:
            raise ValueError(f"two folders are named {shop.name}; each needs a name of its own")
        if shop.currency is None or shop.currency == currency:
            if shop.rate is not None:
                raise ValueError(
                    f"{shop.name} has a rate, and its currency is that of snapshot.currency; drop the rate"
                )
        elif currency is None:
            raise ValueError(f"{shop.name} is in {shop.currency}; say in snapshot.currency what all money becomes")
        elif shop.rate is None:
            raise ValueError(
                f"{shop.name} is in {shop.currency} and has no rate; say what 1 {shop.currency} is in {currency}"
            )


class Folders:
    """The folders that `snapshot.folders` names."""

    def __init__(self, shops: Sequence[ShopFolder], home: Path, time_zone: str, currency: str | None) -> None:
        """Raises InputError, beginning with the shop's name, for what `Folder` refuses."""
        self.shops = shops
        self.currency = currency
        self.zones = {shop.name: shop.time_zone or time_zone for shop in shops}
        self.folders: dict[str, FolderConnector] = {}
        self.conflicts: dict[str, Any] = {}
        for shop in shops:
            needed = ("products", "events") if shop.products == "own" else ("events",)
            place = home / Path(shop.folder).expanduser()
            with _named(shop.name):
                self.folders[shop.name] = FolderConnector(
                    place, shop, self.zones[shop.name], currency=shop.currency or currency, needed=needed, section=""
                )
                twin = next((name for name, other in self.folders.items()
                             if name != shop.name and other.folder.samefile(place)), None)  # fmt: skip
                if twin:
                    raise InputError(f"its folder is that of {twin}; name another, or drop one of the two")
        shared = [shop.name for shop in shops if shop.products == "shared"]
        if shared and not any("products" in self.folders[name].paths for name in shared):
            raise InputError(f"{', '.join(shared)}: share their products, and none has a table products; bring it")

    def identity(self) -> dict[str, str]:
        """sha256 of the files that are read, as name/file."""
        return {f"{name}/{file}": digest for name, folder in self.folders.items()
                for file, digest in folder.identity().items()}  # fmt: skip

    def known_until(self) -> date:
        """The latest of the shops' tomorrows: where the day begins first it is that of all."""
        return max(folder.known_until() for folder in self.folders.values())

    def full_until(self) -> date:
        """The earliest of the shops' todays."""
        return min(folder.full_until() for folder in self.folders.values())

    def about(self, business_date: date | None) -> dict[str, Any]:
        """Per shop, in order, its zone, currency, rate and last full day; conflicts where rows of shops became one."""
        return {
            "currency": self.currency,
            "sources": [
                {
                    "name": shop.name,
                    "time_zone": self.zones[shop.name],
                    "currency": shop.currency or self.currency,
                    "rate": shop.rate or 1.0,
                    "customers": shop.customers,
                    "products": shop.products,
                    "last_full_day": str((business_date or self.folders[shop.name].full_until()) - timedelta(days=1)),
                }
                for shop in self.shops
            ],
            "conflicts": self.conflicts,
        }

    def feeds(self) -> Iterator[Feed]:
        """Table by table, each shop's part; every shop's headers are checked before the first row is read."""
        parts: dict[str, list[Part]] = {table.name: [] for table in TABLES}
        names = [shop.name for shop in self.shops]
        for shop in self.shops:
            with _named(shop.name):
                for feed in self.folders[shop.name].feeds():
                    parts[feed.table.name].append(Part(feed, shop, self.zones[shop.name], names))
        for table in TABLES:
            here = parts[table.name]
            attributes = tuple(dict.fromkeys(name for part in here for name in part.attributes))
            for part in here:
                part.widen({column.name for other in here for column in other.theirs.table.columns})
            together = [part for part in here if table.name in SHARED and getattr(part.shop, table.name) == "shared"]
            fused = self._fuse(table, together, attributes) if len(together) > 1 else {}
            for part in here:
                yield fused.get(part.shop.name) or part.stream(attributes)

    def _fuse(self, table: Table, parts: Sequence["Part"], attributes: tuple[str, ...]) -> dict[str, Feed]:
        """Feeds of shops that share the table's ids. It is held in memory, as `prepare` holds it."""
        tables = []
        for part in parts:
            schema = arrow_schema(part.table, attributes)
            batches = [batch.cast(schema) for batch in part.batches(attributes)]
            tables.append(pa.Table.from_batches(batches, schema).combine_chunks())
        fused = fuse(tables, SHARED[table.name])
        self.conflicts[table.name] = {"rows": fused.differing, "columns": fused.conflicts}
        if fused.differing:
            what = ", ".join(f"{name} {count:,}" for name, count in fused.conflicts.items())
            LOG.info("snapshot: %s: %s rows differ between shops (%s); the first one's stay", table.name,
                     f"{fused.differing:,}", what)  # fmt: skip
        feeds, start = {}, 0
        for part, brought, merged in zip(parts, tables, fused.merged, strict=True):
            rows = fused.rows.slice(start, brought.num_rows - merged)
            start += rows.num_rows
            place = rows.schema.get_field_index(SOURCE)
            rows = rows.set_column(place, SOURCE, _constant(part.shop.name, rows.num_rows))
            seen = frozenset(name for name in brought.column_names if brought[name].null_count < brought.num_rows)
            feeds[part.shop.name] = part.feed(
                attributes, lambda rows=rows: iter(rows.to_batches(BATCH_ROWS)), merged=merged, seen=seen
            )
        return feeds


class Part:
    """One shop's rows of one table, on their way into the contract of all."""

    def __init__(self, feed: Feed, shop: ShopFolder, time_zone: str, names: Sequence[str]) -> None:
        self.theirs = feed
        self.shop = shop
        self.time_zone = time_zone
        self.names = names
        self.table = with_source(feed.table, names)
        self.attributes = tuple(name for name in feed.attributes if name != TAKEN)
        self.own = {*ALWAYS_OWN, *(["product_id"] if shop.products == "own" else [])}

    def widen(self, names: set[str]) -> None:
        """Take in columns of channels that only other shops have."""
        self.table = with_source(self.theirs.table.with_channels(names), self.names)

    def stream(self, attributes: tuple[str, ...]) -> Feed:
        """Its feed as it comes."""
        return replace(self.feed(attributes, lambda: self.batches(attributes)), file=self.theirs.file)

    def feed(self, attributes: tuple[str, ...], batches: Any, *, merged: int = 0,
             seen: frozenset[str] = frozenset()) -> Feed:  # fmt: skip
        """Its feed with other batches."""
        dropped = self.theirs.dropped + tuple(set(self.theirs.attributes) - set(self.attributes))
        prefix = f"{self.shop.name}:" if self.shop.customers == "own" else ""
        origin = Origin(self.shop.name, self.time_zone, prefix, merged, seen)
        here = {column.name for column in self.theirs.table.columns} | {SOURCE}
        filled = (*self.theirs.filled, *(column.name for column in self.table.columns if column.name not in here))
        return Feed(self.table, batches, attributes, dropped, filled, origin, notes=self.theirs.notes,
                    decimals=self.theirs.decimals)  # fmt: skip

    def batches(self, attributes: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """Contract columns, `source`, then the attributes of all shops; those that this one lacks are null.

        Customers' ids get their prefix with the pseudonym, once for each.
        """
        schema = arrow_schema(self.table, attributes)
        kinds = dict(zip(schema.names, schema.types, strict=True))
        with _named(self.shop.name):
            for batch in self.theirs.batches():
                yield pa.record_batch([self._column(name, kind, batch) for name, kind in kinds.items()], schema.names)

    def _column(self, name: str, kind: pa.DataType, batch: pa.RecordBatch) -> pa.Array:
        shop = self.shop
        of_shop = name == "channel" and self.table.name not in ("suppressions", "deliveries")
        if name == SOURCE or (of_shop and name in self.theirs.filled):
            return _constant(shop.name, batch.num_rows)
        if name not in batch.schema.names:
            return pa.nulls(batch.num_rows, kind)
        values = batch[name]
        if of_shop:  # few values: each is written once
            coded = values.dictionary_encode()
            texts = pc.binary_join_element_wise(pa.scalar(f"{shop.name}:"), coded.dictionary, "")
            return pa.DictionaryArray.from_arrays(coded.indices, texts)
        if name in self.own:
            return pc.binary_join_element_wise(pa.scalar(f"{shop.name}:"), values, "")
        if shop.rate is not None and self._is_money(name):
            return pc.multiply(values, shop.rate)
        return values

    def _is_money(self, name: str) -> bool:
        return any(column.name == name and column.unit == "currency" for column in self.table.columns)


def _constant(text: str, num_rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(num_rows, np.int32)), pa.array([text]))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the shop's name before errors about its files."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
