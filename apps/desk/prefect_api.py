"""What the desk asks of Prefect, by Prefect's own client: runs, deployments, and the answer to a paused run."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import filters, sorting
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError

from flows.engine.server import access, server
from nightmarket.contracts import InputError

AWAY = "Prefect does not answer; start it with `make ui`"
PATIENCE_S = 20.0


@dataclass(frozen=True)
class RunRow:
    """One flow run as Prefect shows it; times in UTC to the second, seconds None where it did not run."""

    id: str
    flow: str
    name: str
    state: str
    kind: str
    message: str
    began: str
    seconds: float | None
    parameters: Mapping[str, Any]


class Prefect:
    """The server that is up for this checkout, looked for anew at each question."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def runs(self, flows: Iterable[str] = (), limit: int = 30) -> list[RunRow]:
        """The latest runs, newest first, of these flows or of all. Raises InputError where Prefect is away."""
        names = list(flows)
        only = filters.FlowFilter(name=filters.FlowFilterName(any_=names)) if names else None
        with self._asked() as client:
            rows = client.read_flow_runs(
                flow_filter=only, sort=sorting.FlowRunSort.EXPECTED_START_TIME_DESC, limit=limit
            )
            known = {flow.id: flow.name for flow in client.read_flows()}
        return [_row(run, known.get(run.flow_id, "")) for run in rows]

    def stages(self, run_id: str) -> list[tuple[str, str]]:
        """(stage, state) of a run, in the order in which they began."""
        only = filters.FlowRunFilter(id=filters.FlowRunFilterId(any_=[UUID(run_id)]))
        with self._asked() as client:
            stages = client.read_task_runs(flow_run_filter=only, limit=200)
        stages.sort(key=lambda stage: stage.dynamic_key.zfill(6))
        return [(stage.name, stage.state_name or "") for stage in stages]

    def start(self, flow: str, parameters: Mapping[str, Any]) -> str:
        """A run of the flow's deployment, as the form of the UI starts it; returns its id.

        Raises InputError with Prefect's words where it refuses a parameter.
        """
        with self._asked() as client:
            deployment = client.read_deployment_by_name(f"{flow}/{flow}")
            return str(client.create_flow_run_from_deployment(deployment.id, parameters=dict(parameters)).id)

    def answer(self, run_id: str, given: Mapping[str, Any]) -> None:
        """Answer the question of a paused run; InputError where it no longer asks, or takes no such answer."""
        with self._asked() as client:
            said = client.resume_flow_run(UUID(run_id), run_input=dict(given))
        if said.status.value != "ACCEPT":
            reason = getattr(said.details, "reason", None) or "it waits no longer"
            raise InputError(f"the run did not take the answer: {reason}")

    def _asked(self) -> "_Asked":
        url = server.noted(self._home) or os.environ.get("PREFECT_API_URL")
        if not url:
            raise InputError(AWAY)
        return _Asked(url, access.login(self._home))


class _Asked:
    """A client for one question; what goes wrong on the way is an InputError in one line."""

    def __init__(self, url: str, login: str) -> None:
        settings = {"timeout": httpx.Timeout(PATIENCE_S, connect=2.0), "trust_env": False}
        self._client = SyncPrefectClient(url, auth_string=login, httpx_settings=settings)

    def __enter__(self) -> SyncPrefectClient:
        return self._client.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._client.__exit__(kind, error, trace)
        if isinstance(error, PrefectHTTPStatusError):
            raise InputError(_in_words(error)) from None
        if isinstance(error, httpx.HTTPError | RuntimeError):
            raise InputError(AWAY) from None


def _in_words(error: PrefectHTTPStatusError) -> str:
    """What Prefect says of a request that it does not take."""
    try:
        content = error.response.json()
    except ValueError:
        content = {}
    said = content.get("detail") or content.get("exception_message") or f"it answered {error.response.status_code}"
    return f"Prefect did not take it: {' '.join(str(said).split())[:300]}"


def _row(run: FlowRun, flow: str) -> RunRow:
    state = run.state
    began = run.start_time or run.expected_start_time
    return RunRow(
        id=str(run.id),
        flow=flow,
        name=run.name,
        state=str(run.state_name or ""),
        kind=state.type.value.lower() if state else "",
        message=" ".join((state.message or "").split())[:300] if state else "",
        began=began.strftime("%Y-%m-%d %H:%M") if began else "",
        seconds=run.total_run_time.total_seconds() if run.start_time else None,
        parameters=run.parameters,
    )
