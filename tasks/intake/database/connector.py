"""A retailer's tables in a database: read in one transaction into files, which are read like a folder of tables."""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from tasks.files.storage import private, write_json
from tasks.intake import BATCH_ROWS
from tasks.intake.database.queries import NUMBERS, Queries, quoted
from tasks.intake.database.reader import ROWS, ConnectionLostError, Reader, connect
from tasks.intake.database.settings import Database, DatabaseTable

LOG = logging.getLogger("nightmarket")
FOLDER, TABLES, PARTS = "database", "tables", "parts"
NONE = "none"
"""Name of the part whose rows have no watermark."""
RECORD = ".read.json"
RUN_ROWS = 2_000_000
"""About so many rows are asked for at once: what is lost with a connection."""
MEMORY = "2GB"
"""What sorting a part's rows may take; more goes to disk."""


def download(database: Database) -> Path:
    """The folder with the tables as they are now, a file for each.

    Raises InputError for what the database does not have or allow, and where the connection is lost again and again.
    """
    url = os.environ.get(database.url, "")
    if not url:
        raise InputError(f"{database.url} is not set; export it with the database's address, or name another variable "
                         "(snapshot.database.url)")  # fmt: skip
    sweep()
    folder = private(FOLDER)
    for place in (folder, folder / TABLES, folder / PARTS):
        place.mkdir(exist_ok=True, mode=0o700)
    for path in (folder / PARTS).iterdir():
        if path.name not in database.tables or not database.tables[path.name].watermark:
            shutil.rmtree(path)
    for attempt in range(database.tries):
        try:
            _read_all(database, url, folder)
            return folder / TABLES
        except ConnectionLostError as error:
            last = str(error)
            if attempt + 1 < database.tries:
                LOG.warning("snapshot: %s; begun again in %d s, days that are there are kept", last, 2**attempt)
                time.sleep(2**attempt)
    raise InputError(f"{last}; it was tried {database.tries} times (snapshot.database.tries), and nothing was changed")


def sweep() -> None:
    """Remove the tables of the night; what is kept by its watermark stays, customers do not."""
    shutil.rmtree(private(FOLDER) / TABLES, ignore_errors=True)


def remove() -> None:
    """Remove what is kept of the database between nights."""
    shutil.rmtree(private(FOLDER), ignore_errors=True)


def _read_all(database: Database, url: str, folder: Path) -> None:
    """All tables in one transaction; what is wrong with any is said before the first row is read."""
    reader = connect(url, database.timeout_s)
    try:
        asked = []
        for name, table in database.tables.items():
            with _named(name):
                asked.append((name, _queries(reader, table)))
        for name, queries in asked:
            with _named(name):
                target = folder / TABLES / f"{name}.parquet"
                if queries.table.watermark:
                    _Parts(reader, queries, folder / PARTS / name, name).read(target)
                else:
                    _Whole(reader, queries, name).read(target)
    finally:
        reader.close()


@contextmanager
def _named(table: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"snapshot.database.tables.{table}: {error}") from None


def _queries(reader: Reader, table: DatabaseTable) -> Queries:
    columns = reader.types(Queries.probe(table, reader.dialect))
    if len({name.casefold() for name in columns}) < len(columns):
        raise InputError("two columns have the same name; name them apart in a query")
    queries = Queries(table, reader.dialect, columns)
    if table.watermark:
        queries.check()
    return queries


class _Whole:
    """A table that is read anew each night."""

    def __init__(self, reader: Reader, queries: Queries, name: str) -> None:
        self.reader, self.queries, self.name = reader, queries, name

    def read(self, target: Path) -> None:
        """Write it in an order of its own, whatever order the database has its rows in."""
        raw = target.with_name(f".{self.name}.raw")
        rows = _save(self.reader.batches(self.queries.rows()), self.queries, raw, self.name)
        for _, batches in _sorted(raw, "''"):
            _write(batches, target)
        if rows:
            raw.unlink()
        else:
            raw.replace(target)
        LOG.info("snapshot: %s: %s rows read from the database", self.name, f"{rows:,}")


class _Parts:
    """A table of which the days, or runs of numbers, that did not change are kept."""

    def __init__(self, reader: Reader, queries: Queries, folder: Path, name: str) -> None:
        self.reader, self.queries, self.folder, self.name = reader, queries, folder, name

    def read(self, target: Path) -> None:
        """Read the parts whose rows or sum are not those on record, remove what is gone, and write all as one."""
        self.folder.mkdir(exist_ok=True, mode=0o700)
        asked = self._identity()
        known = self._known(asked)
        there = {str(part) if part is not None else NONE: (int(num), str(total))
                 for batch in self.reader.batches(self.queries.parts())
                 for part, num, total in zip(*(batch[i].to_pylist() for i in range(3)), strict=True)}  # fmt: skip
        gone = sorted(known.keys() - there.keys())
        stale = sorted((part for part in there if known.get(part) != there[part]), key=self._order)
        changed = [part for part in stale if part in known]
        for part in [*gone, *changed]:
            known.pop(part)
            (self.folder / f"{part}.parquet").unlink(missing_ok=True)
        self._record(asked, known)
        rows = 0
        for run in self._runs(stale, there):
            came, counted = self._fetch(run), sum(there[part][0] for part in run)
            if came != counted:  # below 0, or at infinity: in no part
                raise InputError(
                    f"watermark: of {counted:,} rows from {run[0]} to {run[-1]} {came:,} came; "
                    f"'{self.queries.table.watermark}' has values that are no days or are below 0: "
                    "leave them out by a query, or name no watermark"
                )
            rows += came
            known |= {part: there[part] for part in run}
            self._record(asked, known)
        kept = sum(num for num, _ in there.values()) - sum(there[part][0] for part in stale)
        again = f", {len(changed) + len(gone)} parts changed or gone since the last time" if changed or gone else ""
        LOG.info("snapshot: %s: %s rows read from the database, %s kept%s", self.name, f"{rows:,}", f"{kept:,}", again)
        _join([self.folder / f"{part}.parquet" for part in sorted(there, key=self._order)], self.queries, target)

    def _identity(self) -> dict[str, Any]:
        columns = [[name, str(kind)] for name, kind in self.queries.columns.items()]
        return {"table": self.queries.table.model_dump(), "columns": columns, "dialect": self.queries.dialect}

    def _known(self, asked: dict[str, Any]) -> dict[str, tuple[int, str]]:
        """Parts on record with their rows and sum; none where the table is another one by now."""
        try:
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            record = {}
        if record.get("asked") == asked:
            parts = {part: tuple(value) for part, value in record["parts"].items()}
            known = {part: value for part, value in parts.items() if (self.folder / f"{part}.parquet").exists()}
        else:
            if record:
                LOG.warning(
                    "snapshot: %s: %s; all of it is read anew", self.name, _what_changed(record["asked"], asked)
                )
            known = {}
        for path in self.folder.iterdir():
            if path.name != RECORD and path.stem not in known:
                path.unlink()
        return known

    def _record(self, asked: dict[str, Any], known: dict[str, tuple[int, str]]) -> None:
        write_json({"asked": asked, "parts": dict(sorted(known.items()))}, self.folder / RECORD)

    def _order(self, part: str) -> tuple[bool, int, str]:
        return (part == NONE, int(part) if self.queries.by_number and part != NONE else 0, part)

    def _runs(self, stale: list[str], there: dict[str, tuple[int, str]]) -> Iterator[list[str]]:
        """Stale parts that no kept one lies between, not much more than RUN_ROWS each."""
        run: list[str] = []
        rows = 0
        order = {part: place for place, part in enumerate(sorted(there, key=self._order))}
        for part in stale:
            apart = bool(run) and (order[part] != order[run[-1]] + 1 or part == NONE)
            if apart or rows > RUN_ROWS:
                yield run
                run, rows = [], 0
            run.append(part)
            rows += there[part][0]
        if run:
            yield run

    def _fetch(self, run: list[str]) -> int:
        bounds = (None, None) if run == [NONE] else (run[0], self.queries.after(run[-1]))
        query, values = self.queries.some(*bounds)
        raw = self.folder / ".raw"
        rows = _save(self.reader.batches(query, values), self.queries, raw, self.name)
        for part, batches in _sorted(raw, self._part()):
            _write(batches, self.folder / f"{part}.parquet")
        raw.unlink()
        return rows

    def _part(self) -> str:
        """The part that a row of a file of our own is in, for DuckDB."""
        mark = quoted(self.queries.table.watermark, "duckdb")
        part = f"{mark} - {mark} % {NUMBERS}" if self.queries.by_number else f"CAST({mark} AS DATE)"
        return f"coalesce(CAST({part} AS VARCHAR), '{NONE}')"


def _what_changed(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before.get("columns") == now["columns"]:
        return "its settings are others than the last time"
    names, were = {name for name, _ in now["columns"]}, {name for name, _ in before.get("columns", [])}
    new, gone = ", ".join(sorted(names - were)), ", ".join(sorted(were - names))
    said = [f"new columns {new}"] if new else []
    said += [f"columns {gone} are gone"] if gone else []
    return " and ".join(said) or "columns hold another kind of value than the last time"


def _save(batches: Iterator[pa.RecordBatch], queries: Queries, path: Path, name: str) -> int:
    """Rows as they come; progress every few seconds."""
    out, rows, said = None, 0, time.monotonic()
    try:
        for batch in batches:
            if out is None:
                out = pq.ParquetWriter(path, batch.schema, compression="zstd", compression_level=1)
            out.write_batch(batch)
            rows += batch.num_rows
            if time.monotonic() - said > 5:
                said = time.monotonic()
                LOG.info("snapshot: %s: %s rows read from the database so far", name, f"{rows:,}")
        if out is None:  # no rows: the columns all the same
            schema = pa.schema([(column, _stored(kind)) for column, kind in queries.columns.items()])
            out = pq.ParquetWriter(path, schema)
    finally:
        if out is not None:
            out.close()
    return rows


def _join(paths: list[Path], queries: Queries, target: Path) -> None:
    """Files of one table as one: a reader takes long over many small ones."""
    gathered: list[pa.Table] = []
    out = None
    for place, path in enumerate(paths, 1):
        gathered.append(pq.read_table(path))
        if place < len(paths) and sum(table.num_rows for table in gathered) < BATCH_ROWS:
            continue
        table = pa.concat_tables(gathered)
        out = out or pq.ParquetWriter(target, table.schema, compression="zstd", compression_level=1)
        out.write_table(table)
        gathered.clear()
    if out is None:
        _save(iter(()), queries, target, "")
    else:
        out.close()


def _stored(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
        return pa.float64()
    return pa.string() if isinstance(kind, pa.BaseExtensionType) else kind


def _sorted(path: Path, part: str) -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
    """Each part of a file with its rows, in one order that all columns decide, so that equal rows give equal bytes.

    part  expression of DuckDB
    """
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(path.parent)}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = f'SELECT {part} AS "part of nightmarket", * FROM read_parquet(?) ORDER BY ALL'
        batches = (
            piece for batch in connection.sql(query, params=[str(path)]).to_arrow_reader(ROWS) for piece in _cut(batch)
        )
        for name, pieces in groupby(batches, key=lambda piece: str(piece[0])):
            yield name, (rows for _, rows in pieces)


def _cut(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """A batch where its first column, which is left out, changes."""
    runs = pc.run_end_encode(batch.column(0))
    rows, start = batch.select(range(1, batch.num_columns)), 0
    for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield name, rows[start:end]
        start = end


def _write(batches: Iterator[pa.RecordBatch], path: Path) -> None:
    fresh = path.with_name(f".{path.name}.new")
    first = next(batches)
    with pq.ParquetWriter(fresh, first.schema, compression="zstd", compression_level=1) as out:
        for batch in chain([first], batches):
            out.write_batch(batch)
    fresh.replace(path)
