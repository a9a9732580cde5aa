"""Contract columns as Arrow types."""

import pyarrow as pa

from nightmarket.contracts.tables import Column, Table

TYPES: dict[str, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "category": pa.string(),
    "number": pa.float64(),
    "count": pa.int64(),
    "time": pa.timestamp("us"),
    "date": pa.date32(),
}

ATTRIBUTE_PREFIX = "attr_"


def arrow_type(column: Column) -> pa.DataType:
    """How the column is stored."""
    return TYPES[column.kind]


def arrow_schema(table: Table, attributes: tuple[str, ...] = ()) -> pa.Schema:
    """The table as it lies in a snapshot: every contract column in its order, then attributes as text."""
    fields = [pa.field(column.name, arrow_type(column)) for column in table.columns]
    return pa.schema(fields + [pa.field(name, pa.string()) for name in attributes])
