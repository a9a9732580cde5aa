import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from flows import ui
from flows.engine.server import access


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def command_of(process):
    with contextlib.suppress(psutil.Error):  # it has just ended
        return process.cmdline()
    return []


def announced_in(home):
    return json.loads((home / ".prefect/server.json").read_text())["url"]


def login_of(home):
    return (home / access.LOGIN).read_text().strip()


@pytest.fixture
def taken_ports():
    """Somebody else listens on the usual ports."""
    with contextlib.ExitStack() as stack:
        for port in (ui.PREFECT_PORT, ui.MLFLOW_PORT):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.fixture
def running_ui(project, prefect_tables, taken_ports):
    """`make ui` in the project: its process, the addresses it printed, a client of its server."""
    prefect_tables(project.home)
    env = {key: value for key, value in project.env.items() if not key.startswith("PREFECT_API_")}
    command = [sys.executable, "-m", "flows.ui"]
    with subprocess.Popen(command, cwd=project.home, env=env, stdout=subprocess.PIPE, text=True) as process:
        addresses = {}
        for line in process.stdout:
            name, _, address = line.strip().partition(" ")
            if "://" in address:
                addresses[name] = address.strip()
            if line.startswith("Ctrl-C"):
                break
        ours = {PREFECT_API_URL: addresses["Prefect"] + "/api", PREFECT_API_AUTH_STRING: login_of(project.home)}
        with temporary_settings(ours), get_client(sync_client=True) as client:
            yield project, process, addresses, client
        process.terminate()


def test_a_run_from_the_form_is_checked_runs_in_the_worker_and_can_be_cancelled(running_ui):
    project, process, addresses, client = running_ui
    assert not addresses["Prefect"].endswith(str(ui.PREFECT_PORT))
    assert not addresses["MLflow"].endswith(str(ui.MLFLOW_PORT))
    assert announced_in(project.home) == addresses["Prefect"] + "/api"
    nightly = client.read_deployment_by_name("nightly/nightly")
    assert nightly.schedules[0].schedule.cron == "0 2 * * *"
    assert "YYYY-MM-DD" in nightly.parameter_openapi_schema["properties"]["business_date"]["description"]
    for wrong in ({"business_date": "yesterday"}, {"force": ["nope"]}, {"overrides": {"rank": 3}}):
        with pytest.raises(PrefectHTTPStatusError, match="409"):
            client.create_flow_run_from_deployment(nightly.id, parameters=wrong)
    tuning = client.read_deployment_by_name("tune/tune")
    assert "before the test window" in tuning.parameter_openapi_schema["properties"]["windows"]["description"]
    for wrong in ({"trials": 0}, {"metric": "ndcg"}, {"windows": ["soon"]}, {"space": {"rank": [1, 2]}}):
        with pytest.raises(PrefectHTTPStatusError, match="409"):
            client.create_flow_run_from_deployment(tuning.id, parameters=wrong)

    project.private("slow").touch()
    run = client.create_flow_run_from_deployment(nightly.id, parameters={"overrides": {"rank.num_leaves": 40}})
    until(lambda: project.private("slow").read_text().count("\n") == 2)
    stage = [int(line) for line in project.private("slow").read_text().split()]
    next_run = client.create_flow_run_from_deployment(nightly.id, parameters={"force": ["report"]})
    started = time.monotonic()
    client.set_flow_run_state(run.id, Cancelling())
    project.private("slow").unlink()
    until(lambda: not any(alive(pid) for pid in stage))
    assert time.monotonic() - started < 60
    until(lambda: client.read_flow_run(run.id).state_name == "Cancelled")

    until(lambda: client.read_flow_run(next_run.id).state.is_final(), 240)
    assert client.read_flow_run(next_run.id).state_name == "Completed"
    assert project.started()[-1] == "report"
    done = project.command("-m", "dvc", "status", "--json")
    assert json.loads(done.stdout) == {}

    below = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(below) >= 6  # three guards, and what they guard
    process.terminate()
    assert process.wait(60) == 0
    assert [pid for pid in below if alive(pid)] == []


def test_a_run_of_the_worker_goes_on_when_the_server_dies_and_is_told_of_to_the_one_that_is_started_again(running_ui):
    project, process, _, client = running_ui
    nightly = client.read_deployment_by_name("nightly/nightly")
    run = client.create_flow_run_from_deployment(nightly.id, parameters={"business_date": "2020-02-03"})
    started = project.private("started.txt")
    until(lambda: started.exists() and "validate" in started.read_text())
    below = psutil.Process(process.pid).children(recursive=True)
    [prefect] = [child for child in below if "flows.engine.server.application:create_app" in command_of(child)[:6]]
    prefect.kill()
    until(lambda: (project.home / "data/raw/orders.csv").read_text().endswith("2020-02-03"))
    until(lambda: client.read_flow_run(run.id).state.is_final())
    assert client.read_flow_run(run.id).state_name == "Completed"
    only = filters.FlowRunFilter(id=filters.FlowRunFilterId(any_=[run.id]))
    stages = {stage.name: stage.state_name for stage in client.read_task_runs(flow_run_filter=only)}
    assert stages == dict.fromkeys(("snapshot", "validate", "rank", "evaluate", "register", "report"), "Completed")
