"""A version of a small project rebuilt and promoted through the flows: real git, DVC, MLflow, Prefect; quick stages."""

import contextlib
import dataclasses
import json
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from flows.engine.run import rebuild
from nightmarket.contracts import InputError
from nightmarket.serving import set_environment

set_environment()
from mlflow import MlflowClient  # noqa: E402

MLFLOW_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
ROOT = Path(__file__).parents[2]
STAGE = """
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from nightmarket.evaluation.protocol import Window, Windows
from tasks.files import storage
from tasks.pipeline.settings import StageSettings

OUT = storage.ARTIFACTS


class Settings(StageSettings):
    seed: int = 17

"""
FILES = {
    "tasks/snapshot.py": STAGE + "def run(settings):\n    raise AssertionError('no snapshot is taken here')\n",
    "tasks/validate.py": STAGE
    + """
def run(settings):
    rows = len((storage.RAW / "events.csv").read_text().splitlines()) - 1
    table = {"rows": rows, "kept": rows - 1, "set_aside": 1, "reasons": {}}
    report = {"tables": {"events": table}, "expectations": 9, "success": True}
    storage.write_json(report, OUT / "validate/report.json")
    test = Window.after(17496, 28)
    windows = Windows(test, (), (), test, test, 17167, 17531, "2018-01-01", "UTC")
    storage.write_json(windows.content(), OUT / "prepare/windows.json")
    zeros = pa.array(np.zeros(9, np.int32))
    codes = ("customer", "item", "week", "day", "basket", "channel")
    lines = dict.fromkeys((*codes, "quantity", "value", "discount"), zeros)
    storage.write_table(pa.table(lines), OUT / "prepare/purchases.parquet")
    storage.write_table(pa.table({"department": ["TOYS"]}), OUT / "prepare/products.parquet")
    storage.write_table(pa.table({"customer": zeros[:1]}), OUT / "prepare/customers.parquet")
""",
    "tasks/rank.py": STAGE
    + """
def run(settings):
    if "SLOW" in os.environ:
        Path(os.environ["SLOW"]).write_text(str(os.getpid()))
        time.sleep(120)
    weights = np.random.default_rng(settings.seed).normal(size=8).astype(np.float32)
    weights[0] = settings.seed
    if "NOISY" in os.environ:
        weights[3] += 1e-3
    storage.write_tensors({"weights": weights}, OUT / "finetune/tower.safetensors")
    storage.write_json({"device": "cpu", "trained_until": 16810}, OUT / "finetune/history.json")
    (OUT / "rank").mkdir()
    (OUT / "rank/ranker.txt").write_text(Path("tasks/forest.txt").read_text())
    storage.write_json({"features": ["a", "b"], "trained_until": 17496}, OUT / "rank/ranker.json")
""",
    "tasks/evaluate.py": STAGE
    + """
def run(settings):
    weights = storage.read_tensors(OUT / "finetune/tower.safetensors")["weights"]
    value = 0.4 + float(weights[0]) / 1000 + float(weights[3]) / 1e6
    figure = {"ndcg@10": {"value": value, "low": value - 0.01, "high": value + 0.01}}
    better = {"ndcg@10": {"value": 0.2, "low": 0.1, "high": 0.3}}
    metrics = {task: {"nightmarket": figure} for task in ("all", "new", "launch")}
    metrics |= {"num_customers": {"all": 40, "new": 40, "launch": 40}}
    metrics["paired"] = {task: {"popularity": better} for task in ("all", "new", "launch")}
    storage.write_json(metrics, OUT / "evaluate/metrics.json")
    scores = {"customer": np.arange(40, dtype=np.int32), "task": ["all"] * 40, "ndcg@10": np.full(40, value)}
    storage.write_table(pa.table(scores), OUT / "evaluate/per_customer.parquet")
""",
    "tasks/report.py": STAGE + "def run(settings):\n    pass\n",
    "tasks/registry/soundness.py": '''"""The packages of this project have no model in them."""


def check(package, name):
    assert (package / "manifest.json").exists()
''',
    "params.yaml": "rank:\n  seed: 17\n",
    "dvc.yaml": """\
stages:
  validate:
    cmd: python -m tasks validate
    deps: [data/raw, tasks/validate.py]
    outs: [artifacts/validate, artifacts/prepare]
  rank:
    cmd: python -m tasks rank
    deps: [artifacts/prepare, tasks/rank.py, tasks/forest.txt]
    params: [rank]
    outs: [artifacts/finetune, artifacts/rank]
  evaluate:
    cmd: python -m tasks evaluate
    deps: [artifacts/finetune, tasks/evaluate.py]
    outs: [artifacts/evaluate/per_customer.parquet]
    metrics: [artifacts/evaluate/metrics.json]
""",
}


def made(project, *command: str, **env: str) -> str:
    done = project.command(*command, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


TWICE = """
from pathlib import Path

from tasks import register

register.run(register.Settings())
lock = Path("dvc.lock")
lock.write_text(lock.read_text().replace("cmd: python -m tasks evaluate", "cmd: python  -m tasks evaluate"))
register.run(register.Settings())
"""
"""The training is registered, and again as another one, whose lock was never committed."""


@pytest.fixture(scope="session")
def registered(new_project):
    """The project with two versions; the second is champion."""
    rows = np.random.default_rng(1).random((60, 2))
    options = {"objective": "regression", "num_leaves": 3, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1}
    forest = lightgbm.train(options, lightgbm.Dataset(rows, rows[:, 0], feature_name=["a", "b"]), 2).model_to_string()
    overlaid = {**FILES, "tasks/forest.txt": forest, "tasks/register.py": (ROOT / "tasks/register.py").read_text()}
    project = new_project(overlaid)
    raw = project.home / "data/raw"
    raw.mkdir(parents=True)
    (raw / "events.csv").write_text("customer,item\n" + "1,2\n" * 9)
    tables = {"events": {"rows": 9, "sha256": "ab" * 32}}
    snapshot = {
        "as_of": "2018-01-01",
        "source": "folder",
        "fingerprint": "cd" * 32,
        "key_id": "ef" * 4,
        "tables": tables,
    }
    (raw / "snapshot.json").write_text(json.dumps(snapshot))
    made(project, "-m", "dvc", "add", "--quiet", "data/raw")
    made(project, "-m", "dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "a night")
    commit = project.git("rev-parse", "HEAD")
    project.git("update-ref", "refs/runs/night", commit)
    made(project, "-c", TWICE, NIGHTMARKET_COMMIT=commit, NIGHTMARKET_RUN="night")
    project.git("checkout", "--quiet", "dvc.lock")
    made(project, "-m", "dvc", "add", "--quiet", "data/champion")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "the champion")
    return project


@pytest.fixture
def shop(registered, tmp_path):
    """A copy; MLflow keeps absolute paths, so they are moved too."""
    copy = dataclasses.replace(registered, home=tmp_path / "shop")
    shutil.copytree(registered.home, copy.home, symlinks=True)
    with contextlib.closing(sqlite3.connect(copy.home / "mlruns/mlflow.db")) as database, database:
        for table, column in MLFLOW_PATHS:
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (str(registered.home), str(copy.home)))
    return copy


def client(project):
    uri = f"sqlite:///{project.home / 'mlruns/mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def standing(project):
    """What must not change: git, the checkout's files, aliases, versions with their tags."""
    known = client(project)
    champion = project.home / "data/champion"
    return {
        "git": project.git("status", "--porcelain"),
        "refs": project.git("for-each-ref"),
        "worktrees": project.git("worktree", "list"),
        "files": [(project.home / path).read_bytes() for path in ("dvc.lock", "params.yaml", "data/champion.dvc")],
        "champion": {path.name: path.read_bytes() for path in champion.rglob("*") if path.is_file()},
        "aliases": dict(known.get_registered_model("nightmarket").aliases),
        "tags": {
            version.version: {key: value for key, value in version.tags.items() if key != "reproduced"}
            for version in known.search_model_versions("name = 'nightmarket'")
        },
        "private": sorted(path.name for path in (project.home / ".nightmarket").iterdir()),
    }


def tag(project, version: int) -> str:
    return client(project).get_model_version("nightmarket", str(version)).tags["reproduced"]


def test_a_killed_rebuild_leaves_no_wreck_and_the_next_one_is_identical_and_changes_nothing_else(shop, tmp_path):
    (shop.home / ".nightmarket/rebuild.lock").touch()
    before = standing(shop)
    slow = tmp_path / "slow"
    run = shop.start("reproduce", "--version", "1", SLOW=str(slow))
    until(lambda: slow.exists() and slow.read_text())
    stage = int(slow.read_text())
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until(lambda: not alive(stage))
    assert list((shop.home / ".nightmarket/rebuilds").iterdir())
    done = shop.flow("reproduce", "--version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical: 6 outputs, 4 files of the package" in done.stdout
    assert "rank: as on record (2 of 3 stages" in done.stderr
    assert not (shop.home / ".nightmarket/rebuilds").exists()
    assert standing(shop) == before
    assert "identical: 6 outputs" in tag(shop, 1)
    assert "identical: 6 outputs" in made(shop, "-m", "tasks.registry.card", "1")


def test_a_stage_that_computes_something_else_is_named_with_what_differs(shop):
    before = standing(shop)
    done = shop.flow("reproduce", "--version", "1", NOISY="1")
    assert done.returncode == 1
    assert "validate: as on record" in done.stderr
    assert "rank: DIFFERS" in done.stderr
    assert "weights     finetune/tower.safetensors: " in done.stdout
    assert "figure      all.nightmarket.ndcg@10.value: 0.41" in done.stdout
    assert "rank is the first to differ, on the same inputs, code, parameters and environment" in done.stdout
    assert "differs: " in tag(shop, 1)
    now = standing(shop)
    now["private"], before["private"] = [], []
    assert now == before


def test_objects_that_are_damaged_or_gone_are_named_and_come_from_the_remote_where_there_is_one(
    shop, tmp_path, monkeypatch
):
    for key, value in shop.env.items():
        monkeypatch.setenv(key, value)
    made(shop, "-m", "dvc", "remote", "add", "--quiet", "backup", str(tmp_path / "backup"))
    made(shop, "-m", "dvc", "push", "--quiet", "--remote", "backup", "data/raw.dvc")
    cache = shop.home / ".dvc/cache/files/md5"
    [listing] = [json.loads(path.read_text()) for path in cache.glob("*/*.dir") if "events.csv" in path.read_text()]
    md5 = next(entry["md5"] for entry in listing if entry["relpath"] == "events.csv")
    path = cache / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    version = client(shop).get_model_version("nightmarket", "1")
    wanted = (version.tags["commit"], version.tags["lock_hash"])
    with rebuild.rebuild(shop.home, "first", *wanted) as place, pytest.raises(InputError) as caught:
        place.fetch()
    assert str(caught.value).startswith(f"data/raw/events.csv ({md5}) cannot be had: missing or damaged in .dvc/cache")
    assert "no remote is configured" in str(caught.value)
    made(shop, "-m", "dvc", "remote", "default", "--quiet", "backup")
    with rebuild.rebuild(shop.home, "second", *wanted) as place:
        place.fetch()
        assert (place.tree / "data/raw/events.csv").read_text() == (shop.home / "data/raw/events.csv").read_text()
        assert not (place.tree / "artifacts").exists()
    assert not (shop.home / ".nightmarket/rebuilds").exists()
    assert shop.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("commit", "lock_hash", "line"),
    [
        ("0" * 40, "ab", "is not in this repository; where it was made: git fetch THERE 'refs/runs"),
        (None, "ab", "is not the one that this version was registered with"),
    ],
)
def test_a_commit_that_is_not_there_or_not_the_trainings_is_refused(shop, monkeypatch, commit, lock_hash, line):
    for key, value in shop.env.items():
        monkeypatch.setenv(key, value)
    version = client(shop).get_model_version("nightmarket", "1")
    with (
        pytest.raises(InputError, match=line),
        rebuild.rebuild(shop.home, "first", commit or version.tags["commit"], lock_hash),
    ):
        pass
    assert not (shop.home / ".nightmarket/rebuilds").exists()


def until(condition, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_version_promoted_by_hand_delivers_and_a_rollback_brings_the_other_back(shop):
    done = shop.flow("promote", "--version", "1", "--reason", 'steadier, says "sales" $(touch x)', "--who", "Ann")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1 became champion in place of version 2 on the word of Ann: steadier" in done.stdout
    assert holders(shop) == {"champion": 1, "previous_champion": 2}
    assert receipt(shop)["version"] == 1
    assert json.loads(made(shop, "-m", "dvc", "status", "--json", "data/champion.dvc")) == {}
    assert not (shop.home / "x").exists()
    [ref] = [ref for ref in shop.runs() if "promote" in ref]
    assert (shop.home / "data/champion.dvc").read_text().strip() == shop.git("show", f"{ref}:data/champion.dvc")
    back = shop.flow("rollback", "--reason", "a mistake")
    assert back.returncode == 0, back.stdout + back.stderr
    assert holders(shop) == {"champion": 2, "previous_champion": 1}
    assert receipt(shop)["version"] == 2
    lines = [json.loads(line) for line in shop.private("promotions.jsonl").read_text().splitlines()]
    told = [(line["how"], line["version"], line["from"]) for line in lines]
    assert told == [("gate", 1, None), ("gate", 2, 1), ("promote", 1, 2), ("rollback", 2, 1)]


def holders(project):
    aliases = client(project).get_registered_model("nightmarket").aliases
    return {alias: int(version) for alias, version in aliases.items()}


def receipt(project):
    return json.loads((project.home / "data/champion/receipt.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["promote", "--version", "1", "--reason", " "], "--reason: String should have at least 3 characters"),
        (["reproduce", "--version", "0"], "--version: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(registered, arguments, line):
    done = registered.flow(*arguments)
    assert done.returncode != 0
    assert done.stderr.rstrip().splitlines()[-1] == f"nightmarket: {arguments[0]}: {line}"
    assert "Traceback" not in done.stdout + done.stderr
