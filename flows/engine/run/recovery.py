"""What a run does before it begins: clear away what killed ones left, and look for damage before anything is used.

Only the holder of the run lock may call this.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.engine.retention import objects
from flows.engine.run import lock, publish, worktree
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import inputs

DRAFT = re.compile(r"^\..+\.(\d+)\.(tmp|new|[0-9a-f]{8})$")
"""How drafts are named: with the process that writes them."""

AGAIN = 1 << 30
"""Bytes of unchanged cache that are read again in each run, those first that were not for longest."""

STALE_S = 3600
RESTORING = "restoring"
"""Below .nightmarket/: a restore of a backup that has not ended."""
COPIES = 2
"""How often a run lays its outputs down: in its own folder and in the cache."""


def recover(home: Path, keep: str, say: Callable[[str], None]) -> None:
    """Put the checkout into the state in which the last whole run left it; `keep` names the run that begins.

    Raises InputError in a checkout that is half restored, or whose disk has no room for a run.
    """
    require_whole(home)
    worktree.remove_left_over(home, keep=keep)
    if lock.heal_dvc(home):
        say("removed an unreadable .dvc/tmp/rwlock that a killed DVC had left")
    storage.unswap(home / storage.CHAMPION)
    remove_drafts(home)
    verify_cache(home, say)
    publish.resume(home, say)
    require_room(home)


def restoring(home: Path) -> str:
    """Which backup's restore was begun and has not ended; "" where none was."""
    path = home / ".nightmarket" / RESTORING / "begun"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def begin_restoring(home: Path, digest: str) -> None:
    """Let no run begin until the folder is gone."""
    with storage.replacing(home / ".nightmarket" / RESTORING / "begun") as temporary:
        temporary.write_text(digest, encoding="utf-8")


def require_whole(home: Path) -> None:
    """InputError in a checkout that is half restored."""
    if restoring(home):
        raise InputError("the restore of a backup was cut short here; `make restore FILE=…` again finishes it")


def remove_drafts(home: Path) -> int:
    """Delete temporary files and folders of processes that have ended; how many."""
    removed = 0
    for place in (home / ".nightmarket", home / "exports", home / "data"):
        for path in [hidden for hidden in place.rglob(".*") if DRAFT.match(hidden.name)]:
            owner = DRAFT.match(path.name)
            if owner and storage.ended(int(owner[1])):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                removed += 1
    return removed


def verify_cache(home: Path, say: Callable[[str], None]) -> list[str]:
    """Read what is new or changed in DVC's cache, and some of the rest, and move objects aside that are damaged.

    DVC looks at the time stamp alone. A damaged object that is gone is made or fetched again by DVC.
    """
    cache = worktree.cache(home) / "files" / "md5"
    memory = home / ".nightmarket" / "verified.json"
    known = _known(memory)
    seen: dict[str, list[int]] = {}
    unchanged: list[tuple[int, str, Path, int]] = []
    damaged: list[str] = []
    now = int(time.time())

    def look(name: str, path: Path, identity: list[int]) -> None:
        if inputs.md5(path) == name.removesuffix(".dir"):
            seen[name] = [*identity, now]
            return
        damaged.append(name)
        aside = home / ".nightmarket" / "damaged" / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        say(f"the cache's object {name} was damaged; moved to {aside.relative_to(home)}, DVC makes or fetches it again")

    for name, path in _objects(cache):
        about = path.stat()
        identity = [about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns]
        if known.get(name, [])[:4] == identity:
            unchanged.append((known[name][4], name, path, about.st_size))
            seen[name] = known[name]
        else:
            look(name, path, identity)
    budget = AGAIN
    for _, name, path, size in sorted(unchanged, key=lambda entry: entry[:2]):
        if (budget := budget - size) < 0:
            break
        look(name, path, seen.pop(name)[:4])
    if seen != known:
        memory.parent.mkdir(parents=True, exist_ok=True)
        storage.write_json(seen, memory)
    return damaged


def _known(memory: Path) -> dict[str, list[int]]:
    try:
        verified = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return verified if isinstance(verified, dict) else {}


def _objects(cache: Path) -> Iterator[tuple[str, Path]]:
    """(checksum, path) of every object; temporary files that DVC left over an hour ago are removed."""
    for folder in sorted(cache.iterdir()) if cache.is_dir() else ():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name):
                yield folder.name + path.name, path
            elif path.is_file() and time.time() - path.stat().st_mtime > STALE_S:
                path.unlink(missing_ok=True)


def require_room(home: Path) -> None:
    """InputError where the disk cannot hold what a run lays down, going by what the last one did."""
    needed = COPIES * sum(int(out.get("size", 0)) for _, out in objects.outs(objects.records(home)))
    free = shutil.disk_usage(home).free
    if free < needed:
        raise InputError(
            f"the disk has {free:,} bytes free and a run needs about {needed:,} ({COPIES} times what the last one "
            "left); make room and run it again"
        )
