"""A whole night of a small made-up shop, run once: every stage on the files of the one before."""

import shutil
from pathlib import Path

import pytest
import yaml

from nightmarket.testing.shop import write_shop
from tasks.__main__ import main

STAGES = ("snapshot", "validate", "prepare", "pretrain", "embed", "finetune", "rank", "respond", "reviews", "segment")
STAGES += ("demand", "care", "evaluate")
PARAMS = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "validate": {},
    "prepare": {"target_days": 21},
    "pretrain": {},
    "embed": {},
    "finetune": {"max_steps": 6, "validate_every": 3, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"use_text": True, "num_trees": 12, "launch_trees": 6, "num_leaves": 7},
    "respond": {"num_resamples": 200},
    "reviews": {},
    "segment": {},
    "demand": {},
    "care": {},
    "evaluate": {"num_resamples": 200},
    "register": {},
    "score": {"num_recommendations": 5},
    "plan": {"budget": 30.0, "margin": 0.5, "channels": {"email": {"cost": 0.01, "capacity": 4}}},
    "drift": {},
    "report": {},
}


def run(stage: str) -> None:
    """A stage in the current folder; it must end well."""
    assert main(stage) == 0, f"{stage} failed"


@pytest.fixture(scope="session")
def whole_night(made_once) -> Path:
    """The folder of the run: data/raw and artifacts up to `evaluate`. Read it; `copied_night` is for writing."""
    return made_once("night", a_night)


def a_night(folder: Path) -> None:
    write_shop(folder / "tables", num_customers=80, num_products=150, num_weeks=30, seed=11)
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        for stage in STAGES:
            run(stage)


@pytest.fixture
def copied_night(whole_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the whole night as the current folder."""
    folder = tmp_path / "night"
    shutil.copytree(whole_night, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for an export, and an empty checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    place = tmp_path / "export"
    place.mkdir()
    return place
