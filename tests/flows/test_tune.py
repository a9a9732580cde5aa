"""A search on the small project, with a Prefect server, MLflow and Optuna as they are; and its parts alone."""

import contextlib
import json
import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
import yaml

from flows.engine.tuning import space
from flows.engine.tuning.study import Study
from nightmarket.contracts import InputError
from nightmarket.evaluation.protocol import Window, Windows

ROOT = Path(__file__).parents[2]
TEST = Window.after(17503, 28)
WINDOWS = Windows(TEST, (), (), TEST, TEST, 17167, 17531, "2018-01-01", "UTC").content()
BEGINS, EARLIER = "2017-12-04", "2017-11-06"

PREPARE = """
from datetime import date

from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    window_end: date | None = None
"""
RANK = """
import time
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import settings


class Settings(settings.StageSettings):
    num_leaves: int = 31
    rate: float = 0.1


def run(given):
    end = str(settings.load("prepare").window_end)
    if given.num_leaves >= 60:
        raise InputError("too many leaves for 9 rows")
    slow = storage.private("slow")
    if slow.exists():
        slow.write_text("here")
        time.sleep(120)
    quality = 0.4 - ((given.num_leaves - 40) / 100) ** 2 - (given.rate - 0.1) ** 2 + 0.01 * (end < "2017-12")
    Path("artifacts/rank").mkdir(parents=True)
    Path("artifacts/rank/model.txt").write_text(str(quality))
"""
EVALUATE = """
from pathlib import Path

from tasks.files import storage
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    pass


def run(settings):
    value = float(Path("artifacts/rank/model.txt").read_text())
    ours = {"ndcg@10": {"value": value, "low": value - 0.01, "high": value + 0.01}}
    storage.write_json({"all": {"nightmarket": ours}}, Path("artifacts/evaluate/metrics.json"))
"""
DVC = {
    "rank": {"deps": ["data/raw", "tasks/rank.py"], "params": ["prepare", "rank"], "outs": ["artifacts/rank"]},
    "evaluate": {"deps": ["artifacts/rank", "tasks/evaluate.py"], "metrics": ["artifacts/evaluate/metrics.json"]},
    "report": {"deps": ["artifacts/rank"], "outs": ["artifacts/report"], "meta": {"phase": "deliver"}},
}


@pytest.fixture
def shop(project):
    """The project with stages whose quality has a best place: 40 leaves, rate .1."""
    for name, text in {"prepare": PREPARE, "rank": RANK, "evaluate": EVALUATE}.items():
        (project.home / f"tasks/{name}.py").write_text(text)
    stages = {name: {"cmd": f"python -m tasks {name}", **entry} for name, entry in DVC.items()}
    (project.home / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    params = {"prepare": {"window_end": None}, "evaluate": {}, "rank": {"num_leaves": 20, "rate": 0.1}}
    (project.home / "params.yaml").write_text(yaml.safe_dump(params))
    (project.home / "artifacts/prepare").mkdir()
    (project.home / "artifacts/prepare/windows.json").write_text(json.dumps(WINDOWS))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "stages with a best place")
    shutil.rmtree(project.home / "mlruns", ignore_errors=True)
    return project


def search(shop, *more):
    ranges = ["--space", "rank.num_leaves=[10, 70]", "--space", "rank.rate={low: 0.01, high: 1, log: true}"]
    return ["tune", *ranges, "--name", "leaves", *more]


def runs(shop):
    """MLflow's runs of the search: parent, and trials in order, with their figures."""
    with contextlib.closing(sqlite3.connect(shop.home / "mlruns/mlflow.db")) as database:
        by_key = {}
        for key, name, status in database.execute("select run_uuid, name, status from runs order by start_time"):
            tags = dict(database.execute("select key, value from tags where run_uuid = ?", (key,)))
            params = dict(database.execute("select key, value from params where run_uuid = ?", (key,)))
            metrics = dict(database.execute("select key, value from metrics where run_uuid = ?", (key,)))
            by_key[key] = {"name": name, "status": status, "tags": tags, "params": params, "metrics": metrics}
    parents = [key for key, run in by_key.items() if "mlflow.parentRunId" not in run["tags"]]
    assert len(parents) == 1
    trials = [run for key, run in by_key.items() if run["tags"].get("mlflow.parentRunId") == parents[0]]
    return by_key[parents[0]], trials


def left_alone(shop):
    names = ("params.yaml", "dvc.lock", "data/raw.dvc", "data/champion.dvc", "data/champion/receipt.json")
    return {name: (shop.home / name).read_bytes() for name in names}


def test_a_search_finds_better_values_on_earlier_windows_keeps_each_trial_and_changes_nothing(shop):
    text = (shop.home / "params.yaml").read_text()
    (shop.home / "params.yaml").write_text(text.replace("num_leaves: 20", "num_leaves: 65"))  # the first trial fails
    before, kept = left_alone(shop), len(shop.runs())
    done = shop.flow(*search(shop, "--trials", "2", "--seed", "34"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_alone(shop) == before
    assert len(shop.runs()) == kept + 2  # the windows of the trial that finished
    parent, (first, second) = runs(shop)
    assert (parent["name"], parent["status"]) == ("leaves", "FINISHED")
    assert first["params"] == {"rank.num_leaves": "65", "rank.rate": "0.1"}  # params.yaml as it is
    assert (first["status"], first["tags"]["state"]) == ("FAILED", "FAILED")
    assert first["tags"]["why"] == f"{BEGINS}: rank: too many leaves for 9 rows"
    assert (second["status"], second["tags"]["state"]) == ("FINISHED", "FINISHED")
    leaves, rate = second["params"]["rank.num_leaves"], second["params"]["rank.rate"]
    quality = 0.4 - ((int(leaves) - 40) / 100) ** 2 - (float(rate) - 0.1) ** 2
    assert second["metrics"][f"window {BEGINS}"] == pytest.approx(quality)
    assert second["metrics"][f"window {EARLIER}"] == pytest.approx(quality + 0.01)
    assert second["metrics"]["mean"] == parent["metrics"]["mean"] == pytest.approx(quality + 0.005)
    for window in (BEGINS, EARLIER):
        kept_params = yaml.safe_load(shop.git("show", f"{second['tags'][f'commit {window}']}:params.yaml"))
        assert kept_params["prepare"]["window_end"] == window
        assert kept_params["rank"] == {"num_leaves": int(leaves), "rate": float(rate)}
    assert f"--set rank.num_leaves={leaves} --set rank.rate={rate}" in done.stdout
    assert yaml.safe_load(done.stdout.partition("flatters itself):\n")[2].rpartition("tune done")[0]) == {
        "rank": {"num_leaves": int(leaves), "rate": float(rate)}
    }
    assert re.findall(r"trial (\d) of 2: rank.num_leaves \d+, rank.rate [\d.]+: (\w+)", done.stderr) == [
        ("1", "failed"), ("2", "all"),
    ]  # fmt: skip


def test_a_search_that_was_killed_goes_on_with_the_trial_that_was_under_way(shop):
    slow, command = shop.private("slow"), search(shop, "--trials", "1", "--windows", EARLIER)
    slow.touch()
    run = shop.start(*command)
    deadline = time.monotonic() + 120
    while slow.read_text() != "here":
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.kill()
    run.communicate()
    slow.unlink()
    done = shop.flow(*command)
    assert done.returncode == 0, done.stderr
    parent, trials = runs(shop)
    assert parent["status"] == "FINISHED"
    assert [trial["status"] for trial in trials] == ["KILLED", "FINISHED"]
    assert trials[0]["params"] == trials[1]["params"] == {"rank.num_leaves": "20", "rank.rate": "0.1"}
    assert "adopt    nothing: no trial was better" in done.stdout
    other = shop.flow(*command, "--seed", "18")
    assert other.returncode == 1
    assert "the search 'leaves' has another space, metric, seed" in other.stderr.splitlines()[-1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The real stages and parameters, and the windows of a night."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "artifacts/prepare").mkdir(parents=True)
    (tmp_path / "artifacts/prepare/windows.json").write_text(json.dumps(WINDOWS))
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    return tmp_path


def planned(home, what=None, metric="all ndcg@10", windows=(), seed=17):
    return space.plan(home, what or {"rank.num_leaves": [15, 127]}, metric, windows, seed)


def test_trials_are_judged_on_the_two_windows_before_the_test_window_unless_others_are_named(home):
    assert planned(home).windows == (BEGINS, EARLIER)
    assert planned(home, windows=["2017-09-11"]).windows == ("2017-09-11",)


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (["2017-12-11"], "2017-12-11 reaches into the test window, which begins on 2017-12-04"),
        (["2018-01-01"], "reaches into the test window"),
        (["2017-11-07"], "2017-11-07 is not a Monday"),
        ([EARLIER, EARLIER], "one is named twice"),
        (["soon"], "soon is not a date"),
    ],
)
def test_the_test_window_and_wrong_dates_are_refused(home, windows, said):
    with pytest.raises(InputError, match=said):
        planned(home, windows=windows)


def test_without_a_night_the_test_window_is_unknown_and_nothing_is_searched(home):
    (home / "artifacts/prepare/windows.json").unlink()
    with pytest.raises(InputError, match="run nightly first"):
        planned(home)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"rank.num_leave": [15, 127]}, "rank.num_leave: unknown key; did you mean num_leaves?"),
        ({"rnk.num_leaves": [15, 127]}, "unknown section 'rnk'"),
        ({"rank.num_leaves": [0, 127]}, "rank.num_leaves: must be at least 2; found 0"),
        ({"rank.num_leaves": [1.5, 127]}, "rank.num_leaves"),
        ({"rank.num_leaves": [127, 15]}, "low must be below high"),
        ({"rank.num_leaves": [15, 63, 127]}, "must be two numbers"),
        ({"rank.num_leaves": {"low": 15}}, "must be two numbers"),
        ({"rank.num_leaves": {"choices": [15]}}, "two or more"),
        ({"rank.objective": {"choices": ["binary", "ternary"]}}, "rank.objective"),
        ({"rank.learning_rate": {"low": 0.0, "high": 1, "log": True}}, "log needs low above 0"),
        ({"rank.learning_rate": [0.1, "fast"]}, "must be numbers"),
        ({"rank.learning_rate": [0.1, float("inf")]}, "must be numbers"),
        ({"prepare.target_days": [14, 28]}, "must be the same for all"),
        ({"evaluate.num_resamples": [100, 200]}, "must be the same for all"),
        ({"score.num_recommendations": [10, 20]}, "evaluate does not depend on score"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_before_the_first_trial(home, what, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        planned(home, what)
    assert "\n" not in str(error.value)


def test_the_default_space_names_keys_that_there_are(home):
    from flows.tune import DEFAULT_SPACE

    plan = planned(home, DEFAULT_SPACE)
    assert {dimension.key for dimension in plan.space} == set(DEFAULT_SPACE)
    assert all(plan.baseline[dimension.key] is not None for dimension in plan.space)


def test_what_is_judged_belongs_to_the_plan_and_what_delivers_does_not(home):
    first = planned(home)
    content = yaml.safe_load((home / "params.yaml").read_text())

    def digest(section, key, value):
        changed = {**content, section: {**(content[section] or {}), key: value}}
        (home / "params.yaml").write_text(yaml.safe_dump(changed))
        return planned(home).digest

    assert digest("score", "num_recommendations", 7) == first.digest
    assert digest("rank", "num_leaves", 77) == first.digest  # searched itself
    assert digest("rank", "seed", 99) != first.digest
    assert planned(home, seed=18).digest != first.digest
    assert planned(home, metric="new ndcg@10").digest != first.digest


def drawn(folder, plan, judge, num):
    """Trials of a study whose two windows give judge(values, window)."""
    study = Study(folder, "s", plan)
    for _ in range(num):
        with study.trial() as trial:
            for window in range(2):
                trial.report(judge(trial.values, window))
                if window == 0 and trial.hopeless():
                    trial.prune()
                    break
            else:
                trial.finish()
    return study.ended()


def test_one_seed_draws_one_sequence_and_another_seed_another(home, tmp_path):
    def judge(values, window):
        return -abs(values["rank.num_leaves"] - 100) / 100

    def values(name, seed):
        return [trial.values for trial in drawn(tmp_path / name, planned(home, seed=seed), judge, 12)]

    assert values("a", 3) == values("b", 3)
    assert values("a2", 3)[1:] != values("c", 4)[1:]


def test_a_trial_below_the_median_of_the_first_window_is_given_up(home, tmp_path):
    quality = iter([0.5, 0.5, 0.5, 0.5, 0.4, 0.6])
    now = {}

    def judge(values, window):
        if window == 0:
            now["quality"] = next(quality)
        return now["quality"] + window

    ended = drawn(tmp_path / "a", planned(home), judge, 6)
    assert [trial.state for trial in ended] == ["COMPLETE"] * 4 + ["PRUNED", "COMPLETE"]
    assert ended[4].figures == (0.4,)
    assert ended[5].mean == pytest.approx(1.1)


def test_a_baseline_outside_the_space_is_not_tried(home, tmp_path):
    ended = drawn(tmp_path / "a", planned(home, {"rank.num_leaves": [900, 1000]}), lambda *_: 0.1, 1)
    assert not ended[0].is_baseline
    assert ended[0].values["rank.num_leaves"] >= 900
