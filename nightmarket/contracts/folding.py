"""Validate each distinct value once: the frame that stands for a table of any length.

Every expectation about rows in `suites` is a function of one column or facet: whether it holds in a row depends on that
one value alone. So the verdict on a table follows exactly from the verdicts on its distinct values, and 20.9 million
promotion rows are validated as 60,000 values. Rows with a refused value are then looked up in the table again.

A block is as many rows as keep the distinct values of every column below a limit; memory is bounded by it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.suites import COPY, REPEAT, reference, span
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
    """The batch's columns, and its span if the table has one (in microseconds)."""
    columns = {name: batch.column(index) for index, name in enumerate(batch.schema.names)}
    between = span(table)
    if between and {between.start, between.end} <= set(columns):
        columns[between.name] = pc.subtract(columns[between.end], columns[between.start]).cast(pa.int64())
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
