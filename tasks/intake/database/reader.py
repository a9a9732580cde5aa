"""Databases that are read: Postgres, MySQL or MariaDB, a DuckDB file; others by the ADBC driver of their name.

A reader is one transaction that sees one state of the database. Values are bound and names are quoted, never written
into SQL as text; a message holds neither the address nor its password.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa

from nightmarket.contracts import InputError

ROWS = 1 << 17
"""Rows of a batch, where the driver asks."""
DIALECTS = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "mariadb": "mysql", "duckdb": "duckdb"}
KNOWN = "postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE or duckdb:///FILE"


class ConnectionLostError(Exception):
    """The database went away in the middle; what was asked may be asked again."""


class Reader(Protocol):
    """One transaction that sees one state of the database.

    dialect  as sqlglot calls it
    """

    dialect: str

    def types(self, query: str) -> dict[str, pa.DataType]:
        """Columns of a query without its rows."""

    def batches(self, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """Rows of a query; `?` stands for each value. Raises ConnectionLostError, InputError."""

    def close(self) -> None:
        """End the transaction; nothing was written."""


def connect(url: str, timeout_s: int) -> Reader:
    """Raises InputError for an address that is none, ConnectionLostError where nobody answers."""
    scheme = urlsplit(url).scheme.split("+")[0]
    if not scheme:
        raise InputError(f"the database's address is none; write it as {KNOWN}")
    if scheme == "duckdb":
        return DuckFile(url)
    return MySql(url, timeout_s) if scheme in ("mysql", "mariadb") else Adbc(url, scheme, timeout_s)


class DuckFile:
    """A DuckDB file, opened to be read."""

    dialect = "duckdb"

    def __init__(self, url: str) -> None:
        path = unquote(url.partition("://")[2])
        try:
            self._connection = duckdb.connect(path.removeprefix("/") if path.startswith("//") else path, read_only=True)
        except duckdb.Error as error:
            raise InputError(f"the DuckDB file cannot be opened: {_first_line(error)}") from None
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("BEGIN TRANSACTION")

    def types(self, query: str) -> dict[str, pa.DataType]:
        """Columns of a query without its rows."""
        return {field.name: field.type for field in self._ran(query, ()).to_arrow_reader(1).schema}

    def batches(self, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """Rows of a query."""
        try:
            yield from self._ran(query, values).to_arrow_reader(ROWS)
        except duckdb.Error as error:
            raise InputError(f"the DuckDB file cannot be read: {_first_line(error)}") from None

    def _ran(self, query: str, values: Sequence[Any]) -> duckdb.DuckDBPyRelation:
        try:
            return self._connection.sql(query, params=list(values))
        except duckdb.CatalogException as error:
            raise InputError(f"the database has no such table: {_first_line(error)}") from None
        except duckdb.Error as error:
            raise InputError(f"the database refuses the query: {_first_line(error)}") from None

    def close(self) -> None:
        """End the transaction."""
        self._connection.close()


class Adbc:
    """A database with an ADBC driver: Postgres comes with the extra `sql`; others by the name of their package."""

    def __init__(self, url: str, scheme: str, timeout_s: int) -> None:
        self.dialect = DIALECTS.get(scheme, scheme)
        name = "postgresql" if self.dialect == "postgres" else scheme
        try:
            driver = importlib.import_module(f"adbc_driver_{name}.dbapi")
        except ImportError:
            extra = "nightmarket[sql]" if name == "postgresql" else f"adbc-driver-{name}"
            raise InputError(f"{scheme} is read by another package; install it: pip install '{extra}'") from None
        self._error = importlib.import_module("adbc_driver_manager").Error
        try:
            self._connection = driver.connect(url)
            if self.dialect == "postgres":
                self._do("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                self._do("SET LOCAL TIME ZONE 'UTC'")
                self._do(f"SET LOCAL statement_timeout = {int(timeout_s) * 1000}")
        except self._error as error:
            raise self._said(error) from None

    def types(self, query: str) -> dict[str, pa.DataType]:
        """Columns of a query without its rows."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}) AS asked LIMIT 0")
                return {field.name: field.type for field in cursor.fetch_record_batch().schema}
        except self._error as error:
            raise self._said(error) from None

    def batches(self, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """Rows of a query."""
        if self.dialect == "postgres":
            places = iter(range(1, len(values) + 1))
            query = re.sub(r"\?", lambda _: f"${next(places)}", query) if values else query
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, tuple(values) or None)
                yield from cursor.fetch_record_batch()
        except (self._error, pa.ArrowException, OSError) as error:
            raise self._said(error) from None

    def _do(self, command: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(command)

    def _said(self, error: Exception) -> Exception:
        """What a person does about it; only a name that the database speaks of is quoted."""
        state, text = str(getattr(error, "sqlstate", "") or ""), str(error)
        name = next(iter(re.findall(r'"([^"]+)"', text.partition("ERROR:")[2])), "")
        match state:
            case "42P01" | "3F000":
                advice = "" if "." in name else f"; write its schema before it, as shop.{name}"
                return InputError(f'the database has no table "{name}"{advice}')
            case "42703":
                return InputError(f'the database has no column "{name}"')
            case "42501":
                return InputError(
                    f"the database lets this user not read {name or 'it'}: GRANT SELECT ON it, USAGE on its schema"
                )
            case "57014":
                return InputError("the database ended the query: it took longer than snapshot.database.timeout_s")
            case "42601":
                return InputError("the database cannot read a query of snapshot.database; try it there")
            case "28P01" | "28000" | "3D000":
                return InputError(
                    "the database lets nobody in with this name, password or database; look at its address"
                )
        if re.search(
            "password authentication failed|no password supplied|role .* does not exist|database .* does not exist",
            text,
        ):
            return InputError("the database lets nobody in with this name, password or database; look at its address")
        if state[:2] in ("08", "57") or not state or isinstance(error, pa.ArrowException | OSError):
            return ConnectionLostError("the database went away, or nobody answers at its address")
        return InputError(f"the database refuses the query (SQLSTATE {state})")

    def close(self) -> None:
        """End the transaction."""
        with suppress(self._error):
            self._connection.close()


class MySql:
    """MySQL or MariaDB, rows streamed."""

    dialect = "mysql"

    def __init__(self, url: str, timeout_s: int) -> None:
        try:
            import pymysql
            from pymysql.cursors import SSCursor
        except ImportError:
            raise InputError("mysql is read by another package; install it: pip install 'nightmarket[sql]'") from None
        parts = urlsplit(url)
        self._errors = pymysql.err
        self._kinds = pymysql.constants.FIELD_TYPE
        try:
            self._connection = pymysql.connect(
                host=parts.hostname or "localhost",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=unquote(parts.path.strip("/")),
                charset="utf8mb4",
                cursorclass=SSCursor,
                connect_timeout=10,
                read_timeout=timeout_s,
            )
            with self._connection.cursor() as cursor:
                cursor.execute("SET time_zone = '+00:00'")
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        except self._errors.Error as error:
            raise self._said(error) from None

    def types(self, query: str) -> dict[str, pa.DataType]:
        """Columns of a query without its rows."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query}) AS asked LIMIT 0")
                return self._schema(cursor.description)
        except self._errors.Error as error:
            raise self._said(error) from None

    def batches(self, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """Rows of a query."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query.replace("%", "%%").replace("?", "%s"), tuple(values))
                types = self._schema(cursor.description)
                while rows := cursor.fetchmany(ROWS):
                    columns = zip(*rows, strict=True)
                    arrays = [_array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
                    yield pa.record_batch(arrays, schema=pa.schema(types))
        except self._errors.Error as error:
            raise self._said(error) from None

    def _schema(self, description: Sequence[Sequence[Any]]) -> dict[str, pa.DataType]:
        kinds = self._kinds
        whole = {kinds.TINY, kinds.SHORT, kinds.LONG, kinds.LONGLONG, kinds.INT24, kinds.YEAR}
        broken = {kinds.FLOAT, kinds.DOUBLE, kinds.DECIMAL, kinds.NEWDECIMAL}
        types: dict[str, pa.DataType] = dict.fromkeys(whole, pa.int64()) | dict.fromkeys(broken, pa.float64())
        types |= {
            kinds.TIMESTAMP: pa.timestamp("us", "UTC"),
            kinds.DATETIME: pa.timestamp("us"),
            kinds.DATE: pa.date32(),
        }
        return {str(column[0]): types.get(column[1], pa.string()) for column in description}

    def _said(self, error: Exception) -> Exception:
        code = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        names = re.findall(r"'([^']+)'", str(error.args[1]) if len(error.args) > 1 else "")
        match code:
            case 1146 | 1049:
                return InputError(f'the database has no table "{names[0] if names else "of that name"}"')
            case 1054:
                return InputError(f'the database has no column "{names[0] if names else "of that name"}"')
            case 1044 | 1045 | 1142 | 1143:
                return InputError("the database lets this user not in, or not read a table: GRANT SELECT ON it")
            case 1064:
                return InputError("the database cannot read a query of snapshot.database; try it there")
            case 0 | 2002 | 2003 | 2006 | 2013 | 2055 | 1053 | 1927:
                return ConnectionLostError("the database went away, or nobody answers at its address")
        return InputError(f"the database refuses the query (error {code})")

    def close(self) -> None:
        """End the transaction."""
        with suppress(self._errors.Error, OSError):
            self._connection.close()


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array(
            [v.decode("utf-8", "replace") if isinstance(v, bytes) else None if v is None else str(v) for v in values],
            kind,
        )
    if pa.types.is_floating(kind):
        return pa.array([None if v is None else float(v) for v in values], kind)
    return pa.array(values, kind, from_pandas=True)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
