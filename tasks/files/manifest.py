"""A folder's manifest: the SHA-256 of every file, checked before anything in the folder is loaded.

A flipped bit in safetensors or in a model's text loads without an error; here it stops with the file's name.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.files import storage

NAME = "manifest.json"
OUTSIDE = (NAME, "decision.json")
"""Files that the manifest does not list: itself, and the gate's latest decision: it changes, the model does not."""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(folder: Path) -> dict[str, str]:
    """{path inside the folder: SHA-256}, in the order of the paths."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: digest(folder / name) for name in files if name not in OUTSIDE}


def write(folder: Path) -> dict[str, str]:
    """Write the folder's manifest into it, and return it."""
    files = build(folder)
    storage.write_json({"files": files}, folder / NAME)
    return files


def verify(folder: Path) -> dict[str, str]:
    """Check every file against the manifest and return the manifest.

    Raises InputError that names the first file which is missing, changed, or not in the manifest.
    """
    restore = "restore the folder with `dvc checkout` or run `python -m tasks register`"
    try:
        listed: dict[str, str] = storage.read_json(folder / NAME)["files"]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / NAME} is damaged; {restore}") from None
    present = build(folder)
    for name in sorted(listed.keys() | present.keys()):
        if name not in present:
            raise InputError(f"{folder / name} is missing; {restore}")
        if name not in listed:
            raise InputError(f"{folder / name} is not in {folder / NAME}; {restore}")
        if listed[name] != present[name]:
            raise InputError(f"{folder / name} differs from its checksum in {folder / NAME}; {restore}")
    return listed


def tree_digest(*paths: Path) -> str:
    """One SHA-256 over files and folders: their names and contents, in the order of the names."""
    whole = hashlib.sha256()
    for path in paths:
        files = {path.name: digest(path)} if path.is_file() else build(path)
        whole.update(_lines(files))
    return whole.hexdigest()


def listed_digest(files: Mapping[str, str]) -> str:
    """The `tree_digest` of a folder whose files have these checksums."""
    return hashlib.sha256(_lines(dict(sorted(files.items())))).hexdigest()


def _lines(files: Mapping[str, str]) -> bytes:
    return "".join(f"{name}\0{checksum}\n" for name, checksum in files.items()).encode()
