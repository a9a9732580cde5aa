"""Prefect is never the reason that a night ends: its server answers all the time, and a night goes on without it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.engine.server import keeper, server

ROOT = Path(__file__).parents[2]
BUSY_S = 3.0
"""SQLite's time-out in the reproduction; Prefect's own is 60 s."""

STANDSTILL = """
import asyncio, gc, json, sqlite3, sys, threading, time
from flows.engine.server import application

path, busy_s, elsewhere = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "elsewhere"

def opened():
    return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=busy_s)

class Ring:
    pass

async def main():
    if elsewhere:
        application.FULL_EVERY = 1
        application.collect_elsewhere(0.1)
    first, second = opened(), opened()
    first.execute("pragma journal_mode = wal")
    first.execute("create table rows (number)")
    ring = Ring()
    ring.itself, ring.cursor = ring, second.execute("select 1 union all select 2")
    ring.cursor.fetchone()  # unfinished: to finalise it, the second connection has to be free
    first.execute("begin immediate")
    first.execute("insert into rows values (1)")
    waiting = asyncio.create_task(asyncio.to_thread(second.execute, "insert into rows values (2)"))
    await asyncio.sleep(0.3)
    longest, began, collections = 0.0, time.monotonic(), []
    gc.callbacks.append(lambda phase, info: collections.append((phase, time.monotonic())))
    del ring
    kept, last = [], time.monotonic()
    while not waiting.done():
        kept.append([[] for _ in range(5000)])  # as any work does, so that the collector sees a reason to run
        await asyncio.sleep(0.01)
        last, longest = time.monotonic(), max(longest, time.monotonic() - last)
    first.execute("commit")
    pairs = zip(collections[::2], collections[1::2])
    collected = max(stop - start for (_, start), (_, stop) in pairs)
    print(json.dumps({"longest_s": longest, "collection_s": collected, "error": str(waiting.exception())}))

asyncio.run(main())
"""

CONNECTION = """
import asyncio, json
from flows.engine.server import application

application.create_app()

async def main():
    from prefect.server.database import provide_database_interface

    engine = await provide_database_interface().engine()
    async with engine.connect() as connection:
        names = ("busy_timeout", "journal_mode", "foreign_keys")
        print(json.dumps([(await connection.exec_driver_sql(f"pragma {name}")).scalar() for name in names]))

asyncio.run(main())
"""


def python(script, *arguments, **env):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("where", ["elsewhere", "on the loop"])
def test_a_collector_that_waits_for_a_connection_stops_the_loop_unless_it_has_a_thread_of_its_own(tmp_path, where):
    seen = python(STANDSTILL, str(tmp_path / "rows.db"), str(BUSY_S), where)
    assert seen["collection_s"] > BUSY_S / 2  # it did wait, in whichever thread
    # the write gave up; its words are lost where the collector finalised the cursor first: a connection has one text
    assert seen["error"] in ("database is locked", "not an error")
    assert (seen["longest_s"] > BUSY_S / 2) == (where == "on the loop"), seen


@pytest.mark.prefect
def test_our_servers_connections_wait_for_each_other_for_seconds_and_no_longer(tmp_path):
    assert python(CONNECTION, PREFECT_HOME=str(tmp_path)) == [5000, "wal", 1]


STAGES = ["snapshot", "validate", "rank", "evaluate", "register", "report"]
HURRY = {"NIGHTMARKET_PATIENCE": "silence=3 look_every=0.5 answer=1 request=1 mention=1 end=3"}


def until(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return seen


def known(home, flow="nightly"):
    """What Prefect's database holds of the newest run of the flow: its state, and its stages with theirs."""
    with contextlib.closing(sqlite3.connect(home / ".prefect/prefect.db", timeout=30)) as database:
        run = "select r.id, r.state_name from flow_run r join flow f on f.id = r.flow_id where f.name = ?"
        row = database.execute(f"{run} order by r.created desc", [flow]).fetchone()
        if not row:
            return None, []
        stages = "select name, state_type from task_run where flow_run_id = ? order by cast(dynamic_key as integer)"
        return row[1], database.execute(stages, [row[0]]).fetchall()


def servers_below(process):
    """The Prefect server that the process started, where it runs: its process, not the guard's."""

    def serves(child):
        with contextlib.suppress(psutil.Error):  # others come and go meanwhile
            return child.cmdline()[1:3] == ["-m", "uvicorn"]
        return False

    return [child for child in psutil.Process(process.pid).children(recursive=True) if serves(child)]


def started(project, first_line, **env):
    """A night of which this line was heard, and its further lines."""
    night = project.start("nightly", "--business-date", "2020-02-03", **env)
    heard = []
    for line in night.stdout:
        heard.append(line)
        if first_line in line:
            return night, heard
    raise AssertionError("".join(heard))


def ended(night, heard):
    rest, _ = night.communicate(timeout=200)
    return night.returncode, "".join(heard) + rest


def test_a_night_starts_its_own_server_again_when_that_hangs_and_tells_it_everything(project, prefect_tables):
    prefect_tables(project.home)
    night, heard = started(project, "validate: 9 rows", PREFECT_API_URL="", **HURRY)
    [first] = until(lambda: servers_below(night))
    first.suspend()
    code, said = ended(night, heard)
    assert code == 0, said
    assert "the local Prefect server" in said
    assert "report   " in said
    assert known(project.home) == ("Completed", [(name, "COMPLETED") for name in STAGES])
    assert not first.is_running()


@pytest.fixture
def shared(project, prefect_tables, tmp_path):
    """A server that is not the night's own, and the project set to it."""
    prefect_tables(tmp_path / "shared")
    ours = server.PrefectServer(tmp_path / "shared")
    ours.wait()
    yield ours, type(project)(project.home, ours.url)
    ours.kill()


def test_a_night_on_a_shared_server_that_hangs_goes_on_and_the_next_run_tells_it(shared, tmp_path):
    ours, project = shared
    night, heard = started(project, "Beginning flow run", **HURRY)
    os.killpg(ours.process.pid, signal.SIGSTOP)
    code, said = ended(night, heard)
    assert code == 0, said
    assert "Prefect's server does not answer; the run goes on" in said
    assert "the next run tells it" in said
    assert "local Prefect server" not in said  # it is not ours to start again
    assert len(list(project.private("unsent").iterdir())) == 1
    os.killpg(ours.process.pid, signal.SIGCONT)
    assert project.flow("deliver").returncode == 0
    assert known(tmp_path / "shared") == ("Completed", [(name, "COMPLETED") for name in STAGES])
    assert known(tmp_path / "shared", "deliver")[0] == "Completed"
    assert list(project.private("unsent").iterdir()) == []


def test_a_night_that_names_a_server_which_is_not_there_delivers_without_one(project):
    done = project.flow("nightly", PREFECT_API_URL="http://127.0.0.1:9/api", **HURRY)
    assert done.returncode == 0, done.stderr
    assert "report   " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.prefect
def test_a_server_that_cannot_start_is_tried_again_ever_more_seldom(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTMARKET_PATIENCE", "start=0.5 look_every=0.1 again=0.1 again_at_most=0.3")
    (tmp_path / ".prefect/prefect.db").mkdir(parents=True)  # no database can be there
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    said = []
    kept = keeper.KeptServer(tmp_path, say=said.append)
    try:
        until(lambda: len(said) == 3)
    finally:
        kept.stop()
    assert [line.rpartition("again in ")[2] for line in said] == ["0.1 s", "0.2 s", "0.3 s"]
    assert kept.starts in (3, 4)
    assert kept.server.ended()
