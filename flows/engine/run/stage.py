"""One stage or step: a process under the guard, its lines in the log, its failure in a line, its states in Prefect."""

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from prefect import State
from prefect.states import AwaitingRetry, Completed, Crashed, Failed, Retrying, Running

from flows.engine.reporting import prefect_run
from flows.engine.run import dag, process
from nightmarket.contracts import InputError
from tasks.privacy import redaction

BAD_INPUT = 2
"""`python -m tasks X` exits so when data or settings are wrong: the next attempt would fail in the same way."""

CHATTER = re.compile(
    r"(> python -m tasks|Running stage '|Updating lock file|Generating lock file|Use `dvc push`|To track the changes"
    r"|To enable auto staging|\s*git add |\s*dvc config core\.autostage|Stage '.*' didn't change"
    r"|Data and pipelines are up|Verifying data sources)"
)
"""What DVC says about itself; the log is for what the stage says."""

SPIN = "3000"
"""Turns, some microseconds, that a thread of OpenMP waits awake; its own number is a hundred times that, and takes the
core from whatever runs beside a stage."""

RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b(?=:|$)")
"""The last line of a traceback begins with the kind of the error."""


class StageError(Exception):
    """A stage failed for a reason that may be gone at the next attempt; one line.

    reason  the same without what the stage itself said, which may be anything; "": the line holds nothing of that kind
    """

    def __init__(self, line: str, reason: str = "") -> None:
        super().__init__(line)
        self.reason = reason or line


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave a stage's failure as the line that it is; our own stack says nothing about it."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, InputError | StageError):
        record.msg, record.args, record.exc_info = "failed: %s", (str(error),), None
    return True


redaction.install()
for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_without_traceback)


def transient(error: Exception) -> bool:
    """Whether another attempt makes sense: wrong input stays wrong, and so does a file that a stage does not write."""
    return not (isinstance(error, InputError) or "does not exist" in str(error))


async def attempt(stage: dag.ScheduledStage, work: Callable[[], Awaitable[Any]], about: str = "") -> Any:
    """Do the work, within the time and as often as dvc.yaml allows; what it returns. Prefect sees a task run.

    about   stands before the stage's name in the UI and in the log

    Raises what the last attempt raised; TimeoutError where that ran past the stage's limit.
    """
    with prefect_run.stage(about + stage.name, tags=[f"pool:{stage.pool}"]) as tell:
        for retries_left in range(stage.retries, -1, -1):
            tell(Running() if retries_left == stage.retries else Retrying())
            try:
                async with asyncio.timeout(stage.timeout_s):
                    result = await work()
            except Exception as raised:
                error = redaction.redactor().of_error(raised)
                if not retries_left or not transient(error):
                    tell(Failed(message=_line(error)))
                    raise error from None
                prefect_run.run_logger().warning(
                    "failed: %s; tried again in %g s, %d times more", _line(error), stage.retry_delay_s, retries_left
                )
                tell(AwaitingRetry(message=_line(error)))
                await asyncio.sleep(stage.retry_delay_s)
            except BaseException:
                tell(Crashed(message="stopped"))
                raise
            else:
                tell(result if isinstance(result, State) else Completed())
                return result
    raise AssertionError("a stage is attempted once at least")


def _line(error: Exception) -> str:
    """An error in one line; of those that are not ours, their kind too."""
    said = " ".join(str(error).split())
    return said if isinstance(error, InputError | StageError) else f"{type(error).__name__}: {said}".rstrip(": ")


def skipped(why: str) -> State[Any]:
    """A final state that the UI shows as Skipped."""
    return Completed(name="Skipped", message=why)


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a stage sees: this interpreter first in PATH, a plain shell, the project's own folders, no Prefect."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "NIGHTMARKET_WEB"))}
    waits = {} if "OMP_WAIT_POLICY" in inherited else {"GOMP_SPINCOUNT": SPIN}
    return {
        **waits,
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "SHELL": "/bin/sh",
        "PYTHONUNBUFFERED": "1",
        "DVC_SITE_CACHE_DIR": str(dag.site_cache()),
        "DVC_NO_ANALYTICS": "1",
        "NIGHTMARKET_HOME": str(home),
        **extra,
    }


async def run_command(name: str, command: list[str], *, tree: Path, env: Mapping[str, str], hold: list[int]) -> str:
    """Run a stage's command, its lines into the Prefect log; returns the last lines.

    Raises InputError with the stage's own line when it exits with code 2, StageError with its last line otherwise.
    """
    logger = prefect_run.run_logger()
    said: list[str] = []
    clean = redaction.redactor()

    def on_line(line: str) -> None:
        line = clean(line)
        said.append(line)
        del said[:-200]
        if not CHATTER.match(line):
            logger.info(line[:4000])

    code = await process.run_guarded(command, cwd=tree, env=env, on_line=on_line, hold=hold)
    if code:
        raise failure(name, code, said)
    return "\n".join(said)


def failure(name: str, code: int, said: list[str]) -> Exception:
    """The error that a stage's output amounts to, as one line."""
    ours = [line.removeprefix("nightmarket: ") for line in said if line.startswith("nightmarket: ")]
    exits = re.findall(r"exited with (-?\d+)", "\n".join(said))
    code = int(exits[-1]) if exits else code
    if code == BAD_INPUT and ours:
        return InputError(ours[-1])
    dvc = [line for line in said if line.startswith("ERROR: ") and "exited with" not in line]
    last = next((line for line in reversed(said) if not line.startswith("ERROR: ") and line.strip("> ^~")), "")
    line = (dvc[-1].removeprefix("ERROR: ") if dvc else "") or last or "it said nothing"
    kind = RAISED.match(line)
    of_itself = f"{_exit(code)}{f', {kind[0]}' if kind else ''}"
    return StageError(f"{name} failed ({_exit(code)}): {line[:500]}", line if dvc else of_itself)


def reason(name: str, error: Exception) -> str:
    """Why a stage failed, for pages, records and other people's eyes: one line without anything of a customer's.

    What an unforeseen error says may quote data, so only its kind is told; the log has the rest.
    """
    said = error.reason if isinstance(error, StageError) else str(error)
    clean = redaction.redactor()(said.removeprefix(f"{name}: ").removeprefix(f"{name} "))
    return " ".join(clean.split())[:300]


def _exit(code: int) -> str:
    number = -code if code < 0 else code - 128 if 128 < code <= 128 + signal.SIGRTMAX else 0
    if number == 9:
        return "killed; out of memory?"
    return f"ended by signal {number}" if number else f"exit code {code}"


DVC = """
import atexit, gc, sys
gc.set_threshold(10_000, 10, 10)
atexit.register(gc.freeze)
from dvc.cli import main
sys.exit(main())
"""
"""`python -m dvc` that looks for garbage as seldom as our own processes, in folders of older code too."""


def dvc_repro(name: str, *, force: bool) -> list[str]:
    """The command that runs one stage through DVC."""
    return [sys.executable, "-c", DVC, "--wait-for-lock", "repro", "--single-item", *(["--force"] * force), name]


def python_task(name: str) -> list[str]:
    """The command of a step, which DVC does not run."""
    return [sys.executable, "-m", "tasks", name]
