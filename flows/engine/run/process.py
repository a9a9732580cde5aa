"""Start a command under the guard and hand on its output, line by line, while it runs."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
PATIENCE_S = 10.0
"""How long a guard may take to end everything below it; it needs five seconds and a little."""

REDRAW_S = 2.0
"""A progress bar redraws one line many times a second; a log takes it this often."""


async def run_guarded(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    hold: Sequence[int] = (),
) -> int:
    """Run the command and return its exit code; stdout and stderr go to `on_line`.

    However this ends (finished, cancelled, timed out, this process killed), no process of the command is left.
    `hold` are descriptors that the guard keeps open until then.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(GUARD), *command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
        pass_fds=tuple(hold),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async for line in lines(process.stdout):
            on_line(line)
        return await process.wait()
    finally:
        process.stdin.close()  # the guard reads the end of the file and ends what still runs
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    import anyio

    with anyio.CancelScope(shield=True):
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines of any length; a line redrawn with a carriage return comes at most every two seconds."""
    rest, drawn = "", 0.0
    while chunk := await stream.read(1 << 16):
        *whole, rest = (rest + chunk.decode("utf-8", "replace")).replace("\r\n", "\n").split("\n")
        for line in whole:
            if text := line.rpartition("\r")[2].rstrip():
                yield text
        if "\r" in rest:
            *drawings, rest = rest.split("\r")
            last = next((text.strip() for text in reversed(drawings) if text.strip()), "")
            if last and time.monotonic() - drawn > REDRAW_S:
                drawn = time.monotonic()
                yield last
    if rest.strip():
        yield rest.strip()
