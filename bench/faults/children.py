"""Children of a process that has imported everything: each does one piece of work and may be killed in it."""

import hashlib
import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.random
import pandas
import pyarrow.csv
import pyarrow.parquet
import safetensors.numpy

import tasks.intake.folder
import tasks.snapshot
from tasks.files import storage

IMPORTED = (numpy.random, pandas, pyarrow.csv, pyarrow.parquet, safetensors.numpy, tasks.snapshot, tasks.intake.folder)
"""What the work needs; a child that imports nothing costs milliseconds."""
KILLED = -signal.SIGKILL
HUNG = -signal.SIGXCPU
Work = Callable[[], Any]


def forked(work: Work, place: Path, fault: str = "", seconds: float = 120.0) -> tuple[int, Any]:
    """Run the work in a child, in the folder `place`; its exit code (-9 killed, 1 failed) and what it returned.

    What is returned goes through JSON; of a failure it is the error in one line. A child that takes longer than
    `seconds` is ended and counts as hung.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(work, place, fault, write)
    os.close(write)
    said, deadline, hung = b"", time.monotonic() + seconds, False
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            hung = True
            break
        if not (part := os.read(read, 1 << 16)):
            break
        said += part
    os.close(read)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return HUNG if hung else code, json.loads(said) if said and not hung else None


def _be_child(work: Work, place: Path, fault: str, write: int) -> None:
    status = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(place)
        os.environ["NIGHTMARKET_HOME"] = str(place)
        storage._passed.clear()
        if fault:
            os.environ[storage.FAULT] = fault
        os.write(write, json.dumps(work()).encode())
        status = 0
    except BaseException as error:
        os.write(write, json.dumps(f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000]).encode())
    finally:
        os._exit(status)


def passings(work: Work, place: Path) -> dict[str, int]:
    """{hook: how often the work passes it}, from a run that is left alone."""

    def recorded() -> dict[str, int]:
        passed: Counter[str] = Counter()
        storage.hook = lambda name, path=None: passed.update([name])  # type: ignore[assignment]
        work()
        return dict(passed)

    code, times = forked(recorded, place)
    assert code == 0, times
    return dict(times)


def contents(folder: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """{path below the folder: SHA-256} of every file but those whose path begins with one of `without`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = ((path.relative_to(folder).as_posix(), path) for path in files)
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names if not name.startswith(without)}
