"""Vectors of texts, kept across nights by a hash of the text: one folder per model content and settings.

A folder holds shards, safetensors files named after the SHA-256 of their content. A shard is written under its own name
in one step and never changed, and a writer deletes only shards whose entries it has written into another one before:
two writers cannot harm each other, and a kill leaves at worst a shard too many. One whose content does not match its
name is deleted, and its texts are encoded again.

Each entry carries the day it was last used, as days since 1970 and not as a file's time, which a copy would change. So
that a night need not write everything again only to say "used tonight", days are renewed once they are `LAG` behind,
and an entry goes when it was unused for `keep_days` and the lag.
"""

import hashlib
import json
import logging
import random
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from nightmarket.encoding.hashes import lookup
from tasks.files import storage

MOST_SHARDS = 8
LAG = timedelta(days=5)
_ATTEMPTS = 40
_PAUSE = 0.01
_LONGEST_HEADER = 1 << 20
_FIRST_DAY = date(1970, 1, 1)
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class Entries:
    """S texts of a store: hashes uint8 [S, 16], vectors float16 [S, d], used int32 [S] in days since 1970."""

    hashes: np.ndarray
    vectors: np.ndarray
    used: np.ndarray
    shards: tuple[Path, ...] = field(default=())


_ARRAYS = ("hashes", "vectors", "used")


class Store:
    """The vectors of one model and its settings; `today` is the day that entries are used on."""

    def __init__(self, folder: Path, today: date, keep_days: int) -> None:
        self.folder = folder
        self.today = _number(today)
        self.oldest = _number(today - timedelta(days=keep_days) - LAG)
        self.entries: Entries | None = None

    def read(self) -> Entries | None:
        """Entries of all good shards, or None where there is none."""
        for attempt in range(_ATTEMPTS):
            try:
                self.entries = _joined([shard for path in self._paths() if (shard := _read(path)) is not None])
                return self.entries
            except FileNotFoundError:
                # Another writer merged it into a shard that was not there when we looked; let that one finish.
                time.sleep(_PAUSE * attempt * random.random())
        raise RuntimeError(f"the embedding store changed under {_ATTEMPTS} attempts to read it; run the stage again")

    def add(self, hashes: np.ndarray, vectors: np.ndarray) -> None:
        """Keep vectors, used today, in a shard of their own; a kill leaves either the whole shard or nothing."""
        if not np.isfinite(vectors).all():
            raise RuntimeError("the encoder gave vectors that are not finite")
        fresh = self._write(Entries(hashes, vectors, np.full(len(hashes), self.today, np.int32)))
        self.entries = _joined([fresh] if self.entries is None else [self.entries, fresh])

    def tidy(self, hashes: np.ndarray) -> bool:
        """Note what was used today, drop what was not for long, and merge many shards; False if nothing is due.

        hashes  uint8 [T, 16]  tonight's texts, all of which the store has read or been given
        """
        entries = self.entries
        if entries is None:
            return False
        days = lookup(hashes, entries.hashes, entries.used[:, None])[0]
        behind = bool((days < self.today - LAG.days).any())
        if not (behind or len(entries.shards) > MOST_SHARDS or bool((entries.used < self.oldest).any())):
            return False
        unused = lookup(entries.hashes, hashes, np.zeros((len(hashes), 0)))[1]
        used = np.full_like(entries.used, self.today)
        used[unused] = entries.used[unused]
        kept = np.lexsort((-used, *entries.hashes.T[::-1]))
        first = np.ones(len(kept), dtype=bool)
        first[1:] = (entries.hashes[kept[1:]] != entries.hashes[kept[:-1]]).any(axis=1)
        kept = kept[first & (used[kept] >= self.oldest)]
        merged = self._write(Entries(entries.hashes[kept], entries.vectors[kept], used[kept])) if len(kept) else None
        for path in set(entries.shards) - set(merged.shards if merged else ()):
            path.unlink(missing_ok=True)
        self.entries = merged
        return True

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    def _write(self, entries: Entries) -> Entries:
        from safetensors.numpy import save

        content = save(
            {name: np.ascontiguousarray(getattr(entries, name)) for name in _ARRAYS},
            metadata={"used": str(int(entries.used.max(initial=0)))},
        )
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        with storage.replacing(path) as temporary:
            temporary.write_bytes(content)
        return Entries(entries.hashes, entries.vectors, entries.used, (path,))


def prune(root: Path, today: date, keep_days: int) -> int:
    """Delete the shards in all folders of `root` that no night used for so long, and what kills left; how many.

    Only the shards' headers are read. An emptied folder stays: another night may be about to write into it.
    """
    oldest, number = _number(today - timedelta(days=keep_days) - LAG), 0
    for path in sorted(root.glob("*/*.safetensors")):
        if _last_used(path) < oldest:
            path.unlink(missing_ok=True)
            number += 1
    for path in root.glob("*/.*.tmp"):
        if _old(path):
            path.unlink(missing_ok=True)
    return number


def _joined(shards: list[Entries]) -> Entries | None:
    if len(shards) < 2:
        return shards[0] if shards else None
    arrays = {name: np.concatenate([getattr(shard, name) for shard in shards]) for name in _ARRAYS}
    return Entries(**arrays, shards=tuple(path for shard in shards for path in shard.shards))


def _read(path: Path) -> Entries | None:
    """Entries of one shard; None for one that is damaged, which is deleted."""
    from safetensors.numpy import load

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        log.warning("embed: a shard of the embedding store is damaged; its texts are encoded again")
        path.unlink(missing_ok=True)
        return None
    arrays = load(content)
    return Entries(**{name: arrays[name] for name in _ARRAYS}, shards=(path,))


def _last_used(path: Path) -> int:
    """The newest day of a shard, from its header; day 0 where it says none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        return int(header["__metadata__"]["used"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _old(path: Path) -> bool:
    """Whether a temporary file is more than a day old; nobody is still writing it then."""
    try:
        return time.time() - path.stat().st_mtime > 24 * 3600
    except OSError:
        return False


def _number(day: date) -> int:
    return (day - _FIRST_DAY).days
