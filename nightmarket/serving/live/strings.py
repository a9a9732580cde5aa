"""CodedNames in arrays, which processes share as they share numbers: N of them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Int32s, Int64s, Values


@dataclass(frozen=True)
class Strings(Sequence[str]):
    """Text i is content[ends[i]:ends[i+1]] in UTF-8; ends (N+1,)."""

    content: NDArray[np.uint8]
    ends: Int64s

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Strings":
        """Texts, in order."""
        parts = [text.encode() for text in texts]
        ends = np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)
        return cls(np.frombuffer(b"".join(parts), np.uint8), ends)

    def __len__(self) -> int:
        return int(self.ends.size) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return self.content[self.ends[index] : self.ends[index + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        content = self.content.tobytes()
        return (content[begin:end].decode() for begin, end in pairwise(self.ends.tolist()))

    def put(self, texts: Mapping[int, str]) -> "Strings":
        """These texts at their places; places from the end on, without a gap, are more of them."""
        parts, begin, num = list[bytes](), 0, len(self)
        sizes = np.append(np.diff(self.ends), np.zeros(max(num, *(place + 1 for place in texts), 0) - num, np.int64))
        for place in sorted(texts):
            kept = slice(self.ends[min(begin, num)], self.ends[min(place, num)])
            parts += [self.content[kept].tobytes(), texts[place].encode()]
            sizes[place], begin = len(parts[-1]), place + 1
        parts.append(self.content[self.ends[min(begin, num)] :].tobytes())
        return Strings(np.frombuffer(b"".join(parts), np.uint8), np.append(0, np.cumsum(sizes)).astype(np.int64))

    def digest(self) -> str:
        """SHA-256 of all of them, in order."""
        return hashlib.sha256(self.content.tobytes() + self.ends.tobytes()).hexdigest()


@dataclass(frozen=True)
class CodedNames:
    """Texts, each of which stands for its number: found by hash, so that no process holds a dictionary of its own.

    hashes  (N,)  ascending
    codes   (N,)  the number of each
    """

    texts: Strings
    hashes: NDArray[np.uint64]
    codes: Int32s

    @classmethod
    def of(cls, texts: Iterable[str]) -> "CodedNames":
        """Texts, numbered from 0."""
        strings = Strings.of(texts)
        hashes = hashed(strings)
        order = np.argsort(hashes, kind="stable")
        return cls(strings, hashes[order], order.astype(np.int32))

    def __len__(self) -> int:
        return len(self.texts)

    def find(self, text: str) -> int:
        """Its number, -1 for a text that is not among them."""
        wanted = _hash(text)
        row = int(self.hashes.searchsorted(wanted))
        while row < self.hashes.size and self.hashes[row] == wanted:
            code = int(self.codes[row])
            if self.texts[code] == text:
                return code
            row += 1
        return -1

    def find_all(self, texts: Iterable[str]) -> Int32s:
        """(M,) numbers of those that are among them."""
        codes = [self.find(text) for text in texts]
        return np.array([code for code in codes if code >= 0], np.int32)

    def more(self, texts: Sequence[str]) -> "CodedNames":
        """With further texts, numbered on."""
        if not texts:
            return self
        hashes = np.append(self.hashes, hashed(texts))
        codes = np.append(self.codes, np.arange(len(self), len(self) + len(texts), dtype=np.int32))
        order = np.argsort(hashes, kind="stable")
        return CodedNames(self.texts.put(dict(enumerate(texts, len(self)))), hashes[order], codes[order])

    def tensors(self) -> dict[str, Values]:
        """By name, for a file."""
        made: dict[str, Values] = {"content": self.texts.content, "ends": self.texts.ends}
        return made | {"hashes": self.hashes, "codes": self.codes}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Values]) -> "CodedNames":
        """The reverse of `tensors`."""
        strings = Strings(tensors["content"], tensors["ends"])
        return cls(strings, tensors["hashes"], tensors["codes"])


def hashed(texts: Iterable[str]) -> NDArray[np.uint64]:
    """(N,) a hash of each text."""
    return np.array([_hash(text) for text in texts], np.uint64)


def _hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))
