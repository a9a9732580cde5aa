"""One file of many: a tar whose last member lists the SHA-256 of every other.

Nothing of it is used before all of it was read and found as it was written.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from nightmarket.contracts import InputError

FORMAT = 1
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 1 << 28
BLOCK = 1 << 20


class _Hashed:
    """A file that hashes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.sha256.update(block)
        self.md5.update(block)
        return block


class ArchiveWriter:
    """Members one by one, then `finish`."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, str] = {}
        self.num_bytes = 0

    def add(self, name: str, path: Path) -> str:
        """Take in a file as long as it is now; returns its MD5. Raises InputError for one that shrinks meanwhile."""
        with path.open("rb") as file:
            about, hashed = os.fstat(file.fileno()), _Hashed(file)
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = about.st_size, about.st_mode & 0o777, int(about.st_mtime)
            try:
                self._tar.addfile(member, hashed)  # type: ignore[arg-type, unused-ignore]
            except OSError as error:
                if error.errno is None:  # tarfile's own: it ended too soon
                    raise InputError(f"{path} was changed while it was read; try again") from None
                raise
        self.files[name] = hashed.sha256.hexdigest()
        self.num_bytes += about.st_size
        return hashed.md5.hexdigest()

    def finish(self, about: dict[str, Any]) -> None:
        """Write the manifest."""
        content = {**about, "format": FORMAT, "files": self.files}
        text = json.dumps({"sha256": _digest(content), "content": content}, ensure_ascii=False).encode()
        member = tarfile.TarInfo(MANIFEST)
        member.size, member.mode = len(text), 0o600
        self._tar.addfile(member, io.BytesIO(text))


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file that was found whole.

    about   the manifest but for the files
    files   {member: SHA-256}
    """

    path: Path
    about: dict[str, Any]
    files: dict[str, str]
    digest: str
    num_bytes: int

    def unpack(self, folder: Path) -> None:
        """Write every member below the folder, which is empty. Raises InputError where the file changed since."""
        with _opened(self.path) as tar:
            for member in iter(tar.next, None):
                if member.name == MANIFEST:
                    continue
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = _Hashed(_content(tar, member))
                with target.open("xb") as file:
                    while block := source.read(BLOCK):
                        file.write(block)
                    os.fchmod(file.fileno(), member.mode & 0o777)
                if source.sha256.hexdigest() != self.files.get(member.name):
                    raise InputError(f"{self.path} was changed while it was read; try again")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """A writer to a fresh file that its owner alone may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        with tarfile.open(fileobj=file, mode="w") as tar:
            yield ArchiveWriter(tar)


def verify(path: Path, belongs: Callable[[str], bool], kind: str) -> Archive:
    """Read all of an archive; nothing is written.

    belongs  whether a member of that name may be in it
    kind     what it should be, for the error

    Raises InputError, in one line, for a file that cannot be read, is none of ours, was cut short or changed, or holds
    what does not belong.
    """
    digests: dict[str, str] = {}
    content: Any = None
    num_bytes = 0
    with _opened(path) as tar:
        for member in iter(tar.next, None):
            if content is not None:
                raise InputError(f"{path}: '{member.name}' follows its manifest, so it is no whole {kind}")
            if member.name == MANIFEST:
                content = _manifest(tar, member, path)
                continue
            if not member.isreg() or member.name in digests or not _plain(member.name) or not belongs(member.name):
                raise InputError(f"{path} holds '{member.name}', which no {kind} does; nothing was taken from it")
            source = _Hashed(_content(tar, member))
            while source.read(BLOCK):
                pass
            digests[member.name] = source.sha256.hexdigest()
            num_bytes += member.size
    if content is None:
        raise InputError(f"{path} is no {kind}, or was cut short: it has no manifest at its end; take another one")
    if content.get("format") != FORMAT:
        raise InputError(f"{path} has format {content.get('format')} and this version reads {FORMAT}; use the one that "
                         "made it")  # fmt: skip
    files: dict[str, str] = content.pop("files")
    differing = sorted(name for name in files.keys() | digests.keys() if files.get(name) != digests.get(name))
    if differing:
        raise InputError(f"{path}: {len(differing)} of {len(files)} files are not as they were written, first "
                         f"'{differing[0]}'; take another {kind}")  # fmt: skip
    return Archive(path, content, files, _digest({**content, "files": files}), num_bytes)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except OSError as error:
        if error.errno is None:
            raise InputError(f"{path} was cut short; take another one") from None
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no tar file, or was cut short ({' '.join(str(error).split())})") from None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    assert file is not None  # a regular file has content
    return file


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> dict[str, Any]:
    damaged = InputError(f"{path}: its manifest is damaged; take another one")
    if not member.isreg() or member.size > MOST_MANIFEST_BYTES:
        raise damaged
    try:
        whole = json.loads(_content(tar, member).read())
        content = whole["content"]
        if _digest(content) == whole["sha256"] and isinstance(content["files"], dict):
            return dict(content)
    except (ValueError, KeyError, TypeError):
        pass
    raise damaged


def _plain(name: str) -> bool:
    """Whether it leads down from where it is unpacked, and is written in one way alone."""
    parts = PurePosixPath(name).parts
    return bool(parts) and "/".join(parts) == name and not {"..", "/"} & {*parts} and "\0" not in name


def _digest(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
