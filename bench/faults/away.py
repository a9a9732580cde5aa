"""Prefect's server held for two minutes, killed, or out of disk, at each part of a night: the night delivers.

On its own server the night starts that again; on a shared one it goes on without. Afterwards, when the server is back,
Prefect knows how the night ended: the night itself told it, or the next run did.
"""

import contextlib
import dataclasses
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from bench.faults import disk, stack
from flows.engine.server import server

HOLD_S = 120.0
PARTS = {
    "start": "",
    "snapshot": "Beginning flow run",
    "stages": "snapshot  | Finished",
    "register": "rank      | Finished",
    "deliver": "register  | Finished",
    "end": "report    | Finished",
}
"""What a night says when the part begins; at the start, as soon as there is a server."""
HOW = ("held", "killed", "full")
WHOSE = ("own", "shared")
MEBIBYTES = 64
"""Of the disk that holds Prefect's database."""
SIDE_BY_SIDE = 3
LIMIT_S = 900.0
TOLD = ("Completed", {"snapshot", "rank", "register", "report"})

Say = Callable[[str], None]
Fault = Callable[["ServedProject", subprocess.Popen[bytes]], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass
class Away:
    """{case: seconds that the night took}; the nights that did not deliver, and those that Prefect knows wrongly in the
    end, or knows from the next run."""

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    wrong: list[str] = dataclasses.field(default_factory=list)
    untold: list[str] = dataclasses.field(default_factory=list)
    told_later: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


class ServedProject:
    """A small project, its nights on a server of their own or on one that they share, whose disk can be filled."""

    def __init__(self, folder: Path, whose: str) -> None:
        os.environ["PREFECT_API_AUTH_STRING"] = stack.LOGIN
        self.folder = folder
        self.shared: server.PrefectServer | None = None
        if whose == "shared":
            self.shared = server.PrefectServer(folder / "server", start=False)
            self.serve()
        self.project = stack.Project(folder / "stack", self.shared.url if self.shared else "")
        self.disk = folder / ("server" if self.shared else "stack") / ".prefect"

    def serve(self) -> None:
        """Start the shared server; a night's own one is the night's."""
        if self.shared and self.shared.ended():
            self.shared.start()
            self.shared.wait()

    def close(self) -> None:
        """Nothing is left."""
        if self.shared:
            self.shared.kill()

    def group(self, night: subprocess.Popen[bytes]) -> int:
        """The process group of the night's server; 0 while it has none."""
        if self.shared and self.shared.process:
            return self.shared.process.pid
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(night.pid).children(recursive=True):
                if child.cmdline()[1:3] == ["-m", "uvicorn"]:
                    return os.getpgid(child.pid)
        return 0

    def known(self, name: str) -> tuple[str, set[str]]:
        """The state of the flow run in Prefect's database, and its stages that ended well."""
        with contextlib.closing(sqlite3.connect(self.disk / "prefect.db", timeout=60)) as database:
            run = database.execute("select id, state_name from flow_run where name = ?", [name]).fetchone()
            stages = "select name from task_run where flow_run_id = ? and state_type = 'COMPLETED'"
            return (run[1], {stage for (stage,) in database.execute(stages, [run[0]])}) if run else ("unknown", set())


def matrix(folder: Path, say: Say, hold_s: float = HOLD_S) -> Away:
    """Every part, fault and kind of server once, some side by side."""
    away, lock = Away(), threading.Lock()
    cases = [(whose, how, part) for whose in WHOSE for how in HOW for part in PARTS]

    def next_case(whose: str) -> tuple[str, str, str] | None:
        with lock:
            case = next((case for case in cases if case[0] == whose), None)
            if case:
                cases.remove(case)
            return case

    def work(number: int) -> None:
        for whose in WHOSE:
            place_folder = folder / f"{whose}-{number}"
            with _disk(place_folder, whose) as mounted, contextlib.closing(ServedProject(place_folder, whose)) as place:
                while case := next_case(whose):
                    if case[1] == "full" and not mounted:
                        away.skipped.append(" ".join(case))
                    else:
                        _case(place, case, hold_s, away, say)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(work, range(SIDE_BY_SIDE)))
    return away


@contextlib.contextmanager
def _disk(folder: Path, whose: str) -> Iterator[bool]:
    with disk.small_disk(folder / ("server" if whose == "shared" else "stack") / ".prefect", MEBIBYTES) as how:
        yield how == "tmpfs"


def _case(place: ServedProject, case: tuple[str, str, str], hold_s: float, away: Away, say: Say) -> None:
    """One fault in one night, the server's return, the night after."""
    whose, how, part = case
    name = f"{whose} server, {part}: {how}"
    place.project.fresh()
    began, over = time.monotonic(), 0.0
    with _night(place) as (night, said):
        while not (PARTS[part] in said() and place.group(night)) and night.poll() is None:
            time.sleep(0.02)
        early = night.poll() is not None
        with FAULTS[how](place, night):
            over = time.monotonic() + hold_s
            _wait(night, hold_s)
            took = time.monotonic() - began
            if whose == "shared" or how == "full":  # a night's own server ends with it
                time.sleep(max(0.0, over - time.monotonic()))
        if night.poll() is None:
            _wait(night, LIMIT_S)
            took = time.monotonic() - began
            night.kill()
    away.seconds[name] = round(took, 1)
    wrong = "it ended before that" if early else _lost(place, night.returncode, said())
    run = re.findall(r"Beginning flow run '([^']+)'", said())
    at_once = bool(run) and place.known(run[0]) == TOLD
    again = place.project.nightly()
    if again.returncode:
        wrong = wrong or f"the next night failed: {again.stderr[-300:]}"
    known = place.known(run[0]) if run else ("not begun", set())
    away.wrong += [f"{name}: {wrong}"] if wrong else []
    away.untold += [f"{name}: {known}"] if known != TOLD else []
    away.told_later += [name] if known == TOLD and not at_once else []
    told = "told by itself" if at_once else "told by the next run" if known == TOLD else f"not told: {known}"
    say(f"{name}: {took:.0f} s, {wrong or 'delivered'}, {told}")


def _wait(night: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        night.wait(seconds)


@contextlib.contextmanager
def _night(place: ServedProject) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    file = place.folder / "said.txt"
    with file.open("wb") as out:
        command = [sys.executable, "-m", "flows", "nightly"]
        options: dict[str, Any] = {"cwd": place.project.home, "env": place.project.environment}
        yield subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options), file.read_text


def _lost(place: ServedProject, code: int | None, said: str) -> str:
    """What is wrong with a night that should have delivered."""
    if code:
        return f"exit code {code}: {said[-500:]!r}"
    if "Traceback" in said:
        return f"it said {said[-1500:]!r}"
    return "" if place.project.state() == place.project.new else "it left something else than an undisturbed night"


@contextlib.contextmanager
def _held(place: ServedProject, night: subprocess.Popen[bytes]) -> Iterator[None]:
    group = place.group(night)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    yield
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)


@contextlib.contextmanager
def _killed(place: ServedProject, night: subprocess.Popen[bytes]) -> Iterator[None]:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(place.group(night), signal.SIGKILL)
    yield
    place.serve()


@contextlib.contextmanager
def _full(place: ServedProject, _: subprocess.Popen[bytes]) -> Iterator[None]:
    ballast = disk.fill(place.disk, 0)
    yield
    ballast.unlink()
    place.serve()


FAULTS: dict[str, Fault] = {"held": _held, "killed": _killed, "full": _full}
"""What happens to the server while the block lasts."""
