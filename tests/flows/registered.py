"""A small project with two registered versions, in real git, DVC and MLflow: what rebuilds and prunes act on."""

import contextlib
import dataclasses
import json
import shutil
import sqlite3
from pathlib import Path

import lightgbm
import numpy as np
import pytest

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
    tasks = np.repeat(["all", "new", "launch"], 40)
    scores = {"customer": np.tile(np.arange(40, dtype=np.int32), 3), "task": tasks, "ndcg@10": np.full(120, value)}
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
def registered(made_once, new_project):
    """The project with two versions; the second is champion. Read it only."""
    home = made_once("registered", lambda folder: register_twice(new_project, folder / "shop")) / "shop"
    return new_project({}, home)


def register_twice(new_project, home: Path) -> None:
    rows = np.random.default_rng(1).random((60, 2))
    options = {"objective": "regression", "num_leaves": 3, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1}
    forest = lightgbm.train(options, lightgbm.Dataset(rows, rows[:, 0], feature_name=["a", "b"]), 2).model_to_string()
    overlaid = {**FILES, "tasks/forest.txt": forest, "tasks/register.py": (ROOT / "tasks/register.py").read_text()}
    project = new_project(overlaid, home)
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
