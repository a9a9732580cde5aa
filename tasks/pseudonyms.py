"""Customer ids become keyed hashes: the same customer stays the same, and nobody without the key learns who it is."""

import hashlib
import hmac
import secrets
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from tasks.forgotten import digest
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
    """HMAC-SHA256 of ids, first 32 hex digits; each distinct id is hashed once.

    forgotten  digests of pseudonyms whose rows are left out, as `tasks.forgotten` lists them
    """

    def __init__(self, key: bytes, forgotten: Collection[str] = ()) -> None:
        self._key = key
        self._forgotten = frozenset(forgotten)
        self._known: dict[str, str] = {}

    def __call__(self, ids: pa.Array, prefix: str = "") -> pa.DictionaryArray:
        """Ids (string, nulls stay null) as pseudonyms, each taken over `prefix` and id."""
        coded = ids.dictionary_encode()
        names = pa.array([self._of(prefix + customer) for customer in coded.dictionary.to_pylist()], pa.string())
        return pa.DictionaryArray.from_arrays(coded.indices, names)

    def without_forgotten(self, batch: pa.RecordBatch, column: str) -> pa.RecordBatch:
        """The rows of nobody who was forgotten; `column` holds what a call gave."""
        names = batch[column]
        gone = [name for name in names.dictionary.to_pylist() if self._forgotten and digest(name) in self._forgotten]
        if not gone:
            return batch
        batch = batch.filter(pc.invert(pc.is_in(names.cast(pa.string()), pa.array(gone, pa.string()))))
        kept = batch[column].cast(pa.string()).dictionary_encode()  # a file keeps words that no row uses
        return batch.set_column(batch.schema.get_field_index(column), column, kept)

    def _of(self, customer: str) -> str:
        found = self._known.get(customer)
        if found is None:
            found = hmac.digest(self._key, customer.encode(), "sha256").hex()[:HEX_DIGITS]
            self._known[customer] = found
        return found
