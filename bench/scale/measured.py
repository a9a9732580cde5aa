"""A command with what it costs: seconds, seconds of all cores, and the peak memory of all its processes together."""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

EVERY_S = 0.25
GB = 1e9


def run(command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> dict[str, float]:
    """Run to its end: code, wall_s, cpu_s, peak_gb. Stopped, it ends the command first."""
    started, ours = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with log.open("ab") as said:
        child = subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, stdout=said, stderr=said)
    ended, peak = threading.Event(), [0.0]
    watcher = threading.Thread(target=_watch, args=(child.pid, ended, peak), daemon=True)
    watcher.start()
    try:
        _, status, used = os.wait4(child.pid, 0)
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        ended.set()
        watcher.join()
    # a process begins with its parent's peak for its own, which says nothing of it
    alone = used.ru_maxrss * 1024 if used.ru_maxrss > ours else 0
    child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "code": child.returncode,
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_gb": round(max(peak[0], alone) / GB, 3),
    }


def _watch(pid: int, ended: threading.Event, peak: list[float]) -> None:
    """Keep the greatest sum over the process and its children; what they share counts once."""
    while not ended.wait(EVERY_S):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            peak[0] = max(peak[0], sum(_own(member.pid) for member in (process, *process.children(recursive=True))))


def _own(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return 1024.0 * int(line.split()[1])
    return 0.0
