"""MLflow's database gone: how long a night goes on without it, what it says, if the next one picks up."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults import stack
from flows.engine.server import server

LIMIT_S = 60.0
Say = Callable[[str], None]
Break = Callable[["Place"], contextlib.AbstractContextManager[None]]


@dataclass
class Waits:
    """{what was gone: seconds from then until the run had ended}, and what was wrong."""

    seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Place:
    """The small project and the server of its runs."""

    def __init__(self, folder: Path) -> None:
        os.environ["PREFECT_API_AUTH_STRING"] = stack.LOGIN
        self.folder = folder
        self.server = server.PrefectServer(self.folder / "server")
        self.server.wait()
        self.project = stack.Project(folder / "stack", self.server.url)

    @property
    def database(self) -> Path:
        """MLflow's."""
        return self.project.home / "mlruns" / "mlflow.db"


def bounded(folder: Path, say: Say) -> Waits:
    """Each thing gone once, in the middle of a night or before it; then it is back, and the night is run again."""
    waits, place = Waits(), Place(folder)
    say("the small project has had its first nights")
    try:
        for name, (moment, gone) in CASES.items():
            place.project.fresh()
            with _night(place, folder / "said.txt") as (run, said):
                while moment and moment not in said() and run.poll() is None:
                    time.sleep(0.05)
                began = time.monotonic()
                with gone(place):
                    try:
                        run.wait(LIMIT_S + 30)
                    except subprocess.TimeoutExpired:
                        run.kill()
                    waits.seconds[name] = round(time.monotonic() - began, 1)
            if wrong := _evaluated(run.returncode, said(), waits.seconds[name]) or place.project.wrong():
                waits.wrong.append(f"{name}: {wrong}")
            again = place.project.nightly()
            if again.returncode or place.project.state() != place.project.new:
                waits.wrong.append(f"{name}: the next run did not pick up: {again.stderr[-300:]}")
            say(f"{name}: {waits.seconds[name]:.0f} s, {'; '.join(waits.wrong) or 'right'}")
    finally:
        place.server.stop()
    return waits


@contextlib.contextmanager
def _night(place: Place, file: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    with file.open("wb") as out:
        command = [sys.executable, "-m", "flows", "nightly"]
        options: dict[str, Any] = {"cwd": place.project.home, "env": place.project.environment}
        yield subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options), file.read_text


def _evaluated(code: int | None, said: str, seconds: float) -> str:
    """A clear line, in time, and no traceback."""
    lines = [line for line in said.splitlines() if line.startswith("nightmarket: ")]
    if seconds > LIMIT_S:
        return f"it went on for {seconds:.0f} s"
    if code not in (1, 2):
        return f"exit code {code}"
    if len(lines) != 1 or not any(step in lines[0] for step in ("run it again", "next run")):
        return f"it said {said[-500:]!r}"
    return f"it said {said[-1500:]!r}" if "Traceback" in said else ""


@contextlib.contextmanager
def _held(place: Place) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(place.database, timeout=60)) as opened:
        opened.execute("BEGIN EXCLUSIVE")
        yield
        opened.rollback()


@contextlib.contextmanager
def _damaged(place: Place) -> Iterator[None]:
    kept = place.database.with_suffix(".kept")
    shutil.copyfile(place.database, kept)
    with place.database.open("r+b") as file:
        file.write(b"\xff" * 5000)
    try:
        yield
    finally:
        kept.replace(place.database)


CASES: dict[str, tuple[str, Break]] = {
    "MLflow's database held by another program": ("toy rank", _held),
    "MLflow's database damaged": ("toy rank", _damaged),
}
"""What is gone from the moment on that this text is said."""
