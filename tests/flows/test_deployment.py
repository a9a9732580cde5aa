import json
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from flows import ui
from flows.engine import server


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def deployed(project):
    """The project's deployments on the server, a process worker beside it, and a client."""
    env = {**project.env, **ui.environment(project.home, project.api), "PREFECT_HOME": project.env["PREFECT_HOME"]}
    env["PYTHONPATH"] = project.env["PYTHONPATH"]
    ui.register(project.home, env)
    (project.home / ".prefect").mkdir(exist_ok=True)
    worker = server.start_guarded(
        ui.worker_command(), env=env, log=project.home / ".prefect/worker.log", cwd=project.home
    )
    with temporary_settings({PREFECT_API_URL: project.api}), get_client(sync_client=True) as client:
        yield project, client
    server.stop_guarded(worker)


def test_a_run_from_the_form_is_checked_runs_in_the_worker_and_can_be_cancelled(deployed):
    project, client = deployed
    nightly = client.read_deployment_by_name("nightly/nightly")
    assert nightly.schedules[0].schedule.cron == "0 2 * * *"
    assert "YYYY-MM-DD" in nightly.parameter_openapi_schema["properties"]["business_date"]["description"]
    for wrong in ({"business_date": "yesterday"}, {"force": ["nope"]}, {"overrides": {"rank": 3}}):
        with pytest.raises(PrefectHTTPStatusError, match="409"):
            client.create_flow_run_from_deployment(nightly.id, parameters=wrong)

    project.private("slow").touch()
    run = client.create_flow_run_from_deployment(nightly.id, parameters={"overrides": {"rank.num_leaves": 40}})
    until(lambda: project.private("slow").read_text().count("\n") == 2)
    stage = [int(line) for line in project.private("slow").read_text().split()]
    next_run = client.create_flow_run_from_deployment(nightly.id, parameters={"force": ["report"]})
    started = time.monotonic()
    client.set_flow_run_state(run.id, Cancelling())
    project.private("slow").unlink()
    until(lambda: not any(alive(pid) for pid in stage))
    assert time.monotonic() - started < 25
    until(lambda: client.read_flow_run(run.id).state_name == "Cancelled")

    until(lambda: client.read_flow_run(next_run.id).state.is_final(), 120)
    assert client.read_flow_run(next_run.id).state_name == "Completed"
    assert project.started()[-1] == "report"
    done = project.command("-m", "dvc", "status", "--json")
    assert json.loads(done.stdout) == {}
