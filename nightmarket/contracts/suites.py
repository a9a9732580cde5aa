"""Expectation suites derived from the contract, as plain dicts in Great Expectations' vocabulary.

Great Expectations reports success on no rows, on columns of nothing but nulls, on +inf and on extra columns. Every
suite therefore asks for: rows, a closed list of columns in order, exact types, no nulls, a value somewhere, finite
numbers; then bounds, allowed sets, keys, references and times that have happened.

Facets are what a suite speaks of besides the columns themselves: a fact about a row that is computed before judging,
like "product_id is in products".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightmarket.contracts.tables import Column, Table

FINITE = 1.7976931348623157e308
"""The largest float64: only an infinity lies beyond it."""

PANDAS_TYPES = {
    "id": "str",
    "text": "str",
    "category": "str",
    "vector": "str",
    "number": "float64",
    "count": "int64",
    "time": "datetime64",
    "date": "datetime64",
}

COPY = "exact copies of the row before it"
REPEAT = "other rows with its key before it"
"""Facets of a table with a key: how many, 0 or 1."""

COPIED = "an exact copy of an earlier row"
EXPORTED_TWICE = "exported twice: a copy of a row from another part of the export"
NO_PERSON = "the customer behaves like no person"
LONG_BEFORE = "timestamp lies long before all the others"
HARMLESS = (COPIED, EXPORTED_TWICE, NO_PERSON)
"""Reasons that say nothing against the table: the row is still there, once, or it is no customer's."""


@dataclass(frozen=True)
class TimeSpan:
    """Facet of a table with a first and a last moment: their distance, which must not be negative."""

    start: str
    end: str

    @property
    def name(self) -> str:
        """The facet's column."""
        return f"{self.end} minus {self.start}"


def reference(column: Column) -> str:
    """Facet of a column that refers to another table: whether the value is there."""
    return f"{column.name} is in {column.refers_to.partition('.')[0]}"


def span(table: Table) -> TimeSpan | None:
    """The span of a table that has both `start` and `end`."""
    names = {column.name for column in table.columns}
    return TimeSpan("start", "end") if {"start", "end"} <= names else None


def needed(column: Column) -> str:
    """Facet of a column that some kinds of events may lack: whether the value is there where it is needed."""
    return f"{column.name} where it is needed"


def facets(table: Table) -> list[str]:
    """Names of the table's facets, in the order of the judged frame."""
    names = [reference(column) for column in table.columns if column.refers_to]
    names += [needed(column) for column in table.columns if column.without]
    between = span(table)
    if between:
        names.append(between.name)
    return names + ([COPY, REPEAT] if table.key else [])


def suite(
    table: Table, *, attributes: tuple[str, ...] = (), filled: tuple[str, ...] = (), horizon: datetime | None = None
) -> dict[str, Any]:
    """What a table must satisfy.

    attributes  names of attr_* columns, kept as they come
    filled      optional columns that the source did not bring: nothing but nulls is right there
    horizon     UTC; `timestamp` must lie before it

    Each expectation's meta holds `scope`: "table" (a failure means that the table is broken) or "row" (the row is set
    aside), the `reason` that a person reads and, for rows, the column to look up refused values in.
    """
    columns = [column.name for column in table.columns] + list(attributes)
    expectations = [
        _of_table("the table is empty", "expect_table_row_count_to_be_between", min_value=1),
        _of_table(
            "other columns than the contract's",
            "expect_table_columns_to_match_ordered_list",
            column_list=columns + facets(table),
        ),
    ]
    for column in table.columns:
        expectations += _column(column, brought=column.name not in filled, horizon=horizon)
    between = span(table)
    if between:
        expectations.append(
            _of_row(
                f"{between.end} lies before {between.start}",
                "expect_column_values_to_be_between",
                column=between.name,
                min_value=0,
            )
        )
    if table.key:
        key = ", ".join(table.key)
        expectations.append(_of_row(COPIED, "expect_column_values_to_be_in_set", column=COPY, value_set=[0]))
        expectations.append(
            _of_row(
                f"a row with the same {key} came before",
                "expect_column_values_to_be_in_set",
                column=REPEAT,
                value_set=[0],
            )
        )
    return {"name": table.name, "expectations": expectations}


def _column(column: Column, *, brought: bool, horizon: datetime | None) -> list[dict[str, Any]]:
    name = column.name
    wanted = [
        _of_table(
            f"{name} is not of type {column.kind}",
            "expect_column_values_to_be_of_type",
            column=name,
            type_=PANDAS_TYPES[column.kind],
        )
    ]
    if not column.nullable or column.without or (brought and column.kind in ("number", "count")):
        wanted.append(
            _of_table(
                f"{name} is empty in every row",
                "expect_column_proportion_of_non_null_values_to_be_between",
                column=name,
                min_value=0,
                strict_min=True,
            )
        )
    if not column.nullable:
        wanted.append(_of_row(f"{name} is missing", "expect_column_values_to_not_be_null", column=name))
    if column.without:
        wanted.append(
            _of_row(f"{name} is missing", "expect_column_values_to_be_in_set", column=needed(column), value_set=[True])
        )
    return wanted + _values(column, horizon)


def _values(column: Column, horizon: datetime | None) -> list[dict[str, Any]]:
    """What holds for each value of the column that is there."""
    name, between = column.name, "expect_column_values_to_be_between"
    wanted = []
    if column.kind == "number":
        wanted.append(_of_row(f"{name} is not finite", between, column=name, min_value=-FINITE, max_value=FINITE))
    if column.low is not None:
        wanted.append(_of_row(f"{name} is below {column.low:g}", between, column=name, min_value=column.low))
    if column.high is not None:
        wanted.append(_of_row(f"{name} is above {column.high:g}", between, column=name, max_value=column.high))
    if column.allowed:
        wanted.append(
            _of_row(
                f"{name} is none of {', '.join(column.allowed)}",
                "expect_column_values_to_be_in_set",
                column=name,
                value_set=list(column.allowed),
            )
        )
    if name == "timestamp":
        wanted.append(_of_row("timestamp lies before 1970", between, column=name, min_value=datetime(1970, 1, 1)))
    if name == "timestamp" and horizon is not None:
        wanted.append(
            _of_row("timestamp lies after the business date", between, column=name, max_value=horizon, strict_max=True)
        )
    if column.refers_to:
        wanted.append(
            _of_row(
                f"{name} is not in {column.refers_to.partition('.')[0]}",
                "expect_column_values_to_be_in_set",
                column=reference(column),
                value_set=[True],
                looked_up=name,
            )
        )
    return wanted


def _of_table(reason: str, kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"scope": "table", "reason": reason}}


def _of_row(reason: str, kind: str, *, looked_up: str = "", **kwargs: Any) -> dict[str, Any]:
    """`looked_up`: the column whose refused values lead back to the rows; by default the one that is judged."""
    meta = {"scope": "row", "reason": reason, "looked_up": looked_up or kwargs["column"]}
    return {"type": kind, "kwargs": kwargs, "meta": meta}
