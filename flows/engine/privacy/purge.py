"""Take away every older copy of the shop's data in which certain customers stand: cache, remotes, run folders."""

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

from flows.engine.privacy import traces
from flows.engine.retention import kept, objects
from flows.engine.run import worktree
from flows.engine.run.worktree import RECORDS
from nightmarket.contracts import InputError
from tasks.files import storage

RAW, CHAMPION = "data/raw", "data/champion"


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
            files = [objects.path(self.cache, listed_md5) for listed_md5 in objects.listed(self.cache, md5).values()]
            self._known[md5] = not files or any(
                not file.exists() or traces.names(file, self.pseudonyms) for file in files
            )
        return self._known[md5]


def purge(home: Path, must_go: Callable[[str], bool], why: str, say: Callable[[str], None]) -> Purged:
    """Remove all objects that no checkout, run with another snapshot or record of the user's own uses.

    Under the run lock.

    must_go   of the MD5 of a snapshot's folder: whether it goes, because it `why`

    What a run made of the snapshot goes with it, rows by number included, though another run made the very same: it
    can be made again. Objects that no commit names go too. On a remote only what these runs wrote is deleted: others
    may keep theirs there.

    Raises InputError when the snapshot of the checkout is one of those that go.
    """
    cache = worktree.cache(home)
    present = _outs(objects.records(home))
    if RAW not in present or must_go(present[RAW]):
        raise InputError(f"the checkout's snapshot still {why}; `make nightly`, then again")
    rest: list[dict[str, str]] = []
    doomed, commits = set(), set()
    for commit in _commits(home):
        outs = _outs({name: _show(home, commit, name) for name in RECORDS})
        if RAW in outs and must_go(outs[RAW]):
            commits.add(commit)
            doomed |= _used(cache, outs)
        else:
            rest.append(outs)
    staying = kept.others(home) | _used(cache, present)
    for outs in rest:
        given = {path: md5 for path, md5 in outs.items() if path in (RAW, CHAMPION)}
        # a run's first commit, made to register, records the deliveries of the night before beside its own training
        staying |= _used(cache, given) | (_used(cache, outs) - doomed)
    worktree.remove_left_over(home, keep="")
    remote = sum(objects.from_remote(home, name, doomed - staying) for name in objects.remotes(home))
    gone = [path for path in (cache / "files" / "md5").glob("??/*") if path.parent.name + path.name not in staying]
    for path in gone:
        path.unlink()
    objects.forget_entries(cache, lambda md5: md5 not in staying)
    storage.hook("forget.purged")
    say(f"{len(gone):,} objects of the cache and {remote:,} of remotes removed")
    return Purged(frozenset(commits), len(gone), remote)


def _used(cache: Path, outs: dict[str, str]) -> set[str]:
    """The objects of these outputs, and those that a folder's list names."""
    return {listed_md5 for md5 in outs.values() for listed_md5 in (md5, *objects.listed(cache, md5).values())}


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
