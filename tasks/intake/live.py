"""What the live site logged as tables: events, lists as exposures, products, beside a folder that has the rest."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import BY_NAME, TABLES, arrow_schema
from tasks.intake import Feed
from tasks.intake.folder import FolderConnector
from tasks.intake.reading import Reading
from tasks.live import log
from tasks.live.log import EVENT, LIST, OFFER, LiveLog
from tasks.live.products import ProductRow, of_table
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys

ROWS = 1 << 16
EPOCH = datetime(1970, 1, 1)
LOGGED = {"events": ("events",), "exposures": ("lists", "offers")}
"""Tables that the log adds to; their rows follow those of the folder's files. So do products that were put."""
PRODUCTS = BY_NAME["products"]


class LiveConnector(FolderConnector):
    """A folder with the products and whatever else the shop brings, and the live site's log up to this moment.

    Each row of the log is taken once, in the order in which it was written. Customers stand in it under their
    pseudonyms already; those of an older key are carried over to the present one.
    """

    def __init__(self, folder: Path, reading: Reading, time_zone: str, *, currency: str | None = None) -> None:
        """Raises InputError for what a folder lacks, and where no site was served yet."""
        super().__init__(folder, reading, time_zone, currency=currency, needed=("products",))
        if not log.path().exists():
            raise InputError("snapshot.source: it is live, and no site has logged anything; run `make serve` first")
        self._keys, self._campaigns = customer_keys(), set[str]()
        with closing(LiveLog()) as live:
            self._upto = {table: live.last(table) for table in ("events", "lists")}
            self._upto["offers"] = live.last("offers")
            self._put = [row for _, row in live.products()]

    def identity(self) -> dict[str, str]:
        """sha256 of the files, and of what the log holds."""
        digest = hashlib.sha256()
        with closing(LiveLog()) as live:
            for table, upto in self._upto.items():
                for row in live.rows(table, upto):
                    digest.update(repr(row).encode())
            digest.update(repr([(*row[:2], self._later(row)) for row in self._put]).encode())
        return super().identity() | {"live/log.db": digest.hexdigest()}

    def feeds(self) -> Iterator[Feed]:
        """The folder's, and the log's after those of the same table."""
        feeds = {feed.table.name: feed for feed in super().feeds()}
        for table in TABLES:
            if table is PRODUCTS and self._put:
                yield from self._with_put(feeds[table.name])
                continue
            if table.name in feeds:
                yield self._noting(feeds[table.name]) if table.name == "campaigns" else feeds[table.name]
            if any(self._upto[part] for part in LOGGED.get(table.name, ())):
                yield self._logged(table.name)

    def about(self, business_date: Any) -> dict[str, Any]:
        """How much of the log was there."""
        return super().about(business_date) | {"live": self._upto | {"products": len(self._put)}}

    def _later(self, row: ProductRow) -> bool:
        """Whether a product was put after the folder's products were written."""
        return row.at >= max(path.stat().st_mtime_ns for path in self.paths["products"].paths) // 1000

    def _with_put(self, file: Feed) -> Iterator[Feed]:
        """Of a product in both, the later word holds: the file's, where that was written after the product was put."""
        there: set[str] = set()
        instead = {row.product for row in self._put if self._later(row)}

        def left() -> Iterator[pa.RecordBatch]:
            for batch in file.batches():
                ids = batch["product_id"].to_pylist()
                there.update(ids)
                kept = pa.array([product not in instead for product in ids], pa.bool_())
                yield batch.filter(kept)

        def put() -> Iterator[pa.RecordBatch]:
            rows = [row for row in self._put if row.product in instead or row.product not in there]
            yield pa.RecordBatch.from_pylist(of_table(rows), arrow_schema(PRODUCTS, file.attributes))

        yield replace(file, batches=left, file="" if instead else file.file)
        said = {name for row in of_table(self._put) for name in row}
        lacks = tuple(column.name for column in PRODUCTS.columns if not column.required and column.name not in said)
        yield Feed(PRODUCTS, put, attributes=file.attributes, filled=lacks)

    def _logged(self, table: str) -> Feed:
        rows = self._events if table == "events" else self._exposures
        schema = arrow_schema(BY_NAME[table])

        def batches() -> Iterator[pa.RecordBatch]:
            held: list[dict[str, Any]] = []
            for row in rows():
                held.append(row)
                if len(held) == ROWS:
                    yield pa.RecordBatch.from_pylist(held, schema)
                    held = []
            yield pa.RecordBatch.from_pylist(held, schema)

        return Feed(BY_NAME[table], batches, filled=self._without_values(table), named=True)

    def _without_values(self, table: str) -> tuple[str, ...]:
        """Optional columns in which no row has a value: as if no file had them."""
        rows = self._events() if table == "events" else self._exposures()
        empty = {column.name for column in BY_NAME[table].columns if not column.required}
        for row in rows:
            empty -= {name for name in empty if row.get(name) is not None}
            if not empty:
                break
        return tuple(sorted(empty))

    def _events(self) -> Iterator[dict[str, Any]]:
        for row in self._read("events", EVENT):
            quantity = 1.0 if row["quantity"] is None else row["quantity"]
            yield {
                **{name: row[name] for name in ("kind", "value", "discount", "coupon", "channel")},
                "customer_id": row["customer"], "product_id": row["product"], "timestamp": _moment(row["at"]),
                "quantity": quantity, "basket_id": row["basket"] or row["session"],
            }  # fmt: skip

    def _noting(self, feed: Feed) -> Feed:
        """The shop's campaigns, whose names are kept as they pass."""

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in feed.batches():
                self._campaigns.update(batch["campaign_id"].to_pylist())
                yield batch

        return replace(feed, batches=batches)

    def _exposures(self) -> Iterator[dict[str, Any]]:
        for row in self._read("offers", OFFER):
            # of a campaign that the shop's table does not have, the export itself stands for its contacts
            if row["served"] and row["campaign"] in self._campaigns:
                yield {
                    "customer_id": row["customer"], "campaign_id": row["campaign"], "offer_id": row["offer"],
                    "timestamp": _moment(row["at"]), "propensity": row["propensity"],
                }  # fmt: skip
        for row in self._read("lists", LIST):
            if row["customer"] is None:
                continue  # a guest's list is nobody's exposure
            for place, (product, propensity) in enumerate(json.loads(row["products"]), 1):
                yield {
                    "customer_id": row["customer"], "product_id": product, "timestamp": _moment(row["at"]),
                    "position": place, "propensity": propensity, "arm": row["arm"], "request_id": row["request"],
                    "version": row["version"],
                }  # fmt: skip

    def _read(self, table: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Rows by column, customers under their present names."""
        later = [Pseudonyms(self._keys[since:]) for since in range(len(self._keys))]
        with closing(LiveLog()) as live:
            for values in live.rows(table, self._upto[table]):
                row = dict(zip(columns, values, strict=True))
                if row["customer"] is not None and row["generation"] < len(self._keys):
                    row["customer"] = later[row["generation"]].under_each_key(row["customer"])[-1]
                yield row


def _moment(at: int) -> Any:
    return EPOCH + timedelta(microseconds=at)
