"""What was done, by the names that shop systems and trackers have for it."""

import re
from collections.abc import Mapping

import pyarrow as pa

from nightmarket.contracts.tables import EVENT_KINDS
from nightmarket.intake.headers import plain
from nightmarket.intake.vocabulary import KINDS

IGNORED = "ignore"
"""A kind of event that says nothing about taste: its rows are left out and counted."""

SYNONYMS = {kind: kind for kind in EVENT_KINDS} | {name: kind for kind, names in KINDS.items() for name in names}
"""A name's letters and digits in small letters → kind."""


def read(values: pa.Array, own: Mapping[str, str]) -> pa.Array:
    """The contract's kinds, IGNORED among them; names that nobody knows stay as they are, for validation to tell.

    own  {the shop's name: kind}, which comes first
    """
    coded = values.dictionary_encode() if not pa.types.is_dictionary(values.type) else values
    mine = {plain(name): kind for name, kind in own.items()}
    names = [_of(name, mine) for name in coded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(coded.indices)


def _of(name: str | None, own: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    letters = plain(name)
    return own.get(letters) or SYNONYMS.get(letters) or name


def of_file(name: str) -> str | None:
    """The kind of event that a file's name tells, as `page_views_2024.csv`; None where it tells none.

    Of several words the last one counts: `click_and_collect_orders` are orders, `order_returns` returns."""
    said = name.casefold()
    words = [word for word in re.split(r"[\W_\d]+", said) if word]
    for length in range(3, 0, -1):
        for start in reversed(range(len(words) - length + 1)):
            joined = "".join(words[start : start + length])
            for form in (joined, joined.removesuffix("s"), joined.removesuffix("es")):
                if (kind := SYNONYMS.get(form)) in EVENT_KINDS:
                    return kind
    own = [word for word in SYNONYMS if not word.isascii() and len(word) > 1 and word in said]
    kind = SYNONYMS[max(own, key=len)] if own else None
    return kind if kind in EVENT_KINDS else None
