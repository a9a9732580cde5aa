"""A night in two halves: a side stage that fails costs its own files, says so everywhere, and is tried again."""

import json
import re
import shutil

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.run import stage
from flows.engine.run.stage import StageError
from nightmarket.contracts import InputError, Unavailable
from tasks.files import storage
from tests.flows.conftest import FILES, STAGE, receiver

SIDE = """
from tasks.files import catalogue
from tasks.pipeline.declaration import Stage


class Settings(StageSettings):
    pass

"""
STAGES = {
    "tasks/segment.py": STAGE
    + SIDE
    + """
STAGE = Stage("x", reads=(), writes=(catalogue.SEGMENT,), side=True)


def run(settings):
    told("segment")
    catalogue.SEGMENTS.write_empty()
    catalogue.SEGMENT_ASSIGNER.write({})
    rows = Path("artifacts/validate/clean.csv").read_text().count(chr(10))
    catalogue.SEGMENT_PORTRAITS.write({"rows": rows, "segments": []})
""",
    "tasks/report.py": STAGE
    + SIDE
    + """
STAGE = Stage("x", reads=(), writes=(catalogue.REPORT,), side=True)


def run(settings):
    told("report")
    lost = catalogue.SEGMENTS.unavailable()
    rows = "" if lost else catalogue.SEGMENT_PORTRAITS.read()["rows"]
    out("artifacts/report/index.html", f"<html>{rows} {lost or ''}</html>")
    catalogue.PAGE_LACKS.write({"demand": "KeyError"} if storage.private("lacks").exists() else {})
""",
    "tasks/score.py": STAGE
    + """
class Settings(StageSettings):
    pass


def run(settings):
    told("score")
    text = Path("artifacts/rank/model.txt").read_text()
    out("artifacts/score/lists.txt", f"{text} by {storage.read_json(Path('data/champion/receipt.json'))['version']}")
""",
    "dvc.yaml": FILES["dvc.yaml"].partition("  report:")[0]
    + """\
  segment:
    cmd: python -m tasks segment
    deps: [artifacts/validate, tasks/segment.py]
    params: [{unavailable.yaml: [segment]}]
    outs: [artifacts/segment]
    meta: {side: true, timeout_s: 60, retries: 1, retry_delay_s: 0}
  score:
    cmd: python -m tasks score
    deps: [artifacts/rank, data/champion, tasks/score.py]
    outs: [artifacts/score]
    meta: {phase: deliver}
  report:
    cmd: python -m tasks report
    deps: [artifacts/rank, artifacts/segment, tasks/report.py]
    params: [{unavailable.yaml: [report]}]
    outs: [artifacts/report]
    meta: {phase: deliver, side: true, timeout_s: 60}
""",
    "unavailable.yaml": "segment: null\nreport: null\n",
}
LOST = "segment failed: exit code 1, RuntimeError"


@pytest.fixture(scope="module")
def whole(new_project):
    """The project after a whole first night, and a whole second one on other data; copies are cheap."""
    project = new_project(STAGES)
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    first = project.home.with_name("first")
    shutil.copytree(project.home, first, symlinks=True)
    (project.home / "source.csv").write_text("a,b\n1,2\n3,4\n")
    assert project.flow("nightly").returncode == 0
    return first, project


@pytest.fixture
def project(whole, tmp_path):
    """The morning after the first night, with the second one's data, at which nothing has looked yet."""
    first, project = whole
    (first / "source.csv").write_text("a,b\n1,2\n3,4\n")
    return copied(project, first, tmp_path / "shop")


@pytest.fixture(scope="module")
def incomplete(whole):
    """The second night, in which a side stage failed and a section of the page with it, and what was said of it."""
    first, project = whole
    failed = copied(project, first, first.with_name("incomplete"))
    (failed.home / "source.csv").write_text("a,b\n1,2\n3,4\n")
    failed.private("lacks").touch()
    with receiver() as webhook:
        url = f"http://127.0.0.1:{webhook.server_port}/x"
        done = failed.flow("nightly", NIGHTMARKET_FAULT="segment.begin:1:raise", NIGHTMARKET_WEBHOOK_URL=url)
    failed.private("lacks").unlink()
    return failed, done, webhook.got


def copied(project, source, target):
    copy = type(project)(target, project.api)
    shutil.copytree(source, copy.home, symlinks=True)
    copy.started()
    return copy


def contents(home):
    """File → bytes of artifacts, and stage → its entry in dvc.lock without the champion, which names its commit."""
    files = [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    stages = yaml.safe_load((home / "dvc.lock").read_text())["stages"]
    for entry in stages.values():
        entry["deps"] = [dep for dep in entry["deps"] if dep["path"] != "data/champion"]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files} | stages


def status(project):
    return json.loads(project.command("-m", "dvc", "status", "--json").stdout)


def test_a_side_stage_that_fails_costs_its_own_files_and_says_so_everywhere(whole, incomplete):
    expected, (project, done, posted) = contents(whole[1].home), incomplete
    assert done.returncode == 3, done.stdout + done.stderr
    last = done.stdout.rstrip().splitlines()
    assert f"missing  {LOST}" in last
    assert "missing  report could not make the section demand; its log says where" in last
    said = "nightly completed with failures: segment and the page’s section demand are unavailable; the recommendations"
    assert f"{said} are out" in last[-1]
    tonight = contents(project.home)
    lists = "artifacts/score/lists.txt"
    assert tonight[lists] == expected[lists]
    assert [name for name in tonight if "artifacts/segment" in name] == ["artifacts/segment/unavailable.json"]
    assert storage.unavailable(project.home / "artifacts/segment") == Unavailable("segment", LOST[16:], 2)
    assert tonight["artifacts/report/index.html"].decode() == f"<html> {LOST}</html>"
    [alert] = [message for message in posted if "incomplete" in message["text"]]
    assert LOST in alert["text"]
    assert "a fault at" not in alert["text"] + project.git("log", "-1", "--format=%B", project.runs()[-1])
    assert f"incomplete: {LOST}" in project.git("log", "-1", "--format=%B", project.runs()[-1])
    with temporary_settings({PREFECT_API_URL: project.api}), get_client(sync_client=True) as client:
        names = [(run.state_type.value, run.state_name) for run in client.read_flow_runs(limit=200)]
    assert ("COMPLETED", "Completed with failures") in names


def test_the_next_night_tries_again_what_failed_and_is_as_if_it_had_not(whole, incomplete, tmp_path):
    project = copied(incomplete[0], incomplete[0].home, tmp_path / "shop")
    assert list(status(project)) == ["segment"]  # what is due, and nothing else
    assert project.flow("nightly").returncode == 0
    assert project.started() == ["snapshot", "segment", "report"]
    assert contents(project.home) == contents(whole[1].home)
    assert status(project) == {}


def test_by_hand_campaigns_refuse_without_it_and_dvc_tries_again_what_failed(whole, incomplete, tmp_path):
    project = copied(incomplete[0], incomplete[0].home, tmp_path / "shop")
    for asked in (["campaign"], ["launch", "--products", "{product_id: p}"]):
        done = project.command("-m", "flows", *asked, "--name", "spring", "--budget", "5", "--approve", "Li")
        assert done.returncode == 1, done.stderr
        said = done.stderr.rstrip().splitlines()[-1]
        assert re.search("segment failed: .*; run nightly again, which makes what is missing, and then this$", said)
    assert project.command("-m", "dvc", "repro").returncode == 0
    assert contents(project.home) == contents(whole[1].home)


def test_a_strict_night_ends_where_any_stage_fails_and_publishes_nothing(project):
    dag = (project.home / "dvc.yaml").read_text()
    (project.home / "dvc.yaml").write_text(
        dag.replace("side: true, timeout_s: 60, retries: 1", "side: true, timeout_s: 4")
    )
    before = contents(project.home)
    done = project.flow("nightly", "--strict", NIGHTMARKET_FAULT="segment.begin:1:hang")
    assert done.returncode == 1
    assert "segment ran past its limit of 4 s" in done.stderr.splitlines()[-1]
    assert contents(project.home) == before


def test_the_commit_of_an_incomplete_run_rebuilds_the_same(incomplete, tmp_path):
    project, clone = incomplete[0], tmp_path / "second"
    recorded = project.checked_out(project.runs()[-1], clone)
    (clone / ".nightmarket").mkdir()
    (clone / ".nightmarket/lacks").touch()
    project.rebuild(clone)
    assert (clone / "dvc.lock").read_bytes() == recorded
    assert yaml.safe_load((clone / "unavailable.yaml").read_text())["segment"]["attempts"] == 2


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (1, ["Traceback", "KeyError: 'Anna Schmidt'"], "exit code 1, KeyError"),
        (1, ["Anna Schmidt"], "exit code 1"),
        (1, ["ERROR: output 'artifacts/plan' does not exist"], "output 'artifacts/plan' does not exist"),
        (255, ["ERROR: failed to run: python -m tasks plan, exited with -9"], "killed; out of memory?"),
    ],
)
def test_a_reason_tells_the_kind_of_an_error_and_not_what_it_quotes(code, said, told):
    error = stage.failure("plan", code, said)
    assert isinstance(error, StageError)
    assert stage.reason("plan", error) == told


def test_a_reason_is_the_stages_own_line_where_its_input_is_wrong():
    assert stage.reason("plan", InputError("plan: needs segment, which failed: x")) == "needs segment, which failed: x"
