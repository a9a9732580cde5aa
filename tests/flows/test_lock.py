import asyncio
import json
import os
import subprocess
import sys

import pytest

from flows.engine.run import lock
from nightmarket.contracts import InputError


async def hold(path, name, say=print, **more):
    async with lock.run_lock(path, name, say=say, **{"wait_s": 5.0, **more}) as held:
        return held.dead


def test_the_holder_is_named_while_it_holds_and_gone_afterwards(tmp_path):
    path = tmp_path / "run.lock"

    async def look():
        async with lock.run_lock(path, "nightly-1", wait_s=0, say=print, note={"flow_run_id": "x"}):
            return lock.holder(path)

    who = asyncio.run(look())
    assert who["run"] == "nightly-1"
    assert who["pid"] == os.getpid()
    assert who["flow_run_id"] == "x"
    assert lock.holder(path) is None


def test_a_second_run_waits_says_for_whom_and_goes_on_when_it_is_free(tmp_path):
    path, said, order = tmp_path / "run.lock", [], []

    async def first():
        async with lock.run_lock(path, "nightly-1", wait_s=0, say=said.append):
            await asyncio.sleep(0.8)
            order.append("first done")

    async def second():
        await asyncio.sleep(0.1)
        async with lock.run_lock(path, "retrain-2", wait_s=20, say=said.append):
            order.append("second begins")

    async def both():
        await asyncio.gather(first(), second())

    asyncio.run(both())
    assert order == ["first done", "second begins"]
    assert len(said) == 1
    assert "waiting for run nightly-1" in said[0]


def test_waiting_has_an_end_and_the_message_names_the_holder(tmp_path):
    path = tmp_path / "run.lock"

    async def both():
        async with lock.run_lock(path, "nightly-1", wait_s=0, say=print):
            await hold(path, "nightly-2", wait_s=0.2)

    with pytest.raises(InputError, match=r"run nightly-1 .* still holds the lock after 0 s"):
        asyncio.run(both())


def test_a_holder_that_was_killed_frees_the_lock_and_is_reported(tmp_path):
    path = tmp_path / "run.lock"
    script = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom flows.engine.run import lock\n"
        "async def main():\n"
        "    async with lock.run_lock(Path(sys.argv[1]), 'nightly-1', wait_s=0, say=print):\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert asyncio.run(hold(path, "nightly-2", wait_s=0))["run"] == "nightly-1"
    assert asyncio.run(hold(path, "nightly-3", wait_s=0)) is None


def test_a_lock_file_that_is_not_json_counts_as_a_holder_without_a_name(tmp_path):
    path = tmp_path / "run.lock"
    path.write_text("half a li")
    assert asyncio.run(hold(path, "nightly-1", wait_s=0)) is None


@pytest.mark.parametrize("left", ["", "{"])
def test_an_unreadable_rwlock_of_dvc_is_removed(tmp_path, left):
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(left)
    assert lock.heal_dvc(tmp_path)
    assert not path.exists()


def test_a_sound_rwlock_of_dvc_is_left_alone(tmp_path):
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({}))
    assert not lock.heal_dvc(tmp_path)
    assert path.exists()
