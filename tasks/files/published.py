"""A night in the shop's Postgres: all its tables in one transaction, so that a reader sees the old night or the new."""

import contextlib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, digest, forgotten

TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_float32, "real"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp with time zone"),
)
NIGHTS = "night date PRIMARY KEY, version text, run text, commit text, published_at timestamp with time zone"
LATEST = "(SELECT night FROM {schema}.nights ORDER BY published_at DESC LIMIT 1)"
CUSTOMER = "customer_id"


class Publication:
    """One transaction; leaving it commits, an error rolls all of it back.

    Raises InputError, in a line without the address, for what the database does not allow.
    """

    def __init__(self, url: str, schema: str, timeout_s: int) -> None:
        if urlsplit(url).scheme not in ("postgresql", "postgres"):
            raise InputError(
                "sink.database: tables are published in Postgres alone, for readers must never see half a night"
            )
        try:
            self._driver = importlib.import_module("adbc_driver_postgresql.dbapi")
        except ImportError:
            raise InputError(
                "sink: Postgres is written by another package; install it: pip install 'nightmarket[sql]'"
            ) from None
        self._url, self._name, self._schema, self._timeout_s = url, schema, quoted(schema), timeout_s

    def __enter__(self) -> Self:
        try:
            self._connection = self._driver.connect(self._url)
            self._do(f"SET LOCAL statement_timeout = {self._timeout_s * 1000}")
            self._do("SET LOCAL client_min_messages = warning")
            if not self._asked("SELECT 1 FROM information_schema.schemata WHERE schema_name = $1", self._name):
                self._do(f"CREATE SCHEMA {self._schema}")
            # two nights at once would wait for each other in the middle; so one waits at the beginning
            self._do(f"CREATE TABLE IF NOT EXISTS {self._schema}.nights ({NIGHTS})")
            self._do(f"LOCK TABLE {self._schema}.nights IN SHARE ROW EXCLUSIVE MODE")
        except self._driver.Error as error:
            raise _refusal(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._connection.commit()
        except self._driver.Error as refused:
            raise _refusal(refused) from None
        finally:
            with contextlib.suppress(self._driver.Error):
                self._connection.close()
        if isinstance(error, self._driver.Error):
            raise _refusal(error) from None

    def own_ids(self, table: str, column: str) -> dict[str, str]:
        """Pseudonym → the shop's own id, under each of our keys."""
        query = f"SELECT DISTINCT CAST({quoted(column)} AS text) FROM {'.'.join(map(quoted, table.split('.')))}"
        hashed = Pseudonyms(customer_keys())
        ids = [str(row[0]) for row in self._asked(f"{query} WHERE {quoted(column)} IS NOT NULL")]
        return {name: own for own in ids for name in hashed.under_each_key(own, "")}

    def put(self, name: str, rows: pa.Table, night: Mapping[str, Any], names: Mapping[str, str] | None) -> int:
        """Take the place of the night's rows; returns how many there are. Customers who are not listed are left out."""
        if names is not None and CUSTOMER in rows.column_names:
            own = [names.get(customer) for customer in rows[CUSTOMER].to_pylist()]
            rows = rows.set_column(rows.column_names.index(CUSTOMER), CUSTOMER, pa.array(own, pa.string()))
            rows = rows.filter(pc.is_valid(rows[CUSTOMER]))
        rows = _plain(rows)
        head = {"night": pa.scalar(night["night"], pa.date32()), "version": pa.scalar(night["version"])}
        for at, (column, value) in enumerate(head.items()):
            rows = rows.add_column(at, column, pa.repeat(value, rows.num_rows))
        self._make(name, rows.schema)
        self._do(f"DELETE FROM {self._schema}.{quoted(name)} WHERE night = $1", night["night"])
        if rows.num_rows:
            with self._connection.cursor() as cursor:
                cursor.adbc_ingest(name, rows, mode="append", db_schema_name=self._name)
        return rows.num_rows

    def forget(self, names: Mapping[str, str] | None) -> None:
        """Take out of every night whom the shop forgot."""
        gone = forgotten()
        if not gone:
            return
        by_own: dict[str, list[str]] = {}
        for pseudonym, own in (names or {}).items():
            by_own.setdefault(own, []).append(pseudonym)
        for table in self._published():
            if CUSTOMER not in self._columns(table):
                continue
            place = f"{self._schema}.{quoted(table)}"
            for (customer,) in self._asked(f"SELECT DISTINCT customer_id FROM {place}"):
                if any(digest(name) in gone for name in by_own.get(customer, [customer])):
                    self._do(f"DELETE FROM {place} WHERE customer_id = $1", customer)

    def keep(self, nights: int) -> None:
        """Remove all but the nights published last."""
        old = f"SELECT night FROM {self._schema}.nights ORDER BY published_at DESC OFFSET {int(nights)}"
        tables = self._published()
        for (night,) in self._asked(old):
            for table in tables:
                self._do(f"DELETE FROM {self._schema}.{quoted(table)} WHERE night = $1", night)
            self._do(f"DELETE FROM {self._schema}.nights WHERE night = $1", night)

    def note(self, night: Mapping[str, Any]) -> None:
        """From the end of the transaction on the views show this night."""
        self._do(f"DELETE FROM {self._schema}.nights WHERE night = $1", night["night"])
        columns = ("night", "version", "run", "commit")
        self._do(
            f"INSERT INTO {self._schema}.nights ({', '.join(columns)}, published_at) "
            "VALUES ($1, $2, $3, $4, clock_timestamp())",
            *(night[column] for column in columns),
        )

    def _make(self, name: str, schema: pa.Schema) -> None:
        """The table and its view; columns that are new since are added to both."""
        place, view = f"{self._schema}.{quoted(name)}", f"{self._schema}.{quoted(f'current_{name}')}"
        columns = [f"{quoted(field.name)} {_type(field.type)}" for field in schema]
        there = self._columns(name)
        if not there:
            self._do(f"CREATE TABLE {place} ({', '.join(columns)})")
            self._do(f"CREATE INDEX ON {place} (night{', customer_id' if CUSTOMER in schema.names else ''})")
        for field, column in zip(schema, columns, strict=True):
            if there and field.name not in there:
                self._do(f"ALTER TABLE {place} ADD COLUMN {column}")
        if self._columns(f"current_{name}") != (wanted := self._columns(name)):
            latest = LATEST.format(schema=self._schema)
            chosen = f"SELECT {', '.join(map(quoted, wanted))} FROM {place} WHERE night = {latest}"
            self._do(f"CREATE OR REPLACE VIEW {view} AS {chosen}")

    def _published(self) -> list[str]:
        """Every table of nights, also one whose stage made nothing tonight."""
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'"
        return [str(row[0]) for row in self._asked(query, self._name) if row[0] != "nights"]

    def _columns(self, name: str) -> list[str]:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
        return [str(row[0]) for row in self._asked(f"{query} ORDER BY ordinal_position", self._name, name)]

    def _do(self, command: str, *values: Any) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(command, values or None)

    def _asked(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())


def quoted(name: str) -> str:
    """A name as Postgres quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _type(kind: pa.DataType) -> str:
    return next((name for is_kind, name in TYPES if is_kind(kind)), "text")


def _plain(rows: pa.Table) -> pa.Table:
    """Whole numbers of one width, as the table has them; NaN is no value."""
    arrays: Iterable[pa.ChunkedArray] = rows.columns
    out = {}
    for name, column in zip(rows.column_names, arrays, strict=True):
        kind = column.type
        if pa.types.is_integer(kind):
            out[name] = column.cast(pa.int64())
        elif pa.types.is_floating(kind):
            out[name] = pc.if_else(pc.is_nan(pc.fill_null(column, np.nan)), pa.scalar(None, kind), column)
        else:
            out[name] = column.cast(pa.string()) if pa.types.is_dictionary(kind) else column
    return pa.table(out)


def _refusal(error: Exception) -> InputError:
    state = str(getattr(error, "sqlstate", "") or "")
    if state == "42501":
        return InputError("sink: the database lets this user not write: GRANT CREATE on the database, or on its schema")
    if state in ("42804", "42703"):
        return InputError(
            "sink: a table of this name has other columns; name another schema (sink.name), or drop the table"
        )
    if state == "57014":
        return InputError("sink: the database ended a statement: it took longer than sink.timeout_s")
    if not state or state[:2] in ("08", "28", "3D", "57"):
        return InputError("sink: nobody answers or lets us in at the database's address; nothing was published there")
    return InputError(f"sink: the database refuses (SQLSTATE {state}); nothing was published there")
