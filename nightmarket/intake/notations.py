"""Columns in another notation than the contract's, made what it reads."""

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.tables import Column
from nightmarket.contracts.values import BadValues, is_text
from nightmarket.intake import flags, numbers, ratings, times

WORDS = {"stock": flags.stock, "min_age": flags.age, "rating": ratings.stars}
"""Columns of numbers for which words stand as well."""


def usual(values: pa.Array, column: Column, notation: str) -> pa.Array:
    """The values as `contracts.values.convert` reads them: numbers like 1234.5, times in ISO 8601 or as moments.

    notation  one of `numbers.NOTATIONS` or `times.NOTATIONS`; "": they are

    Raises BadValues where numbers that stand for times are none. Other misfits stay as they are.
    """
    if column.name in WORDS and is_text(values.type):
        values = WORDS[column.name](values)
    if column.kind == "count" and is_text(values.type):
        return numbers.whole(values)
    if not notation or pa.types.is_null(values.type):
        return values
    if column.kind == "number":
        return numbers.plain(values, notation) if is_text(values.type) else values
    if column.kind not in ("time", "date"):
        return values
    values = values if is_text(values.type) else digits(values)
    if notation not in (times.EXCEL, *times.UNITS):
        return times.iso(values, notation)
    moments, fits = times.moments(values, notation)
    if not pc.all(fits).as_py():
        raise BadValues(~fits.to_numpy(zero_copy_only=False))
    if notation == times.EXCEL or column.kind == "date":
        return moments
    return pc.assume_timezone(moments, "UTC")


def digits(values: pa.Array) -> pa.Array:
    """Numbers as text without an exponent."""
    if not pa.types.is_floating(values.type):
        return values.cast(pa.string())
    finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
    text = finite.cast(pa.decimal128(30, 6), safe=False).cast(pa.string())
    return pc.replace_substring_regex(text, r"\.?0*$", "")
