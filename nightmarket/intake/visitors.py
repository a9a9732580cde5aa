"""Visitors without a name: words that stand where a customer's id should."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.vocabulary import GUESTS, PLACEHOLDERS
from nightmarket.intake.widths import narrow

GUEST = rf"(?i)^\W*({'|'.join(GUESTS)})\W*\d{{0,3}}$"
PLACEHOLDER = rf"(?i)^\W*({'|'.join(PLACEHOLDERS)})\W*$"


def guests(ids: pa.Array, placeholders: pa.Array) -> pa.Array:
    """Where an id stands for nobody in particular; bool, never null: a missing id is not among them.

    placeholders  ids that `placeholders` gave
    """
    distinct = ids.unique()
    nobody = pc.fill_null(pc.match_substring_regex(narrow(distinct), GUEST), False)
    words = pa.concat_arrays([distinct.filter(nobody), placeholders])
    return pc.and_(pc.is_in(ids, value_set=words), ids.is_valid())


def placeholders(counts: dict[str, int], rows: int, customers: int) -> list[str]:
    """Ids that look like a placeholder and have more than a person's share: 2% of all rows, and twenty times the mean.

    counts     rows of ids that match PLACEHOLDER
    customers  how many ids there are
    """
    others = max(rows - sum(counts.values()), 1) / max(customers - len(counts), 1)
    return [word for word, num in counts.items() if num >= 0.02 * rows and num >= 20 * others and customers > 20]


def looks_like_a_placeholder(ids: pa.Array) -> pa.Array:
    """Where an id matches PLACEHOLDER; bool, never null."""
    return pc.fill_null(pc.match_substring_regex(ids, PLACEHOLDER), False)


_EMAIL = re.compile(r"\s*([^\s@]+@[^\s@]+)\s*")


def plain(customer: str) -> str:
    """A customer's id as it is hashed: blanks around it mean nothing, nor do capitals in an e-mail address, nor full
    width."""
    if not customer.isascii():
        customer = narrow(pa.array([customer]))[0].as_py()
    address = _EMAIL.fullmatch(customer)
    return address[1].lower() if address else customer.strip()


def as_hashed(customers: pa.Array) -> pa.Array:
    """Ids as `plain` has them."""
    trimmed = pc.utf8_trim_whitespace(narrow(customers))
    address = pc.fill_null(pc.match_substring_regex(trimmed, r"^[^\s@]+@[^\s@]+$"), False)
    return pc.if_else(address, pc.utf8_lower(trimmed), trimmed)
