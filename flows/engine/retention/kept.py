"""Which runs' commits stay, and which of DVC's objects the commits that stay, and the files at hand, name.

Every .dvc file and every dvc.lock counts, also those of the user's own, in any commit that a branch, a tag, a remote's
branch, a stash, a worktree or a run reaches.
"""

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from flows.engine.retention import objects
from flows.engine.run import publish, worktree
from nightmarket.contracts import InputError

RUNS = "refs/runs/"
MD5 = re.compile(r"\b[0-9a-f]{32}\b(?:\.dir\b)?")
RECORDS = ("*.dvc", "*dvc.lock", ":(exclude).dvc")


@dataclasses.dataclass(frozen=True)
class Ref:
    """A run on record: its name below refs/runs/, its last commit, and when that was made, in seconds since 1970."""

    name: str
    commit: str
    at: float


def refs(home: Path) -> list[Ref]:
    """Every run on record, oldest first."""
    listed = worktree.git(home, "for-each-ref", "--format=%(refname) %(objectname) %(committerdate:unix)", RUNS)
    fields = [line.split(" ") for line in listed.splitlines()]
    runs = [Ref(name.removeprefix(RUNS), commit, float(at)) for name, commit, at in fields]
    return sorted(runs, key=lambda run: run.at)


def unneeded(home: Path, before: float, commits: Collection[str], names: Collection[str]) -> list[Ref]:
    """Runs older than `before` that nothing needs, oldest first.

    commits   of registered versions: a run that made one of them stays
    names     of runs that stay whatever their age
    """
    old = [run for run in refs(home) if run.at < before and run.name not in names]
    if not old:
        return []
    others = ("--not", "HEAD", "--branches", "--tags", "--remotes")
    tips = "\n".join(run.commit for run in old)
    lines = worktree.git(home, "rev-list", "--stdin", "--parents", *others, given=tips).splitlines()
    parents = {commit: above for commit, *above in (line.split() for line in lines)}
    wanted = set(commits)
    # a tip that a branch or tag reaches is not among the parents' keys: somebody named it
    return [run for run in old if run.commit in parents and not wanted & _own(run.commit, parents)]


def _own(tip: str, parents: dict[str, list[str]]) -> set[str]:
    """A run's commits, down to those that a branch or tag reaches."""
    seen, todo = {tip}, [tip]
    while todo:
        fresh = (set(parents[todo.pop()]) & parents.keys()) - seen
        seen |= fresh
        todo += fresh
    return seen


def delete(home: Path, runs: Collection[Ref]) -> None:
    """Take the names of these runs away, all or none; one that has moved since is an InputError."""
    lines = "".join(f"delete {RUNS}{run.name} {run.commit}\n" for run in runs)
    worktree.git(home, "update-ref", "--stdin", given=f"start\n{lines}prepare\ncommit\n")


def named(home: Path, without: Collection[Ref], commits: Collection[str]) -> set[str]:
    """The MD5 of every object that stays: those that the records name, and those that their folders' lists name.

    without   runs that go
    commits   of registered versions, which count also where no name leads to them

    Raises InputError where a folder's list was damaged: nobody can say what is in it.
    """
    gone = {RUNS + run.name for run in without}
    listed = worktree.git(home, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    tips = [commit for commit, name in (line.split(" ", 1) for line in listed) if name not in gone]
    trees = worktree.git(home, "worktree", "list", "--porcelain").splitlines()
    tips += [line.removeprefix("HEAD ") for line in trees if line.startswith("HEAD ")]
    tips += _there(home, commits)
    paths = [Path(line.removeprefix("worktree ")) for line in trees if line.startswith("worktree ")]
    texts = [_committed(home, tips), *(text for path in paths if path.is_dir() for text in present(path))]
    if (begun := publish.journal(home)).exists():
        texts.append(begun.read_text(encoding="utf-8"))
    return with_members(home, {md5 for text in texts for md5 in MD5.findall(text)})


def with_members(home: Path, named: set[str]) -> set[str]:
    """These objects and, for each that is a folder's list, those that it names. Raises as `named`."""
    cache = worktree.cache(home)
    return named.union(*(_listed(home, cache, md5) for md5 in named if md5.endswith(".dir")))


def others(home: Path) -> set[str]:
    """The MD5 of every object that a record of the user's own names, in any commit or at hand."""
    tips = worktree.git(home, "for-each-ref", "--format=%(objectname)").splitlines()
    own = [f":(exclude){name}" for name in worktree.RECORDS]
    texts = [_committed(home, tips, own), *present(home, own)]
    named = {md5 for text in texts for md5 in MD5.findall(text)}
    cache = worktree.cache(home)
    return named.union(*(objects.listed(cache, md5).values() for md5 in named))


def _there(home: Path, commits: Collection[str]) -> list[str]:
    """Those of the commits that this repository has."""
    if not commits:
        return []
    asked = "\n".join(sorted(commits)) + "\n"
    lines = worktree.git(home, "cat-file", "--batch-check", given=asked).splitlines()
    return [line.split()[0] for line in lines if line.split()[1:2] == ["commit"]]


def _committed(home: Path, tips: Collection[str], without: Collection[str] = ()) -> str:
    """The text of every record in every commit that these reach, or that a reflog does."""
    how = ("rev-list", "--stdin", "--objects", "--full-history", "--reflog")
    lines = worktree.git(home, *how, "--", *RECORDS, *without, given="\n".join(tips)).splitlines()
    blobs = {line.split(" ", 1)[0] for line in lines if line.endswith((".dvc", "dvc.lock"))}
    return worktree.git(home, "cat-file", "--batch", given="\n".join(sorted(blobs)) + "\n") if blobs else ""


def present(tree: Path, without: Collection[str] = ()) -> Iterator[str]:
    """The text of every record that lies in a checkout, committed or not."""
    for name in worktree.git(tree, "ls-files", "-z", "-co", "--exclude-standard", "--", *RECORDS, *without).split("\0"):
        if name and (tree / name).is_file():
            yield (tree / name).read_text(encoding="utf-8")


def _listed(home: Path, cache: Path, md5: str) -> set[str]:
    path, aside = objects.path(cache, md5), home / ".nightmarket" / "damaged" / md5
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if not aside.exists():
            return set()  # never fetched, or taken away as a whole
    else:
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir"):
            return set(MD5.findall(content.decode()))
    raise InputError(
        f"the cache's list {md5} of a folder that is kept is damaged, so nobody can say which objects it needs; bring "
        "it back (`dvc fetch --all-commits`, or a backup of .dvc/cache); if it is lost for good, delete "
        f"{aside.relative_to(home)}"
    )
