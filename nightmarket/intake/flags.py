"""Yes and no, as shop systems, spreadsheets and people write them."""

import pyarrow as pa

from nightmarket.intake.headers import plain
from nightmarket.intake.vocabulary import NO, YES


def read(values: pa.Array) -> pa.Array:
    """`yes`, `no` or null; a word that is neither stays as it is, for validation to set the row aside.

    values  text, booleans, or numbers of which 1 is yes and 0 is no
    """
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = [_of(value) for value in values.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(values.indices)


def _of(value: object) -> str | None:
    if value is None or value != value:  # NaN: pandas makes numbers of a column with gaps
        return None
    text = f"{value:g}" if isinstance(value, float) else str(value)
    letters = plain(text.removesuffix(".0"))
    return "yes" if letters in YES else "no" if letters in NO else text
