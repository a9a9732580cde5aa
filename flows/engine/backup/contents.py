"""What a backup holds: settings, keys, records, exports, the registry, and what DVC alone keeps of champions.

Whatever lies in `TREES` belongs but for what `MADE_ANEW` names, so that a file which is new there is not forgotten.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from flows.engine.retention import kept, mlflow_rows, objects
from flows.engine.run import recovery, worktree

SETTINGS = ("params.yaml", "rules.yaml", ".dvc/config", ".dvc/config.local", *worktree.RECORDS)
TREES = (".nightmarket", "exports", "mlruns")
MADE_ANEW = {
    *("login", "verified.json", "registered.json", "publishing.json", recovery.RESTORING),
    *("embeddings", "checkpoints", "damaged", "set-aside", "unsent", "rebuilds", "register", "promote", "database"),
}
"""Names below .nightmarket/ of caches, drafts, and what belongs to this machine."""
ALSO_MADE_ANEW = (".nightmarket/live/rates", "mlruns/README.md")
BESIDE_DATABASES = ("-wal", "-shm", "-journal")
FILES, OBJECTS, RUNS = "files", "objects", "runs.bundle"
"""Where members lie: the checkout's files, DVC's objects, and the commits of runs."""
OBJECT = re.compile(rf"{OBJECTS}/[0-9a-f]{{2}}/[0-9a-f]{{30}}(?:\.dir)?")


def is_ours(name: str) -> bool:
    """Whether a file of the checkout belongs into a backup, by its path from there."""
    parts = PurePosixPath(name).parts
    if name in SETTINGS:
        return True
    if len(parts) < 2 or parts[0] not in TREES or any(recovery.DRAFT.match(part) for part in parts):
        return False
    if name.startswith(ALSO_MADE_ANEW) or name.endswith((".lock", *BESIDE_DATABASES)):
        return False
    return not (parts[0] == ".nightmarket" and (parts[1] in MADE_ANEW or parts[1].startswith("bench-")))


def is_member(name: str) -> bool:
    """Whether a backup may hold a member of this name."""
    folder, _, path = name.partition("/")
    return name == RUNS or bool(OBJECT.fullmatch(name)) or (folder == FILES and is_ours(path))


def files(home: Path) -> Iterator[str]:
    """Those of the checkout's files that belong into a backup, by their paths from there."""
    yield from (name for name in SETTINGS if (home / name).is_file())
    for tree in TREES:
        paths = sorted(path for path in (home / tree).rglob("*") if path.is_file())
        yield from (name for path in paths if is_ours(name := path.relative_to(home).as_posix()))


def in_git(home: Path) -> set[str]:
    """The settings that git has as they lie there."""
    tracked = worktree.git(home, "ls-files", "-z", "--", *SETTINGS).split("\0")
    changed = worktree.git(home, "diff", "-z", "--name-only", "HEAD", "--", *SETTINGS).split("\0")
    return {*tracked} - {*changed}


@dataclasses.dataclass(frozen=True)
class Objects:
    """MD5 of DVC's objects: those of the checkout as it is, and those from which older champions are made again."""

    present: frozenset[str]
    older: frozenset[str]


def wanted(home: Path) -> Objects:
    """What DVC must keep. Raises InputError where a folder's list is damaged."""
    present = _outs(kept.present(home))
    rows = mlflow_rows.read(home)
    versions = rows.versions if rows else []
    champions = {version.commit for version in versions if version.model == mlflow_rows.MODEL and not version.refused}
    sources = [record for record in worktree.RECORDS if record.endswith(".dvc")]
    asked = "".join(f"{commit}:{record}\n" for commit in sorted(champions - {""}) for record in sources)
    texts = worktree.git(home, "cat-file", "--batch", given=asked) if asked else ""
    older = set(kept.MD5.findall(texts))
    return Objects(frozenset(kept.with_members(home, present)), frozenset(kept.with_members(home, older)))


def _outs(texts: Collection[str] | Iterator[str]) -> set[str]:
    outs = [out for text in texts for _, out in objects.outs({"": text})]
    return {str(out["md5"]) for out in outs if "md5" in out}
