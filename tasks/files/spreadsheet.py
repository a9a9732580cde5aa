"""CSV files that people open in a spreadsheet and that mail tools read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

FORMULA = r"^(\s*[=+\-@＝＋－＠]|[\t\r\n])"
"""What a spreadsheet takes for the beginning of a formula (OWASP: CSV injection)."""

BOM = b"\xef\xbb\xbf"


def write_csv(table: pa.Table, path: Path, excel: bool) -> None:
    """UTF-8, dates as YYYY-MM-DD, hours as 09:00-12:00 (9-12 would become a date), text that would be run escaped."""
    columns = {name: _escaped(table[name]) for name in table.column_names}
    if "slot" in columns:
        columns["slot"] = _hours(columns["slot"])
    with path.open("wb") as file:
        file.write(BOM * excel)
        pcsv.write_csv(pa.table(columns), file)


def _hours(slots: pa.ChunkedArray) -> pa.ChunkedArray:
    for pattern, instead in ((r"^(\d)-", r"0\1-"), (r"-(\d)$", r"-0\1"), (r"^(\d\d)-(\d\d)$", r"\1:00-\2:00")):
        slots = pc.replace_substring_regex(slots, pattern, instead)
    return slots


def _escaped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text that would be a formula gets an apostrophe in front; numbers and dates stay."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    return pc.if_else(pc.match_substring_regex(column, FORMULA), pc.binary_join_element_wise("'", column, ""), column)
