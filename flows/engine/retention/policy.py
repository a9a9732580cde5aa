"""What is kept, and for how long; reads only. For people: docs/reference/retention.md. What does it: `prune`."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

from flows.engine.retention import kept, mlflow_rows
from flows.engine.retention.mlflow_rows import Due
from flows.engine.run import worktree
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import settings
from tasks.registry import champion

DAY_S = 86_400.0
PENDING = Path(".nightmarket/pruning.json")
"""Objects that went from the cache and may yet lie on a remote."""
LEFTOVERS = ("set-aside", "damaged", "checkpoints")
"""Below .nightmarket/; each entry in them goes as a whole."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """The section `retention` as moments, in seconds since 1970: what is older may go."""

    before: float
    refused_before: float
    shared: bool
    experiment: str

    @classmethod
    def read(cls, home: Path, now: float) -> "Policy":
        """From params.yaml of the checkout; null becomes a moment before everything."""
        path = home / "params.yaml"
        given = settings.retention(path)
        before, refused = (now - days * DAY_S if days else 0.0 for days in (given.days, given.refused_days))
        register = settings.sections(path).get("register") or {}
        return cls(before, refused, given.shared, str(register.get("experiment", "nightmarket")))

    def earlier(self, days: float) -> "Policy":
        """The same, so many days ago."""
        moved_s = days * DAY_S
        return dataclasses.replace(self, before=self.before - moved_s, refused_before=self.refused_before - moved_s)


@dataclasses.dataclass(frozen=True)
class PrunePlan:
    """What goes of the checkout: runs, objects of the cache (MD5 → path, bytes), files and folders of .nightmarket.

    staying   MD5 of the objects that something names
    """

    runs: tuple[kept.Ref, ...]
    objects: dict[str, tuple[Path, int]]
    staying: frozenset[str]
    leftovers: tuple[Path, ...]

    @property
    def num_bytes(self) -> int:
        """That are freed."""
        return sum(each for _, each in self.objects.values()) + sum(map(size, self.leftovers))


def due_of_mlflow(home: Path, policy: Policy) -> Due:
    """What MLflow may let go. Raises InputError where its database cannot be read."""
    rows, receipt = mlflow_rows.read(home), _receipt(home)
    if rows is None:
        return Due()
    leaving = rows.refused(policy.refused_before, {receipt["commit"]})
    return rows.due((policy.experiment, mlflow_rows.SEARCHES), policy.before, leaving, {receipt["run_id"]})


def plan(home: Path, policy: Policy, due: Due) -> PrunePlan:
    """What the checkout may let go once MLflow has let go what is `due`. Reads only.

    Raises InputError where it is uncertain what a registered version, or whatever else is kept, needs.
    """
    cache = worktree.cache(home)
    ours = home.resolve() in (home / cache).resolve().parents
    cached = _older(cache, policy.before) if ours or policy.shared else {}
    rows, commits, names = mlflow_rows.read(home), {_receipt(home)["commit"]}, _names(home)
    for version in rows.versions if rows else ():
        if version.model != mlflow_rows.MODEL or version.number not in due.versions:
            commits.add(version.commit)
            names.add(version.run_name)
    runs = kept.unneeded(home, policy.before, commits, names)
    staying = frozenset(kept.named(home, runs, commits) if runs or cached or (home / PENDING).exists() else ())
    leftovers = [
        path
        for name in LEFTOVERS
        for path in sorted((home / ".nightmarket" / name).glob("*"))
        if _newest(path) < policy.before
    ]
    gone = {md5: located for md5, located in cached.items() if md5 not in staying}
    return PrunePlan(tuple(runs), gone, staying, tuple(leftovers))


def _older(cache: Path, before: float) -> dict[str, tuple[Path, int]]:
    """{MD5: (path, bytes)} of the cache's objects that were written before."""
    older = {}
    for folder in (cache / "files" / "md5").glob("??"):
        for entry in os.scandir(folder):
            about = entry.stat()
            if about.st_mtime < before and kept.MD5.fullmatch(folder.name + entry.name):
                older[folder.name + entry.name] = (Path(entry.path), about.st_size)
    return older


def _names(home: Path) -> set[str]:
    """Runs of campaigns that wait for their decision, or whose export lies in exports/."""
    private = home / ".nightmarket"
    names = {path.name for path in (private / "undecided").glob("*")}
    decisions = private / "decisions.jsonl"
    lines = decisions.read_text(encoding="utf-8").split("\n") if decisions.exists() else ()
    for number, line in enumerate(lines, 1):
        try:
            decided = json.loads(line or "{}")
            if "folder" in decided and (home / decided["folder"]).exists():
                names.add(str(decided["run"]))
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{decisions.relative_to(home)}, line {number}, cannot be read; fix or remove it"
            ) from None
    return names


def _receipt(home: Path) -> dict[str, str]:
    """Commit and MLflow run of the champion at hand; empty where there is none."""
    path = home / storage.CHAMPION / champion.RECEIPT
    with contextlib.suppress(InputError, OSError):
        receipt = storage.read_json(path)
        return {name: str(receipt.get(name, "")) for name in ("commit", "run_id")}
    return {"commit": "", "run_id": ""}


def _newest(path: Path) -> float:
    """When something in it changed last; moving it counts."""
    return max(max(about.st_mtime, about.st_ctime) for about in (part.lstat() for part in (path, *path.rglob("*"))))


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is nothing."""
    return sum(part.lstat().st_size for part in (path, *path.rglob("*")) if part.is_file() and not part.is_symlink())
