"""Yes and no, as shop systems, spreadsheets and people write them."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.headers import plain
from nightmarket.intake.vocabulary import HAPPENED, IN_STOCK, NO, PASSED, SOLD_OUT, YES


def read(values: pa.Array) -> pa.Array:
    """`yes`, `no` or null; a word that is neither stays as it is, for validation to set the row aside.

    values  text, booleans, or numbers of which 1 is yes and 0 is no
    """
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = [_of(value) for value in values.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(values.indices)


def happened(values: pa.Array) -> pa.Array:
    """The same of whether something happened, where a mail tool may say when, or how: `2025-01-06 10:00`, `hard`."""
    if pa.types.is_temporal(values.type):
        return pc.if_else(values.is_valid(), pa.scalar("yes"), pa.scalar(None, pa.string()))
    answers = read(values)
    coded = answers.dictionary_encode()
    words = []
    for answer in coded.dictionary.to_pylist():
        moment = answer is not None and re.match(r"\d{4}|\d{1,2}[-/.]\d{1,2}[-/.]\d|[A-Za-z]{3} \d", answer)
        how = "" if answer is None else plain(answer)
        words.append("yes" if moment or how in HAPPENED else "no" if how in PASSED else answer)
    return pa.array(words, pa.string()).take(coded.indices)


def _of(value: object) -> str | None:
    if value is None or value != value:  # NaN: pandas makes numbers of a column with gaps
        return None
    text = f"{value:g}" if isinstance(value, float) else str(value)
    letters = plain(text.removesuffix(".0"))
    return "yes" if letters in YES else "no" if letters in NO else text


def stock(values: pa.Array) -> pa.Array:
    """Text of what is in stock, with 1 and 0 for words like `in stock` and `sold out`; numbers stay as they are."""
    coded = values.dictionary_encode()
    words = []
    for value in coded.dictionary.to_pylist():
        letters = "" if value is None or value[-1:].isdigit() else plain(value)
        words.append("1" if letters in YES | IN_STOCK else "0" if letters in NO | SOLD_OUT else value)
    return pa.array(words, pa.string()).take(coded.indices)


def age(values: pa.Array) -> pa.Array:
    """Text of an age with its number alone: `18+`, `FSK 16`, `ab 12 Jahren`."""
    return pc.replace_substring_regex(values, r"^\D*?(\d{1,2})\D*$", r"\1")
