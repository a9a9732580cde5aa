"""Which files hold a table: one or many, in a folder of their own, packed or not."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from tasks.files import manifest
from tasks.intake import BATCH_ROWS
from tasks.intake.text_files import PACKED, TextFile, opened


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

    def where(self, row: int) -> str:
        """Parquet has no lines."""
        return f"row {row + 1}"

    def _damaged(self) -> InputError:
        return InputError(f"{self.path.name} cannot be read as parquet: it is cut off or damaged; export it again")


class JsonLines:
    """One file with an object on each line; it is held in memory."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is none."""
        self.path = path
        try:
            with opened(path) as file:
                self._table = pyarrow.json.read_json(file)
        except (pa.ArrowException, OSError):
            raise InputError(
                f"{path.name} cannot be read as JSON lines, one object on each line; export it again"
            ) from None

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""
        return {field.name: field.type for field in self._table.schema}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All rows."""
        yield from self._table.select(columns).to_batches(BATCH_ROWS)

    def where(self, row: int) -> str:
        """Its line."""
        return f"line {row + 1}"


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
    if {one_kind, other} <= {pa.string(), pa.large_string(), pa.string_view()}:
        return pa.string()
    raise InputError(f"{file}: column '{name}' holds {other}, and {one_kind} in the files before it; export them alike")


READERS: dict[str, Callable[[Path], File]] = {
    ".csv": TextFile,
    ".tsv": TextFile,
    ".parquet": ParquetFile,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
}


def ending(path: Path) -> str:
    """`.csv` of events.csv and events.csv.gz, "" of a file that holds no table."""
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    end = Path(name).suffix
    return end if end in READERS and not (end == ".parquet" and name != path.name.lower()) else ""


class TableFiles:
    """The files of one table in a folder, in the order of their names."""

    def __init__(self, folder: Path, table: str) -> None:
        """Raises InputError for files in two formats, a link that leaves the folder, or what is no file."""
        self.folder = folder
        self.table = table
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
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise InputError(f"{path} is a link that leaves the folder; put the file itself there")
            if not path.is_file():
                raise InputError(f"{path} is no file; put the table itself there, or take it away")
            stem = path.name[: path.name.lower().index(ending(path))]
            if (path.parent, stem) in stems:
                raise InputError(f"{self.folder} has both {stems[path.parent, stem]} and {path.name}; keep one of them")
            stems[path.parent, stem] = path.name

    def identity(self) -> dict[str, str]:
        """sha256 per file."""
        return {path.relative_to(self.folder).as_posix(): manifest.digest(path) for path in self.paths}

    def file(self, encoding: str = "") -> File:
        """All of them as one; what is in two files byte for byte is read once.

        encoding  of text files, where their owner names it
        """
        distinct: dict[str, Path] = {}
        for name, digest in self.identity().items():
            distinct.setdefault(digest, self.folder / name)
        paths = list(distinct.values())
        files = [
            TextFile(path, encoding) if ending(path) in (".csv", ".tsv") else READERS[ending(path)](path)
            for path in paths
        ]
        if len(files) == 1 and not self._named(paths[0]):
            return files[0]
        return Parts(files, [self._named(path) for path in paths])

    def _named(self, path: Path) -> dict[str, str]:
        parts = (part.partition("=") for part in path.relative_to(self.folder).parts[:-1])
        return {name: value for name, mark, value in parts if mark}
