"""Let go what nothing needs any more, by hand and at the end of every night; `policy` says what.

Names go first and then what they named: MLflow's versions before its runs, refs before DVC's objects. So a kill leaves
things that nothing names, and the next time they go. What is uncertain ends it before anything goes.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.engine.reporting import diary
from flows.engine.retention import kept, objects
from flows.engine.retention.mlflow_rows import Due
from flows.engine.retention.policy import PENDING, Policy, PrunePlan, due_of_mlflow, plan, size
from flows.engine.run import lock, process, registered, worktree
from nightmarket.contracts import InputError
from tasks.files import storage

Say = Callable[[str], None]
LAG_DAYS = 7
"""A night opens MLflow, which takes seconds, once something is overdue by so much; then all goes that is due."""
PATIENCE_S = 120.0
SAY_EVERY_S = 5.0


async def prune(home: Path, say: Say, warn: Say, *, hold: int, now: float, lag_days: float = 0.0) -> str:
    """Let go what the policy says; returns what went, in one line, or "". Under the run lock.

    hold       the lock's descriptor
    now        seconds since 1970
    lag_days   by how much MLflow's part must be overdue for MLflow to be opened

    Raises InputError, and deletes nothing, where it is uncertain what a registered version needs.
    """
    started = time.perf_counter()
    policy = Policy.read(home, now)
    storage.hook("retention.begin")
    due = due_of_mlflow(home, policy)
    if due and lag_days and not due_of_mlflow(home, policy.earlier(lag_days)):
        due = Due()
    leaving = plan(home, policy, due)
    freed = sum(map(size, due.folders))
    if due:
        try:
            await _retire(home, due, policy.experiment, hold)
        except (InputError, OSError, TimeoutError) as error:
            warn(f"MLflow's runs are left for the next time ({_line(error)}); `make prune` tries again")
            due, freed = Due(), 0
        leaving = plan(home, policy, Due())  # a version that is still there is heeded
    freed += leaving.num_bytes
    _let_go(home, leaving, policy, say, warn)
    num_lines = diary.trim(home)
    storage.hook("retention.nights")
    what = parts(due, leaving, num_lines)
    return f"pruned {what}; {_megabytes(freed)} freed in {time.perf_counter() - started:.1f} s" if what else ""


def _let_go(home: Path, leaving: PrunePlan, policy: Policy, say: Say, warn: Say) -> None:
    cache, remotes = worktree.cache(home), objects.remotes(home) if policy.shared else []
    pending = _pending(home)
    if remotes and not set(leaving.objects) <= pending:
        pending |= set(leaving.objects)
        storage.write_json(sorted(pending), home / PENDING)
    storage.hook("retention.planned")
    if leaving.runs:
        kept.delete(home, leaving.runs)
    storage.hook("retention.unnamed")
    if leaving.objects:
        objects.forget_entries(cache, leaving.objects.__contains__)
        storage.hook("retention.entries")
    said_at = time.monotonic()
    listed_first = sorted(leaving.objects, key=lambda md5: (not md5.endswith(".dir"), md5))
    for number, md5 in enumerate(listed_first):  # a folder's list goes before its files
        leaving.objects[md5][0].unlink(missing_ok=True)
        storage.hook("retention.object")
        if time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            say(f"{number + 1:,} of {len(listed_first):,} objects of the cache deleted")
    for path in leaving.leftovers:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        storage.hook("retention.leftover")
    if pending and remotes:
        _from_remotes(home, remotes, pending - leaving.staying, leaving, say, warn)


def _from_remotes(home: Path, remotes: Sequence[str], gone: set[str], leaving: PrunePlan, say: Say, warn: Say) -> None:
    cache = worktree.cache(home)
    unlisted = [md5 for md5 in leaving.staying if md5.endswith(".dir") and not objects.path(cache, md5).exists()]
    for name in remotes:
        if there := objects.on_remote(home, name, unlisted):
            warn(
                f"nothing is deleted from {name}: it holds {len(there):,} kept folders whose lists are not "
                "here; `dvc fetch --all-commits`, then `make prune`"
            )
            return
    numbers = {name: objects.from_remote(home, name, gone) for name in remotes}
    storage.hook("retention.remote")
    (home / PENDING).unlink()
    for name, number in numbers.items():
        say(f"{number:,} objects deleted from the remote {name}")


async def _retire(home: Path, due: Due, experiment: str, hold: int) -> None:
    """MLflow's part, in a process of its own that keeps the run lock while it lives."""
    known = registered.known(home, home)
    given = {"versions": map(str, due.versions), "runs": due.runs, "models": due.models}
    options = [part for name, values in given.items() for part in (f"--{name}", *values)]
    said: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        code = await process.run_guarded(
            [sys.executable, "-m", "tasks.registry.retire", "--experiment", experiment, *options],
            cwd=home,
            env={**os.environ, "NIGHTMARKET_HOME": str(home)},
            on_line=said.append,
            hold=[hold],
        )
    if code:
        raise InputError(said[-1].removeprefix("nightmarket: ") if said else f"exit code {code}")
    storage.hook("retention.retired")
    if known:
        registered.note(home, home)


async def after_night(run: Any) -> None:
    """Prune when the night is kept and published; trouble in here is a warning, never the night's end."""
    if run.trial:
        return
    try:
        pruned = await prune(run.home, run.log.info, run.log.warning, hold=run.hold, now=time.time(), lag_days=LAG_DAYS)
        if pruned:
            run.log.info("%s (docs/reference/retention.md)", pruned)
    except Exception as error:
        run.log.warning("nothing is pruned: %s; `make prune` tries again", _line(error))


def from_terminal(home: Path, arguments: Sequence[str] | None) -> int:
    """Exit code 0, also when there was nothing to do; 2 where something is uncertain."""
    parser = argparse.ArgumentParser(prog="python -m flows prune", description="Let go what nothing needs any more.")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and how many bytes")
    try:
        if parser.parse_args(arguments).dry_run:
            _show(home, Policy.read(home, time.time()))
        else:
            nothing = "nothing to prune: docs/reference/retention.md says what is kept"
            print(asyncio.run(_locked(home)) or nothing, flush=True)
    except OSError as error:
        raise InputError(f"{_line(error)}; fix that and prune again") from None
    return 0


async def _locked(home: Path) -> str:
    async with lock.by_hand(home, "prune") as held:
        return await prune(home, lock.say, lock.say, hold=held.descriptor, now=time.time())


def _show(home: Path, policy: Policy) -> None:
    due = due_of_mlflow(home, policy)
    leaving = plan(home, policy, due)
    listed = [f"version {number}, which the gate refused" for number in due.versions]
    listed += [f"MLflow run {run}" for run in due.runs]
    listed += [f"refs/runs/{run.name}, of {_day(run.at)}" for run in leaving.runs]
    listed += [f"{path.relative_to(home)}" for path in leaving.leftovers]
    what = parts(due, leaving) or "nothing"
    freed = _megabytes(leaving.num_bytes + sum(map(size, due.folders)))
    print("\n".join([*listed, f"would prune {what}; {freed}; nothing was changed"]), flush=True)


def parts(due: Due, leaving: PrunePlan, num_lines: int = 0) -> str:
    """How many of what, in words; "" for nothing."""
    numbers = {
        "versions": len(due.versions),
        "runs of MLflow": len(due.runs),
        "runs": len(leaving.runs),
        "objects of the cache": len(leaving.objects),
        "files set aside": len(leaving.leftovers),
        "lines of nights": num_lines,
    }
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items() if number)


def _pending(home: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError):
        return set(json.loads((home / PENDING).read_text(encoding="utf-8")))
    return set()


def _day(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d}"


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def _line(error: BaseException) -> str:
    return (
        f"{type(error).__name__}: {' '.join(str(error).split())}" if not isinstance(error, InputError) else str(error)
    )
