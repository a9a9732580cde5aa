"""Reviews' texts as one sees them, each once."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from nightmarket.contracts.arrays import Int64s

_DROPPED = {"Cf", "Cs"}
"""Categories of Unicode without a shape of their own: marks of format (zero width, direction) and lone surrogates."""


def normalised(texts: Sequence[str]) -> list[str]:
    """Each text in Unicode's form NFKC, without invisible characters, with single spaces; "" if nothing is left.

    NFKC makes one of full and half width ("ＡＢＣ！" is "ABC!"). Other control characters, line ends among them, count
    as white space. Time is linear in the characters.
    """
    joined = [unicodedata.normalize("NFKC", text) for text in texts]
    used = {character: unicodedata.category(character) for character in set().union(*joined)}
    table = {ord(c): None if kind in _DROPPED else " " for c, kind in used.items() if kind in _DROPPED | {"Cc"}}
    return [" ".join(text.translate(table).split()) for text in joined]


def distinct(texts: Sequence[str]) -> Int64s:
    """Rows of the first of each text, in order; rows with the empty text are left out.

    Takes what `normalised` gives. Shops repeat reviews (imports, copied praise); a copy is no second opinion.
    """
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text:
            first.setdefault(text, row)
    return np.fromiter(first.values(), np.int64, len(first))
