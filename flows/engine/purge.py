"""Take away every older copy of the shop's data in which certain customers stand: cache, remotes, run folders."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from flows.engine import dag, traces, worktree
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


class Objects:
    """DVC's cache of a checkout, by MD5."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, worktree.cache(home)
        self._named: dict[tuple[str, frozenset[str]], bool] = {}

    def path(self, md5: str) -> Path:
        """Where the object lies, or would."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def expanded(self, md5: str) -> set[str]:
        """The object, and those that a folder's list names."""
        return {md5, *(one["md5"] for one in self.listed(md5))}

    def listed(self, md5: str) -> list[dict[str, str]]:
        """The files of a folder; none of a file, and of a folder whose list is gone."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self.path(md5).read_bytes()) if md5.endswith(".dir") else []
        return []

    def name(self, md5: str, pseudonyms: Collection[str]) -> bool:
        """Whether a snapshot's folder names one of them; one that is not here is taken to."""
        key = (md5, frozenset(pseudonyms))
        if key not in self._named:
            listed = self.listed(md5)
            self._named[key] = not listed or any(
                not self.path(one["md5"]).exists() or traces.names(self.path(one["md5"]), pseudonyms) for one in listed
            )
        return self._named[key]

    def all(self) -> Iterator[str]:
        """Every object that is here."""
        for path in (self.folder / "files" / "md5").glob("??/*"):
            yield path.parent.name + path.name


def purge(home: Path, pseudonyms: Collection[str], say: Callable[[str], None]) -> Purged:
    """Remove all objects that the present checkout, or a run without these customers, does not use. Under the run lock.

    What a run made of the customers goes with its snapshot, rows by number included. Objects that no commit names go
    too. On a remote only what these runs wrote is deleted: others may keep theirs there.

    Raises InputError when the snapshot of the checkout names one of the customers.
    """
    objects = Objects(home)
    present = _outs({name: (home / name).read_text() for name in RECORDS if (home / name).exists()})
    if RAW not in present or objects.name(present[RAW], pseudonyms):
        raise InputError("the checkout's snapshot still names the customer; `make nightly`, then again")
    kept, doomed, commits = _used(objects, present), set(), set()
    for commit in _commits(home):
        outs = _outs({name: _show(home, commit, name) for name in RECORDS})
        if RAW in outs and objects.name(outs[RAW], pseudonyms):
            commits.add(commit)
            doomed |= _used(objects, outs)
        else:
            kept |= _used(objects, outs)
    worktree.remove_left_over(home, keep="")
    remote = sum(_from_remote(home, name, doomed - kept) for name in _remotes(home))
    gone = [md5 for md5 in objects.all() if md5 not in kept]
    for md5 in gone:
        objects.path(md5).unlink()
    _forget_runs(objects, kept)
    say(f"{len(gone):,} objects of the cache and {remote:,} of remotes removed")
    return Purged(frozenset(commits), len(gone), remote)


def _used(objects: Objects, outs: dict[str, str]) -> set[str]:
    return {one for md5 in outs.values() for one in objects.expanded(md5)}


def _outs(records: dict[str, str]) -> dict[str, str]:
    """Path → MD5 of everything that the records name as an output."""
    found: dict[str, str] = {}
    for name, text in records.items():
        content: dict[str, Any] = yaml.safe_load(text) or {} if text else {}
        stages = content.get("stages", {}).values() if name == "dvc.lock" else [content]
        for out in (out for stage in stages for out in stage.get("outs", [])):
            found[(Path(name).parent / out["path"]).as_posix()] = str(out["md5"])
    return found


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


def _forget_runs(objects: Objects, kept: set[str]) -> None:
    """Entries of DVC's run-cache that lead to objects which are gone."""
    for path in [one for one in (objects.folder / "runs").glob("*/*/*") if one.is_file()]:
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            outs = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("outs", [])
            if any(str(out.get("md5")) not in kept for out in outs):
                path.unlink()
    storage.hook("forget.purged")
