"""Real MLflow on SQLite, small made-up trainings, and processes that are killed."""

import contextlib
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from nightmarket.contracts import InputError, ModelError
from nightmarket.serving import set_environment
from tasks import register
from tasks.files import manifest
from tasks.registry import card, challenger, champion, promotion
from tasks.registry import versions as ledger_versions
from tests.made_up.run import FEATURES, write_run

set_environment()
import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LIFTS = (0.0, 0.05, 0.1)
MLFLOW_PATHS = (
    "experiments.artifact_location",
    "runs.artifact_uri",
    "logged_models.artifact_location",
    "model_versions.storage_location",
)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """One finished training per lift; they differ by exactly that on `all`."""
    folders = {}
    for lift in LIFTS:
        folders[lift] = tmp_path_factory.mktemp("training")
        write_run(folders[lift], lift=lift)
    return folders


@pytest.fixture(scope="module")
def first_night(trainings, tmp_path_factory):
    """A checkout in which the middling training has been registered: it is champion."""
    folder = tmp_path_factory.mktemp("first_night")
    shutil.copytree(trainings[0.05], folder, dirs_exist_ok=True)
    home, cwd = os.environ.get("NIGHTMARKET_HOME"), Path.cwd()
    os.environ["NIGHTMARKET_HOME"] = str(folder)
    os.chdir(folder)
    try:
        register.run(register.Settings())
    finally:
        os.chdir(cwd)
        os.environ.pop("NIGHTMARKET_HOME") if home is None else os.environ.update(NIGHTMARKET_HOME=home)
    return folder


def move(first_night, folder):
    """A copy of the first night's checkout; MLflow keeps absolute paths, so they are moved too."""
    shutil.copytree(first_night, folder)
    with contextlib.closing(sqlite3.connect(folder / "mlruns/mlflow.db")) as database, database:
        for place in MLFLOW_PATHS:
            table, column = place.split(".")
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (str(first_night), str(folder)))
    return folder


def enter(folder, monkeypatch):
    monkeypatch.setenv("NIGHTMARKET_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def night(first_night, tmp_path, monkeypatch):
    return enter(move(first_night, tmp_path / "night"), monkeypatch)


def client(folder):
    uri = f"sqlite:///{folder / 'mlruns/mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def train(folder, source):
    """Tonight's artifacts are those of another training."""
    shutil.rmtree(folder / "artifacts")
    shutil.copytree(source / "artifacts", folder / "artifacts")
    shutil.copy(source / "dvc.lock", folder / "dvc.lock")


def bytes_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def versions(folder):
    registered = client(folder).search_model_versions("name = 'nightmarket'")
    return {int(version.version): version for version in registered}


def holders(folder):
    aliases = client(folder).get_registered_model("nightmarket").aliases
    return {alias: int(version) for alias, version in aliases.items()}


def test_the_first_model_that_beats_popularity_becomes_champion_with_everything_on_record(night):
    version = versions(night)[1]
    assert version.tags["gate"] == "opened"
    assert "against popularity" in version.tags["reason"]
    assert holders(night) == {"champion": 1}
    run = client(night).get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rank.seed"] == "17"
    metrics = json.loads((night / "artifacts/evaluate/metrics.json").read_text())
    assert run.data.metrics["all.nightmarket.ndcg_at_10"] == metrics["all"]["nightmarket"]["ndcg@10"]["value"]
    assert run.data.metrics["paired.all.popularity.ndcg_at_10.low"] > 0
    assert {
        "commit",
        "lock_hash",
        "validation",
        "constraints_sha256",
        "python",
        "torch",
        "device",
    } <= run.data.tags.keys()
    assert run.data.tags["lock_hash"] == version.tags["lock_hash"]
    inputs = {given.dataset.name: given.dataset for given in run.inputs.dataset_inputs}
    assert json.loads(inputs["events"].profile) == {"num_rows": 80 * 40 + 12}
    assert json.loads(inputs["events"].source)["uri"] == "folder:events"
    plots = {item.path for item in client(night).list_artifacts(version.run_id, "evaluate")}
    assert {"evaluate/ndcg.png", "evaluate/ndcg.csv", "evaluate/metrics.json"} <= plots


def test_the_receipt_and_the_card_say_what_the_model_was_made_from(night, capsys):
    receipt = json.loads((night / "data/champion/receipt.json").read_text())
    assert {"python", "torch", "device", "threads", "cpu", "constraints_sha256", "packages"} == set(
        receipt["environment"]
    )
    assert receipt["environment"]["packages"]["torch"] == receipt["environment"]["torch"]
    assert receipt["data"]["products"]["rows"] == 92
    assert receipt["validation"]["events"] == {"rows": 3212, "kept": 3209, "set_aside": 3}
    assert card.main(["1"]) == 0
    shown = capsys.readouterr().out
    for part in (
        receipt["commit"],
        receipt["lock_hash"],
        receipt["params_sha256"],
        receipt["data"]["events"]["sha256"],
    ):
        assert part in shown
    assert "rank: " in shown
    assert card.main(["--markdown"]) == 0
    assert capsys.readouterr().out == versions(night)[1].description
    assert "the champion; it delivers" in versions(night)[1].description


def test_a_card_of_a_version_that_is_not_there_names_those_that_are(night, capsys):
    assert card.main(["7"]) == 2
    assert capsys.readouterr().err == "nightmarket: card: there is no version 7; there is 1\n"


def test_a_version_of_older_code_has_a_card_and_a_row(night, capsys):
    known = client(night)
    run = versions(night)[1].run_id
    for tag in ("threads", "cpu", "packages", "params_sha256"):
        known.delete_tag(run, tag)
    known.delete_model_version_tag("nightmarket", "1", "delivered")
    for name in ("receipt.json", "validate/report.json"):
        (Path(known.get_run(run).info.artifact_uri.removeprefix("file://")) / name).unlink()
    assert card.main([]) == 0
    assert "Environment\n  Python " in capsys.readouterr().out
    old = {"version": 1, "as_of": "2018-01-01", "gate": "opened", "metric": "ndcg@10 on all", "value": 0.5}
    [row] = ledger_versions.registered([{**old, "against": "popularity", "difference": None}])
    assert row["delivered"] == [{"since": row["registered"], "until": None, "by": "gate"}]
    assert row["figures"]["new"].keys() == {"value", "low", "high"}


def test_the_champion_folder_holds_the_model_its_receipt_and_a_manifest_of_every_file(night):
    folder = night / "data/champion"
    assert {path.name for path in folder.iterdir()} == {
        "rank", "finetune", "receipt.json", "decision.json", "manifest.json", "per_customer.parquet",
    }  # fmt: skip
    for part in ("rank", "finetune"):
        assert bytes_of(folder / part) == bytes_of(night / "artifacts" / part)
    receipt = json.loads((folder / "receipt.json").read_text())
    assert (receipt["version"], receipt["trained_until"], receipt["as_of"]) == (1, 17496, "2018-01-01")
    assert set(manifest.verify(folder)) == bytes_of(folder).keys() - {"manifest.json", "decision.json"}
    assert not list(folder.parent.glob(".champion*"))


def test_the_served_model_needs_no_pickle_and_scores_as_lightgbm_does(night):
    client(night)
    loaded = mlflow.pyfunc.load_model("models:/nightmarket@champion")
    rows = pd.DataFrame(np.random.default_rng(3).random((50, len(FEATURES))), columns=list(FEATURES))
    own = lightgbm.Booster(model_file=str(night / "artifacts/rank/ranker.txt")).predict(rows.to_numpy())
    np.testing.assert_array_equal(loaded.predict(rows), own)
    np.testing.assert_allclose(loaded.predict(rows.astype(np.float32)), own, atol=0.2)
    np.testing.assert_array_equal(loaded.predict(rows[list(reversed(FEATURES))]), own)
    with pytest.raises(Exception, match="popularity"):
        loaded.predict(rows.drop(columns="popularity"))
    with pytest.raises(ValueError, match="first 'popularity'"):
        loaded.unwrap_python_model().predict(None, rows.drop(columns="popularity"))
    files = {path.suffix for path in (night / "mlruns/artifacts/models").rglob("*") if path.is_file()}
    assert files.isdisjoint({".pkl", ".pickle", ".joblib", ".pt", ".bin"})


def test_a_served_model_whose_file_was_changed_is_not_loaded(night):
    client(night)
    ranker = next((night / "mlruns/artifacts/models").rglob("ranker.txt"))
    ranker.write_bytes(ranker.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"rank/ranker.txt .* differs from its checksum"):
        mlflow.pyfunc.load_model("models:/nightmarket@champion")


def test_an_unchanged_night_registers_nothing_and_leaves_every_byte(night, caplog):
    before = bytes_of(night / "data/champion")
    with caplog.at_level("INFO", "nightmarket"):
        register.run(register.Settings())
    assert bytes_of(night / "data/champion") == before
    assert list(versions(night)) == [1]
    assert "nothing new to register: version 1 became champion" in caplog.text


def test_a_worse_challenger_is_registered_refused_and_only_the_decision_changes(night, trainings):
    before = bytes_of(night / "data/champion")
    train(night, trainings[0.0])
    register.run(register.Settings())
    after = bytes_of(night / "data/champion")
    assert before.pop("decision.json") != after.pop("decision.json")
    assert before == after
    refused = versions(night)[2]
    assert refused.tags["gate"] == "refused"
    assert refused.tags["reason"].startswith("all ndcg@10 -.050 [-.050, -.050] against version 1")
    assert holders(night) == {"champion": 1}
    decision = json.loads((night / "data/champion/decision.json").read_text())
    assert (decision["opened"], decision["version"]) == (False, 2)
    assert "refused by the gate; it never delivered" in refused.description
    train(night, trainings[0.05])
    register.run(register.Settings())
    assert sorted(versions(night)) == [1, 2]
    assert json.loads((night / "data/champion/decision.json").read_text())["version"] == 1


def test_a_better_challenger_takes_over_and_the_old_one_keeps_an_alias(night, trainings):
    train(night, trainings[0.1])
    register.run(register.Settings())
    assert holders(night) == {"champion": 2, "previous_champion": 1}
    assert json.loads((night / "data/champion/receipt.json").read_text())["version"] == 2
    assert bytes_of(night / "data/champion/rank") == bytes_of(trainings[0.1] / "artifacts/rank")
    manifest.verify(night / "data/champion")
    assert [change["version"] for change in promotion.changes()] == [1, 2]
    spans = {number: promotion.spans(version) for number, version in versions(night).items()}
    assert spans[1][0]["until"] == spans[2][0]["since"]
    assert spans[2][0]["until"] is None
    assert "the champion before" in versions(night)[1].description


def write_regulars(folder, num=80):
    """Every week until the cut, even customers buy product 3 (BAKERY); odd ones buy something else each week."""
    week = np.arange(2470, 2499)
    bakery = np.arange(num)[:, None] % 2 == 0
    item = np.where(bakery, 3, 4 + (week[None, :] - 2470 + 7 * np.arange(num)[:, None]) % 80)
    table = {"customer": np.repeat(np.arange(num), week.size), "item": item.ravel(), "week": np.tile(week, num)}
    frame = pd.DataFrame(table).astype("int32")
    frame["day"] = (frame["week"] * 7 + 4).astype("int32")
    frame[["quantity", "value", "discount"]] = np.float32([1, 2, 0])
    frame["basket"], frame["channel"] = np.arange(len(frame), dtype=np.int32), np.int32(0)
    frame.to_parquet(folder / "artifacts/prepare/purchases.parquet")
    products = pd.read_parquet(folder / "artifacts/prepare/products.parquet")
    products.loc[3, "department"] = "BAKERY"
    products.to_parquet(folder / "artifacts/prepare/products.parquet")


@pytest.mark.parametrize("forgets", [True, False])
def test_a_better_challenger_that_forgot_the_regulars_of_a_department_is_refused(
    night, trainings, forgets, monkeypatch
):
    train(night, trainings[0.1])
    write_regulars(night)
    path = night / "artifacts/evaluate/per_customer.parquet"
    ours = pd.read_parquet(path)
    everybody = ours["task"] == "all"
    ours.loc[everybody & (ours["customer"] % 2 == 0), "ndcg@10"] -= 0.12 if forgets else 0.0
    ours.loc[everybody & (ours["customer"] % 2 == 1), "ndcg@10"] += 0.12 if forgets else 0.0
    ours.to_parquet(path)
    theirs = pd.read_parquet(night / "data/champion/per_customer.parquet")
    monkeypatch.setattr(challenger.recommender, "window_scores", lambda _: theirs)  # the made-up champion cannot score
    register.run(register.Settings())
    decision = json.loads((night / "data/champion/decision.json").read_text())
    assert decision["opened"] is not forgets
    assert decision["differences"]["all"]["value"] == pytest.approx(0.05)
    kept = decision["groups"]["department BAKERY"]
    assert kept["num_customers"] == 40
    assert kept["value"] == pytest.approx(-0.07 if forgets else 0.05)
    if forgets:
        assert decision["reasons"][0].startswith("best served quarter of the customers, 40 customers who were strong")
        assert decision["reasons"][1].startswith("department BAKERY, 40 customers who were strong before this window")
    version = versions(night)[2]
    metrics = client(night).get_run(version.run_id).data.metrics
    assert metrics["forgetting department BAKERY"] == pytest.approx(kept["value"])
    assert metrics["forgetting department BAKERY.high"] == pytest.approx(kept["high"])


def test_figures_that_are_not_finite_are_refused_and_never_logged(night, trainings):
    train(night, trainings[0.1])
    path = night / "artifacts/evaluate/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["new"]["nightmarket"]["hit@10"]["value"] = float("nan")
    path.write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"metrics\.json is not valid JSON .it holds NaN"):
        register.run(register.Settings())
    metrics["new"]["nightmarket"]["hit@10"]["value"] = None
    path.write_text(json.dumps(metrics))
    register.run(register.Settings())
    version = versions(night)[2]
    assert version.tags["reason"] == "figures of the challenger are missing or not finite: new hit@10"
    assert "new.nightmarket.hit_at_10" not in client(night).get_run(version.run_id).data.metrics
    assert holders(night) == {"champion": 1}


def test_a_champion_from_another_window_is_scored_again_and_one_that_saw_the_targets_is_said_to(
    night, trainings, monkeypatch
):
    train(night, trainings[0.1])
    windows = json.loads((night / "artifacts/prepare/windows.json").read_text())
    windows["test"] = {"cut": 17440, "first_target": 17441, "last_target": 17468}
    (night / "artifacts/prepare/windows.json").write_text(json.dumps(windows))
    asked = []

    def scores(folder):
        asked.append(folder)
        return pd.read_parquet(trainings[0.05] / "artifacts/evaluate/per_customer.parquet")

    monkeypatch.setattr(challenger.recommender, "window_scores", lambda _: scores(champion.storage.CHAMPION))
    register.run(register.Settings())
    assert asked == [Path("data/champion")]
    decision = json.loads((night / "data/champion/decision.json").read_text())
    assert decision["opened"]
    assert "version 1 was trained on days of this window" in decision["reasons"][1]


def test_a_champion_that_this_code_cannot_score_gives_way_only_to_a_model_that_beats_popularity(
    night, trainings, monkeypatch
):
    train(night, trainings[0.0])
    (night / "artifacts/prepare/promotions.parquet").write_bytes(b"other data")

    def fail(_):
        raise ModelError("a feature that is gone")

    monkeypatch.setattr(challenger.recommender, "window_scores", fail)
    register.run(register.Settings())
    decision = json.loads((night / "data/champion/decision.json").read_text())
    assert (decision["opened"], decision["against"]) == (True, "popularity")
    assert "a feature that is gone" in decision["reasons"][1]


def test_a_mistake_of_ours_leads_to_no_easier_rule(night, trainings, monkeypatch):
    train(night, trainings[0.0])
    (night / "artifacts/prepare/promotions.parquet").write_bytes(b"other data")
    before = (night / "data/champion/decision.json").read_bytes()

    def fail(_):
        raise KeyError("item_num")

    monkeypatch.setattr(challenger.recommender, "window_scores", fail)
    with pytest.raises(KeyError, match="item_num"):
        register.run(register.Settings())
    assert (night / "data/champion/decision.json").read_bytes() == before


def test_a_champion_folder_that_is_missing_or_damaged_comes_back_from_the_registry(night):
    before = bytes_of(night / "data/champion")
    shutil.rmtree(night / "data/champion")
    register.run(register.Settings())
    assert bytes_of(night / "data/champion") == before
    (night / "data/champion/rank/ranker.txt").write_text("tree")
    register.run(register.Settings())
    assert bytes_of(night / "data/champion") == before


def test_a_changed_package_is_never_installed(night):
    ranker = next((night / "mlruns/artifacts/models").rglob("ranker.txt"))
    ranker.write_bytes(ranker.read_bytes() + b" ")
    shutil.rmtree(night / "data/champion")
    with pytest.raises(InputError, match="package of version 1 in mlruns/ was changed"):
        register.run(register.Settings())
    assert not (night / "data/champion").exists()


def test_a_damaged_champion_without_a_registry_stops_the_step_and_names_the_file(night):
    shutil.rmtree(night / "mlruns")
    (night / "data/champion/finetune/tower.json").unlink()
    with pytest.raises(InputError, match=r"finetune/tower.json is missing; restore"):
        register.run(register.Settings())


def test_runs_that_died_are_closed(night):
    uri = client(night)
    experiment = uri.get_experiment_by_name("nightmarket").experiment_id
    left = uri.create_run(experiment).info.run_id
    register.run(register.Settings())
    assert client(night).get_run(left).info.status == "KILLED"


def test_without_dvc_lock_the_step_says_what_to_run(night):
    (night / "dvc.lock").unlink()
    with pytest.raises(InputError, match=r"dvc.lock is missing; run the stages"):
        register.run(register.Settings())


PROCESSES = """
import json, os, signal, sys
from tasks import register
from tasks.registry import champion, service
from nightmarket.serving import set_environment
set_environment()
import lightgbm
from nightmarket.serving import figures, package, registry

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def promote_and_die(self, version, promote=registry.Registry.promote):
    promote(self, version)
    die()

def fork(home, folders, moment):
    child = os.fork()
    if child:
        return child
    if moment == "before the decision": service.RegistryService._settle = die
    if moment == "before the folder is complete": os.environ["NIGHTMARKET_FAULT"] = "champion.listed:1:kill"
    if moment == "between alias and folder": registry.Registry.promote = promote_and_die
    if moment == "before the last word": registry.Registry.open_gate = die
    os.environ["NIGHTMARKET_HOME"] = home
    status = 1
    try:
        for folder in folders:
            os.chdir(folder)
            register.run(register.Settings())
        status = 0
    finally:
        os._exit(status)

children = [fork(*job) for job in json.load(sys.stdin)]
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""
"""Processes that register, forked from one that has imported everything; some die at a moment of ours."""


def registrations(jobs):
    """Run registrations at the same time; jobs are (home, folders one after the other, moment of death or None)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    given = json.dumps([[str(home), [str(folder) for folder in folders], moment] for home, folders, moment in jobs])
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES], input=given, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


MOMENTS = {
    "before the decision": 1,
    "before the folder is complete": 1,
    "between alias and folder": 1,
    "before the last word": 2,
}
"""When a registration is killed, and the version that data/champion holds then."""


@pytest.fixture(scope="module")
def killed(first_night, trainings, tmp_path_factory):
    """Checkouts whose registration of a better training was killed, by moment."""
    folders = {}
    for moment in MOMENTS:
        folders[moment] = move(first_night, tmp_path_factory.mktemp("killed") / "night")
        train(folders[moment], trainings[0.1])
    ended = registrations([(folder, [folder], moment) for moment, folder in folders.items()])
    assert ended == [-9, -9, -9, -9]
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_a_whole_champion_and_the_next_registration_finishes(killed, first_night, moment, monkeypatch):
    night = enter(killed[moment], monkeypatch)
    manifest.verify(night / "data/champion")
    assert champion.receipt()["version"] == MOMENTS[moment]
    assert (bytes_of(night / "data/champion") == bytes_of(first_night / "data/champion")) is (MOMENTS[moment] == 1)
    register.run(register.Settings())
    assert champion.receipt()["version"] == 2
    assert holders(night) == {"champion": 2, "previous_champion": 1}
    assert versions(night)[2].tags["gate"] == "opened"
    assert sorted(versions(night)) == [1, 2]
    manifest.verify(night / "data/champion")
    assert not list((night / "data").glob(".champion*"))


@pytest.mark.slow
def test_processes_that_promote_at_the_same_time_never_leave_a_wrong_champion(tmp_path):
    lifts = [[0.01, 0.06], [0.05], [0.07, 0.03], [0.04]]
    home = tmp_path / "home"
    home.mkdir()
    for lift in itertools.chain(*lifts):
        (tmp_path / str(lift)).mkdir()
        write_run(tmp_path / str(lift), lift=lift, num_customers=30)
    assert registrations([(home, [tmp_path / str(lift) for lift in pair], None) for pair in lifts]) == [0, 0, 0, 0]
    registered = versions(home)
    assert sorted(registered) == list(range(1, 7))
    value = {
        number: client(home).get_run(version.run_id).data.metrics["all.nightmarket.ndcg_at_10"]
        for number, version in registered.items()
    }
    opened = [number for number in sorted(registered) if registered[number].tags["gate"] == "opened"]
    best_so_far = [
        number for number in sorted(registered) if value[number] == max(value[n] for n in range(1, number + 1))
    ]
    assert opened == best_so_far
    assert holders(home)["champion"] == opened[-1]
    assert len(opened) == 1 or holders(home)["previous_champion"] == opened[-2]


def as_popular(folder):
    """Tonight's model does as well as popularity, and no better."""
    path = folder / "artifacts/evaluate/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["paired"]["all"]["popularity"]["ndcg@10"] = {"value": 0.0, "low": -0.01, "high": 0.01}
    path.write_text(json.dumps(metrics))


@pytest.mark.slow
def test_what_is_popular_delivers_until_a_version_is_better_than_that_beyond_doubt(trainings, tmp_path, monkeypatch):
    night = tmp_path / "night"
    shutil.copytree(trainings[0.05], night)
    enter(night, monkeypatch)
    as_popular(night)
    register.run(register.Settings())
    receipt = json.loads((night / "data/champion/receipt.json").read_text())
    assert champion.stands_in(receipt)
    assert holders(night) == {"champion": 1}
    train(night, trainings[0.0])
    as_popular(night)
    register.run(register.Settings())
    assert holders(night) == {"champion": 1}
    assert "a first champion must beat popularity" in versions(night)[2].tags["reason"]
    train(night, trainings[0.1])
    register.run(register.Settings())
    assert holders(night)["champion"] == 3
    assert not champion.stands_in(json.loads((night / "data/champion/receipt.json").read_text()))
