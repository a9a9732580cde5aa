"""Products that were sold and that the catalogue does not have any more."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.refusals import Positions, Refusals
from tasks.files.storage import read_table, stream_writer

_SCHEMA = pa.schema(
    {"product_id": pa.string(), "last": pa.timestamp("us"), "rows": pa.int64(), "first_row": pa.int64()}
)


@dataclass(frozen=True)
class EndedProducts:
    """Per product that the catalogue does not have: its id, when it was seen last, in how many rows, first in which."""

    table: pa.Table

    @classmethod
    def none(cls) -> "EndedProducts":
        """Everything is in the catalogue."""
        return cls(_SCHEMA.empty_table())

    @property
    def rows(self) -> int:
        """How many rows of the events are about them."""
        return sum(self.table["rows"].to_pylist())

    def words(self, verdict: Refusals) -> str:
        """One line for the log."""
        first = np.array([min(self.table["first_row"].to_pylist())])
        source = next((name for name, part in _starts(verdict) if first[0] >= part), "")
        begin = dict(_starts(verdict)).get(source, 0)
        part = Refusals(verdict.table, verdict.num_rows, source=source, files=verdict.files)
        place = part.first(first - begin)
        return (
            f"{part.name}: product_id is not in products: {self.rows:,}, first in {place}; "
            f"{self.table.num_rows:,} products that have ended: learned from, never recommended"
        )

    def places(self, events: Path) -> Positions:
        """Their rows."""
        ids = read_table(events, columns=["product_id"])["product_id"]
        return np.flatnonzero(pc.is_in(ids, value_set=self.table["product_id"]))

    def notes(self) -> dict[str, int]:
        """For the report."""
        return {f"rows of {self.table.num_rows:,} products that are not in products, kept as ended ones": self.rows}


def _starts(verdict: Refusals) -> list[tuple[str, int]]:
    """Sources with the row at which each begins, the last one first."""
    starts, start = [], 0
    for source, num in verdict.sources.items():
        starts.append((source, start))
        start += num
    return starts[::-1]


def ended_products(events: Path, bad: Positions, known: pa.Array) -> EndedProducts:
    """Products of rows that stay which are not known.

    bad  rows that do not stay
    """
    catalogue = pa.table({"product_id": known})
    aside = pa.table({"row": pa.array(bad, pa.int64())})
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        database.register("catalogue", catalogue)
        database.register("aside", aside)
        table: pa.Table = database.sql(
            "select product_id, max(timestamp) as last, count(*) as rows, min(row) as first_row from "
            "(select product_id, timestamp, file_row_number as row from read_parquet(?, file_row_number = true)) "
            "anti join catalogue using (product_id) anti join aside using (row) "
            "where product_id is not null group by product_id order by first_row",
            params=[str(events)],
        ).to_arrow_table()
    return EndedProducts(table.cast(_SCHEMA))


def with_ended(path: Path, ended: EndedProducts) -> None:
    """Add the ended products to the table of products: sold until the day after they were seen last."""
    products = read_table(path)
    days = ended.table["last"].to_numpy().astype("datetime64[D]").astype(np.int64) + 1
    until = pa.array(days * 86_400_000_000, pa.int64()).cast(pa.timestamp("us"))
    columns = {"product_id": ended.table["product_id"], "available_until": until}
    nothing = {field.name: pa.nulls(len(until), field.type) for field in products.schema}
    if "source" in products.column_names:
        nothing["source"] = pa.array([_source(name, products) for name in columns["product_id"].to_pylist()])
    more = pa.table({**nothing, **columns}).select(products.column_names).cast(products.schema)
    with stream_writer(path, products.schema) as file:
        file.write_table(pa.concat_tables([products, more]))


def _source(product_id: str, products: pa.Table) -> str:
    """Of which shop a product is: its prefix says it, and a shared one is the first shop's."""
    names = products["source"].unique().to_pylist()
    return product_id.partition(":")[0] if product_id.partition(":")[0] in names else str(names[0])
