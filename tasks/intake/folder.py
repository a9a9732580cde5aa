"""A retailer's own tables: a folder with one CSV or parquet file per table, columns renamed as the mapping says."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import ATTRIBUTE_PREFIX, BY_NAME, TABLES, Column, Table, arrow_schema
from nightmarket.contracts.values import EXPECTED, BadValues, WrongType, convert
from tasks.files import manifest
from tasks.intake import BATCH_ROWS, Feed
from tasks.intake.text_files import TextFile, looks_like_a_value

MAX_ATTRIBUTES = 20
MIN_LEVELS, MAX_LEVELS = 50, 10_000
"""A column of the customers with more than MIN_LEVELS values, most of them different, or more than MAX_LEVELS, says
who a customer is rather than what they are like."""

DEFAULTS = {("events", "kind"): pa.scalar("purchase"), ("events", "quantity"): pa.scalar(1.0)}
"""What an optional column holds when the source lacks it; others hold nulls."""

NEEDED = tuple(table.name for table in TABLES if table.needed)

Mapping = dict[str, dict[str, str]]


class File(Protocol):
    """A file of one table."""

    path: Path

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some of its columns, in row order."""

    def line(self, row: int) -> int:
        """Where a row stands for a person who opens the file: its line, or 0 if the file has none."""


class ParquetFile:
    """One parquet file."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is damaged or cut off."""
        self.path = path
        try:
            self._types = {field.name: field.type for field in pq.read_schema(path)}
        except (pa.ArrowException, OSError):
            raise self._damaged() from None

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""
        return self._types

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Row groups in pieces. Raises InputError where a page is damaged."""
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=columns)
        except (pa.ArrowException, OSError):
            raise self._damaged() from None

    def line(self, row: int) -> int:
        """Parquet has no lines."""
        return 0

    def _damaged(self) -> InputError:
        return InputError(f"{self.path.name} cannot be read as parquet: it is cut off or damaged; export it again")


class FolderConnector:
    """One folder of tables, as `snapshot.folder` names it.

    needed   tables that must be there
    section  what stands before a setting's name in messages
    """

    def __init__(
        self,
        folder: Path,
        mapping: Mapping,
        time_zone: str,
        *,
        needed: Sequence[str] = NEEDED,
        section: str = "snapshot.",
    ) -> None:
        """Raises InputError for a folder, table or mapping that is not there."""
        if not folder.is_dir():
            raise InputError(f"{section}folder: there is no folder {folder}; put your tables there or name another")
        self.folder = folder
        self.mapping = mapping
        self.time_zone = time_zone
        self.section = section
        self.paths = {table.name: path for table in TABLES if (path := self._find(table))}
        for table in TABLES:
            if table.name in needed and table.name not in self.paths:
                there = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_file())[:10]) or "no file"
                raise InputError(
                    f"{folder} has no {table.name}.csv or {table.name}.parquet (found: {there}); "
                    "name the files after the tables"
                )
        for name in mapping:
            if name not in self.paths:
                raise InputError(f"{section}mapping.{name}: {folder} has no {name}.csv or {name}.parquet")

    def identity(self) -> dict[str, str]:
        """sha256 of the files that are read."""
        return {path.name: manifest.digest(path) for path in self.paths.values()}

    def known_until(self) -> date:
        """Tomorrow: today's rows count, later ones lie in the future."""
        return self.full_until() + timedelta(days=1)

    def full_until(self) -> date:
        """Today is not over."""
        return datetime.now(UTC).astimezone(ZoneInfo(self.time_zone)).date()

    def feeds(self) -> Iterator[Feed]:
        """The tables that are there, in contract order; all headers are checked before the first row is read."""
        files = {name: ParquetFile(path) if path.suffix == ".parquet" else TextFile(path)
                 for name, path in self.paths.items()}  # fmt: skip
        readers = [TableReader(BY_NAME[name], file, self.mapping.get(name, {}), self.time_zone, self.section)
                 for name, file in files.items()]  # fmt: skip
        for reader in readers:
            yield reader.feed()

    def about(self, business_date: date | None) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def _find(self, table: Table) -> Path | None:
        paths = [path for end in (".csv", ".parquet") if (path := self.folder / f"{table.name}{end}").exists()]
        if len(paths) > 1:
            raise InputError(f"{self.folder} has both {paths[0].name} and {paths[1].name}; keep one of them")
        if paths and not paths[0].resolve().is_relative_to(self.folder.resolve()):
            raise InputError(f"{paths[0]} is a link that leaves the folder; put the file itself there")
        if paths and not paths[0].is_file():
            raise InputError(f"{paths[0]} is no file; put the table itself there, or take it away")
        return paths[0] if paths else None


def check_mapping(mapping: Mapping) -> None:
    """InputError for a table or a column of ours that the contract does not have."""
    for name, columns in mapping.items():
        if name not in BY_NAME:
            raise InputError(f"there is no table '{name}'; there are {', '.join(BY_NAME)}")
        known = [column.name for column in BY_NAME[name].columns]
        for ours in columns:
            if ours not in known and not (BY_NAME[name].attributes and ours.startswith(ATTRIBUTE_PREFIX)):
                raise InputError(f"{name}: there is no column '{ours}'; there are {', '.join(known)}")


class TableReader:
    """How one file becomes one table."""

    def __init__(self, table: Table, file: File, mapping: dict[str, str], time_zone: str, section: str) -> None:
        """Raises InputError for a column that is missing or of a type that cannot be meant."""
        self.table = table
        self.file = file
        self.time_zone = time_zone
        there = list(file.types())
        if not {mapping.get(column.name, column.name) for column in table.columns} & set(there) and any(
            re.fullmatch(r"[\d.,:/ -]+", name) for name in there
        ):
            raise InputError(f"{file.path.name}, line 1: a row where the names of the columns must be; put them there")
        self.theirs: dict[str, str] = {}
        for column in table.columns:
            theirs = mapping.get(column.name, column.name)
            if theirs in there:
                self.theirs[column.name] = theirs
            elif column.name in mapping:
                raise InputError(f"{file.path.name} has no column '{theirs}' ({section}mapping.{table.name}."
                                 f"{column.name}); it has {_list(there)}")  # fmt: skip
            elif column.required:
                raise InputError(
                    f"{file.path.name} has no column '{column.name}' (it has {_list(there)}); "
                    f"add it, or name yours under {section}mapping.{table.name}.{column.name}"
                )
        self.extra = [name for name in there if name not in self.theirs.values()]
        self.named = {theirs: ours for ours, theirs in mapping.items() if ours.startswith(ATTRIBUTE_PREFIX)}
        self.extra.sort(key=lambda name: name not in self.named)
        for theirs in self.named.keys() - set(self.extra):
            raise InputError(f"{file.path.name} has no column '{theirs}' ({section}mapping.{table.name}."
                             f"{self.named[theirs]}) to spare; it has {_list(there)}")  # fmt: skip
        self.attributes = self._attributes() if table.attributes else {}

    def feed(self) -> Feed:
        """The table's stream."""
        return Feed(
            self.table,
            self.batches,
            tuple(self.attributes),
            dropped=tuple(name for name in self.extra if name not in self.attributes.values()),
            filled=tuple(column.name for column in self.table.columns if column.name not in self.theirs),
            file=self.file.path.name,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Contract columns, then attributes. Raises InputError for the first column with values of another kind."""
        schema = arrow_schema(self.table, tuple(self.attributes))
        row = 0
        for batch in self.file.batches([*dict.fromkeys([*self.theirs.values(), *self.attributes.values()])]):
            arrays = [self._column(column, batch, row) for column in self.table.columns]
            arrays += [self._attribute(name, batch, row) for name in self.attributes]
            yield pa.record_batch(arrays, schema=schema)
            row += batch.num_rows

    def _column(self, column: Column, batch: pa.RecordBatch, row: int) -> pa.Array:
        if column.name not in self.theirs:
            kind = arrow_schema(self.table).field(column.name).type
            return pa.repeat(DEFAULTS.get((self.table.name, column.name), pa.scalar(None, kind)), batch.num_rows)
        return self._converted(column, self.theirs[column.name], batch, row)

    def _attribute(self, name: str, batch: pa.RecordBatch, row: int) -> pa.Array:
        theirs = self.attributes[name]
        values = batch[theirs]
        if pa.types.is_floating(values.type) or pa.types.is_temporal(values.type) or pa.types.is_decimal(values.type):
            return values.cast(pa.string())
        return self._converted(Column(name, "text", ""), theirs, batch, row)

    def _converted(self, column: Column, theirs: str, batch: pa.RecordBatch, row: int) -> pa.Array:
        try:
            return convert(batch[theirs], column, self.time_zone)
        except WrongType:
            raise InputError(
                f"{self.file.path.name}: column '{theirs}' ({self.table.name}.{column.name}) holds "
                f"{batch[theirs].type} in all rows, from row 1 on; it must hold {EXPECTED[column.kind]}"
            ) from None
        except BadValues as bad:
            raise self._bad(column, theirs, row + int(np.flatnonzero(bad.where)[0])) from None

    def _bad(self, column: Column, theirs: str, first: int) -> InputError:
        """Count the column's unreadable values in the whole file."""
        count = 0
        for batch in self.file.batches([theirs]):
            try:
                convert(batch[theirs], column, self.time_zone)
            except BadValues as bad:
                count += int(bad.where.sum())
        line = self.file.line(first)
        where = f"line {line}" if line else f"row {first + 1}"
        return InputError(
            f"{self.file.path.name}: column '{theirs}' ({self.table.name}.{column.name}) holds {count:,} values that "
            f"are not {EXPECTED[column.kind]}, first in {where}; fix them, or leave them empty"
        )

    def _attributes(self) -> dict[str, str]:
        """attr_* names for the first columns beyond the contract that identify no customer."""
        names: dict[str, str] = {}
        identifying = self._identifying(self.extra[:MAX_ATTRIBUTES])
        for theirs in self.extra[:MAX_ATTRIBUTES]:
            if theirs in identifying:
                continue
            name = self.named.get(theirs) or ATTRIBUTE_PREFIX + re.sub(r"\W+", "_", theirs.strip().lower())
            names[name if name not in names else f"{name}_{len(names)}"] = theirs
        return names

    def _identifying(self, names: list[str]) -> set[str]:
        """Columns whose values are mostly different, like an address or a telephone number: they are left out."""
        seen: dict[str, set[Any]] = {name: set() for name in names}
        rows = dict.fromkeys(names, 0)
        for batch in self.file.batches(names) if names else ():
            for name in names:
                values = batch[name].drop_null()
                rows[name] += len(values)
                if len(seen[name]) <= MAX_LEVELS:
                    seen[name].update(values.unique().to_pylist())
        return {
            name for name in names if len(seen[name]) > max(MIN_LEVELS, rows[name] / 2) or len(seen[name]) > MAX_LEVELS
        }


def _list(names: list[str]) -> str:
    """Names of columns; none of them where one looks like a customer's value, as in a file without a header."""
    if any(looks_like_a_value(name) for name in names):
        return f"{len(names)} columns, whose names look like values: is the first line the header?"
    return ", ".join(names[:15]) + (" …" if len(names) > 15 else "")
