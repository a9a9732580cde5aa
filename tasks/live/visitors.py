"""Names of the live site's visitors: what it is told becomes a keyed hash before anything is written or looked up."""

import hmac
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nightmarket.evaluation.experiments.assignment import Arms, assign
from tasks.files import storage
from tasks.privacy.pseudonyms import HEX_DIGITS, Pseudonyms, customer_keys, forgotten

MOST_REMEMBERED = 1 << 16
"""Names that a process keeps hashed; a million visitors pass through it without its growing."""
EVENT_BYTES = 16


class CustomerNames(NamedTuple):
    """A customer's names under each key, the present one last, and whether they asked to be forgotten."""

    every: tuple[str, ...]
    forgotten: bool

    @property
    def present(self) -> str:
        """The name under the present key."""
        return self.every[-1]


class Visitors:
    """Hashes under the installation's keys, those of the snapshot; read anew when keys or the forgotten change."""

    def __init__(self, prefix: str = "") -> None:
        """prefix  of the shop's customers, where several shops keep theirs apart: `NAME:`"""
        self._prefix = prefix
        self._files = (storage.private("customer.key"), storage.private("forgotten.json"))
        self._stamps: tuple[int, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Read keys and the list of the forgotten again, if their files changed."""
        if (stamps := tuple(map(_stamp, self._files))) == self._stamps:
            return
        keys = customer_keys()
        self._stamps = (_stamp(self._files[0]), stamps[1])
        self._first, self.generation = keys[0], len(keys)
        self._hashed = Pseudonyms(keys, forgotten())
        self.customer = lru_cache(MOST_REMEMBERED)(self.names)

    def names(self, customer: str) -> CustomerNames:
        """Of a customer by the shop's own id; `customer` remembers what this gives."""
        every = self._hashed.under_each_key(customer, self._prefix)
        return CustomerNames(tuple(every), self._hashed.left_out(customer, self._prefix))

    def arm(self, visitor: str, experiment: Arms) -> str:
        """The arm of a customer or a visit, by the names that this gives them; the same under a new key of today."""
        return str(assign((visitor,), experiment, self._first).arm[0])

    def session(self, session: str) -> str:
        """A visit's name; under the first key, so that a new key ends no visit."""
        return self._digest("session", session).hex()[:HEX_DIGITS]

    def event(self, event: str) -> bytes:
        """An event's name, for its id may hold a customer's: EVENT_BYTES."""
        return self._digest("event", event)[:EVENT_BYTES]

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.digest(self._first, f"{kind}\0{name}".encode(), "sha256")


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
