"""Secrets of this installation: each in a file of its own under `.nightmarket/`, readable by its owner alone."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from nightmarket.contracts import InputError


def own_secret(path: Path, new: Callable[[], str]) -> str:
    """The text of a secret's file, without its last line break; made from `new()` on first use.

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
