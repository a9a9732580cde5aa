"""What a run finds when it begins, and what a stage reads."""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from flows.engine.run import publish, recovery, worktree
from nightmarket.contracts import InputError
from nightmarket.testing.shop import write_shop
from tasks import __main__ as stages
from tasks.files import manifest, storage
from tasks.pipeline import inputs
from tasks.registry import champion, store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    return tmp_path


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def cached(home, content, suffix=""):
    name = md5(content)
    path = home / ".dvc/cache/files/md5" / name[:2] / (name[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name + suffix, path


def test_a_damaged_object_of_the_cache_is_moved_aside_though_its_time_stamp_says_nothing(place):
    good, kept = cached(place, b"all is well")
    bad, path = cached(place, b"a model")
    assert recovery.verify_cache(place, print) == []
    about = path.stat()
    path.write_bytes(b"b model")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    said = []
    assert recovery.verify_cache(place, said.append) == [bad]
    assert not path.exists()
    assert kept.exists()
    assert (place / ".nightmarket/damaged" / bad).read_bytes() == b"b model"
    assert bad in said[0]
    assert good not in said[0]


def test_drafts_of_dead_processes_go_and_those_of_the_living_stay(place):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder = place / ".nightmarket/checkpoints"
    folder.mkdir(parents=True)
    dead, alive = folder / f".x.json.{ended.pid}.tmp", folder / f".x.json.{os.getppid()}.tmp"
    dead.write_text("half")
    alive.write_text("half")
    assert recovery.remove_drafts(place) == 1
    assert not dead.exists()
    assert alive.exists()


def test_a_run_that_the_disk_cannot_hold_does_not_begin_and_names_the_bytes(place):
    (place / "dvc.lock").write_text("stages: {rank: {outs: [{path: a, size: 4611686018427387904}]}}\n")
    with pytest.raises(InputError, match=r"a run needs about 9,223,372,036,854,775,808 "):
        recovery.require_room(place)


def test_what_a_remote_gives_is_checked_in_every_run(place):
    from dvc.config import Config

    (place / ".dvc").mkdir()
    (place / ".dvc/config").write_text("['remote \"store\"']\n    url = /nowhere\n")
    tree = place / "tree"
    (tree / ".dvc").mkdir(parents=True)
    (tree / ".dvc/config").write_text("['remote \"store\"']\n    url = /nowhere\n")
    worktree._configure_dvc(place, tree)
    assert Config(str(tree / ".dvc"), validate=False)["remote"]["store"]["verify"] == "True"


def test_records_that_somebody_changed_after_a_kill_in_a_publication_are_left_alone(place):
    (place / "dvc.lock").write_text("by hand")
    storage.write_json(
        {"run": "nightly-1", "old": {"dvc.lock": "old"}, "new": {"dvc.lock": "new"}, "recorded": []},
        place / ".nightmarket/publishing.json",
    )
    said = []
    assert not publish.resume(place, said.append)
    assert (place / "dvc.lock").read_text() == "by hand"
    assert "left alone" in said[0]
    assert not publish.resume(place, said.append)


@pytest.fixture
def stage(place):
    """A folder in which `rank` wrote a file and a folder that `evaluate` reads."""
    (place / "artifacts/rank").mkdir(parents=True)
    (place / "artifacts/rank/a.json").write_text("{}")
    (place / "artifacts/list.txt").write_text("1")
    listing = json.dumps([{"md5": md5(b"{}"), "relpath": "a.json"}]).encode()
    name, _ = cached(place, listing, ".dir")
    outs = f"[{{path: artifacts/rank, md5: {name}}}, {{path: artifacts/list.txt, md5: {md5(b'1')}}}]"
    (place / "dvc.lock").write_text(f"stages: {{rank: {{outs: {outs}}}}}\n")
    (place / "dvc.yaml").write_text("stages: {evaluate: {deps: [artifacts/rank, artifacts/list.txt, tasks/x.py]}}\n")
    return place


def test_inputs_as_their_stage_left_them_pass(stage):
    inputs.Inputs("evaluate").check()


@pytest.mark.parametrize("name", ["artifacts/rank/a.json", "artifacts/list.txt"])
def test_an_input_that_its_stage_did_not_write_so_is_refused_before_and_after(stage, name):
    read = inputs.Inputs("evaluate")
    (stage / name).write_text("[]")
    with pytest.raises(InputError, match=f"{name} changed while the stage ran"):
        read.check()
    with pytest.raises(InputError, match=f"{name} is not what its stage wrote"):
        inputs.Inputs("evaluate")


def test_an_input_that_comes_while_the_stage_runs_is_found(stage):
    read = inputs.Inputs("evaluate")
    (stage / "artifacts/rank/b.json").write_text("{}")
    with pytest.raises(InputError, match=r"b\.json changed while the stage ran"):
        read.check()


def test_weights_that_are_not_finite_or_cannot_be_read_are_refused(place):
    path = place / "tower.safetensors"
    storage.write_tensors({"weight": np.array([1.0, np.nan])}, path)
    with pytest.raises(InputError, match="tensor 'weight' holds numbers that are not finite"):
        storage.read_tensors(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="cannot be read"):
        storage.read_tensors(path)


@pytest.mark.parametrize("name", ["file.written:1:full", "table.part:1:full"])
def test_a_full_disk_leaves_the_old_file_and_names_the_bytes(place, monkeypatch, name):
    import pyarrow as pa

    table = pa.table({"a": list(range(1000))})
    path = place / "out.parquet"
    with storage.table_writer(path, table.schema) as write:
        write(table.slice(0, 10))
    before = path.read_bytes()
    storage._passed.clear()
    monkeypatch.setenv(storage.FAULT, name)
    says = r"out\.parquet: the disk is full: (more than )?[\d,]+ bytes are needed and [\d,]+ are free"
    with pytest.raises(InputError, match=says), storage.table_writer(path, table.schema) as write:
        write(table)
    assert path.read_bytes() == before
    assert [entry.name for entry in place.iterdir()] == ["out.parquet"]


def test_a_stage_says_of_a_full_disk_what_it_took_the_last_time(place, monkeypatch, capsys):
    write_shop(place / "tables", num_customers=5, num_products=9, num_weeks=3)
    (place / "params.yaml").write_text("snapshot: {source: folder, folder: tables}\n")
    (place / "data").mkdir()
    (place / "data/raw.dvc").write_text("outs: [{path: raw, size: 6321}]\n")
    storage._passed.clear()
    monkeypatch.setenv(storage.FAULT, "file.written:1:full")
    assert stages.main("snapshot") == stages.BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(r"the disk is full: .* bytes are needed .*; the last time snapshot wrote 6,321 bytes", lines[0])
    assert not (place / "data/raw").exists()


def test_a_database_that_finds_no_room_is_a_full_disk():
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("pragma max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as raised:
            database.execute("create table notes as select randomblob(100000)")
    assert storage.is_full(raised.value)


def test_readers_find_a_whole_champion_while_it_is_replaced_two_hundred_times(place):
    def package(folder, version):
        storage.write_json({"version": version}, folder / "receipt.json")
        storage.write_json({"version": version}, folder / "rank/ranker.json")

    champion.install(lambda folder: package(folder, 0))
    over, seen, failed = threading.Event(), set(), []

    def look(folder):
        manifest.verify(folder)
        return {storage.read_json(folder / name)["version"] for name in ("receipt.json", "rank/ranker.json")}

    def read():
        while not over.is_set():
            try:
                versions = champion.steady(place / storage.CHAMPION, look)
                seen.update(versions)
                if len(versions) > 1:
                    failed.append(versions)
            except Exception as error:
                failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 201):
        champion.install(lambda folder, version=version: package(folder, version))
    over.set()
    reader.join()
    assert not failed
    assert len(seen) > 1


def test_a_database_that_another_program_holds_or_that_is_damaged_is_one_line(place, monkeypatch):
    monkeypatch.setattr(store, "BUSY_S", 0.1)
    database = place / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as holder:
        holder.execute("create table runs (name text)")
        holder.commit()
        store.require_sound(database)
        holder.execute("begin exclusive")
        with pytest.raises(InputError, match=r"mlruns/mlflow.db cannot be used \(database is locked\)"):
            store.require_sound(database)
    database.write_bytes(b"no database at all, but long enough to be read as the header of one" * 9)
    with pytest.raises(InputError, match="file is not a database"):
        store.require_sound(database)
