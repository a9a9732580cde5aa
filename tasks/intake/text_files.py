"""CSV as retailers export it: UTF-8 with or without a byte order mark, or GB18030; comma, semicolon or tab."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from nightmarket.contracts import InputError

BLOCK = 1 << 24
"""Bytes."""

csv.field_size_limit(1 << 30)


def looks_like_a_value(name: str) -> bool:
    """Whether a column's name may be a customer's number, date or address that stands where the header should."""
    return bool(re.search(r"\d{3}|@|\d[-/.:]\d", name))


def encoding(path: Path) -> str:
    """`utf-8-sig` or `gb18030`, for the whole file.

    Raises InputError for a file that mixes both or is neither, with the first line at fault.

    Short GB18030 texts can be valid UTF-8 by chance ("联通" is the famous one): so beside other lines, a line counts as
    UTF-8 only when it holds twelve or more bytes beyond ASCII.
    """
    first_other = first_utf8 = number = 0
    pairs = far = 0
    with path.open("rb") as file:
        for line in file:
            number += 1
            if line.isascii():
                continue
            if _decodes(line, "utf-8"):
                if not first_utf8 and sum(byte > 127 for byte in line) >= 12:
                    first_utf8 = number
                continue
            first_other = first_other or number
            if not _decodes(line, "gb18030"):
                raise InputError(_advice(path, f"line {number} is neither UTF-8 nor GB18030"))
            two_bytes = re.findall(rb"[\x81-\xfe][\x40-\xfe]", line)
            pairs, far = pairs + len(two_bytes), far + sum(pair[1] > 160 for pair in two_bytes)
    if not first_other:
        return "utf-8-sig"
    if first_utf8:
        raise InputError(_advice(path, f"line {first_other} is not UTF-8 while line {first_utf8} is"))
    if far < pairs / 2:
        raise InputError(_advice(path, f"line {first_other} is neither UTF-8 nor GB18030"))
    return "gb18030"


def check_bytes(path: Path) -> bool:
    """Whether a quote may stand where none belongs. Raises InputError for a file with NUL bytes."""
    stray, lines = False, 0
    with path.open("rb") as file:
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

    def __init__(self, path: Path) -> None:
        """Raises InputError for mixed encodings, a quote too many, a missing header, or a column named twice."""
        self.path = path
        stray = check_bytes(path)
        self.encoding = encoding(path)
        with path.open(encoding=self.encoding, newline="") as file:
            head = file.readline()
            self.delimiter = max(",;\t", key=head.count)
            file.seek(0)
            self.columns = next(csv.reader(file, delimiter=self.delimiter), [])
        if stray:
            self._check_quotes()
        if not any(self.columns):
            raise InputError(f"{path.name} is empty: the first line must name the columns")
        for name in self.columns:
            if self.columns.count(name) > 1:
                known = "alike, by what looks like a value" if looks_like_a_value(name) else f"'{name}'"
                raise InputError(f"{path.name}: two columns are named {known}; rename one")

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
            reader = pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(
                    block_size=BLOCK, encoding=self.encoding.removesuffix("-sig").replace("utf-8", "utf8")
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
            yield from reader
        except pa.ArrowInvalid:
            raise self._broken() from None

    def line(self, row: int) -> int:
        """The line in the file, from 1, on which a row (from 0) ends; quoted line breaks are counted."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            seen = -1
            for fields in reader:
                seen += bool(fields)
                if seen > row:
                    return reader.line_num
        return 0

    def _check_quotes(self) -> None:
        """Raises InputError for a quote that no field ends with: what follows it would become a part of the field."""
        last = 0
        with self.path.open(encoding=self.encoding, newline="") as file:
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
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            for fields in reader:
                if fields and len(fields) != len(self.columns):
                    count += 1
                    if not first:
                        first, fields_there = reader.line_num, len(fields)
        if not first:
            return InputError(f"{self.path.name} is not a CSV file that can be read; export it again")
        return InputError(
            f"{self.path.name}, line {first:,}: {fields_there} fields where the header has {len(self.columns)} "
            f"({count:,} such rows); quote fields that hold the delimiter, or export the file again"
        )
