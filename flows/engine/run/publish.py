"""Bring a run's results into the main checkout, without losing a file that a person put there."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flows.engine.retention import objects
from flows.engine.run import dag, lock, worktree
from flows.engine.run.worktree import RECORDS
from tasks.files import storage
from tasks.pipeline import inputs

Say = Callable[[str], None]


def records_digest(root: Path) -> str:
    """One digest over dvc.lock and the data/*.dvc files: has somebody changed them in the meantime?"""
    digest = hashlib.sha256()
    for record in RECORDS:
        with contextlib.suppress(FileNotFoundError):
            digest.update(record.encode() + (root / record).read_bytes())
    return digest.hexdigest()


def publish(home: Path, tree: Path, name: str, *, started_from: str, say: Say) -> bool:
    """Copy the run's records to the main checkout and check their files out there; False when it was left alone.

    Records that changed since the run started belong to somebody (a `dvc repro` by hand, a `git checkout`): then
    nothing is touched. Outputs that differ from what DVC recorded are moved to .nightmarket/set-aside/NAME first.
    What is about to happen is written down first, so that the next run finishes it after a kill.
    """
    if records_digest(home) != started_from:
        say(
            "not published: dvc.lock or data/*.dvc of the checkout changed while this ran; to take this run's results: "
            f"git checkout refs/runs/{name} -- {' '.join(RECORDS)} && dvc checkout"
        )
        return False
    lock.heal_dvc(home)
    old = objects.records(home)
    intent: dict[str, Any] = {"run": name, "old": old, "new": {**old, **objects.records(tree)}}
    intent["recorded"] = sorted(str(path.relative_to(home)) for path in _outputs_as_recorded(home, intent))
    storage.hook("publish.begin")
    storage.write_json(intent, journal(home))
    _finish(home, intent, say)
    return True


def resume(home: Path, say: Say) -> bool:
    """Finish a publication that a kill cut short; False where none was. Under the run lock."""
    begun = journal(home)
    try:
        intent = json.loads(begun.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        begun.unlink(missing_ok=True)
        return False
    recorded, run = objects.records(home), intent["run"]
    if any(recorded.get(record) not in (intent["old"].get(record), intent["new"].get(record)) for record in RECORDS):
        say(f"{run} was killed while it was published, and its records were changed since; they are left alone")
        begun.unlink()
        return False
    say(f"{run} was killed while it was published; its publication is finished now")
    _finish(home, intent, say)
    return True


def _finish(home: Path, intent: dict[str, Any], say: Say) -> None:
    for record, text in intent["new"].items():
        _write(home / record, text)
        storage.hook("publish.record")
    recorded = {home / path for path in intent["recorded"]}
    storage.hook("publish.recorded")
    with dag.repo(home) as repo:
        outs, targets = _outputs(repo, home, intent)
        for path in (Path(out.fs_path) for out in outs):
            if path.exists() and path not in recorded:
                _set_aside(path, home, intent["run"], say)
        _bring_champion(home)
        storage.hook("publish.champion")
        repo.checkout(targets=targets, force=True, allow_missing=True)
    storage.hook("publish.filled")
    journal(home).unlink()
    storage.hook("publish.done")


def _bring_champion(home: Path) -> None:
    """Swap data/champion as a whole; DVC would change it file by file under a reader's eyes."""
    record, target = f"{storage.CHAMPION}.dvc", home / storage.CHAMPION
    cache = worktree.cache(home)
    if not (home / record).exists() or not target.exists():
        return
    recorded = dict(objects.outs({record: (home / record).read_text(encoding="utf-8")}))
    listed = objects.listed(cache, str(recorded[storage.CHAMPION.as_posix()]["md5"]))
    if not listed:
        return  # DVC says what is missing
    files = (path for path in target.rglob("*") if path.is_file())
    if listed == {path.relative_to(target).as_posix(): inputs.md5(path) for path in files}:
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, checksum in listed.items():
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(objects.path(cache, checksum), fresh / name)
    storage.hook("publish.copied")
    storage.swap(fresh, target)


def _outputs(repo: Any, home: Path, intent: Mapping[str, Any]) -> tuple[list[Any], list[str] | None]:
    """The outputs that DVC knows here, and the targets that check them out, None for all.

    Where it cannot read params.yaml and the run trained nothing, as a rollback, they are those of the .dvc files.
    """
    unread: list[str] = []
    if intent["old"].get("dvc.lock") == intent["new"].get("dvc.lock"):
        repo.stage_collection_error_handler = lambda path, _error: unread.append(path)
    outs = list(repo.index.outs)
    return outs, [str(home / record) for record in intent["new"] if record.endswith(".dvc")] if unread else None


def _outputs_as_recorded(home: Path, intent: Mapping[str, Any]) -> set[Path]:
    """The outputs whose files equal what dvc.lock and data/*.dvc record, so that DVC can bring them back."""
    with dag.repo(home) as repo:
        return {
            Path(out.fs_path)
            for out in _outputs(repo, home, intent)[0]
            if out.hash_info and out.exists and not out.changed_checksum() and not out.changed_cache()
        }


def _set_aside(path: Path, home: Path, name: str, say: Say) -> None:
    relative = path.relative_to(home)
    target = home / ".nightmarket" / "set-aside" / name / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    storage.hook("publish.aside")
    say(f"{relative} held changes that DVC does not know; moved to {target.relative_to(home)}")


def journal(home: Path) -> Path:
    """Where it stands what is being published."""
    return home / ".nightmarket" / "publishing.json"


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    with storage.replacing(path, len(text.encode())) as temporary:
        temporary.write_text(text, encoding="utf-8")
