"""A moment of two columns: the day in one, the time of day in the other."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.values import is_text
from nightmarket.intake import missing
from nightmarket.intake.calendars import western
from nightmarket.intake.widths import narrow
from tasks.intake.layers import Layer, MadeColumns, Recipe
from tasks.intake.table_files import File

MIDNIGHT = r"[T ]0{1,2}:00(:00(\.0*)?)?( ?AM)?$|[T ]12:00(:00)? ?AM$"
"""What programs write behind a date that has no time of day."""
_REST = r"[0-5]\d(?:[:.][0-5]\d(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?$"
CLOCK = r"^(?:[01]?\d|2[0-4])[:h]" + _REST
DOTTED = r"^(?:[01]?\d|2[0-4])\." + _REST
"""9.30 is a time only where the column is called one: elsewhere it is a price."""
DIGITS = r"^([01]?\d|2[0-3])[0-5]\d([0-5]\d)?$|^[0-5]?\d$"
"""907 and 170737, as cash registers and SAP write them; 7 is seven minutes past midnight."""


def moments(file: File, wanted: Mapping[str, Sequence[str]], words: pa.Array, setting: str) -> File:
    """Columns of texts that hold a date and a time of day; a row without the latter has a date alone.

    Raises InputError for a column that is not there, or a pair that is none.
    """
    layer = Layer(file)

    def recipe(name: str, pair: Sequence[str]) -> Recipe:
        if len(pair) != 2:
            raise InputError(
                f"{setting}.moments.{name}: name two columns, that of the date and that of the time of day"
            )
        date, clock = (layer._column(other, f"{setting}.moments.{name}") for other in pair)

        def make(batch: pa.RecordBatch) -> pa.Array:
            day, time = (missing.blanked(batch[other].cast(pa.string()), words)[0] for other in (date, clock))
            day = pc.replace_substring_regex(pc.utf8_trim_whitespace(day), MIDNIGHT, "")
            return pc.coalesce(pc.binary_join_element_wise(day, clocks(time, batch[clock].type), " "), day)

        return Recipe([*dict.fromkeys((date, clock))], pa.string(), make)

    return MadeColumns(file, {name: recipe(name, pair) for name, pair in wanted.items()})


def clocks(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Text of times of day with colons; what is none stays as it is, for the reader to refuse.

    kind  what the file holds there: of moments the time alone counts
    """
    if pa.types.is_timestamp(kind):
        return pc.replace_substring_regex(values, r"^.*[T ]", "")
    tidy = pc.utf8_trim_whitespace(western(narrow(values)))
    tidy = pc.replace_substring_regex(tidy, r"^\d{4}-\d\d-\d\d[T ]", "")  # a spreadsheet's day 0
    bare = pc.fill_null(pc.match_substring_regex(tidy, DIGITS), False)
    if pc.any(bare).as_py():
        longer = pc.greater(pc.utf8_length(tidy), 4)
        six = pc.if_else(
            longer, pc.utf8_lpad(tidy, 6, "0"), pc.binary_join_element_wise(pc.utf8_lpad(tidy, 4, "0"), "00", "")
        )
        written = pc.replace_substring_regex(six, r"^(\d\d)(\d\d)(\d\d)$", r"\1:\2:\3")
        tidy = pc.if_else(bare, written, tidy)
    return pc.replace_substring_regex(tidy, r"^(\d{1,2})[.h](\d\d)", r"\1:\2")


def are_clocks(values: pa.Array, *, digits: bool) -> bool:
    """Whether all values are times of day, and not all the same.

    digits  numbers like 907, and 9.30, count too
    """
    if pa.types.is_time(values.type):
        return True
    if not (is_text(values.type) or (digits and pa.types.is_integer(values.type))):
        return False
    texts = pc.utf8_trim_whitespace(western(narrow(values.cast(pa.string()).drop_null())))
    form = rf"{CLOCK}|{DOTTED}|{DIGITS}" if digits else CLOCK
    return len(texts.unique()) > 1 and bool(pc.all(pc.match_substring_regex(texts, form)).as_py())
