"""CSV as retailers export it: in any usual encoding, comma, semicolon or tab, packed or not."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from nightmarket.contracts import InputError
from nightmarket.intake import charsets

BLOCK = 1 << 24
"""Bytes."""

csv.field_size_limit(1 << 30)


MARK = "\ufeff"
"""Of a UTF-8 file's beginning, in the middle of what was put together of several."""
WRAPPED = r'^="(.*)"$'


def _unwrapped(name: str) -> str:
    return re.sub(WRAPPED, r"\1", name.removeprefix(MARK)).strip()


def looks_like_a_value(name: str) -> bool:
    """Whether a column's name may be a customer's number, date or address that stands where the header should."""
    return bool(re.search(r"\d{3}|@|\d[-/.:]\d", name))


PACKED = {".gz": "gzip", ".zst": "zstd"}
SAMPLE = 2_000
"""Lines that the encoding is asked of."""
WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True)
class Layout:
    """How rows lie in a text file.

    head   bytes of it that are read, up to the end of a line; 0: all
    apart  what stands between fields where it is no single sign: `blanks`, as many as there are, or a text like `::`
    names  of the columns, where the first line is a row already
    above  lines above the first one that counts, as a report's title
    """

    head: int = 0
    apart: str = ""
    names: tuple[str, ...] = ()
    above: int = 0


USUAL = Layout()


def opened(path: Path, layout: Layout = USUAL) -> IO[bytes]:
    """The file's bytes, unpacked; of UTF-16 as UTF-8, with a tab for what stands apart otherwise."""
    packed = PACKED.get(path.suffix.lower()) or _packed(path)
    file: IO[bytes] = io.BufferedReader(pa.input_stream(str(path), compression=packed)) if packed else path.open("rb")
    wide = _wide(file.peek(512)[:512])  # type: ignore[attr-defined]
    if not (wide or layout.head or layout.apart):
        _pass_over(file, layout.above)
        return file
    with file:
        if not wide:
            _pass_over(file, layout.above)
        content = file.read(layout.head or -1)
    cut = 0 < layout.head <= len(content)
    if wide:
        content = content.decode(wide, errors="replace").removeprefix("\ufeff").encode()
        content = b"".join(content.splitlines(keepends=True)[layout.above :])
    content = _whole_lines(content) if cut else content
    return io.BytesIO(_tabbed(content, layout.apart) if layout.apart else content)


def _packed(path: Path) -> str:
    """How a file is packed that is not named so, "" where it is not."""
    with path.open("rb") as file:
        start = file.read(4)
    return "gzip" if start[:3] == b"\x1f\x8b\x08" else "zstd" if start == b"\x28\xb5\x2f\xfd" else ""


def _pass_over(file: IO[bytes], lines: int) -> None:
    for _ in range(lines):
        file.readline()


def _whole_lines(content: bytes) -> bytes:
    """Up to the end of a line that lies in no quotes."""
    end = len(content)
    for _ in range(1_000):
        end = content.rfind(b"\n", 0, end)
        if end < 0 or content.count(b'"', 0, end) % 2 == 0:
            break
    return content[: end + 1] or content


def _tabbed(content: bytes, apart: str) -> bytes:
    if apart != "blanks":
        return content.replace(apart.encode(), b"\t")
    return re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", content))


def _wide(start: bytes) -> str:
    """The kind of UTF-16 that a file's first bytes are, "" for none: with a mark, or a NUL beside each sign."""
    if start[:2] in WIDE:
        return WIDE[start[:2]]
    for name, nuls, signs in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if len(nuls) > 8 and not any(nuls) and all(signs):
            return name
    return ""


def read_text(path: Path, encoding: str, layout: Layout = USUAL) -> io.TextIOWrapper:
    """The file as text, with its line breaks."""
    return io.TextIOWrapper(opened(path, layout), encoding=encoding, newline="")


def encoding(path: Path, layout: Layout = USUAL) -> str:
    """`utf-8-sig`, or the name of the encoding that the whole file is in.

    Raises InputError for a file that mixes two or fits none or several, with the first line at fault.

    Short GB18030 texts can be valid UTF-8 by chance ("联通" is the famous one): so beside other lines, a line counts as
    UTF-8 only when it holds twelve or more bytes beyond ASCII.
    """
    first_other = first_utf8 = number = 0
    lines: list[bytes] = []
    with opened(path, layout) as file:
        for line in file:
            number += 1
            if line.isascii():
                continue
            if _decodes(line, "utf-8"):
                if not first_utf8 and sum(byte > 127 for byte in line) >= 12:
                    first_utf8 = number
                continue
            first_other = first_other or number
            if len(lines) < SAMPLE:
                lines.append(line)
    if not first_other:
        return "utf-8-sig"
    if first_utf8:
        raise InputError(_advice(path, f"line {first_other} is not UTF-8 while line {first_utf8} is"))
    name, all_fitting = charsets.certain(lines)
    if all_fitting and not name:
        raise InputError(
            _advice(path, f"line {first_other} is not UTF-8 and may be in {' or '.join(all_fitting)}")
            + ", or name the encoding under snapshot.encodings"
        )
    if not name:
        raise InputError(_advice(path, f"line {first_other} is in none of UTF-8, {', '.join(charsets.NAMES)}"))
    return name


def check_bytes(path: Path, layout: Layout = USUAL) -> bool:
    """Whether a quote may stand where none belongs. Raises InputError for a file with NUL bytes."""
    stray, lines = False, 0
    with opened(path, layout) as file:
        for block in iter(lambda: file.read(BLOCK) + file.readline(), b""):
            if b"\0" in block:
                number = lines + block[: block.index(b"\0")].count(b"\n") + 1
                raise InputError(_advice(path, f"line {number} holds a NUL byte: it is UTF-16, damaged, or no text"))
            stray = stray or (b'"' in block and _stray(np.frombuffer(block, np.uint8)))
            lines += block.count(b"\n")
    return stray


def _stray(text: np.ndarray) -> bool:
    """Whether a line holds an odd number of quotes, or a field begins with two and goes on."""
    quotes = np.flatnonzero(text == ord('"'))
    if (np.diff(np.searchsorted(quotes, np.flatnonzero(text == ord("\n"))), prepend=0) % 2).any():
        return True
    pairs = quotes[:-1][np.diff(quotes) == 1]
    pairs = pairs[(pairs > 0) & (pairs + 2 < len(text))]
    begins = np.isin(text[pairs - 1], list(b",;\t\n"))
    return bool((begins & ~np.isin(text[pairs + 2], list(b'",;\t\r\n'))).any())


def _advice(path: Path, what: str) -> str:
    return f"{path.name}: {what}; save the whole file as UTF-8"


def _decodes(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True


class TextFile:
    """One CSV file: its header, and its rows as text in batches."""

    def __init__(self, path: Path, named: str = "", layout: Layout = USUAL) -> None:
        """Raises InputError for mixed encodings, a quote too many, a missing header, or a column named twice.

        named  the encoding as its owner says; "": it is asked of the file
        """
        self.path = path
        self.layout = layout
        try:
            stray = check_bytes(path, layout)
            self.encoding = named or encoding(path, layout)
            if named and codecs.lookup(named).name == "utf-8":
                self.encoding = "utf-8-sig"  # with a mark before the header or without
        except (pa.ArrowException, OSError, EOFError):
            raise InputError(f"{path.name} cannot be unpacked: it is cut off or damaged; export it again") from None
        if named or self.encoding not in ("utf-8", "utf-8-sig"):
            self._check_encoding("snapshot.encodings says" if named else "its first such line is")
        with self._text() as file:
            head = file.readline()
            self.delimiter = "\t" if layout.apart else max(",;\t|", key=head.count)
        with self._text() as file:
            self.columns = next(csv.reader(file, delimiter=self.delimiter), [])
        if layout.names and self.columns:
            if len(layout.names) != len(self.columns):
                raise InputError(
                    f"{path.name}, line 1: {len(self.columns)} fields, and {len(layout.names)} names are given for them"
                )
            self.columns = [*layout.names]
        if stray:
            self._check_quotes()
        if not any(self.columns):
            raise InputError(f"{path.name} is empty: the first line must name the columns")
        self.written = [*self.columns]
        self.columns = self._distinct_names()

    def _distinct_names(self) -> list[str]:
        """Names of the columns, a number behind those that stand there twice, and a number alone for one without."""
        named = [_unwrapped(name) or f"column {at}" for at, name in enumerate(self.columns, 1)]
        times, seen = Counter(named), Counter[str]()
        if any(looks_like_a_value(name) for name, num in times.items() if num > 1):
            raise InputError(f"{self.path.name}: two columns are named alike, by what looks like a value; rename one")
        distinct = []
        for name in named:
            seen[name] += 1
            distinct.append(f"{name} ({seen[name]})" if times[name] > 1 else name)
        if len({*distinct}) < len(distinct):
            raise InputError(f"{self.path.name}: two columns are named alike; rename one")
        return distinct

    def _text(self) -> io.TextIOWrapper:
        return read_text(self.path, self.encoding, self.layout)

    def types(self) -> dict[str, pa.DataType]:
        """Everything is text."""
        return dict.fromkeys(self.columns, pa.string())

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """The rows, in order. Raises InputError for a row with another number of fields than the header."""
        bad: list[tuple[int, int]] = []

        def refuse(row: pyarrow.csv.InvalidRow) -> str:
            bad.append((row.expected_columns, row.actual_columns))
            return "error"

        try:
            with opened(self.path, self.layout) as file:
                reader = pyarrow.csv.open_csv(
                    file,
                    read_options=pyarrow.csv.ReadOptions(
                        block_size=BLOCK,
                        encoding=self.encoding.removesuffix("-sig").replace("utf-8", "utf8"),
                        column_names=self.columns,
                        skip_rows_after_names=0 if self.layout.names else 1,
                    ),
                    parse_options=pyarrow.csv.ParseOptions(
                        delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=refuse
                    ),
                    convert_options=pyarrow.csv.ConvertOptions(
                        column_types=self.types(),
                        include_columns=columns,
                        null_values=[""],
                        strings_can_be_null=True,
                    ),
                )
                for batch in reader:
                    yield self._tidied(batch)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            raise self._broken() from None

    def _tidied(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without lines that repeat the names of columns, as where files were put together, without the mark of such a
        file's beginning, and without the `="…"` by which an export keeps a spreadsheet from changing a number."""
        first = self.columns[0]
        if batch.num_rows and first in batch.schema.names:
            at = batch.schema.get_field_index(first)
            values = batch[first]
            if pc.any(pc.starts_with(values, MARK)).as_py():
                batch = batch.set_column(at, first, pc.utf8_ltrim(values, MARK))
        if not self.layout.names:
            batch = self._without_names(batch)
        for at, name in enumerate(batch.schema.names):
            if pc.any(pc.starts_with(batch[at], '="')).as_py():
                batch = batch.set_column(at, name, pc.replace_substring_regex(batch[at], WRAPPED, r"\1"))
        return batch

    def _without_names(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        written = dict(zip(self.columns, self.written, strict=True))
        same = None
        for name in batch.schema.names:
            here = pc.fill_null(pc.equal(batch[name], written[name]), not written[name])
            same = here if same is None else pc.and_(same, here)
            if not pc.any(same).as_py():
                return batch
        return batch if same is None else batch.filter(pc.invert(same))

    def where(self, row: int) -> str:
        """The line in the file, from 1, on which a row (from 0) ends; quoted line breaks are counted."""
        with self._text() as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            seen = 0 if self.layout.names else -1
            for fields in reader:
                fields = [fields[0].removeprefix(MARK), *fields[1:]] if fields else fields
                seen += bool(fields) and not (fields == self.written and seen >= 0 and not self.layout.names)
                if seen > row:
                    return f"line {reader.line_num + self.layout.above}"
        return f"row {row + 1}"

    def _check_encoding(self, why: str) -> None:
        """Raises InputError where not all of the file is in its encoding."""
        num = 0
        try:
            with self._text() as file:
                for _ in file:
                    num += 1
        except UnicodeError:
            raise InputError(
                f"{self.path.name} is not all in {self.encoding}, as {why}; the first sign that is not stands after "
                f"line {num:,}: save the whole file as UTF-8, or name another encoding under snapshot.encodings"
            ) from None

    def _check_quotes(self) -> None:
        """Raises InputError for a quote that no field ends with: what follows it would become a part of the field."""
        last = 0
        with self._text() as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            try:
                for _ in reader:
                    last = reader.line_num
            except csv.Error:
                raise InputError(
                    f"{self.path.name}, line {last + 1:,}: a quote too many, or one that is never closed; a quote "
                    "inside a field is written twice, and the field in quotes"
                ) from None

    def _broken(self) -> InputError:
        """What is wrong with the first row that has too few or too many fields, and how many there are."""
        first, count, fields_there = 0, 0, 0
        with self._text() as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            for fields in reader:
                if fields and len(fields) != len(self.columns):
                    count += 1
                    if not first:
                        first, fields_there = reader.line_num + self.layout.above, len(fields)
        if not first:
            return InputError(f"{self.path.name} is not a CSV file that can be read; export it again")
        return InputError(
            f"{self.path.name}, line {first:,}: {fields_there} fields where the header has {len(self.columns)} "
            f"({count:,} such rows); quote fields that hold the delimiter, or export the file again"
        )
