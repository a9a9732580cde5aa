"""Pseudonyms: customer ids become keyed hashes, so that without the key nobody learns who a customer is.

`.nightmarket/customer.key` holds one key a line, oldest first. A customer's pseudonym is the keyed hash of their id
under the first key, then of that hash under the second, and so on: a new key renames everybody without needing their
ids, and who was left out under an earlier pseudonym still is.

`.nightmarket/forgotten.json` lists who asked to be forgotten, by a hash of each pseudonym, so that it names nobody.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.intake.visitors import plain
from tasks.files.storage import hook, private, read_json, replacing, write_json

HEX_DIGITS = 32


def own_secret(path: Path, new: Callable[[], str]) -> str:
    """The text of a secret's file under `.nightmarket/`, without its last line break; made from `new()` on first use.

    Raises InputError for a file that others may read.
    """
    if not path.exists():
        _make(path, new())
    if path.stat().st_mode & 0o077:
        raise InputError(f"{path} can be read by others; run `chmod 600 {path}`")
    return path.read_text(encoding="ascii", errors="replace").strip()


def _make(path: Path, text: str) -> None:
    """Write it and link it into place, so that of two first users one wins and none reads half a secret."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def digest(pseudonym: str) -> str:
    """What the list of the forgotten holds of a customer: SHA-256 of the keyed hash, 64 hex digits."""
    return hashlib.sha256(pseudonym.encode()).hexdigest()


def forgotten() -> dict[str, str]:
    """{digest: YYYY-MM-DD} of everybody who asked to be left out of every snapshot from that day on."""
    path = private("forgotten.json")
    return dict(read_json(path)["customers"]) if path.exists() else {}


def forget(pseudonyms: Iterable[str], day: str) -> None:
    """Put customers on that list, with the day on which they asked; whoever is on it keeps the first day."""
    write_json({"customers": {**{digest(name): day for name in pseudonyms}, **forgotten()}}, private("forgotten.json"))


def customer_keys() -> tuple[bytes, ...]:
    """This installation's keys, oldest first; the first is made on first use. They never leave their file.

    Raises InputError for a file that others may read, or a line that is not 64 hex digits.
    """
    path = private("customer.key")
    content = own_secret(path, lambda: secrets.token_hex(32))
    try:
        keys = tuple(bytes.fromhex(line) for line in content.splitlines())
    except ValueError:
        keys = ()
    if not keys or {len(key) for key in keys} != {32}:
        raise InputError(
            f"{path} is not a key of 64 hex digits a line; restore it, or remove it to start with a new one"
        )
    return keys


def add_key() -> None:
    """Append a new key: from the next snapshot on every customer has another name. The file changes in one step."""
    keys = [*customer_keys(), secrets.token_bytes(32)]
    with replacing(private("customer.key")) as draft:
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text("".join(f"{key.hex()}\n" for key in keys), encoding="ascii")
    hook("rotate.added")


def key_id(keys: Sequence[bytes]) -> str:
    """A name for the present key that does not give it away: 8 hex digits."""
    return hashlib.sha256(keys[-1]).hexdigest()[:8]


class Pseudonyms:
    """HMAC-SHA256 of ids, first 32 hex digits, under one key after another; each distinct id is hashed once.

    keys       32 bytes each, oldest first, as `customer_keys` gives them
    forgotten  digests of names whose rows are left out, as `forgotten` lists them; a name under any key counts
    """

    def __init__(self, keys: Sequence[bytes], forgotten: Collection[str] = ()) -> None:
        self._keys = tuple(keys)
        self._forgotten = frozenset(forgotten)
        self._gone: set[str] = set()
        self._known: dict[str, str] = {}

    def __call__(self, ids: pa.Array, prefix: str = "") -> pa.DictionaryArray:
        """Ids (string, nulls stay null) as pseudonyms, each taken over `prefix` and id."""
        coded = ids.dictionary_encode()
        names = pa.array([self._of(customer, prefix) for customer in coded.dictionary.to_pylist()], pa.string())
        return pa.DictionaryArray.from_arrays(coded.indices, names)

    def known(self, names: pa.Array) -> pa.DictionaryArray:
        """Names under the present key, as a call gives them."""
        coded = names.dictionary_encode()
        self._gone |= {name for name in coded.dictionary.to_pylist() if digest(name) in self._forgotten}
        return coded

    def without_forgotten(self, batch: pa.RecordBatch, column: str) -> pa.RecordBatch:
        """The rows of nobody who was forgotten; `column` holds what a call gave."""
        names = batch[column]
        gone = [name for name in names.dictionary.to_pylist() if name in self._gone]
        if not gone:
            return batch
        batch = batch.filter(pc.invert(pc.is_in(names.cast(pa.string()), pa.array(gone, pa.string()))))
        kept = batch[column].cast(pa.string()).dictionary_encode()  # a file keeps words that no row uses
        return batch.set_column(batch.schema.get_field_index(column), column, kept)

    def under_each_key(self, customer: str, prefix: str = "") -> list[str]:
        """The names that an id had and has, the present one last."""
        return self._chain(prefix + plain(customer))

    def left_out(self, customer: str, prefix: str = "") -> bool:
        """Whether they asked to be forgotten; who did so under another spelling still is."""
        names = (*self.under_each_key(customer, prefix), *self._chain(prefix + customer))
        return bool(self._forgotten) and any(digest(name) in self._forgotten for name in names)

    def _chain(self, name: str) -> list[str]:
        names: list[str] = []
        for key in self._keys:
            name = hmac.digest(key, name.encode(), "sha256").hex()[:HEX_DIGITS]
            names.append(name)
        return names

    @property
    def joined(self) -> int:
        """Ids that are another spelling of an id that came before."""
        return len(self._known) - len(set(self._known.values()))

    def _of(self, customer: str, prefix: str) -> str:
        present = self._known.get(prefix + customer)
        if present is None:
            present = self._known[prefix + customer] = self.under_each_key(customer, prefix)[-1]
            if self.left_out(customer, prefix):
                self._gone.add(present)
        return present
