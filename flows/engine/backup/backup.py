"""Back up all that cannot be made anew into one file, by hand or from a timer; `contents` says what that is.

It waits for a run to end and holds the locks of runs, registrations and exports, so that nothing in it belongs to half
of something. The live site may go on: its log is copied as SQLite does it.
"""

import argparse
import asyncio
import contextlib
import datetime
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.engine.backup import contents
from flows.engine.retention import objects
from flows.engine.run import lock, publish, recovery, worktree
from flows.engine.run.lock import say
from nightmarket.contracts import InputError
from tasks.files import archive, catalogue, locks, storage
from tasks.files.archive import ArchiveWriter
from tasks.registry import store

FOLDER = "backups"
SQLITE = b"SQLite format 3\0"
BUSY_S = 20.0


def from_terminal(home: Path, arguments: Sequence[str] | None) -> int:
    """Exit code 0; raises InputError where the file would not hold all of it."""
    parser = argparse.ArgumentParser(prog="python -m flows backup", description=str(__doc__).splitlines()[0])
    parser.add_argument("--to", type=Path, metavar="PATH", help=f"a folder, or a file that is not there yet (default: "
                        f"{FOLDER}/)")  # fmt: skip
    parser.add_argument("--whole", action="store_true", help="take in what a DVC remote holds, too")
    given = parser.parse_args(arguments)
    worktree.require_own(home)
    path = _target(home, given.to)
    asyncio.run(_locked(home, path, given.whole))
    return 0


def _target(home: Path, wished: Path | None) -> Path:
    name = f"{home.name}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}.tar"
    path = home / FOLDER / name if wished is None else wished.absolute()
    if path.is_dir() or str(wished or "").endswith("/"):
        path /= name
    if path.exists():
        raise InputError(f"{path} is there already, and nothing is written over; name another file")
    return path


async def _locked(home: Path, path: Path, whole: bool) -> None:
    async with lock.by_hand(home, "backup"):
        recovery.require_whole(home)
        publish.resume(home, say)
        with store.alone(), storage.private("export.lock").open("w") as exports:
            locks.take(exports)
            try:
                said = write(home, path, whole)
            except OSError as error:
                raise InputError(f"{error.filename or path}: {error.strerror or error}; nothing was written") from None
        say(f"{said}; it holds the key of customers' names, so keep it as you keep keys")


def write(home: Path, path: Path, whole: bool = False) -> str:
    """Write the file, read it back, and say what it holds. Under the locks."""
    wanted = contents.wanted(home)
    here, elsewhere = _divided(home, wanted, whole)
    say_of_code(home)
    with storage.replacing(path) as draft, _scratch(path) as scratch:
        with archive.writing(draft) as writer:
            names = list(contents.files(home))
            for name in names:
                _add(writer, home, name, scratch)
            for md5 in sorted(here):
                _add_object(writer, worktree.cache(home), md5)
            _add_runs(writer, home, scratch)
            receipt = catalogue.CHAMPION_RECEIPT.at(home)
            champion = receipt.read().get("version") if receipt.exists() else None
            about = {"made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "home": str(home)}
            writer.finish(about | {"commit": worktree.git(home, "rev-parse", "HEAD"), "champion": champion})
        storage.hook("backup.written", draft)
        archive.verify(draft, contents.is_member, "backup")
    left = f"; {len(elsewhere):,} objects are left to DVC's remote" if elsewhere else ""
    size = f"{writer.num_bytes / 1e6:,.1f} MB"
    return f"backed up {len(names):,} files and {len(here):,} objects, {size}, to {path}{left}"


def _divided(home: Path, wanted: contents.Objects, whole: bool) -> tuple[set[str], set[str]]:
    """The objects that go into the file, and those that a remote holds."""
    cache, remote = worktree.cache(home), set[str]()
    both = wanted.present | wanted.older
    for name in () if whole else objects.remotes(home):
        try:
            remote.update(objects.on_remote(home, name, both))
        except Exception as error:  # a remote's library raises what it likes
            say(f"the remote {name} does not answer ({type(error).__name__}), so the file holds what may be there too")
    here = {md5 for md5 in both - remote if objects.path(cache, md5).is_file()}
    if absent := sorted(wanted.present - remote - here):
        raise InputError(
            f"{len(absent):,} objects of dvc.lock and data/*.dvc are neither in the cache nor on a remote, first "
            f"{absent[0]}; run nightly, which makes them again, and then this"
        )
    if gone := wanted.older - remote - here:
        say(f"{len(gone):,} objects of older versions are gone already; those cannot be rebuilt (make card says which)")
    return here, remote


def say_of_code(home: Path) -> None:
    """Name changes of the code that no commit holds: they belong into git."""
    changed = [name for name in worktree.git(home, "diff", "--name-only", "HEAD").splitlines() if name]
    if own := [name for name in changed if name not in contents.SETTINGS]:
        say(f"{len(own)} files with changes of yours are in no commit and so not in the backup; first: {own[0]}")


def _add(writer: ArchiveWriter, home: Path, name: str, scratch: Path) -> None:
    path = home / name
    with _copied(path, scratch) if _is_database(path) else contextlib.nullcontext(path) as source:
        writer.add(f"{contents.FILES}/{name}", source)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A folder beside the file for copies; one that a killed backup left goes with its draft, by its name."""
    folder = path.with_name(f".{path.name}.copies.{os.getpid()}.tmp")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _copied(path: Path, scratch: Path) -> Iterator[Path]:
    """A copy of a database as it is at one moment, whoever writes to it."""
    copy = scratch / path.name
    try:
        with (
            contextlib.closing(sqlite3.connect(path, timeout=BUSY_S)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            state = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        state = str(error)
    if state != "ok":
        raise InputError(f"{path} cannot be copied ({state}); end the program that holds it, or restore the file")
    copy.chmod(path.stat().st_mode & 0o777)
    yield copy
    copy.unlink()


def _add_object(writer: ArchiveWriter, cache: Path, md5: str) -> None:
    path = objects.path(cache, md5)
    if writer.add(f"{contents.OBJECTS}/{md5[:2]}/{md5[2:]}", path) != md5.removesuffix(".dir"):
        raise InputError(f"the cache's object {md5} is damaged; run nightly, which moves it aside, and then this")


def _add_runs(writer: ArchiveWriter, home: Path, scratch: Path) -> None:
    """All commits of runs, and the checkout's own."""
    bundle = scratch / contents.RUNS
    worktree.git(home, "bundle", "create", "--quiet", str(bundle), "HEAD", "--glob=refs/runs/*")
    writer.add(contents.RUNS, bundle)
