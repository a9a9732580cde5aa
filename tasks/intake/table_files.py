"""Which files hold a table: one or many, in a folder of their own, packed or not."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from nightmarket.contracts.values import is_vector
from nightmarket.intake import headers
from tasks.files import manifest
from tasks.intake import BATCH_ROWS
from tasks.intake.text_files import PACKED, USUAL, Layout, TextFile, opened
from tasks.intake.workbooks import WorkbookFile


class File(Protocol):
    """A file of one table."""

    path: Path

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some of its columns, in row order."""

    def where(self, row: int) -> str:
        """Where a row, from 0, stands for a person who opens the file: its line, or its number from 1."""


class ParquetFile:
    """One parquet file."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is damaged or cut off."""
        self.path = path
        try:
            self._types = {field.name: field.type for field in pq.read_schema(path)}
        except (pa.ArrowException, OSError, UnicodeError):
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

    def where(self, row: int) -> str:
        """Parquet has no lines."""
        return f"row {row + 1}"

    def _damaged(self) -> InputError:
        return InputError(f"{self.path.name} cannot be read as parquet: it is cut off or damaged; export it again")


class JsonLines:
    """One file with an object on each line, or with a list of objects; it is held in memory."""

    def __init__(self, path: Path, layout: Layout = USUAL) -> None:
        """Raises InputError for a file that is none."""
        self.path = path
        try:
            with opened(path, layout) as file:
                content = file.read()
            content.decode()
            self._table = self._read(content, layout)
        except (pa.ArrowException, OSError, EOFError, ValueError, TypeError, AttributeError, RecursionError):
            raise InputError(
                f"{path.name} cannot be read as JSON lines, one object on each line; export it again"
            ) from None

    def _read(self, content: bytes, layout: Layout) -> pa.Table:
        start = content.lstrip()[:1]
        if start not in (b"[", b"{"):  # which pyarrow may not survive
            raise ValueError
        if start == b"{":
            # an object must not be longer than a block
            options = pyarrow.json.ReadOptions(block_size=max(1 << 20, min(len(content) + 1, 1 << 26)))
            try:
                table = pyarrow.json.read_json(io.BytesIO(content), read_options=options)
                written = pa.schema([field.with_type(_written(field.type)) for field in table.schema])
                if written != table.schema:
                    parse = pyarrow.json.ParseOptions(explicit_schema=written)
                    table = pyarrow.json.read_json(io.BytesIO(content), read_options=options, parse_options=parse)
                return _answered(table)
            except pa.ArrowException:
                pass  # it may be one object over many lines
        if layout.head:
            with opened(self.path) as file:
                content = file.read()
        rows = json.loads(content)
        return _answered(pa.Table.from_pylist(rows if isinstance(rows, list) else [rows]))

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""
        return {field.name: field.type for field in self._table.schema}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All rows."""
        yield from self._table.select(columns).to_batches(BATCH_ROWS)

    def where(self, row: int) -> str:
        """Its line."""
        return f"line {row + 1}"


BESIDE_RECORDS = frozenset(
    ("meta", "metadata", "count", "total", "totalcount", "page", "pages", "pagesize", "perpage", "limit", "offset",
     "next", "nexturl", "nextpage", "nextcursor", "previous", "prev", "cursor", "hasmore", "hasnext", "links", "paging",
     "pagination", "status", "success", "ok", "error", "errors", "message", "code", "object", "url", "exportedat",
     "generatedat", "timestamp", "version")
)  # fmt: skip
"""What stands in the answer of a shop's API beside its records."""


def _answered(table: pa.Table) -> pa.Table:
    """The records of an API's answer, `{"orders": […], "count": 250}`; other tables as they are."""
    if table.num_rows != 1:
        return table
    lists = [
        field for field in table.schema if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type)
    ]
    beside = {headers.plain(field.name) for field in table.schema} - {headers.plain(field.name) for field in lists}
    if len(lists) != 1 or not beside <= BESIDE_RECORDS:
        return table
    return pa.Table.from_struct_array(pc.list_flatten(table[lists[0].name].combine_chunks()))


class Parts:
    """Several files of one table, one after another; a column that one lacks is empty there."""

    def __init__(self, parts: Sequence[File], partitions: Sequence[dict[str, str]]) -> None:
        """partitions  per part the values that its folders name, as {month: 2025-01} of `month=2025-01`"""
        self.parts = parts
        self.partitions = partitions
        first, last = parts[0].path.name, parts[-1].path.name
        self.path = Path(f"{first} … {last} ({len(parts)} files)")
        self._starts: list[int] = []

    def types(self) -> dict[str, pa.DataType]:
        """The columns of all."""
        types: dict[str, pa.DataType] = {}
        for part, named in zip(self.parts, self.partitions, strict=True):
            for name, kind in part.types().items():
                other = types.setdefault(name, kind)
                if other != kind:
                    types[name] = _wider(other, kind, name, part.path.name)
            types |= dict.fromkeys(named, pa.string())
        return types

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """The rows of one part after another."""
        types = self.types()
        schema = pa.schema([(name, types[name]) for name in columns])
        starts, row = [], 0
        for part, named in zip(self.parts, self.partitions, strict=True):
            starts.append(row)
            there = [name for name in columns if name in part.types() and name not in named]
            for batch in part.batches(there or [*part.types()][:1]):
                arrays = [
                    batch[name].cast(types[name]) if name in there
                    else pa.repeat(pa.scalar(named.get(name), types[name]), batch.num_rows)
                    for name in columns
                ]  # fmt: skip
                yield pa.record_batch(arrays, schema=schema)
                row += batch.num_rows
        self._starts = starts

    def where(self, row: int) -> str:
        """Its place in the part that holds it."""
        if len(self._starts) < len(self.parts):
            for _ in self.batches([*self.types()][:1]):
                pass
        at = next(at for at, start in reversed([*enumerate(self._starts)]) if start <= row)
        return f"{self.parts[at].where(row - self._starts[at])} of {self.parts[at].path.name}"


def _wider(one_kind: pa.DataType, other: pa.DataType, name: str, file: str) -> pa.DataType:
    numbers = [kind for kind in (one_kind, other) if pa.types.is_integer(kind) or pa.types.is_floating(kind)]
    if pa.types.is_null(one_kind) or pa.types.is_null(other):
        return other if pa.types.is_null(one_kind) else one_kind
    if len(numbers) == 2:
        return pa.float64() if any(pa.types.is_floating(kind) for kind in numbers) else pa.int64()
    if all(pa.types.is_timestamp(kind) for kind in (one_kind, other)) and one_kind.tz == other.tz:
        return pa.timestamp("us", one_kind.tz)
    if is_vector(one_kind) and is_vector(other):
        return pa.list_(pa.float64())
    if {one_kind, other} <= {pa.string(), pa.large_string(), pa.string_view()}:
        return pa.string()
    raise InputError(f"{file}: column '{name}' holds {other}, and {one_kind} in the files before it; export them alike")


def _written(kind: pa.DataType) -> pa.DataType:
    """Text in place of moments: pyarrow takes what looks like one for it, and forgets whether a zone stood there."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_written(field.type)) for field in kind])
    return pa.list_(_written(kind.value_type)) if pa.types.is_list(kind) else kind


class FirstRows:
    """The first rows of a file."""

    def __init__(self, file: File, rows: int) -> None:
        self.file, self.rows, self.path = file, rows, file.path

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""
        return self.file.types()

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """As many rows."""
        left = self.rows
        for batch in self.file.batches(columns):
            yield batch[:left]
            left -= batch.num_rows
            if left <= 0:
                return

    def where(self, row: int) -> str:
        """As in the whole file."""
        return self.file.where(row)


TEXT, JSON, PARQUET, WORKBOOK = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson", ".json"), ".parquet", ".xlsx"
READERS = (*TEXT, *JSON, PARQUET, WORKBOOK)
HEAD_ROWS = 100_000
"""Rows that are read of a parquet file where only its head is wanted."""
LEAST_HEAD = 1 << 18
"""Bytes."""


def open_file(path: Path, encoding: str = "", layout: Layout = USUAL, sheet: str = "", table: str = "") -> File:
    """One file by its ending; one that nobody knows is text.

    encoding, layout  of text
    sheet, table      of a workbook: the sheet that is wanted, or the table that one of its sheets is named after

    Raises InputError for a file that cannot be read.
    """
    end = ending(path)
    if end == WORKBOOK:
        return WorkbookFile(path, sheet, table)
    if end == PARQUET:
        return FirstRows(ParquetFile(path), HEAD_ROWS) if layout.head else ParquetFile(path)
    return JsonLines(path, layout) if end in JSON else TextFile(path, encoding, layout)


def ending(path: Path) -> str:
    """`.csv` of events.csv and events.csv.gz, "" of a file that holds no table."""
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    end = Path(name).suffix
    return end if end in READERS and not (end in (PARQUET, WORKBOOK) and name != path.name.lower()) else ""


class TableFiles:
    """The files of one table in a folder, in the order of their names."""

    def __init__(self, folder: Path, table: str, head: int = 0) -> None:
        """Raises InputError for files in two formats, a link that leaves the folder, or what is no file.

        head  bytes that are read of all files together, from the beginning of each; 0: all
        """
        self.folder = folder
        self.table = table
        self.head = head
        inside = sorted((path for path in folder.iterdir()), key=lambda path: path.name)
        self.paths = [path for path in inside if self._is_ours(path)]
        for path in [*self.paths]:
            if path.is_dir():
                self.paths.remove(path)
                self.paths += [part for part in sorted(path.rglob("*")) if self._is_part(part, path)]
        self._check()

    def _is_ours(self, path: Path) -> bool:
        stem = path.name.lower()
        for end in (*PACKED, *READERS):
            stem = stem.removesuffix(end)
        if path.is_dir():
            return stem == self.table
        return bool(ending(path)) and (stem == self.table or bool(re.fullmatch(rf"{self.table}[-_. (].*\d.*", stem)))

    def _is_part(self, path: Path, folder: Path) -> bool:
        hidden = any(name.startswith(("_", ".")) for name in path.relative_to(folder).parts)
        return path.is_file() and not hidden and bool(ending(path))

    def _check(self) -> None:
        ends = {ending(path): path for path in self.paths}
        if len(ends) > 1:
            first, second = sorted(path.name for path in list(ends.values())[:2])
            raise InputError(f"{self.folder} has both {first} and {second}; keep one of them")
        stems: dict[tuple[Path, str], str] = {}
        for path in self.paths:
            self._check_inside(path)
            stem = path.name[: path.name.lower().index(ending(path))] if ending(path) else path.name
            if (path.parent, stem) in stems:
                raise InputError(f"{self.folder} has both {stems[path.parent, stem]} and {path.name}; keep one of them")
            stems[path.parent, stem] = path.name

    def _check_inside(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError(f"{path} is a link that leaves the folder; put the file itself there")
        if not path.is_file():
            raise InputError(f"{path} is no file; put the table itself there, or take it away")

    def identity(self) -> dict[str, str]:
        """sha256 per file."""
        return {path.relative_to(self.folder).as_posix(): manifest.digest(path) for path in self.paths}

    def file(self, encoding: str = "") -> File:
        """All of them as one; what is in two files byte for byte is read once.

        encoding  of text files, where their owner names it
        """
        files = [self._opened(path, encoding) for path in self._distinct()]
        if len(files) == 1 and not self._named(files[0].path):
            return files[0]
        return Parts(files, [self._named(file.path) for file in files])

    @property
    def share(self) -> int:
        """Bytes that are read of each file, so that all together are not many more than `head`; 0: all."""
        return self.head and max(self.head // max(len(self.paths), 1), LEAST_HEAD)

    def _opened(self, path: Path, encoding: str) -> File:
        return open_file(path, encoding, Layout(self.share), table=self.table)

    def _distinct(self) -> list[Path]:
        if self.head or len(self.paths) == 1:
            return self.paths
        distinct: dict[str, Path] = {}
        for path in self.paths:
            distinct.setdefault(manifest.digest(path), path)
        return list(distinct.values())

    def _named(self, path: Path) -> dict[str, str]:
        parts = (part.partition("=") for part in path.relative_to(self.folder).parts[:-1])
        return {name: value for name, mark, value in parts if mark}
