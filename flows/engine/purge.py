"""Take away every older copy of the shop's data in which certain customers stand: cache, remotes, run folders."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

import yaml

from flows.engine import dag, objects, traces, worktree
from flows.engine.worktree import RECORDS
from nightmarket.contracts import InputError
from tasks import storage

RAW = "data/raw"


@dataclasses.dataclass(frozen=True)
class Purged:
    """What went: commits whose data cannot be rebuilt any more, objects of the cache and of remotes."""

    commits: frozenset[str]
    objects: int
    remote: int


class Snapshots:
    """Which snapshots name certain customers; each is read once."""

    def __init__(self, cache: Path, pseudonyms: Collection[str]) -> None:
        self.cache, self.pseudonyms = cache, pseudonyms
        self._known: dict[str, bool] = {}

    def name_them(self, md5: str) -> bool:
        """Whether a snapshot's folder names one of them; one that is not here is taken to."""
        if md5 not in self._known:
            files = [objects.path(self.cache, one) for one in objects.listed(self.cache, md5).values()]
            self._known[md5] = not files or any(
                not file.exists() or traces.names(file, self.pseudonyms) for file in files
            )
        return self._known[md5]


def purge(home: Path, pseudonyms: Collection[str], say: Callable[[str], None]) -> Purged:
    """Remove all objects that the present checkout, or a run without these customers, does not use. Under the run lock.

    What a run made of the customers goes with its snapshot, rows by number included. Objects that no commit names go
    too. On a remote only what these runs wrote is deleted: others may keep theirs there.

    Raises InputError when the snapshot of the checkout names one of the customers.
    """
    cache = worktree.cache(home)
    snapshots = Snapshots(cache, pseudonyms)
    present = _outs(objects.records(home))
    if RAW not in present or snapshots.name_them(present[RAW]):
        raise InputError("the checkout's snapshot still names the customer; `make nightly`, then again")
    kept, doomed, commits = _used(cache, present), set(), set()
    for commit in _commits(home):
        outs = _outs({name: _show(home, commit, name) for name in RECORDS})
        if RAW in outs and snapshots.name_them(outs[RAW]):
            commits.add(commit)
            doomed |= _used(cache, outs)
        else:
            kept |= _used(cache, outs)
    worktree.remove_left_over(home, keep="")
    remote = sum(_from_remote(home, name, doomed - kept) for name in _remotes(home))
    gone = [path for path in (cache / "files" / "md5").glob("??/*") if path.parent.name + path.name not in kept]
    for path in gone:
        path.unlink()
    _forget_runs(cache, kept)
    say(f"{len(gone):,} objects of the cache and {remote:,} of remotes removed")
    return Purged(frozenset(commits), len(gone), remote)


def _used(cache: Path, outs: dict[str, str]) -> set[str]:
    """The objects of these outputs, and those that a folder's list names."""
    return {one for md5 in outs.values() for one in (md5, *objects.listed(cache, md5).values())}


def _outs(texts: dict[str, str]) -> dict[str, str]:
    """Path → MD5 of everything that the records name as an output."""
    return {path: str(out["md5"]) for path, out in objects.outs(texts)}


def _commits(home: Path) -> list[str]:
    """Every commit that a branch, tag or run reaches and that records data."""
    touched = worktree.git(home, "log", "--all", "--format=%H", "--", *RECORDS).split()
    runs = worktree.git(home, "for-each-ref", "--format=%(objectname)", "refs/runs").split()
    return list(dict.fromkeys(runs + touched))


def _show(home: Path, commit: str, name: str) -> str:
    try:
        return worktree.git(home, "show", f"{commit}:{name}")
    except InputError:
        return ""


def _remotes(home: Path) -> list[str]:
    with dag.repo(home) as repo:
        return list(repo.config["remote"])


def _from_remote(home: Path, name: str, doomed: set[str]) -> int:
    with dag.repo(home) as repo:
        odb = repo.cloud.get_remote_odb(name=name, hash_name="md5")
        there = list(odb.oids_exist(sorted(doomed)))
        for md5 in there:
            odb.delete(md5)
        return len(there)


def _forget_runs(cache: Path, kept: set[str]) -> None:
    """Entries of DVC's run-cache that lead to objects which are gone."""
    for path in [one for one in (cache / "runs").glob("*/*/*") if one.is_file()]:
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            outs = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("outs", [])
            if any(str(out.get("md5")) not in kept for out in outs):
                path.unlink()
    storage.hook("forget.purged")
