"""What a run tells people: its commit message, artifacts in the UI, the lines on a terminal, the webhook."""

import asyncio
import contextlib
import dataclasses
import functools
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from prefect import Flow, State, flow
from prefect.logging.loggers import flow_run_logger
from prefect.states import Completed, Crashed, Failed

from flows.engine.reporting import messages, prefect_run
from flows.engine.run import dag, overrides, stage
from flows.engine.run.stage import StageError
from nightmarket.contracts import InputError, Unavailable
from nightmarket.reporting import words
from tasks.files import catalogue, storage
from tasks.pipeline import settings, unavailable
from tasks.pipeline.unavailable import INCOMPLETE
from tasks.privacy import redaction

FAILURES = "Completed with failures"
"""The state of a run that went on without a side stage."""
HEADLINE = "ndcg@10"
OURS = "nightmarket"
SCORE = "score"
"""The stage that makes the recommendations."""
PATIENCE_S = 60.0
"""A registry that does not answer costs a night this long and no more."""

P = ParamSpec("P")


@dataclasses.dataclass(frozen=True)
class RunOutcome:
    """How a run ended."""

    run: str
    commit: str
    published: bool
    report: str | None
    champion: str
    decision: str
    rows: tuple[dict[str, Any], ...]
    seconds: dict[str, float]
    ran: tuple[str, ...] = ()
    unavailable: tuple[Unavailable, ...] = ()
    lacks: tuple[str, ...] = ()
    """Sections of the page that could not be made."""

    @property
    def missing(self) -> list[str]:
        """What the run went on without, a line each; empty where all is there."""
        lost = [str(what) for what in self.unavailable]
        return lost + [f"report could not make the section {key}; its log says where" for key in self.lacks]

    @property
    def exit_code(self) -> int:
        """Of the terminal."""
        return INCOMPLETE if self.missing else 0

    @property
    def failures(self) -> str:
        """What the run went on without, in a line; "" where all is there."""
        if not self.missing:
            return ""
        names = [what.stage for what in self.unavailable] + [f"the page’s section {key}" for key in self.lacks]
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        done = "the recommendations are out" if SCORE in self.seconds else "all else is published"
        done = done if self.published else "the run is kept, not published"
        return f"completed with failures: {listed} {'is' if len(names) == 1 else 'are'} unavailable; {done}"

    @classmethod
    def of(cls, run: Any, *, published: bool) -> "RunOutcome":
        """Collect it while the run's worktree still stands."""
        report = catalogue.PAGE.at(run.home)
        return cls(
            run=run.name,
            commit=run.sha,
            published=published,
            report=str(report) if published and report.exists() else None,
            champion=champion_in_words(run.tree),
            decision=run.decision,
            rows=tuple(headline(run.tree)),
            seconds=dict(run.seconds),
            ran=tuple(run.ran),
            unavailable=tuple(run.unavailable.values()),
            lacks=_lacks(run.tree),
        )

    def lines(self) -> list[str]:
        """The end of a run, for a terminal."""
        shown = [
            f"{row['task']:8} {HEADLINE} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" for row in self.rows
        ]
        shown += [f"missing  {what}" for what in self.missing]
        times = "  ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        shown.append(f"time     {times}")
        shown.append(f"gate     {self.decision}") if self.decision else None
        shown.append(f"champion {self.champion}")
        shown.append(f"kept as  refs/runs/{self.run} ({self.commit[:10]})")
        shown.append(f"report   {self.report or 'not published'}")
        return shown


def _lacks(root: Path) -> tuple[str, ...]:
    """Sections that the page goes without, though their stages left something; none where there is no such page."""
    lacks = catalogue.PAGE_LACKS.at(root)
    return tuple(lacks.read()) if not lacks.unavailable() and lacks.exists() else ()


def headline(root: Path) -> list[dict[str, Any]]:
    """Our model's NDCG@10 on each task with its interval; no row of a task on which nobody could be judged."""
    intervals = {task: models[OURS][HEADLINE] for task, models in _metrics(root).items()}
    return [
        {"task": task, "metric": HEADLINE, **interval} for task, interval in intervals.items() if words.known(interval)
    ]


def table(root: Path) -> list[dict[str, Any]]:
    """Every model's NDCG@10 on every task."""
    return [
        {"task": task, "model": model, **{key: round(value, 4) for key, value in values[HEADLINE].items()}}
        for task, models in _metrics(root).items()
        for model, values in models.items()
        if isinstance(values, dict) and words.known(values.get(HEADLINE))
    ]


def _metrics(root: Path) -> dict[str, Any]:
    """{task: {model: figures}} of the tasks that our model was evaluated on; none where nothing was evaluated."""

    def has_ours(models: Any) -> bool:
        return isinstance(models, dict) and isinstance(models.get(OURS), dict) and HEADLINE in models[OURS]

    metrics = catalogue.METRICS.at(root)
    return {task: models for task, models in metrics.read().items() if has_ours(models)} if metrics.exists() else {}


def commit_message(name: str, root: Path) -> str:
    """The run's name and headline figures."""
    figures = [
        f"{row['task']} {HEADLINE} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" for row in headline(root)
    ]
    lost = [f"incomplete: {what}" for what in unavailable.read(root).values()]
    return "\n".join([name, "", *(figures or ["no metrics yet"]), *lost])


def champion_in_words(root: Path) -> str:
    """Which version delivers from this folder."""
    with contextlib.suppress(InputError, ValueError, AttributeError):
        receipt = catalogue.CHAMPION_RECEIPT.at(root).read()
        return f"version {receipt.get('version')}, of {receipt.get('as_of')}"
    return "none yet"


def decision(root: Path, said: str = "") -> str:
    """The gate's latest word, from data/champion; where there is no champion, the last line that `register` said."""
    with contextlib.suppress(InputError, ValueError, KeyError):
        return str(catalogue.CHAMPION_DECISION.at(root).read()["sentence"])
    sentences = [line for line in said.splitlines() if line.startswith("register: ") and ": done in" not in line]
    return sentences[-1].removeprefix("register: ") if sentences else "not on record"


async def show(root: Path, outcome: RunOutcome) -> None:
    """Prefect artifacts: the metrics, and what leads to the page, which is kept with MLflow too."""
    rows = table(root)
    if rows:
        prefect_run.table("metrics", rows, f"{HEADLINE} of run {outcome.run}")
    kept = await keep(root) if outcome.report else ""
    prefect_run.markdown("report", markdown(outcome, kept), f"run {outcome.run}")


async def keep(root: Path) -> str:
    """Log the page with MLflow, in a process of its own; a line on what was done. A registry that fails is a warning:
    the page lies in its folder."""
    env = stage.environment(storage.home(), {})
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = await stage.run_command(
                "page", [sys.executable, "-m", "tasks.registry.pages"], tree=root, env=env, hold=[]
            )
        return said.splitlines()[-1].removeprefix("page: ")
    except TimeoutError:
        why = f"MLflow did not answer within {PATIENCE_S:g} s"
    except (InputError, stage.StageError) as error:
        why = str(error)
    prefect_run.run_logger().warning("the page is not kept with MLflow: %s", why)
    return f"not kept with MLflow: {why}"


def markdown(outcome: RunOutcome, kept: str = "") -> str:
    """What the artifact says: where the page lies, the gate's word, who delivers, the figures, and what ran."""
    if outcome.report:
        report = f"[{outcome.report}]({Path(outcome.report).as_uri()})"
    else:
        report = f"not published; kept as refs/runs/{outcome.run}"
    parts = [f"**Incomplete** {what}" for what in outcome.missing] + [f"**Report** {report}"]
    if kept:
        parts.append(f"**MLflow** {kept}")
    parts += [f"**Gate** {outcome.decision or 'not asked'}", f"**Champion** {outcome.champion}"]
    if outcome.rows:
        figures = [
            (row["task"], f"{row['value']:.4f}", f"[{row['low']:.4f}, {row['high']:.4f}]") for row in outcome.rows
        ]
        parts.append(_table(("task", "NDCG@10", "95% interval"), figures))
    if outcome.seconds:
        lost = {what.stage for what in outcome.unavailable}
        done = [
            (name, _how(name, outcome.ran, lost), f"{seconds:.1f}")
            for name, seconds in outcome.seconds.items()
            if name != "publish"
        ]
        parts.append(_table(("stage", "tonight", "seconds"), done))
    return "\n\n".join(parts) + "\n"


def _how(name: str, ran: Collection[str], lost: Collection[str]) -> str:
    """What became of a stage tonight."""
    return "unavailable" if name in lost else "ran" if name in ran else "skipped: nothing changed"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def one_line_flow(name: str, run_name: str | None = None) -> Callable[[Callable[P, Awaitable[Any]]], Flow[P, Any]]:
    """A flow that keeps no result; a failure is one line for people, and the webhook hears of it.

    run_name  of its runs, with the parameters in braces; None: Prefect makes one up
    """
    hooks: dict[str, Any] = {"on_failure": [post_failure], "on_crashed": [post_failure]}
    return lambda work: flow(name=name, flow_run_name=run_name, persist_result=False, **hooks)(_in_one_line(name, work))


def _in_one_line(name: str, work: Callable[P, Awaitable[Any]]) -> Callable[P, Awaitable[Any]]:
    """Check all settings first; end the flow as Failed with one line, where wrong input or a failed stage ended it."""

    async def ended(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            if name not in overrides.WITHOUT_SETTINGS:
                settings.check_all(storage.home() / settings.PARAMS)
            returned = await work(*args, **kwargs)
            if isinstance(returned, RunOutcome) and returned.missing:
                return Completed(name=FAILURES, message=returned.failures, data=returned)
            return returned
        except (InputError, StageError) as error:
            line = str(error)
        except Exception as error:
            if not isinstance(error, OSError | dag.dvc_error()):
                raise redaction.redactor().of_error(error) from None
            line = f"{type(error).__name__}: {' '.join(str(error).split())}"
            prefect_run.run_logger().debug("where it happened", exc_info=True)
        line = redaction.redactor()(line)
        prefect_run.run_logger().error("%s", line)
        return Failed(message=line)

    @functools.wraps(work)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        async with prefect_run.reported() as told:
            returned = await ended(*args, **kwargs)
            told.ending = state_of(returned)
            return returned

    return guarded


def state_of(returned: Any) -> State[Any]:
    """The state in which a flow ends that returned this."""
    return returned if isinstance(returned, State) else Completed(data=returned)


def ended(form_flow: Flow[..., Any], parameters: Mapping[str, Any], told: prefect_run.PrefectRun) -> State[Any]:
    """Run a flow here, without Prefect's engine; the state in which it ended, which Prefect is told."""
    try:
        state = _ended(form_flow, parameters)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        state = Crashed(message="stopped" if stopped else f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    finally:
        told.end(state)
        if not state.is_completed():
            messages.post(_failure(form_flow, told.known_id, state), told.log.warning)
    return state


def _ended(form_flow: Flow[..., Any], parameters: Mapping[str, Any]) -> State[Any]:
    try:
        checked = form_flow.validate_parameters(dict(parameters))
    except Exception as error:
        return Failed(message=f"parameters: {' '.join(str(error).split())}")
    try:
        return state_of(asyncio.run(form_flow.fn(**checked)))
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        prefect_run.run_logger().exception("an error that should not be")
        return Failed(message=told)


def post_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Hook: tell whoever wants to hear it which run failed, why, and which champion still serves."""
    messages.post(_failure(flow, str(flow_run.id), state), flow_run_logger(flow_run, flow).warning)


def _failure(flow: Any, run_id: str, state: Any) -> dict[str, Any]:
    still = champion_in_words(storage.home())
    return {
        "text": f"{flow.name} {state.name.lower()}: {state.message} (champion still serving: {still}; the published "
        "results stay as they were). What to do: docs/how-to/operate.md, “When it fails”",
        "flow": flow.name,
        "flow_run": run_id,
        "state": state.name,
        "message": state.message,
        "champion": still,
    }


def bury(dead: Mapping[str, Any]) -> None:
    """Mark the flow run of a holder that died as crashed; Prefect would show it as running for ever."""
    prefect_run.run_logger().warning("%s died without finishing; its folder is removed", dead.get("run"))
    if told := prefect_run.current():
        told.bury(dead)
