"""What the live site logged as tables: its events, and its lists as exposures, beside a folder that has the rest."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
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
from tasks.live.log import EVENT, LIST, LiveLog
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys

ROWS = 1 << 16
EPOCH = datetime(1970, 1, 1)
LOGGED = ("events", "exposures")
"""Tables that the log adds to; their rows follow those of the folder's files."""


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
        self._keys = customer_keys()
        with closing(LiveLog()) as live:
            self._upto = {table: live.last(table) for table in ("events", "lists")}

    def identity(self) -> dict[str, str]:
        """sha256 of the files, and of what the log holds."""
        digest = hashlib.sha256()
        with closing(LiveLog()) as live:
            for table, upto in self._upto.items():
                for row in live.rows(table, upto):
                    digest.update(repr(row).encode())
        return super().identity() | {"live/log.db": digest.hexdigest()}

    def feeds(self) -> Iterator[Feed]:
        """The folder's, and the log's after those of the same table."""
        feeds = {feed.table.name: feed for feed in super().feeds()}
        for table in TABLES:
            if table.name in feeds:
                yield feeds[table.name]
            if table.name in LOGGED and self._upto["events" if table.name == "events" else "lists"]:
                yield self._logged(table.name)

    def about(self, business_date: Any) -> dict[str, Any]:
        """How much of the log was there."""
        return super().about(business_date) | {"live": self._upto}

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

    def _exposures(self) -> Iterator[dict[str, Any]]:
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
