"""A new key for customers' names, in a small project with real git, DVC, Prefect and exports; killed at every step."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.files import storage

ROOT = Path(__file__).parents[2]
SNAPSHOT = """
import pyarrow as pa

from tasks.files import storage
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forgotten, key_id
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

STEP = Step("nothing but what a test needs")


class Settings(StageSettings):
    business_date: str | None = None


def run(settings):
    ids = pa.array((storage.home() / "source.csv").read_text().split())
    hashed = Pseudonyms(customer_keys(), forgotten())
    rows = hashed.without_forgotten(pa.record_batch({"customer_id": hashed(ids)}), "customer_id")
    storage.write_table(pa.Table.from_batches([rows]), storage.RAW / "customers.parquet")
    storage.write_json({"key_id": key_id(customer_keys())}, storage.RAW / "snapshot.json")
"""
CUSTOMERS = [f"member-{number}" for number in range(40)]
ID = "print(key_id(customer_keys()), *Pseudonyms(customer_keys()).under_each_key('member-7'))"


@pytest.fixture(scope="module")
def night(finished_project, tmp_path_factory):
    """The project after a night with forty customers."""
    project = finished_project[0].copied(tmp_path_factory.mktemp("night") / "shop")
    home = project.home
    (home / "tasks/snapshot.py").write_text(SNAPSHOT)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "customers")
    (home / "source.csv").write_text("\n".join(CUSTOMERS))
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def shop(night, tmp_path):
    return night.copied(tmp_path / "shop")


def read(project, code):
    done = project.command("-c", f"from tasks.privacy.pseudonyms import *\n{code}")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def customers(home):
    return pq.read_table(home / "data/raw/customers.parquet")["customer_id"].to_pylist()


def export(home, names, **more):
    folder = home / "exports/spring"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"customer_id": names, "arm": ["send", "holdout"]}), folder / "eligible.parquet")
    (folder / "send.csv").write_text(f"customer_id,day\n{names[0]},1\n", encoding="utf-8-sig")
    storage.write_json({"files": {"send.csv": {"sha256": ""}}, **more}, folder / "receipt.json")
    return folder


def test_a_new_key_renames_everybody_and_older_copies_stay_readable(shop):
    home = shop.home
    old_id, old = read(shop, ID)
    before = customers(home)
    folder = export(home, before[:2])
    record = yaml.safe_load((home / "data/raw.dvc").read_text())["outs"][0]["md5"]
    done = shop.command("-m", "flows", "rotate", "--reason", "once a year", "--who", "Ada")
    assert done.returncode == 0, done.stdout + done.stderr
    new_id, *names = read(shop, ID)
    assert names[0] == old
    assert names[1] != old
    assert new_id != old_id
    assert not set(before) & set(customers(home))
    assert customers(home)[7] == names[1]
    assert pq.read_table(folder / "eligible.parquet")["customer_id"].to_pylist() == before[:2]
    assert (home / ".dvc/cache/files/md5" / record[:2] / record[2:]).exists()
    line = json.loads(shop.private("keys.jsonl").read_text())
    assert (line["who"], line["reason"], line["from"], line["to"]) == ("Ada", "once a year", old_id, new_id)
    assert shop.private("customer.key").stat().st_mode & 0o777 == 0o600
    assert not shop.private("rotating.json").exists()


def test_who_was_forgotten_stays_forgotten_and_is_found_under_every_name(shop):
    home = shop.home
    _, theirs = read(shop, ID)
    read(shop, f"forget(['{theirs}'], '2024-01-01')")
    other = read(shop, "print(*Pseudonyms(customer_keys()).under_each_key('member-8'))")
    folder = export(home, [other[0], "f" * 32])
    done = shop.command("-m", "flows", "rotate", "--reason", "once a year")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(customers(home)) == len(CUSTOMERS) - 1
    done = shop.command("-m", "flows", "forget", "--customer", "member-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(customers(home)) == len(CUSTOMERS) - 2
    assert pq.read_table(folder / "eligible.parquet")["customer_id"].to_pylist() == ["f" * 32]


@pytest.mark.parametrize("hook", ["rotate.begun", "rotate.added", "swap.swapped"])
def test_after_a_leak_nothing_of_an_older_key_is_left_though_it_was_killed(shop, hook):
    home = shop.home
    old_id, _ = read(shop, ID)
    before = customers(home)
    folder = export(home, before[:2], key_id=old_id)
    killed = shop.command("-m", "flows", "rotate", "--reason", "a key got out", "--leaked", NIGHTMARKET_FAULT=hook)
    assert killed.returncode != 0
    done = shop.command("-m", "flows", "rotate", "--reason", "a key got out, again", "--leaked")
    assert done.returncode == 0, done.stdout + done.stderr
    new_id, *names = read(shop, ID)
    assert len(names) == 2
    assert len(shop.private("keys.jsonl").read_text().splitlines()) == 1
    sent = pq.read_table(folder / "eligible.parquet")
    assert sent["customer_id"].to_pylist() == customers(home)[:2]
    assert sent["arm"].to_pylist() == ["send", "holdout"]
    assert customers(home)[0] in (folder / "send.csv").read_text(encoding="utf-8-sig")
    assert json.loads((folder / "receipt.json").read_text())["key_id"] == new_id
    for path in [entry for entry in home.rglob("*") if entry.is_file() and not entry.is_symlink()]:
        if path.open("rb").read(4) == b"PAR1":
            assert not set(before) & set(pq.read_table(path).to_pydict().get("customer_id", [])), path
        else:
            content = path.read_bytes()
            assert not any(name.encode() in content for name in before), path
