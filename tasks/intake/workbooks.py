"""Tables in Excel's workbooks: a sheet is a table, its first line that is not empty names the columns."""

import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.intake.headers import plain
from tasks.intake import BATCH_ROWS


class WorkbookFile:
    """One sheet of a workbook, held in memory. Dates are dates, numbers are numbers, text stays as it is written."""

    def __init__(self, path: Path, sheet: str = "", table: str = "") -> None:
        """Raises InputError for what is no workbook, has no such sheet, or several of which none is named.

        sheet  its name
        table  the sheet is the only one with rows, or the one that is called like this table
        """
        self.path = path
        rows = sheets(path)
        name = self._chosen({known: lines for known, lines in rows.items() if lines}, sheet, table)
        self._first, self._table = _table(rows[name], path, name)

    def _chosen(self, rows: dict[str, Any], sheet: str, table: str) -> str:
        wanted = plain(sheet or table)
        if not sheet and len(rows) == 1:
            return next(iter(rows))
        named = [name for name in rows if plain(name) == wanted]
        if len(named) == 1:
            return named[0]
        if not rows:
            raise InputError(f"{self.path.name} is empty: a sheet's first line must name the columns")
        there = ", ".join(rows)
        if sheet:
            raise InputError(f"{self.path.name} has no sheet '{sheet}' with rows; it has {there}")
        raise InputError(
            f"{self.path.name} has {len(rows)} sheets ({there}), and a sheet is a table: call one '{table}', or name "
            f"it: snapshot.tables: {{{table or 'events'}: {{file: {self.path.name}, sheet: {next(iter(rows))}}}}}"
        )

    def types(self) -> dict[str, pa.DataType]:
        """Its columns."""
        return {field.name: field.type for field in self._table.schema}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All rows."""
        yield from self._table.select(columns).to_batches(BATCH_ROWS)

    def where(self, row: int) -> str:
        """Its line in the sheet; lines that are empty count."""
        return f"line {self._first[row]}" if row < len(self._first) else f"row {row + 1}"


def sheets(path: Path) -> dict[str, list[tuple[int, list[Any]]]]:
    """Per sheet its lines that are not empty, each with its number from 1.

    Raises InputError for what is no workbook.
    """
    import openpyxl  # takes half a second

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it speaks of styles and validations that no table needs
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            lines = {sheet.title: [*_lines(sheet)] for sheet in book.worksheets}
            book.close()
    except Exception:
        raise InputError(
            f"{path.name} cannot be read as an Excel workbook: it is damaged, protected or of another kind; save it as "
            ".xlsx or CSV"
        ) from None
    return lines


def _lines(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    for number, cells in enumerate(sheet.iter_rows(), 1):
        values = [_value(cell) for cell in cells]
        if any(value is not None for value in values):
            yield number, values


def _value(cell: Any) -> Any:
    """What a cell holds; numbers that are shown with zeros before them, as 00042, as that text."""
    value = cell.value
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch("0{2,}", str(cell.number_format)):
        return str(value).zfill(len(cell.number_format))
    return value


def _table(lines: Sequence[tuple[int, list[Any]]], path: Path, sheet: str) -> tuple[list[int], pa.Table]:
    """Numbers of the rows' lines, and the rows."""
    lines = lines[_headings(lines) :]
    header = lines[0][1]
    width = max(len(values) for _, values in lines)
    rows = [values + [None] * (width - len(values)) for _, values in lines[1:]]
    names = [str(name).strip() if name is not None else "" for name in header] + [""] * (width - len(header))
    columns: dict[str, pa.Array] = {}
    for at, name in enumerate(names):
        values = [row[at] for row in rows]
        if not name and all(value is None for value in values):
            continue
        if name in columns:
            raise InputError(f"{path.name}, sheet {sheet}: two columns are named '{name}'; rename one")
        columns[name or f"column {at + 1}"] = _array(values)
    return [number for number, _ in lines[1:]], pa.table(columns)


def _headings(lines: Sequence[tuple[int, list[Any]]]) -> int:
    """How many lines stand above the names of columns: a title, when it was exported. They have one cell or two, and
    the lines below many."""
    filled = [sum(value is not None for value in values) for _, values in lines[:50]]
    usual = max(filled[-(len(filled) // 2 + 1) :], key=filled.count)
    above = next((at for at, num in enumerate(filled) if num > 2 or num >= usual), 0)
    return above if usual >= 4 and above < len(filled) - 1 else 0


def _array(values: list[Any]) -> pa.Array:
    """Dates where all cells are, numbers where all are, else text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {datetime, date}:
        moments = [datetime(value.year, value.month, value.day) if type(value) is date else value for value in values]
        return pa.array(moments, pa.timestamp("us"))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds and kinds <= {int, float}:
        whole = all(value is None or (float(value).is_integer() and abs(value) < 2**53) for value in values)
        return pa.array([None if value is None else int(value) for value in values] if whole else
                        [None if value is None else float(value) for value in values],
                        pa.int64() if whole else pa.float64())  # fmt: skip
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time | timedelta):
        return value.isoformat(" ") if isinstance(value, datetime) else str(value)
    return str(value)
