"""Several processes for one stage: started here under torchrun, which numbers them; one of them speaks for all.

`machine.processes` in params.yaml says how many. Started by hand (`torchrun --nproc-per-node 2 -m tasks embed`) the
same stages share the same work.
"""

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tasks.pipeline import settings

STAGES = ("embed", "finetune", "score")
"""Stages whose work is shared; the others run in one process whatever the setting."""

LAUNCHER, VERDICT = "NIGHTMARKET_LAUNCHER", "NIGHTMARKET_VERDICT"
"""The process that ours was started by, and the file in which the first that fails leaves its line."""
GRACE_S = 5


def rank() -> int | None:
    """This process's number among several, from 0; None where it is alone."""
    return int(os.environ["RANK"]) if int(os.environ.get("WORLD_SIZE") or 1) > 1 else None


def wanted(stage: str) -> int:
    """How many processes a stage shall be started in; 1 for one that was started among several already."""
    if stage not in STAGES or rank() is not None:
        return 1
    processes = settings.machine().processes
    if processes != "auto":
        return processes
    import torch

    return max(1, torch.cuda.device_count())


def launch(stage: str, processes: int) -> int:
    """Run the stage in so many processes of this machine and wait; the exit code of the first that failed, else 0."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # our one line says it
    with tempfile.TemporaryDirectory() as folder, _environment(processes, Path(folder) / "verdict"):
        try:
            options = ("--local-addr", "127.0.0.1", "--shutdown-timeout", str(GRACE_S))
            torchrun.main(["--standalone", *options, "--nproc-per-node", str(processes), "-m", "tasks", stage])
        except ChildFailedError as error:
            return _code(stage, {number: failure.exitcode for number, failure in error.failures.items()}, processes)
        except SignalException as error:
            return 128 + int(error.sigval)
    return 0


def _code(stage: str, codes: dict[int, int], processes: int) -> int:
    """The exit code of the one whose failure came first; its line on stderr where it could say none itself."""
    verdict = Path(os.environ[VERDICT])
    killed = [number for number, code in codes.items() if code < 0 and code != -signal.SIGTERM]  # SIGTERM is torchrun's
    if verdict.exists() and not killed:
        said, _, line = verdict.read_text(encoding="utf-8").partition("\n")
        if line:
            print(line, file=sys.stderr, flush=True)
        return int(said)
    number = min(killed or codes)
    code = codes[number]
    if code < 0:
        name = signal.Signals(-code).name
        print(f"nightmarket: {stage}: process {number + 1} of {processes} was ended by {name}", file=sys.stderr)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _environment(processes: int, verdict: Path) -> Iterator[None]:
    """What the processes read before they import torch: talk on the loopback alone, share the cores."""
    before = dict(os.environ)
    loopback = "lo" if sys.platform.startswith("linux") else "lo0"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // processes)))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    os.environ |= {LAUNCHER: str(os.getpid()), VERDICT: str(verdict)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def enter(stage: str) -> bool:
    """Take this process's place; False where the stage needs it not, because it runs in one process alone.

    Only the first logs its progress, and each ends itself when who started it is gone, however it went.
    """
    number = rank()
    if number is None:
        return True
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    if number:
        logging.getLogger("nightmarket").setLevel(logging.WARNING)
    if stage not in STAGES:
        os.environ.pop("WORLD_SIZE")
    return stage in STAGES or number == 0


def _outlive_nobody() -> None:
    started_by = int(os.environ.get(LAUNCHER) or os.getppid())
    while os.getppid() == started_by:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(code: int, line: str = "") -> bool:
    """Leave why this process ends for the launcher to say; False where another process failed before.

    Whoever comes second fails only because the first is gone. Without a launcher the line is said here.
    """
    verdict = os.environ.get(VERDICT) if rank() is not None else None
    if verdict is None:
        if line:
            print(line, file=sys.stderr, flush=True)
        return True
    draft = Path(f"{verdict}.{os.getpid()}")
    draft.write_text(f"{code}\n{line}", encoding="utf-8")
    try:
        os.link(draft, verdict)  # whole, or not at all
    except FileExistsError:
        return False
    return True
