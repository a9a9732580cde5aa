"""After the night: one message to a webhook, a diary that survives kills, a retrain that is asked for once a day."""

import dataclasses
import json

import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.reporting import alerts, diary
from flows.engine.reporting.outcome import RunOutcome
from tasks.files import catalogue

STAGE = """
from pathlib import Path

from tasks.files import storage
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    retrain: str = "recommend"


def run(settings):
    storage.write_json(storage.read_json(storage.private("verdict.json")), Path("artifacts/drift/drift.json"))
"""
DAG = """
  drift:
    cmd: python -m tasks drift
    deps: [artifacts/rank, data/champion, tasks/drift.py]
    params: [drift]
    outs: [artifacts/drift]
    meta: {phase: deliver}
"""


def column(kind="number", name="value", words="value: 3.1 on average before, 310 now", table="events", drifted=True):
    return {"kind": kind, "name": name, "words": words, "table": table, "drifted": drifted, "score": 9.0}


def verdict(*columns, as_of="2020-03-02", silent=0):
    fresh = {"last_events": "2020-02-28", "last_full_day": "2020-03-01", "silent_days": silent}
    return {"as_of": as_of, "tested": True, "score": 9.0, "limit": 4.0, "columns": list(columns), "fresh": fresh}


@pytest.fixture
def drifting(project):
    """The project with a stage `drift` that says what the test wants, one drifted night on record, and a deployment
    `retrain` on the real server that nobody works for."""
    (project.home / "tasks/drift.py").write_text(STAGE)
    with (project.home / "dvc.yaml").open("a") as file:
        file.write(DAG)
    params = yaml.safe_load((project.home / "params.yaml").read_text()) | {"drift": {"retrain": "start"}}
    (project.home / "params.yaml").write_text(yaml.safe_dump(params))
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "drift")
    project.private("verdict.json").write_text(
        json.dumps(
            verdict(column(), column("volume", "rows", "rows: 40 on Sunday 1 March, where 400 are usual"), silent=2)
        )
    )
    diary.add(project.home, {"night": "2020-03-01", "champion": 1, "drifted": True, "tested": True})
    return project


@pytest.fixture
def deployment(project):
    @flow(name="retrain")
    def retrain():
        pass

    with temporary_settings({PREFECT_API_URL: project.api}), get_client(sync_client=True) as client:
        made = client.create_deployment(flow_id=client.create_flow(retrain), name="retrain")
        yield lambda: [run for run in client.read_flow_runs() if run.deployment_id == made]
        client.delete_deployment(made)


def test_a_night_with_drift_is_told_once_and_starts_one_retrain(drifting, deployment, webhook):
    url = f"http://127.0.0.1:{webhook.server_port}/secret-token"
    first = drifting.flow("deliver", NIGHTMARKET_WEBHOOK_URL=url)
    assert first.returncode == 0, first.stderr
    [posted] = webhook.got
    assert [alert["kind"] for alert in posted["alerts"]] == ["freshness", "volume", "drift", "retrain"]
    assert "value: 3.1 on average before, 310 now [events]" in posted["text"]
    assert "no events since 2020-02-28" in posted["text"]
    assert posted["text"].endswith("Serving: champion version 1, of 2020-03-01; tonight is published.")
    assert "2 of the last 5 nights drifted (2020-03-01, 2020-03-02); a retrain is started" in posted["text"]
    assert "secret-token" not in first.stdout + first.stderr
    [asked] = deployment()
    assert asked.state.is_scheduled() or asked.state.is_pending()
    assert "drift" in asked.tags
    [retrain] = [row for row in diary.rows(drifting.home) if row.get("event") == "retrain"]
    assert retrain["flow_run"] == str(asked.id)
    assert retrain["nights"] == ["2020-03-01", "2020-03-02"]

    again = drifting.flow("deliver", NIGHTMARKET_WEBHOOK_URL=url)
    assert again.returncode == 0, again.stderr
    assert len(webhook.got) == 1  # the same night, the same news
    assert len(deployment()) == 1
    assert [row["night"] for row in diary.nights(drifting.home)] == ["2020-03-01", "2020-03-02"]
    assert "a retrain was started at" in again.stderr


def test_a_night_without_news_posts_nothing_and_a_dead_webhook_does_not_end_it(drifting):
    drifting.private("verdict.json").write_text(json.dumps(verdict(column(drifted=False))))
    done = drifting.flow("deliver", NIGHTMARKET_WEBHOOK_URL="http://127.0.0.1:9/secret-token")
    assert done.returncode == 0, done.stderr
    assert "did not take the message" not in done.stderr
    assert diary.nights(drifting.home)[-1]["alerts"] == []
    drifting.private("verdict.json").write_text(json.dumps(verdict(column(), as_of="2020-03-04")))
    done = drifting.flow("deliver", "--force", "drift", NIGHTMARKET_WEBHOOK_URL="http://127.0.0.1:9/secret-token")
    assert done.returncode == 0, done.stderr
    assert "did not take the message" in done.stderr
    assert "secret-token" not in done.stderr
    assert "could not be started" in done.stderr  # nobody deployed `retrain`


OUTCOME = RunOutcome("deliver-1", "abc", True, None, "version 1, of 2020-03-01", "", (), {})
QUALITY = {"task": "all", "value": 0.31, "low": 0.30, "high": 0.32}


def told(tmp_path, outcome=OUTCOME, before=(), **row):
    pressing = alerts.pressing(tmp_path, outcome, before, {"night": "2020-03-02", "quality": None} | row)
    return {alert["kind"]: alert["what"] for alert in pressing}


def test_what_is_heard_of_without_a_drift_stage(tmp_path):
    assert told(tmp_path) == {}
    kept = dataclasses.replace(OUTCOME, published=False)
    assert list(told(tmp_path, kept)) == ["nothing published"]


def test_quality_has_fallen_when_the_whole_interval_lies_below_the_night_before(tmp_path):
    before = [{"night": "2020-03-01", "quality": {"task": "all", "value": 0.4, "low": 0.39, "high": 0.41}}]
    assert told(tmp_path, before=before, quality=QUALITY) == {"quality": "all NDCG@10 0.310, below 0.400 of 2020-03-01"}
    before[0]["quality"]["low"] = 0.315
    assert told(tmp_path, before=before, quality=QUALITY) == {}
    before[0]["night"] = "2020-03-02"  # an earlier run of tonight is not the night before
    before[0]["quality"]["low"] = 0.39
    assert told(tmp_path, before=before, quality=QUALITY) == {}


def test_quality_has_fallen_when_tonights_model_lies_below_the_champion(tmp_path):
    (tmp_path / "data/champion").mkdir(parents=True)
    decision = {"as_of": "2020-03-02", "kind": "champion", "differences": {"all": {"value": -0.02, "high": -0.01}}}
    (tmp_path / "data/champion/decision.json").write_text(json.dumps(decision))
    assert "0.020 NDCG@10 below the champion" in told(tmp_path, quality=QUALITY)["quality"]
    decision["as_of"] = "2020-03-01"  # of another night
    (tmp_path / "data/champion/decision.json").write_text(json.dumps(decision))
    assert told(tmp_path, quality=QUALITY) == {}


def test_half_a_line_of_a_killed_run_costs_no_other(tmp_path):
    diary.add(tmp_path, {"night": "2020-03-01"})
    with diary.path(tmp_path).open("a") as file:
        file.write('{"night": "2020-0')
    diary.add(tmp_path, {"night": "2020-03-03"})
    diary.add(tmp_path, {"night": "2020-03-02", "run": "first"})
    diary.add(tmp_path, {"night": "2020-03-02", "run": "second"})
    assert [(row["night"], row.get("run")) for row in diary.nights(tmp_path)] == [
        ("2020-03-01", None),
        ("2020-03-02", "second"),
        ("2020-03-03", None),
    ]
    assert diary.path(tmp_path).stat().st_mode & 0o777 == 0o600


def row(night, drifted=True, champion=1):
    return {"night": f"2020-03-{night:02}", "drifted": drifted, "champion": champion}


@pytest.mark.parametrize(
    ("rows", "due"),
    [
        ([row(1)], []),
        ([row(1), row(2)], ["2020-03-01", "2020-03-02"]),
        ([row(1), *(row(night, False) for night in range(2, 6)), row(6)], []),  # one of the last five
        ([row(1), row(2), row(3, champion=2)], []),  # a new champion, who drifted once
        ([row(1), row(2), row(3, False)], ["2020-03-01", "2020-03-02"]),
        ([], []),
    ],
)
def test_a_retrain_is_due_after_two_of_five_nights_of_one_champion(rows, due):
    assert diary.retrain_due(rows) == due


def test_an_experiment_that_can_be_decided_is_told_of_once(tmp_path):
    verdicts = {"spring": "ship", "autumn": "continue", "winter": "blocked"}
    experiments = [{"name": name, "verdict": {"word": word, "reason": "r"}} for name, word in verdicts.items()]
    catalogue.READOUT.at(tmp_path).write({"experiments": experiments})
    rows = alerts._experiments(tmp_path, [])
    assert [row["what"] for row in rows] == ["spring: ship (r)", "winter: blocked (r)"]
    before = [{"night": "2020-03-01", "alerts": ["experiment: spring: ship (other figures)"]}]
    assert [row["what"] for row in alerts._experiments(tmp_path, before)] == ["winter: blocked (r)"]
