"""What was done, by the names that shop systems and trackers have for it."""

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
