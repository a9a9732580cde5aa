"""Cold nights of a small shop on a busy machine: every stage, a new checkout and a new server each time.

python -m bench.faults.cold --nights 20 --load 6               one after the other, beside six busy processes
python -m bench.faults.cold --nights 20 --load 2 --at-once 5   side by side, each other's load
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.faults import planted
from nightmarket.testing.shop import write_shop

NIGHTS, LOAD = 20, 6
LIMIT_S = 3600.0
SPIN = "while True: pass"

Say = Callable[[str], None]


@dataclasses.dataclass
class Cold:
    """Seconds of each night; those that did not deliver, or that Prefect does not know as completed; how often a server
    was started again."""

    seconds: list[float] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    untold: list[str] = dataclasses.field(default_factory=list)
    restarts: int = 0


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but work, for as long as the block lasts."""
    spinning = [subprocess.Popen([sys.executable, "-I", "-S", "-c", SPIN]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def nights(folder: Path, number: int, load: int, seed: int, say: Say, at_once: int = 1) -> Cold:
    """So many first nights, `at_once` of them at a time, beside so many busy processes."""
    cold = Cold()
    with busy(load), ThreadPoolExecutor(at_once) as pool:
        for line in pool.map(lambda night: _night(folder / f"shop-{night}", night, seed + night, cold), range(number)):
            say(line)
    return cold


def _night(home: Path, night: int, seed: int, cold: Cold) -> str:
    """One first night of a shop of its own; what came of it is noted, and said in a line."""
    planted.write_checkout(home, small=False)
    planted.commit(home)
    write_shop(home / "tables", num_customers=60, num_products=100, num_weeks=30, seed=seed)
    began = time.monotonic()
    done = _nightly(home)
    seconds = round(time.monotonic() - began, 1)
    said = done.stdout + done.stderr
    cold.seconds.append(seconds)
    cold.restarts += said.count("the local Prefect server ")
    delivered = not done.returncode and (home / "artifacts/report/index.html").exists()
    if not delivered:
        cold.wrong.append(f"night {night}: exit code {done.returncode}: {said[-500:]}")
    state = _state(home)
    if state != "Completed":
        cold.untold.append(f"night {night}: {state}")
    shutil.rmtree(home)
    how = "delivered" if delivered else cold.wrong[-1]
    return f"night {night + 1}: {seconds:.0f} s, {how}, {state}; load {os.getloadavg()[0]:.1f}"


def _nightly(home: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PREFECT_"))}
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(home), str(planted.ROOT)]),
        "NIGHTMARKET_HOME": str(home),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "flows", "nightly"]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=LIMIT_S)


def _state(home: Path) -> str:
    try:
        with contextlib.closing(sqlite3.connect(home / ".prefect" / "prefect.db")) as database:
            [(state,)] = database.execute("select state_name from flow_run").fetchall()
            return str(state)
    except (sqlite3.Error, ValueError) as error:
        return f"unknown ({error})"


def main() -> int:
    """Exit code 1 where a night did not deliver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--load", type=int, default=LOAD)
    parser.add_argument("--at-once", type=int, default=1, help="nights side by side, which are load for each other")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        say = functools.partial(print, flush=True)
        cold = nights(Path(made), given.nights, given.load, given.seed, say, given.at_once)
    print(json.dumps(dataclasses.asdict(cold)))
    return bool(cold.wrong)


if __name__ == "__main__":
    sys.exit(main())
