"""Run a command so that it cannot outlive whoever started it. Standard library only: `python -I -S guard.py CMD...`.

The starter holds the other end of this process's stdin. When that pipe closes, because the starter is done, was
cancelled or was killed with SIGKILL, everything started here is ended: SIGTERM to the process group, five seconds
later SIGKILL to whatever is left, in the group or not. Descriptors that were passed on (the run lock) stay open here
and nowhere below, so a lock is held until the last process has ended.

Exit code: the command's own.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 5.0


def _adopt_orphans() -> None:
    """On Linux, grandchildren whose parent died become ours, so that they can be found and ended."""
    if sys.platform.startswith("linux"):
        import ctypes

        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def _descendants() -> list[int]:
    """Process ids below this one (Linux; elsewhere the process group has to do)."""
    if not os.path.isdir("/proc/self"):
        return []
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(entry))
    descendants, queue = [], [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        descendants += below
        queue += below
    return descendants


def _reap() -> bool:
    """Collect what has ended; False when nothing is left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def end_all() -> None:
    """End every process below this one."""
    if not _reap():
        return
    os.killpg(0, signal.SIGTERM)  # the handler below keeps this process alive
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) != os.getpgrp():
                os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while _reap():
        if time.monotonic() > deadline:
            for pid in _descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not os.path.isdir("/proc/self"):
                os.killpg(0, signal.SIGKILL)
        time.sleep(0.05)


def main(command: list[str]) -> int:
    """Run the command to its end, or to the end of the starter."""
    _adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready and not os.read(0, 4096):
            break
    code = child.poll()
    end_all()
    return 143 if code is None else code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
