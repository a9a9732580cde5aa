import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.engine.run.process import GUARD

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
time.sleep(120)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def guarded(*command, **more):
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), *command], stdin=subprocess.PIPE, start_new_session=True, **more
    )


def pids(path: Path, number: int) -> list[int]:
    until(lambda: path.exists() and path.read_text().count("\n") == number)
    return [int(line) for line in path.read_text().split()]


@pytest.mark.parametrize(("code", "expected"), [("import sys; sys.exit(0)", 0), ("import sys; sys.exit(7)", 7)])
def test_the_exit_code_is_the_commands_own(code, expected):
    with guarded(sys.executable, "-c", code) as process:
        assert process.wait(60) == expected


def test_a_command_ended_by_a_signal_says_so_as_a_shell_does():
    with guarded(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)") as process:
        assert process.wait(60) == 128 + signal.SIGKILL


def test_closing_the_pipe_ends_even_what_ignores_sigterm_and_left_the_group(tmp_path):
    process = guarded(sys.executable, "-c", STUBBORN, str(tmp_path / "pids"))
    started = pids(tmp_path / "pids", 2)
    process.stdin.close()
    process.wait(60)
    assert [pid for pid in started if alive(pid)] == []


def test_killing_the_starter_with_sigkill_ends_the_command(tmp_path):
    starter = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-I', '-S', *sys.argv[1:]],"
        " stdin=subprocess.PIPE, start_new_session=True); time.sleep(120)"
    )
    command = [sys.executable, "-c", STUBBORN, str(tmp_path / "pids")]
    with subprocess.Popen([sys.executable, "-c", starter, str(GUARD), *command]) as process:
        started = pids(tmp_path / "pids", 2)
        process.kill()
    until(lambda: not any(alive(pid) for pid in started))


def test_what_a_finished_command_left_in_the_background_is_ended_too(tmp_path):
    script = f"{sys.executable} -c 'import os, time; print(os.getpid(), flush=True); time.sleep(120)' & sleep 1"
    process = guarded("/bin/sh", "-c", script, stdout=subprocess.PIPE, text=True)
    left = int(process.stdout.readline())
    assert process.wait(60) == 0
    assert not alive(left)


def test_a_descriptor_passed_on_stays_open_until_the_command_has_ended_and_goes_no_further(tmp_path):
    reader, writer = os.pipe()
    process = guarded(sys.executable, "-c", "import time; time.sleep(1)", pass_fds=(writer,))
    os.close(writer)
    assert os.read(reader, 1) == b""  # returns only when the last copy is closed
    until(lambda: process.poll() is not None, 1)
    process.stdin.close()
    os.close(reader)
