import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.server import server


def until(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def in_slow_stage(project, number: int = 2) -> list[int]:
    """Wait until the stage and the child that it put into a session of its own run; their process ids."""
    slow = project.private("slow")
    until(lambda: slow.read_text().count("\n") == number)
    return [int(line) for line in slow.read_text().split()]


def asked(project, question):
    with temporary_settings({PREFECT_API_URL: project.api}), get_client(sync_client=True) as client:
        return question(client)


def dvc(project, *arguments):
    done = project.command("-m", "dvc", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_the_first_night_ends_with_a_report_a_champion_and_a_clean_dvc(finished_project):
    project, done = finished_project
    for line in ("all      ndcg@10 0.3100 [0.3000, 0.3200]", "gate     gate opened", "champion version 1"):
        assert line in done.stdout
    assert re.search(r"time     snapshot \d+\.\d s  validate \d+\.\d s  rank ", done.stdout)
    assert re.search(r"report   /\S+/first/shop/artifacts/report/index.html$", done.stdout, re.M)  # where it was made
    assert (project.home / "artifacts/report/index.html").read_text().startswith("<p>champion 1 leaves 31")
    assert json.loads(dvc(project, "status", "--json")) == {}
    assert "up to date" in dvc(project, "repro")
    assert project.git("worktree", "list").count("\n") == 0
    [ref] = project.runs()
    assert "all ndcg@10 0.3100 [0.3000, 0.3200]" in project.git("log", "-1", "--format=%B", ref)
    receipt = json.loads((project.home / "data/champion/receipt.json").read_text())
    assert project.git("merge-base", receipt["commit"], ref) == receipt["commit"]


def test_a_server_of_its_own_keeps_every_task_record_and_is_gone_afterwards(finished_project):
    project, done = finished_project
    address = re.search(r"http://(127\.0\.0\.1):(\d+)/runs", done.stderr)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address[1], int(address[2])), timeout=5)
    database = sqlite3.connect(project.home / ".prefect/prefect.db")
    task_runs = database.execute("select name, state_name from task_run order by start_time").fetchall()
    database.close()
    names = ["snapshot", "validate", "rank", "evaluate", "register", "report"]
    assert task_runs == [(name, "Completed") for name in names]


def test_a_companys_proxy_is_not_asked_for_our_own_server(project, prefect_tables):
    nobody = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), nobody)
    prefect_tables(project.home)
    done = project.flow("nightly", PREFECT_API_URL="", NO_PROXY="shop.example", no_proxy="", **proxies)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_reached_without_a_proxy_grows_by_this_machine_alone(monkeypatch):
    for given, kept in (
        ({}, []),
        ({"no_proxy": "shop.example, localhost"}, ["shop.example"]),
        ({"NO_PROXY": "*"}, "*"),
    ):
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, given.get(name, ""))
        server.past_proxies()
        server.past_proxies()
        for name in ("NO_PROXY", "no_proxy"):
            hosts = os.environ[name].split(",")
            if kept == "*":
                assert hosts == [given.get(name, "")]
            else:
                assert sorted(hosts) == sorted([*kept, "127.0.0.1", "localhost"])


def test_a_run_is_a_commit_from_which_a_second_clone_rebuilds_the_same_lock(project, tmp_path):
    [ref] = project.runs()
    clone = tmp_path / "second"
    recorded = project.checked_out(ref, clone)
    project.rebuild(clone)
    assert (clone / "dvc.lock").read_bytes() == recorded


def test_an_unchanged_night_starts_no_stage_and_shows_each_as_skipped(project):
    done = project.flow("nightly")
    assert done.returncode == 0, done.stderr
    assert project.started() == ["snapshot"]
    assert len(project.runs()) == 2

    def newest(client):
        [run] = client.read_flow_runs(limit=1, sort=filters_sort())
        only = filters.FlowRunFilter(id=filters.FlowRunFilterId(any_=[run.id]))
        states = {task.name: task.state_name for task in client.read_task_runs(flow_run_filter=only)}
        artifacts = client.read_artifacts(
            artifact_filter=filters.ArtifactFilter(flow_run_id=filters.ArtifactFilterFlowRunId(any_=[run.id]))
        )
        return states, {artifact.key: artifact.data for artifact in artifacts}

    states, artifacts = asked(project, newest)
    assert states == dict.fromkeys(("snapshot", "validate", "rank", "evaluate", "register", "report"), "Skipped")
    assert {"task": "all", "model": "nightmarket", "value": 0.31, "low": 0.3, "high": 0.32} in table(
        artifacts["metrics"]
    )
    assert "artifacts/report/index.html" in artifacts["report"]


def filters_sort():
    from prefect.client.schemas.sorting import FlowRunSort

    return FlowRunSort.EXPECTED_START_TIME_DESC


def table(data):
    return json.loads(data) if isinstance(data, str) else data


def test_a_run_with_an_override_is_kept_but_reaches_neither_the_checkout_nor_the_next_night(project):
    before = (project.home / "dvc.lock").read_bytes(), (project.home / "params.yaml").read_bytes()
    done = project.flow("nightly", "--set", "rank.num_leaves=40")
    assert done.returncode == 0, done.stderr
    assert "ndcg@10 0.4000" in done.stdout
    assert project.started() == ["snapshot", "rank", "evaluate", "report"]
    assert (before) == ((project.home / "dvc.lock").read_bytes(), (project.home / "params.yaml").read_bytes())
    kept = yaml.safe_load(project.git("show", f"{project.runs()[-1]}:params.yaml"))
    assert kept["rank"] == {"num_leaves": 40}
    assert project.flow("nightly").returncode == 0
    assert project.started() == ["snapshot"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--set", "rank.num_leaves=many"], "override: rank.num_leaves: expected a whole number; found many"),
        (["--business-date", "yesterday"], "--business-date yesterday: expected a date as YYYY-MM-DD"),
    ],
)
def test_a_wrong_parameter_ends_the_run_with_one_line(project, arguments, line):
    done = project.flow("nightly", *arguments)
    assert done.returncode != 0
    assert [text for text in done.stderr.splitlines() if text.startswith("nightmarket: ")][-1].startswith(
        f"nightmarket: nightly: {line}"
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert project.started() == []
    assert len(project.runs()) == 1


def test_a_broken_table_ends_the_night_with_its_own_line_and_leaves_the_champion(project, webhook):
    (project.home / "source.csv").write_text("broken")
    before = (project.home / "data/champion.dvc").read_bytes(), (project.home / "dvc.lock").read_bytes()
    url = f"http://127.0.0.1:{webhook.server_port}/secret-token"
    done = project.flow("nightly", NIGHTMARKET_WEBHOOK_URL=url)
    line = "validate: orders.price: 3 of 9 values are missing, first in row 4"
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-1] == f"nightmarket: nightly: {line}"
    assert "Traceback" not in done.stdout + done.stderr
    assert "secret-token" not in done.stdout + done.stderr
    assert project.started() == ["snapshot", "validate"]  # once: the same input would fail again
    assert before == ((project.home / "data/champion.dvc").read_bytes(), (project.home / "dvc.lock").read_bytes())
    assert len(project.runs()) == 1
    [posted] = webhook.got
    assert posted["message"] == line
    assert posted["champion"] == "version 1, of 2020-03-01"
    assert line in posted["text"]


def test_a_failure_that_lasts_ends_the_night_with_the_stages_last_line(project):
    edit(project.home / "tasks/rank.py", 'told("rank")', 'told("rank"); raise MemoryError("no room for 9 rows")')
    done = project.flow("nightly")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("rank failed (exit code 1): MemoryError: no room for 9 rows")
    assert "stage_task" not in done.stderr  # the stage's own traceback is in the log, ours is not
    assert project.started() == ["snapshot", "rank", "rank"]


def test_a_stage_past_its_time_limit_is_ended_and_says_so(project):
    edit(project.home / "dvc.yaml", "pool: gpu, timeout_s: 60, retries: 1", "pool: gpu, timeout_s: 3, retries: 0")
    project.private("slow").touch()
    done = project.flow("nightly", "--force", "rank")
    assert "rank ran past its limit of 3 s and was ended" in done.stderr.splitlines()[-1]
    assert not any(alive(pid) for pid in in_slow_stage(project))


def test_two_runs_never_overlap_and_a_run_killed_with_sigkill_takes_its_stage_along(project):
    project.private("slow").touch()
    first = project.start("nightly", "--force", "rank")
    stage = in_slow_stage(project)
    second = project.flow("deliver", "--wait-minutes", "0")
    assert second.returncode == 1
    assert f"run nightly-{time.strftime('%Y')}" in second.stderr.splitlines()[-1]
    assert f"process {first.pid} on" in second.stderr.splitlines()[-1]
    first.kill()
    until(lambda: not any(alive(pid) for pid in stage))
    project.private("slow").unlink()
    rwlock = project.home / ".dvc/tmp/rwlock"
    rwlock.write_text("")
    third = project.flow("nightly", "--force", "rank")
    assert third.returncode == 0, third.stderr
    assert "died without finishing" in third.stderr
    crashed = asked(project, lambda client: [run.state_name for run in client.read_flow_runs(limit=200)])
    assert "Running" not in crashed
    assert "Crashed" in crashed
    assert project.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_run_takes_its_stage_along_and_says_so_in_one_line(project, number):
    project.private("slow").touch()
    run = project.start("nightly", "--force", "rank")
    stage = in_slow_stage(project)
    run.send_signal(number)
    said = run.communicate(timeout=90)[0]
    assert run.returncode != 0
    assert not any(alive(pid) for pid in stage)
    assert said.rstrip().splitlines()[-1].startswith("nightmarket: nightly: stopped")
    assert "Traceback" not in said


def test_a_stopped_run_sends_its_last_lines_before_its_own_server_goes(project, prefect_tables):
    project.private("slow").touch()
    prefect_tables(project.home)
    run = project.start("nightly", "--force", "rank", PREFECT_API_URL="")
    in_slow_stage(project)
    run.terminate()
    said = run.communicate(timeout=90)[0]
    assert said.rstrip().splitlines()[-1].startswith("nightmarket: nightly: stopped")
    assert "Error logging to API" not in said


def test_without_a_champion_delivery_says_what_the_gate_said(project):
    shutil.rmtree(project.home / "data/champion")
    (project.home / "data/champion.dvc").unlink()
    project.private("closed").touch()
    project.private("registered.json").unlink()
    done = project.flow("nightly")
    assert done.returncode == 1
    assert (
        "there is no champion to deliver from (the gate said: gate closed: popularity" in done.stderr.splitlines()[-1]
    )


def test_retrain_and_deliver_do_their_own_phase_and_an_uncommitted_parameter_runs_what_depends_on_it(project):
    edit(project.home / "params.yaml", "31", "33")
    assert project.flow("retrain").returncode == 0
    assert project.started() == ["rank", "evaluate", "register"]
    assert project.flow("deliver").returncode == 0
    assert project.started() == ["report"]
    assert "leaves 33" in (project.home / "artifacts/report/index.html").read_text()
    assert json.loads(dvc(project, "status", "--json")) == {}


def test_another_business_date_runs_everything_tries_a_transient_failure_again_and_is_published(project):
    project.private("flaky").touch()
    done = project.flow("nightly", "--business-date", "2020-02-03")
    assert done.returncode == 0, done.stderr
    assert "the network went away" in done.stderr
    assert project.started() == ["snapshot", "validate", "rank", "rank", "evaluate", "register", "report"]
    assert (project.home / "data/raw/orders.csv").read_text().endswith("2020-02-03")
    assert json.loads(dvc(project, "status", "--json")) == {}
