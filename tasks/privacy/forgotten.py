"""Customers who asked to be forgotten: left out of every snapshot from then on.

`.nightmarket/forgotten.json` holds a hash of each pseudonym, so that the list itself names nobody.
"""

import hashlib
from collections.abc import Iterable

from tasks.files import storage

FILE = "forgotten.json"


def digest(pseudonym: str) -> str:
    """What the list holds of a customer: SHA-256 of the keyed hash, 64 hex digits."""
    return hashlib.sha256(pseudonym.encode()).hexdigest()


def digests() -> frozenset[str]:
    """Everybody on the list."""
    path = storage.private(FILE)
    return frozenset(storage.read_json(path)["customers"]) if path.exists() else frozenset()


def add(pseudonyms: Iterable[str], day: str) -> None:
    """Put them on the list, with the day on which they asked (YYYY-MM-DD); whoever is on it keeps the first day."""
    path = storage.private(FILE)
    listed = dict(storage.read_json(path)["customers"]) if path.exists() else {}
    storage.write_json({"customers": {**{digest(name): day for name in pseudonyms}, **listed}}, path)
