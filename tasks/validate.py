"""Check the snapshot against the contract; set bad rows aside; stop at a broken table.

reads   data/raw
writes  clean/       the snapshot without bad rows
        quarantine/  per table with bad rows: position in the raw table, reasons, the row
        docs/        Great Expectations' Data Docs; they count and never quote
        report.json  how many rows came, stayed and were set aside, and why

The only user of Great Expectations. What it is shown, and why that is exact: nightmarket/contracts/refusals.py.
"""

import contextlib
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.contracts.clock import local_day, midnight
from nightmarket.contracts.refusals import Block, Positions, Refusals, distinct_frame, find, fold, sort_out
from nightmarket.contracts.sources import (
    SOURCE,
    account,
    called,
    check_arrived,
    check_volume,
    files,
    sources,
    with_source,
)
from nightmarket.contracts.suites import COPY, EXPORTED_TWICE, LONG_BEFORE, NO_PERSON, REPEAT, suite
from nightmarket.contracts.tables import ATTRIBUTE_PREFIX, TABLES, Table, arrow_schema
from tasks.files import catalogue, manifest
from tasks.files.storage import RAW, stream_table, stream_writer, swap, write_json
from tasks.intake.ended import EndedProducts, ended_products, with_ended
from tasks.intake.expectations import Expectations
from tasks.intake.oddities import odd_rows
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

LOG = logging.getLogger("nightmarket")
OUT = catalogue.VALIDATE.path
UNKNOWN = "product_id is not in products"
STAGE = Stage(
    "check the snapshot against the contracts; set bad rows aside",
    reads=(catalogue.RAW_FOLDER,),
    writes=(catalogue.VALIDATE,),
)


class Settings(StageSettings):
    """params.yaml: validate."""

    max_bad_share: float = Field(
        0.02, ge=0, le=1, description="share of a table's rows that may be set aside; beyond it the run stops"
    )
    max_volume_drop: float = Field(
        0.5, ge=0, le=1, description="share of a table's rows that may be missing against the previous snapshot"
    )


def run(settings: Settings) -> None:
    """Validate every table of the snapshot, then write all of artifacts/validate at once."""
    about = catalogue.SNAPSHOT.read()
    tables = [with_source(_brought(table), sources(about)) for table in TABLES if table.name in about["tables"]]
    _check_whole(about, tables)
    check_volume(about, settings.max_volume_drop)
    for table in tables:
        check_arrived(about, table)
    LOG.info("validate: %d tables; loading Great Expectations", len(tables))
    validator = Validator(about, Expectations())
    verdicts = []
    for table in tables:
        verdict = validator(table)
        verdict.check_share(settings.max_bad_share)
        validator.remember(verdict)
        verdicts.append(verdict)
        for part in (verdict, *verdict.parts().values()):
            LOG.info("validate: %s %s rows, %s set aside", part.name, f"{part.num_rows:,}", f"{len(part.bad()):,}")
        for part in verdict.parts().values() or (verdict,):
            for reason, rows in part.refused.items():
                LOG.info("validate: %s: %s: %s, first in %s", part.name, reason, f"{len(rows):,}", part.first(rows))
    _write(about, verdicts, validator)


def _brought(table: Table) -> Table:
    """The table with the columns of those channels that the snapshot has."""
    path = RAW / f"{table.name}.parquet"
    return table.with_channels(pq.read_schema(path).names) if table.by_channel and path.exists() else table


def _check_whole(about: dict[str, Any], tables: list[Table]) -> None:
    """Raises InputError where a needed table or one referred to is missing, or a file was changed."""
    names = {table.name for table in tables}
    for table in TABLES:
        if table.needed and table.name not in names:
            raise InputError(f"the snapshot has no table {table.name}; bring it and run the snapshot again")
    for table in tables:
        path = RAW / f"{table.name}.parquet"
        referring = [column for column in table.columns if column.refers_to and not _empty(path, column.name)]
        for other in {column.refers_to.partition(".")[0] for column in referring} - names:
            raise InputError(
                f"{called(about, table.name)} refers to {other}, which the snapshot lacks; bring {other} as well"
            )
        if not path.exists():
            raise InputError(f"{path} is missing; run the snapshot again, or `dvc checkout`")
        if manifest.digest(path) != about["tables"][table.name]["sha256"]:
            changed = f"{path} is not the file that the snapshot wrote"
            raise InputError(f"{changed}; run the snapshot again, or `dvc checkout`")


def _empty(path: Path, column: str) -> bool:
    """Whether no row names anything in a column that refers to another table, as none of a live site's does."""
    if not path.exists():
        return False
    parts = pq.read_metadata(path)
    place = parts.schema.to_arrow_schema().get_field_index(column)
    groups = (parts.row_group(at).column(place).statistics for at in range(parts.num_row_groups))
    return all(group is not None and group.num_values == 0 for group in groups) and parts.num_rows > 0


class Validator:
    """Validates tables in contract order: a reference is checked against the kept rows of the table it names."""

    def __init__(self, about: dict[str, Any], expectations: Expectations) -> None:
        self.about = about
        self.expectations = expectations
        as_of = date.fromisoformat(about["as_of"])
        self.horizon = max(midnight(as_of, origin["time_zone"]) for origin in self._origins().values())
        self.known: dict[str, pa.Array] = defaultdict(lambda: pa.array([], pa.string()))
        self.last_event: dict[str, datetime] = {}
        self.ended = EndedProducts.none()

    def __call__(self, table: Table) -> Refusals:
        """Raises InputError for a broken table."""
        path = RAW / f"{table.name}.parquet"
        arrived = self.about["tables"][table.name]
        parts = arrived.get("sources", {})
        rows = {source: parts[source]["rows"] for source in sources(self.about) if source in parts}
        verdict = Refusals(table, arrived["rows"], sources=rows, files=files(self.about, table.name))
        schema = _schema(path, table)
        content = self._suite(table, schema)
        if not verdict.num_rows:
            self._check_empty(table)
        repeats = _repeats(path, table, schema.names)
        broken: list[set[str]] = []
        for block in fold(_counted(stream_table(path), verdict), table):
            frame = distinct_frame(block, table, self.known, {name: len(rows) > 0 for name, rows in repeats.items()})
            outcomes = self.expectations.validate(content, frame)
            broken.append({meta["reason"] for meta, holds, _ in outcomes if not holds and meta["scope"] == "table"})
            self._collect(verdict, outcomes, block, repeats)
        if table.name == "events":
            self.last_event = _latest(path, self.horizon, SOURCE in schema.names)
            for reason, positions in odd_rows(path, schema.names).items():
                verdict.refuse(reason, positions)
            if self.about.get("source") == "demo":  # whose catalogue lacks products that its shop went on selling
                strangers = ended_products(path, verdict.bad(), self.known["products.product_id"])
                verdict.refuse(UNKNOWN, strangers.places(path))
        order = [expectation["meta"]["reason"] for expectation in content["expectations"]]
        order += [UNKNOWN, LONG_BEFORE, EXPORTED_TWICE, NO_PERSON]
        verdict.refused = {reason: verdict.refused[reason] for reason in order if reason in verdict.refused}
        for reason in sorted(set.intersection(*broken)) if broken else ():
            raise InputError(f"{verdict.name}: {reason} ({verdict.num_rows:,} rows, from row 1 on); bring its values")
        return verdict

    def _suite(self, table: Table, schema: pa.Schema) -> dict[str, Any]:
        attributes = tuple(name for name in schema.names if name.startswith(ATTRIBUTE_PREFIX))
        filled = tuple(self.about["filled_columns"].get(table.name, ()))
        return suite(table, attributes=attributes, filled=filled, horizon=self.horizon)

    def _check_empty(self, table: Table) -> None:
        """A table that only the business date emptied is fine unless it is needed; so is a list that had no row yet."""
        if table.may_be_empty and not self.about["previous"].get(table.name):
            return
        if table.needed or not self.about["after_business_date"].get(table.name):
            hint = "bring its rows" if table.needed else "bring its rows, or leave it out"
            raise InputError(f"{called(self.about, table.name)} is empty (0 rows before {self.about['as_of']}); {hint}")

    def _collect(self, verdict: Refusals, outcomes: list[Any], block: Block, repeats: dict[str, Positions]) -> None:
        """Find the rows behind the refused values of one block."""
        wanted: dict[str, tuple[str, pa.Array]] = {}
        for meta, holds, rows in outcomes:
            if holds or meta["scope"] != "row":
                continue
            column = meta["looked_up"]
            if column in repeats:
                inside = (repeats[column] >= block.start) & (repeats[column] < block.start + block.num_rows)
                verdict.refuse(meta["reason"], repeats[column][inside])
                continue
            values = block.values[column]
            index = np.unique(np.minimum(rows, len(values) - 1))
            wanted[meta["reason"]] = (column, values.take(pa.array(index)))
        if wanted:
            path = RAW / f"{verdict.table.name}.parquet"
            for reason, rows in find(stream_table(path), verdict.table, block, wanted).items():
                verdict.refuse(reason, rows)

    def remember(self, verdict: Refusals) -> None:
        """Keep the ids that other tables may refer to: those of rows that stay."""
        for name in {column.refers_to for other in TABLES for column in other.columns if column.refers_to}:
            table, _, column = name.partition(".")
            if table == verdict.table.name:
                ids = pq.read_table(RAW / f"{table}.parquet", columns=[column]).column(0)
                stays = np.ones(len(ids), bool)
                stays[verdict.bad()] = False
                self.known[name] = ids.filter(pa.array(stays)).unique()
        if verdict.table.name == "events":
            self._remember_ended(verdict)

    def _remember_ended(self, verdict: Refusals) -> None:
        """Products of events that the catalogue does not have are known from here on; they have ended."""
        key = "products.product_id"
        self.ended = ended = ended_products(RAW / "events.parquet", verdict.bad(), self.known[key])
        if not ended.table.num_rows:
            return
        if ended.rows == verdict.num_rows - len(verdict.bad()):
            raise InputError(
                f"{verdict.name}: product_id is in {called(self.about, 'products')} in none of {ended.rows:,} rows, "
                "from row 1 on; export both with the same ids"
            )
        self.known[key] = pa.concat_arrays([self.known[key], ended.table["product_id"].combine_chunks()])
        LOG.info("validate: %s", ended.words(verdict))

    def warnings(self) -> list[str]:
        """What a person should know and no run stops for: a source whose last full day has no events."""
        warnings = []
        for source, origin in self._origins().items():
            day, zone = date.fromisoformat(origin["last_full_day"]), origin["time_zone"]
            last = self.last_event.get(source)
            if last is None or last < midnight(day, zone):
                name = f"events of {source}" if source else "events"
                seen = local_day(last, zone) if last else "never"
                warnings.append(f"{name}: none on {day}, the last full day; the latest are of {seen}")
        return warnings

    def _origins(self) -> dict[str, Any]:
        """Zone and last full day of each source; of the only one under ""."""
        return {source["name"]: source for source in self.about.get("sources", ())} or {"": self.about}


def _counted(chunks: Iterator[pa.RecordBatch], verdict: Refusals) -> Iterator[pa.RecordBatch]:
    """The same chunks, with a line every few seconds."""
    rows, last_logged = 0, time.perf_counter()
    for chunk in chunks:
        yield chunk
        rows += chunk.num_rows
        if time.perf_counter() - last_logged > 3:
            last_logged = time.perf_counter()
            LOG.info("validate: %s, %s of %s rows read", verdict.table.name, f"{rows:,}", f"{verdict.num_rows:,}")


def _latest(path: Path, horizon: datetime, sourced: bool) -> dict[str, datetime]:
    """The last moment before the horizon, by source."""
    source = f'"{SOURCE}"' if sourced else "''"
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        latest = database.execute(
            f"select {source}, max(timestamp) from read_parquet(?) where timestamp < ? group by all",
            [str(path), horizon],
        ).fetchall()
    return dict(latest)


def _schema(path: Path, table: Table) -> pa.Schema:
    """The file's schema; InputError where it is not the contract's, exactly."""
    schema = pq.read_schema(path).remove_metadata()
    attributes = tuple(name for name in schema.names if table.attributes and name.startswith(ATTRIBUTE_PREFIX))
    wanted = arrow_schema(table, attributes)
    if set(schema.names) != set(wanted.names):
        odd = sorted(set(schema.names) ^ set(wanted.names))
        raise InputError(f"{path}: the columns differ from the contract's in {', '.join(odd)}; run the snapshot again")
    for field in wanted:
        if schema.field(field.name).type != field.type:
            raise InputError(
                f"{path}: column {field.name} is {schema.field(field.name).type} and must be {field.type}; "
                "run the snapshot again"
            )
    return schema


def _repeats(path: Path, table: Table, columns: list[str]) -> dict[str, Positions]:
    """Rows whose key came before: exact copies, and others."""
    if not table.key:
        return {}
    key = ", ".join(f'"{name}"' for name in table.key)
    whole = ", ".join(f'"{name}"' for name in columns)
    known = " and ".join(f'"{name}" is not null' for name in table.key)
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        repeated = database.execute(
            f"select row, copy > 1 as copied from (select file_row_number as row, "
            f"row_number() over (partition by {key} order by file_row_number) as nth, "
            f"row_number() over (partition by {whole} order by file_row_number) as copy "
            f"from read_parquet(?, file_row_number = true) where {known}) where nth > 1 order by row",
            [str(path)],
        ).fetchnumpy()
    rows, copy = np.asarray(repeated["row"], np.int64), np.asarray(repeated["copied"], bool)
    return {COPY: rows[copy], REPEAT: rows[~copy]}


def _write(about: dict[str, Any], verdicts: list[Refusals], validator: Validator) -> None:
    """Write everything beside artifacts/validate, then put it there."""
    fresh = OUT.with_name(f".{OUT.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        for verdict in verdicts:
            _sort_out(verdict, fresh)
        if validator.ended.table.num_rows:
            with_ended(fresh / "clean" / "products.parquet", validator.ended)
        shutil.copyfile(catalogue.SNAPSHOT.path, fresh / "clean" / "snapshot.json")
        validator.expectations.write_docs(verdicts, fresh / "docs", about)
        report = _report(about, verdicts, validator)
        for warning in report["warnings"]:
            LOG.warning("validate: %s", warning)
        write_json(report, fresh / "report.json")
        swap(fresh, OUT)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sort_out(verdict: Refusals, folder: Path) -> None:
    """Write a table's clean rows and, where there are any, those set aside; a spotless table is copied as it is."""
    source = RAW / f"{verdict.table.name}.parquet"
    clean, quarantine = (folder / place / source.name for place in ("clean", "quarantine"))
    clean.parent.mkdir(parents=True, exist_ok=True)
    quarantine.parent.mkdir(parents=True, exist_ok=True)
    if not len(verdict.bad()):
        shutil.copyfile(source, clean)
        return
    with contextlib.ExitStack() as stack:
        writers: dict[Path, pq.ParquetWriter] = {}
        for kept, aside in sort_out(stream_table(source), verdict):
            for path, rows in ((clean, kept), (quarantine, aside)):
                if rows is None:
                    continue
                if path not in writers:
                    writers[path] = stack.enter_context(stream_writer(path, rows.schema))
                writers[path].write_batch(rows)


def _report(about: dict[str, Any], verdicts: list[Refusals], validator: Validator) -> dict[str, Any]:
    report = {
        "as_of": about["as_of"],
        "tables": {verdict.table.name: account(about, verdict) for verdict in verdicts},
        "expectations": validator.expectations.num_expectations,
        "success": True,
        "warnings": validator.warnings(),
        "dropped_columns": about["dropped_columns"],
        "after_business_date": about["after_business_date"],
    }
    notes = {name: dict(lines) for name, lines in about.get("notes", {}).items()}
    if validator.ended.table.num_rows:
        notes.setdefault("events", {}).update(validator.ended.notes())
    report |= {"notes": notes} if notes else {}
    return report | {name: about[name] for name in ("sources", "currency", "conflicts") if name in about}
