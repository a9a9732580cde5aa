"""Validation of each distinct value once, and the rows that it refuses: where they stand, why, and what stays.

Every expectation about rows in `suites` is a function of one column or facet: whether it holds in a row depends on that
one value alone. So the verdict on a table follows exactly from the verdicts on its distinct values, and 20.9 million
promotion rows are validated as 60,000 values. Rows with a refused value are then looked up in the table again.

A block is as many rows as keep the distinct values of every column below a limit; memory is bounded by it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.arrays import Int64s
from nightmarket.contracts.errors import InputError
from nightmarket.contracts.suites import COPY, HARMLESS, REPEAT, needed, reference, span
from nightmarket.contracts.tables import Table

MAX_VALUES = 1 << 21


@dataclass
class Block:
    """Consecutive rows: where they begin, how many, and each column's distinct values (null is one of them)."""

    start: int
    num_rows: int = 0
    values: dict[str, pa.Array] = field(default_factory=dict)


def fold(batches: Iterable[pa.RecordBatch], table: Table, *, max_values: int = MAX_VALUES) -> Iterator[Block]:
    """The table as blocks; none for a table without rows."""
    block = Block(0)
    for batch in batches:
        for name, column in looked_at(batch, table).items():
            distinct = _plain(column.unique())
            seen = block.values.get(name)
            block.values[name] = distinct if seen is None else pa.chunked_array([seen, distinct]).unique()
        block.num_rows += batch.num_rows
        if max(len(values) for values in block.values.values()) > max_values:
            yield block
            block = Block(block.start + block.num_rows)
    if block.num_rows:
        yield block


def looked_at(batch: pa.RecordBatch, table: Table) -> dict[str, pa.Array]:
    """The batch's columns, its span if the table has one (in microseconds), and whether what is needed is there."""
    columns = {name: batch.column(index) for index, name in enumerate(batch.schema.names)}
    between = span(table)
    if between and {between.start, between.end} <= set(columns):
        columns[between.name] = pc.subtract(columns[between.end], columns[between.start]).cast(pa.int64())
    for column in table.columns:
        if column.without:
            looks = pc.is_in(_plain(columns["kind"]), value_set=pa.array(column.without))
            columns[needed(column)] = pc.or_(columns[column.name].is_valid(), looks)
    return columns


def distinct_frame(block: Block, table: Table, known: dict[str, pa.Array], repeats: dict[str, bool]) -> pd.DataFrame:
    """One column per contract column and facet, each distinct value at least once.

    known    "table.column" → values that a reference may take
    repeats  COPY and REPEAT → whether the table has such rows

    Columns with fewer values repeat their last one, which cannot change a verdict.
    """
    columns = dict(block.values)
    for column in table.columns:
        if column.refers_to:
            holds = pc.is_in(columns[column.name], value_set=known[column.refers_to])
            missing = columns[column.name].is_null()
            columns[reference(column)] = pc.if_else(missing, pa.scalar(None, pa.bool_()), holds)
    for name in [needed(column) for column in table.columns if column.without]:
        columns[name] = columns.pop(name)
    between = span(table)
    if between:
        columns[between.name] = columns.pop(between.name)
    if table.key:
        for facet in (COPY, REPEAT):
            columns[facet] = pa.array([0, 1] if repeats[facet] else [0])
    length = max(len(values) for values in columns.values())
    return pd.DataFrame({name: _padded(values, length) for name, values in columns.items()})


def _padded(values: pa.Array, length: int) -> pd.Series:
    """As a pandas column of one type per Arrow type; dates as days at midnight."""
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    last = len(values) - 1
    if last + 1 < length:
        values = values.take(pa.array(np.minimum(np.arange(length), last)))
    if pa.types.is_string(values.type):
        return pd.Series(values.to_pandas(), dtype="str")
    if pa.types.is_integer(values.type) and values.null_count:
        return pd.Series(values.to_pandas(integer_object_nulls=True), dtype="Int64")
    if pa.types.is_boolean(values.type) and values.null_count:
        return pd.Series(values.to_pandas(), dtype="boolean")
    return values.to_pandas()


def matches(column: pa.Array, refused: pa.Array) -> pa.Array:
    """Where the column holds a refused value; bool, never null. A null in `refused` refuses nulls."""
    return pc.is_in(_plain(column), value_set=refused)


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


Positions = Int64s
"""Rows of the raw table, from 0."""


@dataclass(frozen=True)
class RetailerFile:
    """The retailer's file that a table, or one source's part of it, was read from.

    name    as its owner knows it
    shifts  (row of the table from 0, how many rows of the file before it were left out), where that number changes;
            None where nobody knows
    """

    name: str
    shifts: Sequence[tuple[int, int]] | None = ()

    def row(self, row: int) -> str:
        """Where a row of the table, from 0, stands in the file, from 1."""
        if self.shifts is None:
            return f"row {row + 1:,} of the snapshot"
        return f"row {row + 1 + next((shift for at, shift in reversed(self.shifts) if at <= row), 0):,}"


@dataclass
class Refusals:
    """Positions of refused rows, sorted, per reason; reasons stand in the suite's order.

    sources  rows of each of several sources, which stand one after another
    source   of which one these rows are; "": of all
    files    where each source's rows come from, or those of the only one under ""; those of which it is known
    """

    table: Table
    num_rows: int
    refused: dict[str, Positions] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    files: Mapping[str, RetailerFile] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file or else the table, and of which source."""
        name = self.files[self.source].name if self.source in self.files else self.table.name
        return f"{name} of {self.source}" if self.source else name

    def first(self, rows: Positions) -> str:
        """Where the first of some rows stands in the file."""
        return self.files.get(self.source, RetailerFile("")).row(int(rows[0]))

    def parts(self) -> dict[str, "Refusals"]:
        """The verdict on each source's rows; positions count within them. None where there is one source."""
        by_source, start = {}, 0
        for source, num in self.sources.items():
            refused = {
                reason: here
                for reason, rows in self.refused.items()
                if len(here := rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + num)] - start)
            }
            by_source[source] = Refusals(self.table, num, refused, source=source, files=self.files)
            start += num
        return by_source

    def refuse(self, reason: str, rows: Positions) -> None:
        """Add rows, which must lie after those that the reason already has."""
        if len(rows):
            self.refused[reason] = np.concatenate([self.refused.get(reason, rows[:0]), rows])

    def bad(self, *, harmless: bool = True) -> Positions:
        """Every refused row once, sorted; `harmless=False` leaves out rows that say nothing against the table."""
        counted = [rows for reason, rows in self.refused.items() if harmless or reason not in HARMLESS]
        return np.unique(np.concatenate([np.empty(0, np.int64), *counted]))

    def counts(self) -> dict[str, Any]:
        """For the report: rows, how many stay and are set aside, and why."""
        num_bad = len(self.bad())
        return {
            "rows": self.num_rows,
            "kept": self.num_rows - num_bad,
            "set_aside": num_bad,
            "reasons": {reason: len(rows) for reason, rows in self.refused.items()},
        }

    def check_share(self, max_share: float) -> None:
        """Raises InputError where too many rows are bad, of one source or of all.

        What is harmless is not counted, and one row of a small table proves nothing: it is set aside.
        """
        for part in self.parts().values():
            part.check_share(max_share)
        num_bad = len(self.bad(harmless=False))
        allowed = max(max_share * self.num_rows, 1 if max_share and self.num_rows > 1 else 0)
        if num_bad <= allowed:
            return
        worst, rows = max(self.refused.items(), key=lambda item: (item[0] not in HARMLESS, len(item[1])))
        raise InputError(
            f"{self.name}: {num_bad:,} of {self.num_rows:,} rows are bad ({num_bad / self.num_rows:.2%}; "
            f"validate.max_bad_share allows {max_share:.2%}): {worst} in {len(rows):,}, first in {self.first(rows)}; "
            "fix the source, or raise the limit"
        )


def find(
    batches: Iterable[pa.RecordBatch], table: Table, block: Block, wanted: dict[str, tuple[str, pa.Array]]
) -> dict[str, Positions]:
    """Where the block's refused values stand.

    batches  the whole table
    wanted   reason → column (or span) and the values refused in it
    """
    positions: dict[str, list[Positions]] = {reason: [] for reason in wanted}
    start = 0
    for batch in batches:
        if block.start <= start < block.start + block.num_rows:
            columns = looked_at(batch, table)
            for reason, (column, refused) in wanted.items():
                hits = matches(columns[column], refused).to_numpy(zero_copy_only=False)
                positions[reason].append(np.flatnonzero(hits).astype(np.int64) + start)
        start += batch.num_rows
    return {reason: np.concatenate(rows) for reason, rows in positions.items()}


def sort_out(
    batches: Iterable[pa.RecordBatch], verdict: Refusals
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """Per batch the rows that stay and, if there are any, those set aside with `row` and `reason` before them."""
    bad = verdict.bad()
    start = 0
    for batch in batches:
        rows = bad[np.searchsorted(bad, start) : np.searchsorted(bad, start + batch.num_rows)]
        if len(rows):
            stays = np.ones(batch.num_rows, bool)
            stays[rows - start] = False
            aside = batch.take(pa.array(rows - start))
            yield batch.filter(pa.array(stays)), _with_reasons(aside, rows, verdict)
        else:
            yield batch, None
        start += batch.num_rows


def _with_reasons(aside: pa.RecordBatch, rows: Positions, verdict: Refusals) -> pa.RecordBatch:
    reasons = pa.nulls(len(rows), pa.string())
    for reason, positions in verdict.refused.items():
        here = pa.array(np.isin(rows, positions))
        joined = pc.binary_join_element_wise(reasons, pa.scalar(reason), "; ", null_handling="skip")
        reasons = pc.if_else(here, joined, reasons)
    names = ["row", "reason", *aside.schema.names]
    return pa.record_batch([pa.array(rows, pa.int64()), reasons, *aside.columns], names=names)
