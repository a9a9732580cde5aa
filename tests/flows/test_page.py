"""The morning page after a night: an artifact in a real Prefect server, a copy in a real MLflow registry."""

import asyncio
import sqlite3

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.client.schemas.sorting import FlowRunSort
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.reporting import outcome
from nightmarket.serving import set_environment

set_environment()
from mlflow import MlflowClient  # noqa: E402


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture
def registered(project):
    """The project with a registry, and a register step that puts the registry's run on the receipt."""
    database = project.home / "mlruns/mlflow.db"
    database.unlink()
    uri = f"sqlite:///{database}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.create_experiment("nightmarket", (project.home / "mlruns/artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    edit(project.home / "tasks/register.py", 'out(storage.home() / "mlruns/mlflow.db", "")', "pass")
    edit(
        project.home / "tasks/register.py", 'receipt = {"version": 1', f'receipt = {{"run_id": "{run_id}", "version": 1'
    )
    edit(project.home / "params.yaml", "num_leaves: 31", "num_leaves: 33")
    return run_id


def artifact(project):
    """The artifact `report` of the newest run."""
    with temporary_settings({PREFECT_API_URL: project.api}), get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(limit=1, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
        only = filters.ArtifactFilter(flow_run_id=filters.ArtifactFilterFlowRunId(any_=[run.id]))
        return {stored.key: stored.data for stored in client.read_artifacts(artifact_filter=only)}["report"]


def test_a_night_leaves_its_page_in_prefect_and_in_mlflow(project, registered):
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    mine = project.home / "artifacts/report/index.html"
    kept = project.home / "mlruns/artifacts" / registered / "artifacts/report/index.html"
    assert "leaves 33" in mine.read_text()
    assert kept.read_text() == mine.read_text()
    said = artifact(project)
    assert f"[{mine}]({mine.as_uri()})" in said
    assert f"**MLflow** kept with MLflow run {registered} of version 1, as report/index.html" in said
    assert "| all | 0.3300 | [0.3200, 0.3400] |" in said
    assert "| rank | ran |" in said


def test_a_night_goes_on_without_mlflow(project, registered):
    (project.home / "mlruns/mlflow.db").write_text("no database")
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the page is not kept with MLflow: page: mlruns/mlflow.db is no registry" in done.stdout + done.stderr
    assert "**MLflow** not kept with MLflow" in artifact(project)


def test_a_registry_that_does_not_answer_is_waited_for_no_longer_than_that(project, registered, monkeypatch):
    monkeypatch.setattr(outcome, "PATIENCE_S", 5.0)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(project.home))
    edit(project.home / "data/champion/receipt.json", "{", f'{{"run_id": "{registered}",')
    other = sqlite3.connect(project.home / "mlruns/mlflow.db")
    other.execute("begin exclusive")
    with disable_run_logger():
        said = asyncio.run(outcome.keep(project.home))
    other.close()
    assert said == "not kept with MLflow: MLflow did not answer within 5 s"


def test_a_run_that_is_not_published_leads_to_its_commit():
    from flows.engine.reporting.outcome import RunOutcome

    told = RunOutcome("nightly-1", "c" * 40, False, None, "version 1, of 2018-01-01", "", (), {"rank": 2.0}, ())
    assert outcome.markdown(told).splitlines()[0] == "**Report** not published; kept as refs/runs/nightly-1"
    assert "| rank | skipped: nothing changed | 2.0 |" in outcome.markdown(told)
