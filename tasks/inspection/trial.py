"""The proposal tried on the first part of each file, with the code of a night: what is read, understood, set aside.

Tables lie in a temporary folder meanwhile, with customers under a key that nobody keeps.
"""

import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from nightmarket.contracts.suites import COPIED, HARMLESS, needed, reference, span, suite
from nightmarket.contracts.tables import BY_NAME, TABLES, Table
from tasks import snapshot
from tasks.intake import Feed
from tasks.intake.agreement import SeenIds, check_amounts
from tasks.intake.arrivals import write
from tasks.intake.folder import FolderConnector
from tasks.intake.oddities import odd_rows
from tasks.intake.table_reader import TableReader
from tasks.privacy.pseudonyms import Pseudonyms

HEAD = 1 << 26
"""Bytes that are read of each table."""
SHOWN = 3
JOINED = "spellings of customers' ids that differ in capitals or blanks alone, joined"


@dataclass
class TableTrial:
    """What came of one table.

    whole    whether all of it was read
    bytes    that were read at most
    notes    what was understood, in how many rows
    aside    reasons for which rows would be set aside, and how many
    bad      how many rows those are that speak against the table
    refused  why it is not read at all, ""
    parsed   its first rows
    """

    name: str
    rows: int = 0
    whole: bool = True
    bytes: int = 0
    notes: dict[str, int] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    bad: int = 0
    refused: str = ""
    parsed: pa.Table | None = None
    dropped: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Trial:
    """What came of all, and what is wrong between tables."""

    tables: dict[str, TableTrial] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    units: dict[str, dict[str, float]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether a night would take it."""
        return not self.problems and not any(table.refused for table in self.tables.values())


def attempt(section: Mapping[str, Any], folder: Path, say: Callable[[str], None] = lambda _: None) -> Trial:
    """Read as a night would. Nothing here raises for what lies in the folder."""
    trial = Trial()
    settings = snapshot.Settings.model_validate({**section, "folder": str(folder)})
    with tempfile.TemporaryDirectory(prefix="nightmarket-") as place:
        try:
            connector = FolderConnector(folder, settings, settings.zone, currency=settings.currency, head=HEAD)
        except InputError as error:
            trial.problems.append(str(error))
            return trial
        seen = SeenIds()
        pseudonyms = Pseudonyms((secrets.token_bytes(32),), frozenset())
        readers = [reader for name in connector.paths if (reader := _reader(connector, name, trial, say))]
        try:
            connector.agree(readers)
        except InputError as error:
            trial.problems.append(str(error))
        for reader in readers:
            say(f"reading {reader.file.path.name}")
            _read(trial.tables[reader.table.name], reader.feed(), Path(place), pseudonyms, settings.zone, seen)
        if pseudonyms.joined and "events" in trial.tables:
            trial.tables["events"].notes[JOINED] = pseudonyms.joined
        _agree(trial, seen, Path(place), settings)
        say("checking rows")
        _count_refusals(trial, Path(place))
    return trial


def _reader(connector: FolderConnector, name: str, trial: Trial, say: Callable[[str], None]) -> TableReader | None:
    files = connector.paths[name]
    trial.tables[name] = table = TableTrial(name)
    paths = [path for part in (files, *getattr(files, "also", ())) for path in part.paths]
    table.whole = all(path.stat().st_size < files.share for path in paths)
    table.bytes = files.share * len(paths)
    say(f"looking at {files.paths[0].name}")
    try:
        file = files.file(connector.reading.encodings.get(name, ""))
        return TableReader(BY_NAME[name], file, connector.reading, connector.time_zone, "snapshot.")
    except InputError as error:
        table.refused = str(error)
    except Exception as error:  # whatever lies there: the other tables are tried all the same
        table.refused = f"{files.paths[0].name} cannot be read ({type(error).__name__})"
    return None


def _read(table: TableTrial, feed: Feed, place: Path, pseudonyms: Pseudonyms, zone: str, seen: SeenIds) -> None:
    path = place / f"{table.name}.parquet"
    try:
        arrival = write([feed], path, pseudonyms, None, zone)[0]
        notes = dict(feed.notes)  # which reading again begins anew
        first = next(iter(feed.batches()), None)
    except InputError as error:
        table.refused = str(error)
        path.unlink(missing_ok=True)
        return
    except Exception as error:
        table.refused = f"{feed.file} cannot be read ({type(error).__name__})"
        path.unlink(missing_ok=True)
        return
    seen.add(table.name, feed.file, arrival.ids, feed.decimals)
    table.rows, table.notes, table.dropped = arrival.rows, notes, feed.dropped
    table.parsed = pa.Table.from_batches([first]).slice(0, SHOWN) if first is not None else None
    table.facts["filled"] = set(feed.filled)
    table.facts["attributes"] = feed.attributes


def _agree(trial: Trial, seen: SeenIds, place: Path, settings: snapshot.Settings) -> None:
    for check in (partial(seen.check, settings.ids), partial(check_amounts, place, seen, settings.units_given())):
        try:
            check()
        except InputError as error:
            trial.problems.append(str(error))
            trial.units |= getattr(error, "units", {})


def _count_refusals(trial: Trial, place: Path) -> None:
    """Count rows that validation would set aside, with its own reasons."""
    horizon = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=2)
    known: dict[str, pa.Array] = {}
    for contract in TABLES:
        table, path = trial.tables.get(contract.name), place / f"{contract.name}.parquet"
        if table is None or not path.exists():
            continue
        content = pq.read_table(path)
        contract = contract.with_channels(content.column_names)
        bad = np.zeros(content.num_rows, bool)
        for reason, rows in _reasons(contract, content, path, table, horizon, known):
            table.aside[reason] = int(rows.sum())
            if reason not in HARMLESS:
                bad |= rows
        table.bad = int(bad.sum())
        for column in contract.columns:
            if column.kind == "id":
                known[f"{contract.name}.{column.name}"] = content[column.name].filter(pa.array(~bad)).unique()
        if contract.name == "events":
            table.facts |= _history(content.filter(pa.array(~bad)), known.get("products.product_id"))


def _reasons(
    contract: Table, content: pa.Table, path: Path, table: TableTrial, horizon: datetime, known: dict[str, pa.Array]
) -> Any:
    columns = _facets(contract, content, known)
    filled = tuple(table.facts.get("filled", ()))
    for expectation in suite(contract, filled=filled, horizon=horizon)["expectations"]:
        kind, wanted, meta = expectation["type"], expectation["kwargs"], expectation["meta"]
        values = columns.get(wanted.get("column", ""))
        if meta["scope"] == "table":
            empty = kind == "expect_column_proportion_of_non_null_values_to_be_between"
            if empty and content.num_rows and values is not None and values.null_count == content.num_rows:
                table.refused = table.refused or f"{meta['reason']}, and the night would stop"
            continue
        if values is None:
            continue
        rows = _failing(kind, wanted, values)
        if rows.any():
            yield meta["reason"], rows
    if contract.key:
        yield from _repeated(contract, path, content.num_rows)
    if contract.name == "events":
        for reason, places in odd_rows(path, content.column_names).items():
            rows = np.zeros(content.num_rows, bool)
            rows[places] = True
            yield reason, rows


def _facets(contract: Table, content: pa.Table, known: dict[str, pa.Array]) -> dict[str, pa.ChunkedArray]:
    columns = {name: content[name] for name in content.column_names}
    for column in contract.columns:
        if column.refers_to and column.refers_to in known:
            holds = pc.is_in(columns[column.name], value_set=known[column.refers_to])
            columns[reference(column)] = pc.if_else(columns[column.name].is_null(), pa.scalar(None, pa.bool_()), holds)
        if column.without:
            lacking_is_fine = pc.is_in(columns["kind"], value_set=pa.array(column.without))
            columns[needed(column)] = pc.or_(columns[column.name].is_valid(), lacking_is_fine)
    between = span(contract)
    if between:
        columns[between.name] = pc.subtract(columns[between.end], columns[between.start]).cast(pa.int64())
    return columns


def _failing(kind: str, wanted: Mapping[str, Any], values: pa.ChunkedArray) -> np.ndarray:
    """Where a row does not hold what the expectation wants; bool (N,)."""
    if kind == "expect_column_values_to_not_be_null":
        return np.asarray(values.is_null())
    if kind == "expect_column_values_to_be_in_set":
        good = pc.is_in(values, value_set=pa.array(wanted["value_set"], values.type))
    else:
        good = pa.chunked_array([pa.repeat(True, len(values))])
        if wanted.get("min_value") is not None:
            good = pc.and_(good, pc.greater_equal(values, pa.scalar(wanted["min_value"], values.type)))
        if wanted.get("max_value") is not None:
            compare = pc.less if wanted.get("strict_max") else pc.less_equal
            good = pc.and_(good, compare(values, pa.scalar(wanted["max_value"], values.type)))
    return ~np.asarray(pc.or_(pc.fill_null(good, False), values.is_null()), bool)


def _repeated(contract: Table, path: Path, num_rows: int) -> Any:
    key = ", ".join(f'"{name}"' for name in contract.key)
    known = " and ".join(f'"{name}" is not null' for name in contract.key)
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        whole = ", ".join(f'"{name}"' for name in pq.read_schema(path).names)
        repeated = database.execute(
            f"select row, copy > 1 as copied from (select file_row_number as row, "
            f"row_number() over (partition by {key} order by file_row_number) as nth, "
            f"row_number() over (partition by {whole} order by file_row_number) as copy "
            f"from read_parquet(?, file_row_number = true) where {known}) where nth > 1",
            [str(path)],
        ).fetchnumpy()
    places, copied = np.asarray(repeated["row"], np.int64), np.asarray(repeated["copied"], bool)
    for reason, chosen in ((COPIED, copied), (f"a row with the same {', '.join(contract.key)} came before", ~copied)):
        if chosen.any():
            rows = np.zeros(num_rows, bool)
            rows[places[chosen]] = True
            yield reason, rows


def _history(events: pa.Table, catalogue: pa.Array | None) -> dict[str, Any]:
    """What is known of the shop by its events: kinds, days, people, products without a page."""
    counted = events["kind"].value_counts().to_pylist()
    days = pc.min_max(events["timestamp"]).as_py()
    known = events["product_id"].drop_null()
    ended = 0 if catalogue is None else len(known) - (pc.sum(pc.is_in(known, value_set=catalogue)).as_py() or 0)
    bought = events.filter(pc.equal(events["kind"], "purchase"))["product_id"].unique()
    bought = bought if len(bought) else known.unique()
    unsold = 0 if catalogue is None else len(catalogue) - (pc.sum(pc.is_in(catalogue, value_set=bought)).as_py() or 0)
    return {
        "kinds": {pair["values"]: pair["counts"] for pair in counted if pair["values"]},
        "first": days["min"],
        "last": days["max"],
        "customers": len(events["customer_id"].drop_null().unique()),
        "products": len(known.unique()),
        "baskets": len(events["basket_id"].drop_null().unique()),
        "with_value": events.num_rows - events["value"].null_count,
        "ended": ended,
        "unsold": unsold,
    }
