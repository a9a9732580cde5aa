"""Everything that is held about one customer, for whoever asks what that is: every row of every table with their name.

reads   parquet files of data/raw, artifacts and exports; the live site's log; the desk's record

What was learned from many customers together, as models and product statistics, is in no row of theirs.
"""

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.desk import journal
from tasks.files import catalogue
from tasks.live import log
from tasks.privacy.pseudonyms import digest

PLACES = ("data/raw", "artifacts", "exports")
NAME, NUMBER = "customer_id", "customer"
"""Columns that name a customer: by pseudonym, by their number in this night's tables."""


def held(home: Path, pseudonym: str) -> dict[str, Any]:
    """{customer, made_at, tables: {file: rows}, live_site: {table: rows}, looked_at: moments at the desk}."""
    tables = {file: rows for file, rows in _tables(home, pseudonym) if rows}
    looked = [row["at"] for row in journal.rows(home) if row.get("customer") == digest(pseudonym)]
    return {
        "customer": pseudonym,
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tables": tables,
        "live_site": _of_site(pseudonym),
        "looked_at": looked,
    }


def _tables(home: Path, pseudonym: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    numbers = _rows(catalogue.CUSTOMERS.at(home).path, NAME, pseudonym)
    number = numbers[0][NUMBER] if numbers else None
    for place in PLACES:
        for path in sorted((home / place).rglob("*.parquet")):
            columns = pq.read_schema(path)
            name = path.relative_to(home).as_posix()
            if NAME in columns.names:
                yield name, _rows(path, NAME, pseudonym)
            elif number is not None and NUMBER in columns.names and pa.types.is_integer(columns.field(NUMBER).type):
                yield name, _rows(path, NUMBER, number)


def _rows(path: Path, column: str, value: Any) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    own = pq.read_table(path, filters=[(column, "==", value)]).to_pylist()
    return [{name: _plain(part) for name, part in row.items()} for row in own]


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | list) else str(value)


def _of_site(pseudonym: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of the live site's log; none where no site was served."""
    if not log.path().exists():
        return {}
    live = log.LiveLog()
    try:
        return {table: rows for table, rows in live.held(pseudonym).items() if rows}
    finally:
        live.close()
