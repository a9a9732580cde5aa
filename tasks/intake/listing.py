"""What lies in a folder of exports: which files are tables, which belong together, and how rows lie in them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.contracts.values import is_vector
from nightmarket.intake import charsets, headers, missing
from nightmarket.intake.recognition import columns
from nightmarket.intake.recognition.columns import ColumnFacts
from tasks.intake import nested
from tasks.intake.sources import SourceFiles, TableSource
from tasks.intake.table_files import TEXT, WORKBOOK, File, ending, open_file
from tasks.intake.text_files import PACKED, Layout, opened
from tasks.intake.workbooks import sheets

HEAD = 1 << 21
"""Bytes of a file that are looked at to see what it is."""
SAMPLE_ROWS = 20_000
MOST_SAMPLED = 12
"""Files that a sample is taken of."""
MOST_ABOVE = 30
"""Lines of a report's head."""
MOST_FILES, DEEPEST = 5_000, 4
OTHER = {
    ".xls": "an old Excel workbook; save it as .xlsx or CSV",
    ".ods": "a LibreOffice table; save it as .xlsx or CSV",
    ".zip": "an archive; unpack it",
    ".tar": "an archive; unpack it",
    ".7z": "an archive; unpack it",
    ".rar": "an archive; unpack it",
    ".sql": "a dump of a database; export its tables as CSV",
    ".xml": "XML; export it as CSV or JSON lines",
}
NOT_TEXT = "no table: not text, Excel, JSON or parquet"
_VALUE = re.compile(r"[-+]?[$€£¥]?\d[\d.,:/ TZ+-]*")
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Bundle:
    """Files of one kind, or a sheet of a workbook.

    pattern   what names all of them in the folder
    encoding  of text, where it is not certain; and what else it may be
    problem   why it is no table, or cannot be read; ""
    bytes     of all files
    """

    pattern: str
    paths: tuple[Path, ...]
    sheet: str = ""
    apart: str = ""
    names: tuple[str, ...] = ()
    above: int = 0
    encoding: str = ""
    encodings: tuple[str, ...] = ()
    types: dict[str, pa.DataType] = field(default_factory=dict)
    problem: str = ""
    bytes: int = 0

    @property
    def plain(self) -> frozenset[str]:
        """Its headers by their letters and digits."""
        return frozenset(headers.plain(name) for name in self.types)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.pattern}, sheet {self.sheet}" if self.sheet else self.pattern

    def source(self) -> TableSource:
        """How it is named under `snapshot.tables`."""
        given = {"file": self.pattern, "sheet": self.sheet, "apart": self.apart, "names": self.names,
                 "above": self.above}  # fmt: skip
        return TableSource.model_validate({name: value for name, value in given.items() if value})


def bundles(folder: Path) -> Iterator[Bundle]:
    """All of them, by name. A file that cannot be read is one with a problem; nothing here raises for a file."""
    grouped: dict[tuple[str, str], list[Path]] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        grouped.setdefault((re.sub(r"[ (]*\d+\)?", "*", name), ending(path)), []).append(path)
    for (pattern, _), paths in sorted(grouped.items()):
        alike: dict[tuple[str, ...], list[Bundle]] = {}
        for path in paths:
            for bundle in _file(folder, path):
                alike.setdefault((bundle.problem, bundle.sheet, *bundle.types), []).append(bundle)
        for parts in alike.values():
            yield from _together(folder, pattern, parts)


def _files(folder: Path) -> Iterator[Path]:
    num = 0
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if len(parts) > DEEPEST or any(part.startswith((".", "~$", "__MACOSX")) for part in parts):
            continue
        try:
            regular = path.is_file() and path.resolve().is_relative_to(folder.resolve())
        except OSError:
            regular = False
        if regular and path.name not in ("_SUCCESS", "Thumbs.db", "desktop.ini"):
            num += 1
            if num > MOST_FILES:
                return
            yield path


def _together(folder: Path, pattern: str, parts: list[Bundle]) -> Iterator[Bundle]:
    first = max(parts, key=lambda part: len(str(part.types)))  # a day without sales has no columns of items
    paths = tuple(part.paths[0] for part in parts)
    if len(parts) == 1 or first.problem:
        yield from parts
    elif {*folder.glob(pattern)} == {*paths}:
        yield replace(first, pattern=pattern, paths=paths, bytes=sum(part.bytes for part in parts))
    else:
        yield from parts


def _file(folder: Path, path: Path) -> Iterator[Bundle]:
    name = path.relative_to(folder).as_posix()
    try:
        bundle = Bundle(name, (path,), bytes=path.stat().st_size)
        if not bundle.bytes:
            yield replace(bundle, problem="empty")
        elif ending(path) == WORKBOOK:
            for sheet, rows in sheets(path).items():
                if rows:
                    yield _opened(replace(bundle, sheet=sheet))
        else:
            yield _opened(_sniffed(bundle, path))
    except InputError as error:
        yield Bundle(name, (path,), problem=str(error).removeprefix(f"{path.name}: "))
    except (pa.ArrowException, OSError, EOFError):
        yield Bundle(name, (path,), problem="cannot be read: it is cut off, damaged, or not yours to read")
    except Exception as error:  # whatever a file may hold: the others are looked at all the same
        yield Bundle(name, (path,), problem=f"cannot be read ({type(error).__name__})")


def _opened(bundle: Bundle) -> Bundle:
    """With its columns, or why there are none."""
    if bundle.problem:
        return bundle
    path = bundle.paths[0]
    layout = Layout(HEAD, bundle.apart, bundle.names, bundle.above)
    file: File = open_file(path, bundle.encoding, layout, bundle.sheet)
    types = file.types()
    if len(types) < 2 and not nested.lists_of_records(types) and not _is_list_of_people(bundle):
        return replace(bundle, problem="no table: it has one column" if types else "no table: it has no columns")
    return replace(bundle, types=types)


def _sniffed(bundle: Bundle, path: Path) -> Bundle:
    """With the layout of text, or a problem where it is none."""
    end = ending(path)
    if end and end not in TEXT:
        return bundle
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    if Path(name).suffix in OTHER:
        return replace(bundle, problem=OTHER[Path(name).suffix])
    with opened(path, Layout(HEAD)) as file:
        content = file.read()
    if b"\0" in content[:4096] or (not end and _binary(content[:4096])):
        return replace(bundle, problem=NOT_TEXT)
    every = _LINE_END.split(content.decode("latin-1"))[:200]  # splitlines would end lines inside Chinese letters too
    above = _above(every)
    lines = [line for line in every[above:] if line.strip()]
    apart, width = _apart(lines)
    if not lines or (width < 2 and not _is_list_of_people(bundle)):
        return replace(bundle, problem="no table: its lines have no fields")
    if not apart and end not in TEXT and not _even(lines):
        return replace(bundle, problem="no table: its lines have different numbers of fields")
    first = (
        _BLANKS.split(lines[0].strip()) if apart == "blanks" else lines[0].split("::") if apart else _cells(lines)[0]
    )
    names = () if _is_header(first) else tuple(f"column_{at}" for at in range(1, len(first) + 1))
    return _encoded(replace(bundle, apart=apart, names=names, above=above), content)


def _is_list_of_people(bundle: Bundle) -> bool:
    """Whether its name says whom not to write to, of which one column is enough."""
    return bool(columns.words(f"{bundle.pattern} {bundle.sheet}") & columns.FILES["suppressions"])


def _above(lines: list[str]) -> int:
    """How many lines stand above a table, as a report's title: they have half the fields of the lines that follow at
    most, and what follows first names columns. A name that goes on in the next line stands in quotes."""
    most = max(",;\t|", key=lambda sign: sum(line.count(sign) for line in lines))
    counts = [line.count(most) if line.strip() else -1 for line in lines]
    usual = max({*counts}, key=counts.count, default=0)
    if usual < 2 or not counts or counts[0] == usual:
        return 0
    first = counts.index(usual)
    even = all(count >= usual or count < 0 for count in counts[first:])
    title = max(counts[:first]) <= usual / 2 and not "".join(lines[:first]).count('"') % 2
    return first if first <= MOST_ABOVE and even and title and _is_header(_cells(lines[first : first + 1])[0]) else 0


def _binary(start: bytes) -> bool:
    """Whether these bytes are hardly text: many signs that no text has."""
    odd = sum(byte < 9 or 13 < byte < 32 for byte in start)
    return odd > 0.02 * max(len(start), 1)


def _encoded(bundle: Bundle, content: bytes) -> Bundle:
    """With an encoding where it is not certain: the likeliest, and the others."""
    lines = [line for line in content.split(b"\n")[:-1] if not line.isascii()]
    try:
        content[: content.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        name, fitting = charsets.certain(lines[:2_000])
        if not name and fitting:
            return replace(bundle, encoding=fitting[0], encodings=tuple(fitting))
    return bundle


def _apart(lines: list[str]) -> tuple[str, int]:
    """What stands between fields ("" for a single sign), and how many there are in most lines."""
    if lines and "::" in lines[0]:
        widths = [line.count("::") + 1 for line in lines]
        if max(widths.count(width) for width in widths) >= 0.9 * len(lines):
            return "::", widths[0]
    cells = _cells(lines)
    width = len(cells[0]) if cells else 0
    if width >= 2:
        return "", width
    widths = [len(_BLANKS.split(line.strip())) for line in lines]
    usual = max(widths, key=widths.count, default=0)
    values = [cell for line in lines[1:50] for cell in line.split() if _VALUE.fullmatch(cell)]
    all_cells = sum(len(line.split()) for line in lines[1:50])
    if len(lines) > 2 and usual >= 2 and widths.count(usual) >= 0.95 * len(lines) and 2 * len(values) > all_cells:
        return "blanks", usual
    return "", width


def _cells(lines: list[str]) -> list[list[str]]:
    delimiter = max(",;\t|", key=(lines[0] if lines else "").count)
    return [*csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)]


def _even(lines: list[str]) -> bool:
    widths = [len(cells) for cells in _cells(lines)]
    return len(widths) > 1 and widths.count(widths[0]) >= 0.95 * len(widths)


KNOWN = frozenset(name for table in columns.NAMES.values() for names in table.values() for name in names)


def _is_header(cells: Iterable[str]) -> bool:
    """Whether a first line names columns: it holds no value, or a name that shops give to columns."""
    cells = [*cells]
    if any(headers.plain(columns.TYPED.sub("", cell.strip("\ufeff ï»¿"))) in KNOWN for cell in cells):
        return True
    return not any(_VALUE.fullmatch(cell.strip()) for cell in cells)


def sample(folder: Path, source: TableSource, encoding: str, rows: int = SAMPLE_ROWS) -> pa.Table:
    """The first rows of what these settings read. Raises InputError where they cannot."""
    files = SourceFiles(folder, "events", source, missing.words(), "snapshot.", HEAD)
    files.paths = files.paths[:MOST_SAMPLED]
    file = files.file(encoding)
    names = [name for name, kind in file.types().items() if is_vector(kind) or not pa.types.is_nested(kind)]
    batches, num = [], 0
    for batch in file.batches(names):
        batches.append(batch)
        num += batch.num_rows
        if num >= rows:
            break
    if not batches:
        return pa.table({name: pa.nulls(0, file.types()[name]) for name in names})
    return pa.Table.from_batches(batches).slice(0, rows)


def facts(table: pa.Table, today: date) -> list[ColumnFacts]:
    """Facts of its columns."""
    return [columns.look(name, table[name].combine_chunks(), today) for name in table.column_names]


def lists(bundle: Bundle) -> list[str]:
    """Its lists of records."""
    return nested.lists_of_records(bundle.types)
