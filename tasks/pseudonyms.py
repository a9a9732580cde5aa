"""Customer ids become keyed hashes: the same customer stays the same, and nobody without the key learns who it is."""

import hashlib
import hmac
import secrets

import pyarrow as pa

from nightmarket.contracts import InputError
from tasks.keys import own_secret
from tasks.storage import private

HEX_DIGITS = 32


def customer_key() -> bytes:
    """This installation's key, made on first use; it never leaves its file.

    Raises InputError for a key that others may read, or that is not 64 hex digits.
    """
    path = private("customer.key")
    content = own_secret(path, lambda: secrets.token_hex(32))
    try:
        key = bytes.fromhex(content)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise InputError(f"{path} is not a key of 64 hex digits; restore it, or remove it to start with a new one")
    return key


def key_id(key: bytes) -> str:
    """A name for the key that does not give it away: 8 hex digits."""
    return hashlib.sha256(key).hexdigest()[:8]


class Pseudonyms:
    """HMAC-SHA256 of ids, first 32 hex digits; each distinct id is hashed once."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def __call__(self, ids: pa.Array, prefix: str = "") -> pa.DictionaryArray:
        """Ids (string, nulls stay null) as pseudonyms, each taken over `prefix` and id."""
        coded = ids.dictionary_encode()
        names = pa.array([self._of(prefix + customer) for customer in coded.dictionary.to_pylist()], pa.string())
        return pa.DictionaryArray.from_arrays(coded.indices, names)

    def _of(self, customer: str) -> str:
        found = self._known.get(customer)
        if found is None:
            found = hmac.digest(self._key, customer.encode(), "sha256").hex()[:HEX_DIGITS]
            self._known[customer] = found
        return found
