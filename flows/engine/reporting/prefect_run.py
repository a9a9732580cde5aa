"""A run as Prefect shows it: its states, its stages, its log and its artifacts, told without waiting for the server.

On a terminal the run is ours from begin to end, and Prefect hears of it. Started by a worker it lies inside a flow run
of Prefect's own, which begins and ends it.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from prefect import Flow, State, get_run_logger
from prefect.context import FlowRunContext
from prefect.logging.handlers import set_api_log_sink
from prefect.logging.loggers import PrefectLogAdapter, get_logger
from prefect.settings import PREFECT_UI_URL
from prefect.states import Crashed, Running
from prefect.utilities.names import generate_slug

from flows.engine.reporting import outbox
from flows.engine.reporting.outbox import Message, Outbox
from flows.engine.server import server
from flows.engine.server.patience import Patience
from tasks.files import storage

OWN = "own"
"""A server of this checkout, whichever port it has tonight: all of them have the same database."""


class PrefectRun:
    """One run, to be told of. Its id is made up here until Prefect gives it one."""

    def __init__(self, flow: str, name: str, run_id: str, api: str, *, ours: bool) -> None:
        self.flow, self.name, self.id, self.ours, self.api = flow, name, run_id, ours, api
        self.patience = Patience.of_environment()
        self.ending: State[Any] | None = None
        self.log = _adapter("prefect.flow_runs", flow_run_name=name, flow_run_id=run_id, flow_name=flow)
        connect = functools.partial(outbox.api, self.patience)
        self._outbox = Outbox(connect, self._mention, self._known, self.patience)
        self._numbers = itertools.count()

    def _mention(self, line: str) -> None:
        self.log.warning("%s", line)

    def _known(self, made_up: str, known: str) -> None:
        ui = PREFECT_UI_URL.value()
        if made_up == self.id and ui:
            self.log.info("View at %s", f"{ui}/runs/flow-run/{known}", extra={"send_to_api": False})

    @property
    def note(self) -> dict[str, str]:
        """What `bury` needs, should this process die."""
        return {"flow_run_id": self.id, **({"of_flow": self.flow} if self.ours else {})}

    @property
    def known_id(self) -> str:
        """The id that Prefect gave it; ours, as long as Prefect was not heard."""
        return self._outbox.id_of(self.id)

    def put(self, *messages: Message) -> None:
        """Have messages sent in turn."""
        self._outbox.put(*messages)

    def take_log(self, line: dict[str, Any]) -> None:
        """One line of the log, as Prefect's handler makes it."""
        self.put(Message(outbox.LOGS, [{key: value for key, value in line.items() if key != "__payload_size__"}]))

    def begin(self, parameters: Mapping[str, Any]) -> None:
        """A new flow run, which is running."""
        self.log.info("Beginning flow run %r for flow %r", self.name, self.flow)
        self.put(*_creation(self.flow, self.id, self.name, parameters), _change(f"/flow_runs/{self.id}", Running()))

    def stage(self, name: str, tags: Sequence[str] = ()) -> "PrefectStage":
        """A stage of it, as a task run."""
        return PrefectStage(self, name, next(self._numbers), tags)

    def end(self, state: State[Any]) -> None:
        """Its last state."""
        level = self.log.info if state.is_completed() else self.log.error
        level("Finished in state %s", described(state))
        self.put(_change(f"/flow_runs/{self.id}", state))

    def close(self, silence_s: float) -> None:
        """Wait until Prefect knows everything; once it was silent for that long, leave the rest for the next run."""
        try:
            self._outbox.flush(silence_s)
        finally:
            left = self._outbox.close()
            if left and self.ending and not self.ours:  # then its worker may not know how it ended, or think it crashed
                left.append(_change(f"/flow_runs/{self.id}", self.ending))
            if left:
                outbox.keep(storage.home(), self.id, self.api, left)
                line = "Prefect's server is silent and does not know all of this run; the next run tells it"
                self.log.warning(line, extra={"send_to_api": False})

    def bury(self, dead: Mapping[str, Any], why: str = "the process was killed") -> None:
        """Have the run of a process that died end as crashed; Prefect would show it as running for ever."""
        run_id, flow = dead.get("flow_run_id"), dead.get("of_flow")
        if not run_id:
            return
        if flow:  # Prefect may never have heard of it; otherwise this only looks up the id that it has there
            self.put(*_creation(str(flow), str(run_id), str(dead.get("run") or generate_slug(2)), {}))
        path = f"/flow_runs/{run_id}"
        self.put(_change(path, Crashed(message=why), unless_ended=path))

    def artifact(self, kind: str, key: str, data: str, description: str) -> None:
        """Something to look at."""
        body = {"type": kind, "key": key, "data": data, "description": description, "flow_run_id": self.id}
        self.put(Message("/artifacts/", body))


class PrefectStage:
    """One stage of a run, to be told of."""

    def __init__(self, run: PrefectRun, name: str, number: int, tags: Sequence[str]) -> None:
        self._run, self._id = run, str(uuid.uuid4())
        known = {"flow_run_name": run.name, "flow_run_id": run.id, "flow_name": run.flow}
        self.log = _adapter("prefect.task_runs", task_run_id=self._id, task_run_name=name, task_name=name, **known)
        body = {"id": self._id, "name": name, "flow_run_id": run.id, "task_key": name, "dynamic_key": str(number)}
        run.put(Message("/task_runs/", {**body, "tags": list(tags)}, stands_for=self._id))

    def tell(self, state: State[Any]) -> None:
        """Its state; a last one is a line in the log too."""
        if state.is_final():
            level = self.log.info if state.is_completed() else self.log.error
            level("Finished in state %s", described(state))
        self._run.put(_change(f"/task_runs/{self._id}", state))


def described(state: State[Any]) -> str:
    """A state in words."""
    return f"{state.name}: {state.message}" if state.message else str(state.name)


def _adapter(name: str, **known: Any) -> Any:
    return PrefectLogAdapter(get_logger(name), extra={"deployment_name": None, **known})


def _creation(flow: str, run_id: str, name: str, parameters: Mapping[str, Any]) -> tuple[Message, Message]:
    """The flow and a run of it. Prefect answers with those that it has: a run is known by its key."""
    flow_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"nightmarket/{flow}/{run_id}"))
    run = {"flow_id": flow_id, "name": name, "idempotency_key": run_id, "parameters": dict(parameters)}
    return Message("/flows/", {"name": flow}, stands_for=flow_id), Message("/flow_runs/", run, stands_for=run_id)


def _change(path: str, state: State[Any], unless_ended: str = "") -> Message:
    body = {"type": state.type.value, "name": state.name, "message": state.message}
    return Message(f"{path}/set_state", {"state": body, "force": True}, unless_ended=unless_ended)


_RUN: ContextVar[PrefectRun | None] = ContextVar("prefect_run", default=None)
_STAGE: ContextVar[PrefectStage | None] = ContextVar("prefect_stage", default=None)


def current() -> PrefectRun | None:
    """The run that this code belongs to."""
    return _RUN.get()


def run_logger() -> Any:
    """Where the stage, or the run, that this code belongs to says what it does."""
    told = _STAGE.get() or _RUN.get()
    return told.log if told else get_run_logger()


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table in Prefect, with the run that this code belongs to."""
    if run := current():
        plain = json.loads(json.dumps(rows, default=str), parse_constant=lambda _: None)  # browsers know no NaN
        run.artifact("table", key, json.dumps(plain), description)


def markdown(key: str, text: str, description: str) -> None:
    """A page in Prefect, with the run that this code belongs to."""
    if run := current():
        run.artifact("markdown", key, text, description)


@contextlib.contextmanager
def stage(name: str, tags: Sequence[str] = ()) -> Iterator[Callable[[State[Any]], None]]:
    """A stage of the run that this code belongs to, which `run_logger` speaks for; yields what hears its states."""
    run = current()
    if run is None:
        yield lambda _: None
        return
    told = run.stage(name, tags)
    token = _STAGE.set(told)
    try:
        yield told.tell
    finally:
        _STAGE.reset(token)


@contextlib.contextmanager
def _reported(run: PrefectRun) -> Iterator[PrefectRun]:
    token = _RUN.set(run)
    set_api_log_sink(run.take_log)
    try:
        yield run
    finally:
        set_api_log_sink(None)
        _RUN.reset(token)


@contextlib.contextmanager
def on_terminal(flow: Flow[..., Any], parameters: Mapping[str, Any], *, own: bool) -> Iterator[PrefectRun]:
    """A run of ours; when the block ends, Prefect is given what it does not know yet, or the next run is.

    own   the server is there for this run alone
    """
    name = flow.flow_run_name.format(**parameters) if isinstance(flow.flow_run_name, str) else generate_slug(2)
    run = PrefectRun(flow.name, name, str(uuid.uuid4()), OWN if own else _server(), ours=True)
    with _reported(run):
        run.begin(flow.serialize_parameters(dict(parameters)))
        try:
            yield run
        except BaseException:
            run.close(run.patience.end_stopped)
            raise
        run.close(run.patience.end_own if own else run.patience.end)


def _server() -> str:
    url = os.environ.get("PREFECT_API_URL", "")
    return OWN if url == server.noted(storage.home()) else url


@contextlib.asynccontextmanager
async def reported() -> AsyncIterator[PrefectRun]:
    """The run that this code belongs to, ours or one that a worker started; of the latter, Prefect knows all when the
    block ends, or the next run tells it."""
    ours, context = current(), FlowRunContext.get()
    if ours:
        yield ours
        return
    assert context
    assert context.flow
    assert context.flow_run
    run = PrefectRun(context.flow.name, context.flow_run.name, str(context.flow_run.id), _server(), ours=False)
    with _reported(run):
        try:
            yield run
        except BaseException:
            await asyncio.to_thread(run.close, run.patience.end_stopped)
            raise
        await asyncio.to_thread(run.close, run.patience.end_of_deployment)
