"""A retailer's column as a contract column: ids stay as they are written, numbers and times are read strictly."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.clock import clock_changes, local_to_utc, naive_utc, near_changes
from nightmarket.contracts.tables import Column, arrow_type

EXPECTED = {
    "id": "text or a whole number (1E+05 is what a spreadsheet leaves of a long one)",
    "text": "text",
    "category": "text or a whole number",
    "number": "a number like 1234.5",
    "count": "a whole number",
    "time": "a time like 2024-01-31 18:05:00 or 2024-01-31T18:05:00+08:00, or a date",
    "date": "a date like 2024-01-31",
    "vector": "a list of numbers like [0.12, -0.5]",
}

SHORTENED = r"^\d([.,]\d+)?E\+\d+$"
NUMBER = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf|Inf|infinity|nan|NaN)$"
NUMBERS = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?( [+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)*$"
WHOLE = r"^[+-]?\d+$"
CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?"
TIME = rf"^\d{{4}}-\d\d-\d\d([T ]{CLOCK})?$"
OFFSET = r":\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
TWICE = "times in an hour that the clocks made twice, taken as the first"
SKIPPED = "times in an hour that the clocks skipped, taken as that much later"


@dataclass
class BadValues(Exception):  # noqa: N818
    """Values that are not of the column's kind: where, as booleans per row of the batch."""

    where: np.ndarray


class WrongType(Exception):  # noqa: N818
    """The whole column holds another type."""


def convert(values: pa.Array, column: Column, time_zone: str, notes: Counter[str] | None = None) -> pa.Array:
    """The values in the column's Arrow type; empty text and NaN are null.

    notes  counts TWICE and SKIPPED

    Raises WrongType where no value of this Arrow type can be meant, BadValues where some text cannot be read.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if is_text(values.type):
        values = values.cast(pa.string())
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), arrow_type(column))
    if column.kind == "vector":
        return _vector(values)
    if column.kind == "id":
        return _id(_text(values))
    if column.kind in ("text", "category"):
        return _text(values)
    if column.kind == "number":
        numbers = _number(values, NUMBER, pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if column.kind == "count":
        return _number(values, WHOLE, pa.int64())
    return _date(values) if column.kind == "date" else _time(values, time_zone, Counter() if notes is None else notes)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_vector(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds lists of numbers."""
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return listed and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))


def _text(values: pa.Array) -> pa.Array:
    kind = values.type
    if is_text(kind):
        return values
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return values.cast(pa.string())
    raise WrongType


def _id(values: pa.Array) -> pa.Array:
    """Refuses what a spreadsheet shortened: it is the id of many."""
    if pc.any(pc.match_substring(values, "E+")).as_py():
        _refuse(pc.invert(pc.match_substring_regex(values, SHORTENED)))
    return values


def _vector(values: pa.Array) -> pa.Array:
    """Lists of numbers, in whatever brackets and with whatever between them, as numbers with one blank between; an
    empty list is null. Commas are decimal ones where something else stands between the numbers."""
    kind = values.type
    if is_vector(kind):
        there = values.is_valid()
        values = pc.binary_join(values.cast(pa.list_(kind.value_type)).cast(pa.list_(pa.string())), " ")
        values = pc.if_else(pc.and_(there, values.is_null()), "a number is missing", values)
    elif not is_text(kind):
        raise WrongType
    apart = pc.match_substring_regex(values, r"[;|]|\d\s+[+-]?\d")
    decimal = pc.and_(apart, pc.invert(pc.match_substring(values, ".")))
    values = pc.if_else(decimal, pc.replace_substring(values, ",", "."), values)
    texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(values, r"[\[\](){}\s,;|]+", " "))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    _refuse(pc.match_substring_regex(texts, NUMBERS))
    return texts


def _number(values: pa.Array, pattern: str, kind: pa.DataType) -> pa.Array:
    if is_text(values.type):
        values = pc.utf8_trim_whitespace(values)
        _refuse(pc.match_substring_regex(values, pattern))
        values = pc.utf8_ltrim(values, "+")
    elif not (
        pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    ):
        raise WrongType
    if pa.types.is_floating(values.type) and pa.types.is_integer(kind):
        _refuse(pc.or_kleene(pc.is_nan(values), pc.equal(pc.floor(values), values)))
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return _cast(values, kind)


def _time(values: pa.Array, time_zone: str, notes: Counter[str]) -> pa.Array:
    kind = values.type
    if pa.types.is_timestamp(kind):
        return naive_utc(values) if kind.tz else _local(values.cast(pa.timestamp("us"), safe=False), time_zone, notes)
    if pa.types.is_date(kind):
        return local_to_utc(values.cast(pa.timestamp("us")), time_zone)
    if not is_text(kind):
        raise WrongType
    texts = _iso(values)
    zoned = pc.fill_null(pc.match_substring_regex(texts, OFFSET), False)
    nothing = pa.scalar(None, pa.string())
    local = _cast(pc.if_else(zoned, nothing, texts), pa.timestamp("us"))
    local = _local(local, time_zone, notes)
    if not pc.any(zoned).as_py():
        return local
    return pc.coalesce(naive_utc(_cast(pc.if_else(zoned, texts, nothing), pa.timestamp("us", "UTC"))), local)


def _local(times: pa.Array, time_zone: str, notes: Counter[str]) -> pa.Array:
    """Local times in UTC; those at midnight are dates, and their day begins when it begins."""
    near = times.filter(near_changes(times, time_zone))
    if len(near):
        dates = pc.equal(near, pc.floor_temporal(near, unit="day"))
        changes = clock_changes(near.filter(pc.invert(dates)), time_zone)
        for what, where in ((TWICE, changes.twice), (SKIPPED, changes.skipped)):
            num = pc.sum(where).as_py() or 0
            notes.update({what: num} if num else {})
    return local_to_utc(times, time_zone)


def _date(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and not kind.tz):
        return values.cast(pa.date32(), safe=False)
    if not is_text(kind):
        raise WrongType
    return _cast(_iso(values), pa.timestamp("us")).cast(pa.date32(), safe=False)


def _iso(values: pa.Array) -> pa.Array:
    """Times as ISO 8601, cut to microseconds; 2024/1/5 9:03, as spreadsheets write it, becomes 2024-01-05 09:03."""
    texts = pc.utf8_trim_whitespace(values)
    if not pc.all(pc.match_substring_regex(texts, TIME)).as_py():
        for pattern, better in (
            (r"^(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})", r"\1-0\2-0\3"),
            (r"^(\d{4})-0(\d\d)-", r"\1-\2-"),
            (r"^(\d{4}-\d\d)-0(\d\d)", r"\1-\2"),
            (r"^(\d{4}-\d\d-\d\d)[T ](\d):", r"\1 0\2:"),
        ):
            texts = pc.replace_substring_regex(texts, pattern, better)
        _refuse(pc.match_substring_regex(texts, TIME))
    return pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast, and where that fails say which values failed (February 30th, a number that is too large)."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        raise BadValues(_failing(values, kind)) from None


def _failing(values: pa.Array, kind: pa.DataType) -> np.ndarray:
    try:
        values.cast(kind)
        return np.zeros(len(values), bool)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return np.ones(1, bool)
        half = len(values) // 2
        return np.concatenate([_failing(values[:half], kind), _failing(values[half:], kind)])


def _refuse(good: pa.Array) -> None:
    """Raise BadValues unless every value that is not null is good."""
    where = ~pc.fill_null(good, True).to_numpy(zero_copy_only=False)
    if where.any():
        raise BadValues(where)
