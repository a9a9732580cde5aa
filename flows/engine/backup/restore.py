"""Restore a backup into a fresh clone, which then delivers as the checkout did that it was made of.

All of the file is read before anything is written. What a kill cuts short, the same command finishes; until then no
run begins.
"""

import argparse
import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from flows.engine.backup import contents
from flows.engine.retention import kept, objects
from flows.engine.run import dag, dvc_config, lock, recovery, worktree
from flows.engine.run.lock import say
from nightmarket.contracts import InputError
from tasks.files import archive, catalogue, manifest, storage
from tasks.files.archive import Archive
from tasks.registry import relocation

DRAFT = f"{recovery.RESTORING}/draft"
NAMED = 5
MADE = ("data/raw", "data/champion", "artifacts")
BACKUP_HEAD = "refs/backups/head"


def from_terminal(home: Path, arguments: Sequence[str] | None) -> int:
    """Exit code 0; raises InputError where nothing was written, or where the clone is not ready to deliver."""
    parser = argparse.ArgumentParser(prog="python -m flows restore", description=str(__doc__).splitlines()[0])
    parser.add_argument("file", type=Path, help="what `backup` wrote")
    given = parser.parse_args(arguments)
    worktree.require_own(home)
    if not (home / "dvc.yaml").exists():
        raise InputError(f"{home} holds no dvc.yaml; restore in a clone of the repository")
    backup = archive.verify(given.file.absolute(), contents.is_member, "backup")
    try:
        asyncio.run(_locked(home, backup))
    except OSError as error:
        raise InputError(f"{error.filename or home}: {error.strerror or error}; fix that and restore again") from None
    return 0


async def _locked(home: Path, backup: Archive) -> None:
    async with lock.by_hand(home, "restore"):
        _require_empty(home, backup)
        restore(home, backup)


def _require_empty(home: Path, backup: Archive) -> None:
    """InputError that names what would be written over, or what there is no room for."""
    begun = recovery.restoring(home)
    if begun not in ("", backup.digest):
        raise InputError("the restore of another file was cut short here; restore that one, or begin in a fresh clone")
    if not begun:
        in_git = contents.in_git(home)
        there = [name for name in contents.files(home) if name not in in_git]
        there += [name for name in MADE if (home / name).exists()]
        there += [f"refs/runs/{run.name}" for run in kept.refs(home)]
        if there:
            more = f" and {len(there) - NAMED:,} more" if len(there) > NAMED else ""
            raise InputError(
                f"this checkout has {', '.join(there[:NAMED])}{more}, and nothing is written over; restore in a fresh "
                "clone, or move them away"
            )
    if (free := shutil.disk_usage(home).free) < 2 * backup.num_bytes:
        raise InputError(
            f"the disk has {free:,} bytes free and a restore needs about {2 * backup.num_bytes:,}; make room and "
            "restore again"
        )


def restore(home: Path, backup: Archive) -> None:
    """Put everything in its place. Under the run lock, in a clone that has nothing of it, or a part of this backup."""
    draft = home / ".nightmarket" / DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    try:
        backup.unpack(draft)
        database = draft / contents.FILES / "mlruns/mlflow.db"
        if database.exists() and database.stat().st_size:
            relocation.relocate(database, Path(backup.about["home"]), home)
        _forget_cache_folder(draft / contents.FILES)
        storage.flush_all(draft)
    except BaseException:
        shutil.rmtree(draft.parent, ignore_errors=True) if not recovery.restoring(home) else None
        raise
    recovery.begin_restoring(home, backup.digest)
    storage.hook("restore.begun")
    num_files = _place(draft / contents.FILES, home)
    num_objects = _place(draft / contents.OBJECTS, worktree.cache(home) / "files" / "md5")
    refs = ("refs/runs/*:refs/runs/*", f"+HEAD:{BACKUP_HEAD}")
    worktree.git(home, "fetch", "--quiet", "--no-tags", str(draft / contents.RUNS), *refs)
    storage.hook("restore.fetched")
    _check_out(home)
    if backup.about["champion"] is not None:
        manifest.verify(home / storage.CHAMPION)
    shutil.rmtree(draft.parent)
    num_runs = len(kept.refs(home))
    say(f"restored {num_files:,} files, {num_objects:,} objects and {num_runs:,} runs, as of {backup.about['made']}")
    _say_what_next(home, backup)


def _forget_cache_folder(files: Path) -> None:
    """Drop where the cache lay on the other machine; objects go to the clone's own."""
    if (files / ".dvc/config.local").exists():
        with dvc_config.local(files) as local:
            moved = local.get("cache", {}).pop("dir", None)
        if moved:
            say(f"DVC's cache lay in {moved} and lies in .dvc/cache now; `dvc cache dir --local` moves it")


def _place(source: Path, target: Path) -> int:
    """Move every file below the one to the other; how many."""
    paths = [path for path in sorted(source.rglob("*")) if path.is_file()]
    for path in paths:
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        storage.hook("restore.placed")
    return len(paths)


def _check_out(home: Path) -> None:
    """Lay down what the records name, from the cache or, where it is left to a remote, from there."""
    cache = worktree.cache(home)
    outs = [str(out["md5"]) for _, out in objects.outs(objects.records(home)) if "md5" in out]
    try:
        with dag.repo(home) as repo:
            if any(not objects.path(cache, md5).exists() for md5 in kept.with_members(home, set(outs))):
                repo.fetch()
            repo.checkout(force=True)
    except dag.dvc_error() as error:
        raise InputError(
            f"DVC cannot lay down what dvc.lock names ({' '.join(str(error).split())[:200]}); see to the remote in "
            ".dvc/config.local and restore again"
        ) from None


def _say_what_next(home: Path, backup: Archive) -> None:
    commit, head = str(backup.about["commit"]), worktree.git(home, "rev-parse", "HEAD")
    if commit != head:
        say(f"the code here is {head[:10]} and was {commit[:10]}: `git checkout {commit[:10]}` for that of then")
    receipt = catalogue.CHAMPION_RECEIPT.at(home)
    who = f"version {receipt.read()['version']} delivers" if receipt.exists() else "no version delivers yet"
    say(f"{who}; next: `python -m flows deliver`, or `make nightly`")
