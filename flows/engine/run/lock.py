"""One run at a time: a lock that names its holder, frees itself when the holder dies, and says what it waits for."""

import asyncio
import contextlib
import dataclasses
import datetime
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks.files import locks, storage

SAY_EVERY_S = 10.0
LOOK_EVERY_S = 0.5
BY_HAND_S = 4 * 3600.0
"""How long a command on a terminal waits for a night to end."""


@dataclasses.dataclass(frozen=True)
class HeldLock:
    """The lock in our hands: its descriptor, and who held it before and died without letting go."""

    descriptor: int
    dead: dict[str, Any] | None


@contextlib.asynccontextmanager
async def run_lock(
    path: Path, run: str, *, wait_s: float, say: Callable[[str], None], note: dict[str, Any] | None = None
) -> AsyncIterator[HeldLock]:
    """Hold the lock for one run; while another holds it, wait and say every ten seconds which one.

    The kernel drops the lock when the holder and its guards are gone, so nothing has to be cleaned up after a kill.
    Raises InputError when it is still held after `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _take(descriptor, path, wait_s, say)
        dead = holder(path)
        mine = {"run": run, "pid": os.getpid(), "host": socket.gethostname(), "since": _now(), **(note or {})}
        storage.hook("lock.taken")
        _write(descriptor, json.dumps(mine))
        storage.hook("lock.named")
        try:
            yield HeldLock(descriptor, dead)
        finally:
            storage.hook("lock.done")
            _write(descriptor, "")
    finally:
        os.close(descriptor)


def say(text: str) -> None:
    """A line on the terminal, at once."""
    print(text, flush=True)


@contextlib.asynccontextmanager
async def by_hand(home: Path, command: str) -> AsyncIterator[HeldLock]:
    """The run lock for a command on a terminal."""
    async with run_lock(home / ".nightmarket" / "run.lock", command, wait_s=BY_HAND_S, say=say) as held:
        yield held


async def _take(descriptor: int, path: Path, wait_s: float, say: Callable[[str], None]) -> None:
    def waiting(waited: float) -> None:
        say(f"waiting for {describe(holder(path))} ({waited:.0f} s so far)")

    tries = locks.attempts(descriptor, wait_s=wait_s, look_every_s=LOOK_EVERY_S, say_every_s=SAY_EVERY_S, say=waiting)
    try:
        for pause_s in tries:
            await asyncio.sleep(pause_s)
    except TimeoutError as error:
        raise InputError(
            f"{describe(holder(path))} still holds the lock after {error} s; try again when it is done, or cancel it"
        ) from None


def holder(path: Path) -> dict[str, Any] | None:
    """Who wrote their name into the lock file; None when nobody did or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def describe(who: dict[str, Any] | None) -> str:
    """A holder in words."""
    if who is None:
        return "another run (it left no name)"
    return f"run {who.get('run')} (process {who.get('pid')} on {who.get('host')}, since {who.get('since')})"


def heal_dvc(root: Path) -> bool:
    """Remove DVC's rwlock file when it is not JSON; True when it did.

    A kill at the wrong moment leaves it empty, and then every DVC command fails. Only the holder of the run lock may
    call this; a command of its that runs meanwhile rewrites the file under the lock that is taken here.
    """
    path = root / ".dvc" / "tmp" / "rwlock"
    if not path.exists():
        return False
    with path.with_suffix(".lock").open("a") as guard:
        locks.take(guard)
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        except ValueError:
            path.unlink()
            return True
    return False


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
