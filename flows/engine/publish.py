"""Bring a run's results into the main checkout, without losing a file that a person put there."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from flows.engine import dag, lock
from flows.engine.worktree import RECORDS


def records_digest(root: Path) -> str:
    """One digest over dvc.lock and the data/*.dvc files: has somebody changed them in the meantime?"""
    digest = hashlib.sha256()
    for record in RECORDS:
        with contextlib.suppress(FileNotFoundError):
            digest.update(record.encode() + (root / record).read_bytes())
    return digest.hexdigest()


def publish(home: Path, tree: Path, name: str, *, started_from: str, say: Callable[[str], None]) -> bool:
    """Copy the run's records to the main checkout and check their files out there; False when it was left alone.

    Records that changed since the run started belong to somebody (a `dvc repro` by hand, a `git checkout`): then
    nothing is touched. Outputs that differ from what DVC recorded are moved to .nightmarket/set-aside/NAME first.
    """
    if records_digest(home) != started_from:
        say(
            "not published: dvc.lock or data/*.dvc of the checkout changed while this ran; to take this run's results: "
            f"git checkout refs/runs/{name} -- {' '.join(RECORDS)} && dvc checkout"
        )
        return False
    lock.heal_dvc(home)
    recorded = _outputs_as_recorded(home)
    for record in RECORDS:
        if (tree / record).exists():
            _replace(tree / record, home / record)
    with dag.repo(home) as repo:
        for path in (Path(out.fs_path) for out in repo.index.outs):
            if path.exists() and path not in recorded:
                _set_aside(path, home, name, say)
        repo.checkout(force=True, allow_missing=True)
    return True


def _outputs_as_recorded(home: Path) -> set[Path]:
    """The outputs whose files equal what dvc.lock and data/*.dvc record, so that DVC can bring them back."""
    with dag.repo(home) as repo:
        return {
            Path(out.fs_path)
            for out in repo.index.outs
            if out.hash_info and out.exists and not out.changed_checksum() and not out.changed_cache()
        }


def _set_aside(path: Path, home: Path, name: str, say: Callable[[str], None]) -> None:
    relative = path.relative_to(home)
    target = home / ".nightmarket" / "set-aside" / name / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    say(f"{relative} held changes that DVC does not know; moved to {target.relative_to(home)}")


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
