"""One half of a bundle on disk: arrays that all processes map, small facts, forests, and their checksums.

A part is a folder: `arrays.safetensors`, `facts.json`, forests as NAME.txt in LightGBM's text form, and
`manifest.json` with the SHA-256 of each. Nothing in it is a pickle.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError

MODEL, STATE = "model", "state"
ARRAYS, FACTS, MANIFEST = "arrays.safetensors", "facts.json", "manifest.json"
KINDS = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I32": np.int32, "I64": np.int64, "U64": np.uint64,
    "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip
"""The file's names of the types of numbers that a part holds."""


@dataclass(frozen=True)
class Half:
    """arrays by name, mapped from the file and never written to; facts; forests by name; identity: of its contents."""

    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]
    forests: dict[str, str]
    identity: str

    def of(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays whose names begin with `name.`, without it."""
        return {
            key.removeprefix(f"{name}."): values for key, values in self.arrays.items() if key.startswith(f"{name}.")
        }


def read(folder: Path, verify: bool = True) -> Half:
    """Map a part; with `verify` every file is read once against its checksum.

    Raises InputError that names the file which is missing or damaged.
    """
    listed = manifest(folder)
    if verify:
        for name, checksum in listed.items():
            _check(folder / name, checksum)
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        forests = [folder / name for name in listed if name.endswith(".txt")]
        texts = {path.stem: path.read_text(encoding="utf-8") for path in forests}
        return Half(mapped(folder / ARRAYS), facts, texts, identity(listed))
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is missing; {_AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} cannot be read ({str(error)[:80]}); {_AGAIN}") from None


def manifest(folder: Path) -> dict[str, str]:
    """{file: SHA-256} of a part. Raises InputError."""
    path = folder / MANIFEST
    try:
        listed: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): str(checksum) for name, checksum in listed.items()}
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {_AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is damaged; {_AGAIN}") from None


_AGAIN = "run the stage `bundle` again, or `dvc checkout`"


def identity(listed: Mapping[str, str]) -> str:
    """16 hexadecimal digits that stand for the contents."""
    return hashlib.sha256(json.dumps(dict(listed), sort_keys=True).encode()).hexdigest()[:16]


def _check(path: Path, checksum: str) -> None:
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == checksum
    except OSError:
        raise InputError(f"{path} is missing; {_AGAIN}") from None
    if not same:
        raise InputError(f"{path} differs from its checksum; {_AGAIN}")


def mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file as views of its map: read-only, and one copy for all processes of a machine."""
    whole = np.memmap(path, np.uint8, "r")
    begin = 8 + int.from_bytes(whole[:8].tobytes(), "little")
    header = json.loads(whole[8:begin].tobytes())
    arrays = {}
    for name, about in header.items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            content = np.asarray(whole[begin + first : begin + last])
            arrays[name] = content.view(KINDS[about["dtype"]]).reshape(about["shape"])
    return arrays
