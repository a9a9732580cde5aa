"""Where the customers of a campaign are reached, read from the shop's own table at that moment and kept nowhere.

reads   the table of `desk.addresses`; where there is none, the ids of the source's table `customers`
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.intake import headers
from tasks.intake import now
from tasks.intake.table_files import open_file
from tasks.pipeline.settings import AddressTable
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys

EMAIL = re.compile(r"[^\s@,;<>\"=+-][^\s@,;<>\"]*@[^\s@,;<>\"]+\.[^\s@,;<>\"]+")
"""None that a spreadsheet takes for a formula."""
LEAST_DIGITS, MOST_DIGITS = 6, 15
"""Of a telephone number, E.164."""
MAILED = frozenset(("email", "mail", "newsletter", "邮件", "电子邮件", "邮箱", "电邮"))
SPOKEN = frozenset(("sms", "text", "phone", "mobile", "whatsapp", "call", "短信", "电话", "手机"))
"""Channels, as `headers.plain` has their names, whose addresses are e-mail addresses, and telephone numbers."""


@dataclass(frozen=True)
class AddressBook:
    """Customers by pseudonym.

    own        the shop's own id, of those who were asked for
    address    as the tool gets it, of those who were asked for and have one
    sharing    everybody in the table who has this address, by address
    unusable   how many of those who were asked for have something that is no address
    known      whether there is a table of addresses for the channel
    """

    own: Mapping[str, str] = field(default_factory=dict)
    address: Mapping[str, str] = field(default_factory=dict)
    sharing: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unusable: int = 0
    known: bool = False


def read(home: Path, table: AddressTable | None, channel: str, asked: Collection[str]) -> AddressBook:
    """The book of one channel.

    asked  pseudonyms of a campaign

    Raises InputError for a table that cannot be read or lacks a column, or that has none of these customers.
    """
    hashed, wanted = Pseudonyms(customer_keys()), frozenset(asked)
    if table is None or channel not in table.columns:
        return AddressBook(own=_own_ids(home, hashed, wanted))
    own: dict[str, str] = {}
    address: dict[str, str] = {}
    sharing: defaultdict[str, set[str]] = defaultdict(set)
    unusable: set[str] = set()
    for customer, prefix, text in _rows(home, table, channel):
        names = hashed.under_each_key(customer, prefix)
        name = next((name for name in names if name in wanted), names[-1])
        if name in wanted:
            own.setdefault(name, customer)
        place = usable(text, channel)
        if place:
            sharing[place].add(name)
            if name in wanted:
                address.setdefault(name, place)
        elif text and name in wanted:
            unusable.add(name)
    if wanted and not own:
        raise InputError(
            f"desk.addresses: none of the customers of this campaign is in {table.file}; is '{table.customer}' the "
            "column that the snapshot took as customer_id?"
        )
    shared = {place: frozenset(names) for place, names in sharing.items()}
    return AddressBook(own, address, shared, len(unusable - address.keys()), known=True)


def is_spoken(channel: str) -> bool:
    """Whether its addresses are telephone numbers."""
    return headers.plain(channel) in SPOKEN


def usable(text: str, channel: str) -> str:
    """An address as one that several people write differently is one; "" for what is none."""
    plain = unicodedata.normalize("NFKC", text).strip().removeprefix("mailto:").strip()
    if not is_spoken(channel):
        if headers.plain(channel) not in MAILED and "@" not in plain:
            return plain
        return plain.lower() if EMAIL.fullmatch(plain) else ""
    digits = re.sub(r"\D", "", plain)
    if not LEAST_DIGITS <= len(digits) <= MOST_DIGITS or re.search(r"[^\d\s+()./-]", plain):
        return ""
    international = plain.startswith("+") or digits.startswith("00")
    return "+" + digits.removeprefix("00") if international else digits


def _rows(home: Path, table: AddressTable, channel: str) -> Iterator[tuple[str, str, str]]:
    """(the shop's own id, what stands before it where shops keep theirs apart, address or "") of each row."""
    file = open_file(home / Path(table.file).expanduser())
    columns = [name for name in (table.customer, table.columns[channel], table.shop) if name]
    if missing := [name for name in columns if name not in file.types()]:
        raise InputError(f"desk.addresses: {table.file} has no column '{missing[0]}'; it has {_some(file.types())}")
    for batch in file.batches(list(dict.fromkeys(columns))):
        ids, texts = (_texts(batch[name]) for name in columns[:2])
        shops = _texts(batch[table.shop]) if table.shop else [None] * batch.num_rows
        for customer, text, shop in zip(ids, texts, shops, strict=True):
            if customer is not None and customer.strip():
                yield customer, f"{shop}:" if shop else "", text or ""


def _texts(values: pa.Array) -> list[str | None]:
    if pa.types.is_floating(values.type):  # whole numbers beside an empty cell
        values = pc.if_else(pc.is_nan(values), None, values)
        whole = pc.cast(values, pa.int64(), safe=False)
        values = whole if pc.all(pc.equal(pc.cast(whole, values.type), values)).as_py() else values
    return pc.cast(values, pa.string()).to_pylist()


def _own_ids(home: Path, hashed: Pseudonyms, wanted: frozenset[str]) -> dict[str, str]:
    """{pseudonym: own id} from the source's own table of customers, as far as it is there."""
    own: dict[str, str] = {}
    for feed, prefix in now.feeds(home, ("customers",)):
        for batch in feed.batches():
            for customer in batch["customer_id"].cast(pa.string()).to_pylist():
                if customer is not None:
                    names = hashed.under_each_key(customer, prefix)
                    own.update((name, customer) for name in names if name in wanted)
    return own


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join(f"'{name}'" for name in listed[:8]) + (", …" if len(listed) > 8 else "")
