"""Campaigns on the small project: planned, approved by a person (or not), exported, on record."""

import csv
import io
import json
import re
import subprocess
import sys
import time

import pytest
import yaml
from fastapi.testclient import TestClient
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.settings import PREFECT_API_URL, temporary_settings

from apps.desk.application import application
from flows import ui
from flows.campaign import campaign as flow
from flows.campaign import check_segments, num_days
from flows.engine.approval import approval, figures, questions
from nightmarket.contracts import InputError
from tasks.desk import accounts

PLAN = """
import pyarrow as pa

from tasks.files import storage
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    name: str = "campaign"
    goal: str = "profit"
    start: str | None = None
    days: int = 7
    budget: float = 0.0
    channels: dict[str, dict[str, float]] = {"email": {"cost": 0.01}, "sms": {"cost": 0.05}}
    offers: tuple[dict, ...] = ()
    consent: str = "told at purchase"


def run(settings):
    num = int(settings.budget)
    arms = ["send" if i % 4 else "holdout" for i in range(num)]
    columns = dict.fromkeys(("segment", "offer", "offer_kind", "channel", "day", "slot"), ["x"] * num)
    numbers = ("probability", "expected_value", "cost", "expected_profit", "propensity")
    columns |= dict.fromkeys(numbers, [0.5] * num)
    ids = [f"c{i}" for i in range(num)]
    table = pa.table({"customer_id": pa.array(ids, pa.string()), **columns, "arm": pa.array(arms, pa.string())})
    storage.write_table(table, storage.ARTIFACTS / "plan/plan.parquet")
    eligible = pa.table({"customer_id": pa.array(ids, pa.string()), "arm": pa.array(arms, pa.string())})
    storage.write_table(eligible, storage.ARTIFACTS / "plan/eligible.parquet")
    sent = arms.count("send")
    group = [{"name": "x|y", "num": sent, "spend": 1.0 * sent, "expected_responses": 2.0, "expected_profit": 3.0}]
    summary = {
        "campaign": settings.model_dump(), "num_customers": 9, "num_eligible": 8, "num_sent": sent,
        "num_contacts": sent, "num_holdout": num - sent, "spend": 1.0 * sent, "budget": settings.budget,
        "expected_responses": 2.0, "expected_profit": 3.0, "certificate": {"bound": 3.0, "gap": 0.0},
        "consent": {"known": False, "listed": False, "ground": settings.consent, "min_age": 18, "channels": ["x"],
                    "closed": [], "num_out": 0},
        "by_segment": group, "words": "A sentence of the plan.", "empty_because": None if num else "the budget is 0",
    }
    storage.write_json(summary, storage.ARTIFACTS / "plan/summary.json")
"""
COMPOSE = """
import pyarrow as pa

from tasks.files import storage
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    pass


def run(settings):
    num = storage.read_json(storage.ARTIFACTS / "plan/summary.json")["num_sent"]
    row = {"segment": "1", "offer": "=spring()", "channel": "sms", "locale": "zh", "form": "sms"}
    rows = [row | {"place": place, "text": f"text {place} for {num}"} for place in (1, 2)]
    storage.write_table(pa.Table.from_pylist(rows), storage.ARTIFACTS / "compose/copy.parquet")
"""
STARTED_BY_HAND = """
import asyncio, json, sys
from flows.{flow} import {flow}

async def main():
    asked = json.loads(sys.argv[1])
    for state in await asyncio.gather(*[{flow}(**one, return_state=True) for one in asked]):
        print(state.name, "|", state.message)

asyncio.run(main())
"""


@pytest.fixture
def shop(project):
    """The project with a plan that sends to three of four customers, as many as the budget says."""
    (project.home / "tasks/plan.py").write_text(PLAN)
    dag = yaml.safe_load((project.home / "dvc.yaml").read_text())
    deps = ["artifacts/rank", "tasks/plan.py"]
    meta = {"phase": "deliver"}
    dag["stages"]["plan"] = {
        "cmd": "python -m tasks plan", "deps": deps, "params": ["plan"], "outs": ["artifacts/plan"], "meta": meta
    }  # fmt: skip
    (project.home / "tasks/compose.py").write_text(COMPOSE)
    deps = ["artifacts/plan", "tasks/compose.py"]
    dag["stages"]["compose"] = {
        "cmd": "python -m tasks compose", "deps": deps, "outs": ["artifacts/compose"], "meta": meta
    }  # fmt: skip
    (project.home / "dvc.yaml").write_text(yaml.safe_dump(dag, sort_keys=False))
    (project.home / "params.yaml").write_text(
        "snapshot: {business_date: null}\nrank: {num_leaves: 31}\nplan: {budget: 0}"
    )
    with (project.home / ".gitignore").open("a") as file:
        file.write("/exports/\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "a plan")
    return project


def in_ui(shop, flow, *asked):
    """The flow as the worker starts it, several at once in one process, which says everything into a file: a pipe that
    nobody empties would stop it where it says much."""
    command = [sys.executable, "-c", STARTED_BY_HAND.format(flow=flow), json.dumps(asked)]
    said = shop.home.parent / "said.txt"
    env = {**shop.env, "PREFECT_CLIENT_MAX_RETRIES": ui.environment(shop.home, shop.api)["PREFECT_CLIENT_MAX_RETRIES"]}
    with said.open("wb") as file:
        return subprocess.Popen(command, cwd=shop.home, env=env, stdout=file, stderr=subprocess.STDOUT), said


def decisions(shop):
    path = shop.private("decisions.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def left_alone(shop):
    names = ("params.yaml", "dvc.lock", "data/raw.dvc", "data/champion.dvc")
    return {name: (shop.home / name).read_bytes() for name in names}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def campaigns(client):
    """The flow runs by the name of their campaign."""
    return {run.parameters["name"]: run for run in client.read_flow_runs() if "name" in run.parameters}


def until(condition, process, file):
    deadline = time.monotonic() + 240
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"it did not come about; so far the flows said:\n{file.read_text()}")
        time.sleep(0.2)


@pytest.mark.timeout(600)
def test_campaigns_wait_side_by_side_and_only_what_was_approved_as_it_was_is_exported(shop):
    before = left_alone(shop)
    asked = [
        {"name": "spring", "budget": 8, "start": "2020-02-27", "end": "2020-03-01", "channels": ["sms"]},
        {"name": "autumn", "budget": 12},
        {"name": "silent", "budget": 4, "approval_minutes": 0.05},
        {"name": "touched", "budget": 4},
        {"name": "left", "budget": 4},
        {"name": "taken", "budget": 4},
    ]
    (shop.home / "exports/taken").mkdir(parents=True)
    process, said = in_ui(shop, "campaign", *asked)
    with temporary_settings({PREFECT_API_URL: shop.api}), get_client(sync_client=True) as client:
        waiting = {"spring", "autumn", "touched", "left"}
        until(
            lambda: waiting <= {name for name, run in campaigns(client).items() if run.state.is_paused()}, process, said
        )
        until(lambda: shop.private("run.lock").read_text() == "", process, said)  # nobody holds it while people think
        runs = campaigns(client)
        only = filters.ArtifactFilter(flow_run_id=filters.ArtifactFilterFlowRunId(any_=[runs["spring"].id]))

        def artifacts():
            return {artifact.key: artifact.data for artifact in client.read_artifacts(artifact_filter=only)}

        keys = {"plan", "plan-by-segment", "plan-first-lines", "plan-texts"}
        until(lambda: keys <= set(artifacts()), process, said)  # Prefect is told of them beside the run's own way
        shown = artifacts()
        assert "text 1 for 6" in shown["plan"]
        assert "text 2" not in shown["plan"]  # the best alone
        for words in ("| contacts | 6, with 6 customers |", "A sentence of the plan.", "x\\|y", "c1"):
            assert words in shown["plan"]
        assert "c0" not in shown["plan-first-lines"]  # held out

        def answer(name, approve, who, note=""):
            given = {"approve": approve, "who": who, "note": note}
            return client.resume_flow_run(runs[name].id, run_input=given).status.value

        assert answer("spring", "yes", " ") == "REJECT"  # nobody's name
        assert answer("spring", "perhaps", "Li") == "REJECT"
        shop.private("suppressions.csv").write_text("customer_id\nc1\n")  # unsubscribed while somebody thought
        assert answer("spring", "yes", "Li", "go") == "ACCEPT"
        assert answer("autumn", "no", "Wang") == "ACCEPT"
        [folder] = shop.private("undecided").glob("campaign-touched-*")
        (folder / "summary.json").write_text("{}")
        assert answer("touched", "yes", "Li") == "ACCEPT"
        ends = {"spring": "Exported", "autumn": "Refused", "silent": "Expired", "touched": "Failed", "taken": "Failed"}
        until(
            lambda: ends.items() <= {name: run.state_name for name, run in campaigns(client).items()}.items(),
            process,
            said,
        )
        states = {name: run.state.message for name, run in campaigns(client).items()}
        lost = "1 contacts with 1 customers are taken out, who may no longer be contacted (suppressed 1)"
        assert states["spring"] == f"approved by Li: go; {lost}; exports/spring"
        assert "the plan changed after it was approved" in states["touched"]
        assert "exports/taken is there already" in states["taken"]
    process.kill()
    process.wait()
    assert sorted(path.name for path in (shop.home / "exports").iterdir()) == ["spring", "taken"]
    sent, held = rows(shop.home / "exports/spring/send.csv"), rows(shop.home / "exports/spring/holdout.csv")
    assert [row["customer_id"] for row in sent] == ["c2", "c3", "c5", "c6", "c7"]
    assert [row["customer_id"] for row in held] == ["c0", "c4"]
    written = rows(shop.home / "exports/spring/copy.csv")
    assert [(row["text"], row["offer"]) for row in written] == [(f"text {n} for 6", "'=spring()") for n in (1, 2)]
    receipt = json.loads((shop.home / "exports/spring/receipt.json").read_text())
    assert (receipt["approved_by"], receipt["note"], receipt["campaign"]["budget"]) == ("Li", "go", 8.0)
    kept = yaml.safe_load(shop.git("show", f"refs/runs/{receipt['run']}:params.yaml"))["plan"]
    assert (kept["budget"], kept["name"], kept["days"]) == (8, "spring", 4)
    assert kept["channels"] == {"sms": {"cost": 0.05}}

    done = shop.flow("campaign", "--name", "none", "--budget", "0", "--approve", "Li")
    assert done.returncode == 3, done.stderr
    assert "decision  the plan is empty: the budget is 0" in done.stdout
    with temporary_settings({PREFECT_API_URL: shop.api}), get_client(sync_client=True) as client:
        assert campaigns(client)["left"].state_name == "Crashed"  # nobody can approve what nobody waits for
    by_campaign = {decision["name"]: decision for decision in decisions(shop)}
    assert {name: decision["decision"] for name, decision in by_campaign.items()} == {
        "spring": "exported", "autumn": "refused", "silent": "expired", "touched": "failed", "left": "lost",
        "none": "empty",
    }  # fmt: skip
    assert (by_campaign["spring"]["who"], by_campaign["autumn"]["who"]) == ("Li", "Wang")
    assert by_campaign["spring"]["taken_out"] == receipt["taken_out"]
    assert by_campaign["spring"]["plan_sha256"] == receipt["plan_sha256"]
    assert left_alone(shop) == before
    assert list(shop.private("undecided").iterdir()) == []


@pytest.mark.timeout(600)
def test_once_the_desk_has_accounts_only_an_answer_that_it_signed_counts(shop, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", shop.api)
    process, said = in_ui(shop, "campaign", {"name": "signed", "budget": 8})
    secret = accounts.invite(shop.home, "Wang", ["marketer"])
    accounts.accept(shop.home, secret, "", "four words of one's own")
    with temporary_settings({PREFECT_API_URL: shop.api}), get_client(sync_client=True) as client:
        until(lambda: [run for run in campaigns(client).values() if run.state.is_paused()], process, said)
        forged = {"approve": "yes", "who": "Wang", "note": "", "signature": "0" * 64}
        run = campaigns(client)["signed"].id  # which is paused a moment before its form is there
        until(lambda: client.resume_flow_run(run, run_input=forged).status.value == "ACCEPT", process, said)
        until(lambda: [line["decision"] for line in decisions(shop)] == ["unsigned"], process, said)
        until(lambda: campaigns(client)["signed"].state.is_paused(), process, said)
    browser = TestClient(application(shop.home), base_url="http://127.0.0.1")

    def send(address, page, **fields):
        hidden = dict(re.findall(r'name="(token|digest)" value="(\w+)"', page.text))
        answer = browser.post(address, data={**hidden, **fields})
        assert answer.status_code == 200, answer.text
        return answer

    page = send("/login", browser.get("/login"), name="Wang", password="four words of one's own")
    [address] = set(re.findall(r'href="(/campaigns/campaign-signed-[\d-]+)"', page.text))
    send(f"{address}/decide", browser.get(address), approve="yes", note="as agreed")
    until(lambda: decisions(shop)[-1]["decision"] == "exported", process, said)
    process.kill()
    process.wait()
    assert (decisions(shop)[-1]["who"], decisions(shop)[-1]["note"]) == ("Wang", "as agreed")
    receipt = json.loads((shop.home / "exports/signed/receipt.json").read_text())
    assert receipt["approved_by"] == "Wang"
    assert browser.get(f"{address}/files/send.csv").text == (shop.home / "exports/signed/send.csv").read_text()
    refused = shop.flow("campaign", "--name", "other", "--budget", "8", "--approve", "Eve")
    assert refused.returncode == 2
    assert "the desk has accounts" in refused.stderr


def test_on_a_terminal_the_name_of_whoever_approves_is_enough(shop):
    arguments = ("--name", "双十一", "--budget", "8", "--approve", "Li", "--note", "from a script")
    done = shop.flow("campaign", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"files     {shop.home / 'exports/双十一'}" in done.stdout
    assert [(decision["who"], decision["note"]) for decision in decisions(shop)] == [("Li", "from a script")]


def test_a_plan_without_consent_on_file_or_a_stated_ground_asks_nobody(shop):
    params = shop.home / "params.yaml"
    params.write_text(params.read_text().replace("{budget: 0}", "{budget: 0, consent: ''}"))
    done = shop.flow("campaign", "--name", "spring", "--budget", "8", "--approve", "Li")
    assert done.returncode == 3, done.stderr
    assert "decision  nothing is exported: the tables know no consent, and no ground is stated" in done.stdout
    assert [decision["decision"] for decision in decisions(shop)] == ["blocked"]
    assert not (shop.home / "exports").exists()


def test_half_a_line_of_the_record_does_not_stop_the_next_campaign(tmp_path):
    record = tmp_path / ".nightmarket" / "decisions.jsonl"
    record.parent.mkdir()
    record.write_text('{"name": "spring", "run": "campaign-1", "decision": "exported"}\n{"name": "sum')
    approval.bury(tmp_path)
    assert [decision["name"] for decision in approval.decisions(tmp_path)] == ["spring"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--budget", "-1"], "budget: Input should be greater than or equal to 0"),
        (["--name", "../up"], "name: String should match pattern"),
        (["--start", "soon"], "start: String should match pattern"),
        (["--holdout", "0"], "holdout: Input should be greater than or equal to 0.01"),
        (["--offers", "{name: a, kind: lottery, category: X}"], "offers.0.kind: Input should be 'discount'"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(arguments, line):
    given = {"--name": "spring", "--budget": "5", "--approve": "Li", **dict([arguments])}
    with pytest.raises(InputError, match=re.escape(line)) as error:
        questions.parameters(flow, [word for pair in given.items() for word in pair])
    assert "\n" not in str(error.value)


def test_an_unknown_segment_is_answered_with_those_that_there_are(tmp_path):
    check_segments(tmp_path, ["7"])  # nothing is known of segments: the stage says so
    (tmp_path / "artifacts/segment").mkdir(parents=True)
    content = {"segments": [{"segment": "1", "name": {"en": "high spend"}}]}
    (tmp_path / "artifacts/segment/segments.json").write_text(json.dumps(content))
    check_segments(tmp_path, ["1"])
    with pytest.raises(InputError, match=re.escape("segments: no segment '7'; there are 1 (high spend)")):
        check_segments(tmp_path, ["1", "7"])


def test_groups_say_what_they_are_and_slots_go_by_the_clock():
    summary = {
        "by_segment": [{"name": "1"}, {"name": "other"}],
        "by_offer": [{"name": "77"}],
        "offers": [{"name": "77", "called": {"en": "selected coffee"}}],
        "by_slot": [{"name": "12-15"}, {"name": "9-12"}],
    }
    named = figures.named(summary, {"1": "high spend"})
    assert [row["name"] for row in named["by_segment"]] == ["1: high spend", "other"]
    assert named["by_offer"] == [{"name": "77: selected coffee"}]
    assert [row["name"] for row in named["by_slot"]] == ["9-12", "12-15"]
    assert summary["by_slot"][0]["name"] == "12-15"


def test_words_that_look_like_numbers_stay_words_and_lists_take_several():
    arguments = "--name 2018 --budget 5 --segments regulars 12 --excel true --start 2020-02-03 --approve Li"
    parameters = questions.parameters(flow, arguments.split())
    assert parameters == {
        "name": "2018", "budget": 5, "segments": ["regulars", "12"], "excel": True, "start": "2020-02-03"
    }  # fmt: skip


def test_without_a_keyboard_and_without_a_name_nobody_can_approve(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(InputError, match="--approve YOUR_NAME"):
        questions.parameters(flow, ["--name", "a", "--budget", "5"])


@pytest.mark.parametrize(
    ("start", "end", "line"),
    [
        ("2020-03-02", "2020-03-01", "end: 2020-03-01 lies before the start"),
        ("", "2020-03-01", "start: an end needs a start too"),
        ("2020-02-31", "", "start: 2020-02-31 is no day of the calendar"),
    ],
)
def test_dates_that_make_no_span_are_refused(start, end, line):
    with pytest.raises(InputError, match=line):
        num_days(start, end)
    assert num_days("2020-02-28", "2020-03-01") == 3
    assert num_days("2020-02-28", "") is None
