"""What leads to a person: columns of addresses and telephone numbers, which never enter a snapshot."""

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.headers import snake
from nightmarket.intake.vocabulary import ADDRESSES

ADDRESS = r"^\s*(mailto:)?[^\s@]+@[^\s@]+\.[^\s@]+\s*$|^\s*(\+|00)[\d ()/.-]{7,}$"
"""An e-mail address, or a telephone number with its country."""


def named(header: str) -> bool:
    """Whether a column is one of addresses by its name."""
    words = snake(header)
    return words in ADDRESSES or words.replace("_", "") in ADDRESSES


def among(values: pa.Array) -> bool:
    """Whether any of the texts is an address."""
    return bool(pc.any(pc.match_substring_regex(values.cast(pa.string()), ADDRESS)).as_py())
