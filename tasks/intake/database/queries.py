"""The few queries that are asked, with names quoted for the database's own language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlglot import exp

from nightmarket.contracts import InputError
from tasks.intake.database.settings import DatabaseTable

NUMBERS = 1 << 20
"""Numbers of a watermark that make one part."""
AS_TEXT = (
    pa.types.is_fixed_size_binary,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_time,
    pa.types.is_interval,
)


@dataclass(frozen=True)
class Queries:
    """What is asked of one table.

    columns  {name: type} as the database has them
    """

    table: DatabaseTable
    dialect: str
    columns: Mapping[str, pa.DataType]

    @staticmethod
    def origin(table: DatabaseTable, dialect: str) -> str:
        """The table, or the query in brackets."""
        if table.query:
            return f"({table.query.strip().rstrip(';')}) AS asked"
        return ".".join(quoted(part, dialect) for part in table.table.split("."))

    @classmethod
    def probe(cls, table: DatabaseTable, dialect: str) -> str:
        """All columns, for their types."""
        return f"SELECT * FROM {cls.origin(table, dialect)}"

    def check(self) -> None:
        """Raises InputError for a watermark that is none."""
        name = self.table.watermark
        if name not in self.columns:
            raise InputError(f"watermark: there is no column '{name}'; there are {', '.join(self.columns)}")
        kind = self.columns[name]
        if not (pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise InputError(f"watermark: '{name}' holds {kind}; name a column of moments or whole numbers")

    @property
    def mark(self) -> str:
        """The watermark, quoted."""
        return quoted(self.table.watermark, self.dialect)

    @property
    def by_number(self) -> bool:
        """Whether the watermark is a number, not a moment."""
        return bool(pa.types.is_integer(self.columns[self.table.watermark]))

    def rows(self) -> str:
        """Every column as one that Arrow has a plain type for: sums of money as numbers, what is rare as text."""
        return f"SELECT {', '.join(map(self._plain, self.columns))} FROM {self.origin(self.table, self.dialect)}"

    def _plain(self, name: str) -> str:
        column, kind = quoted(name, self.dialect), self.columns[name]
        if self.dialect != "postgres":
            return column
        if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
            return f"CAST({column} AS double precision) AS {column}"
        if isinstance(kind, pa.BaseExtensionType) or any(is_rare(kind) for is_rare in AS_TEXT):
            return f"CAST({column} AS text) AS {column}"
        return column

    def some(self, low: Any, high: Any) -> tuple[str, list[Any]]:
        """Rows from one watermark on and below another; None and None: those without one."""
        if low is None:
            return f"{self.rows()} WHERE {self.mark} IS NULL", []
        return f"{self.rows()} WHERE {self.mark} >= ? AND {self.mark} < ?", [self._bound(low), self._bound(high)]

    def _bound(self, part: str) -> Any:
        if self.by_number:
            return int(part)
        day, kind = datetime.fromisoformat(part), self.columns[self.table.watermark]
        if pa.types.is_date(kind):
            return day.date()
        return day.replace(tzinfo=UTC) if kind.tz else day

    def parts(self) -> str:
        """Per part its rows, and a sum that a row which is another one changes."""
        mark = self.mark
        if self.by_number:
            part, total = f"{mark} - {mark} % {NUMBERS}", f"SUM({mark})"
        else:
            part = f"CAST({mark} AS date)"
            sums = {
                "postgres": f"SUM(EXTRACT(epoch FROM {mark}))",
                "duckdb": f"SUM(epoch_us(CAST({mark} AS timestamp)))",
                "mysql": f"SUM(TIMESTAMPDIFF(MICROSECOND, '2000-01-01', {mark}))",
            }
            total = sums.get(self.dialect, f"MAX({mark})")
        text = {"mysql": "char"}.get(self.dialect, "varchar")
        chosen = f"CAST({part} AS {text}) AS part, COUNT(*) AS num, CAST({total} AS {text}) AS total"
        return f"SELECT {chosen} FROM {self.origin(self.table, self.dialect)} GROUP BY {part}"

    def after(self, part: str) -> str:
        """The beginning of the part that follows."""
        if self.by_number:
            return str(int(part) + NUMBERS)
        return (date.fromisoformat(part) + timedelta(days=1)).isoformat()


def quoted(name: str, dialect: str) -> str:
    """A name as the database quotes it, whatever signs are in it."""
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect if dialect in KNOWN else None)


KNOWN: Sequence[str] = (
    "postgres",
    "mysql",
    "duckdb",
    "snowflake",
    "bigquery",
    "sqlite",
    "redshift",
    "trino",
    "clickhouse",
)
