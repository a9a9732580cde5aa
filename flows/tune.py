"""By hand: look for better values of params.yaml on windows before the test window; each trial is an MLflow run."""

import asyncio
import contextlib
import dataclasses
import shlex
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.engine.forms import terminal
from flows.engine.forms.form import Metric, Minutes, NumTrials, SearchName, SearchSpace, Seed, WaitMinutes, Windows
from flows.engine.reporting import outcome, prefect_run
from flows.engine.reporting.outcome import OURS, one_line_flow
from flows.engine.retention import mlflow_rows
from flows.engine.run import lock
from flows.engine.run.run import open_run
from flows.engine.tuning.space import LAST_STAGE, SearchPlan, plan
from flows.engine.tuning.study import Ended, Open, Study
from nightmarket.contracts import InputError
from tasks.files import catalogue, storage

DEFAULT_SPACE = {
    "rank.num_leaves": [15, 127],
    "rank.num_trees": [100, 400],
    "rank.learning_rate": {"low": 0.03, "high": 0.2, "log": True},
}
GIVE_WAY_S = 1.2
"""Between two windows the lock is free this long, so that a night that waits (it looks twice a second) goes first."""


@dataclasses.dataclass(frozen=True)
class TuningResult:
    """How a search ended."""

    name: str
    metric: str
    trials: tuple[Ended, ...]
    best: Ended

    def lines(self) -> list[str]:
        """The end of a search, for a terminal: what was best, and how to try and to adopt it."""
        states = [trial.state for trial in self.trials]
        base = next((trial for trial in self.trials if trial.is_baseline and trial.mean is not None), None)
        shown = [f"best     {_described(self.best, self.metric)}"]
        today = _described(base, self.metric) if base else "no finished trial of params.yaml's own values"
        shown.append(f"today    {today}")
        numbers = [f"{states.count(state)} {word}" for state, word in WORDS.items() if state in states]
        shown.append(f"trials   {len(states)}: {', '.join(numbers)}")
        shown.append(
            f"kept as  {self.name}; the same name goes on with it, in MLflow it is a run with its trials below"
        )
        if self.best.is_baseline:
            return [*shown, "adopt    nothing: no trial was better than params.yaml as it is"]
        assignments = (shlex.quote(f"{key}={_yaml(value)}") for key, value in sorted(self.best.values.items()))
        shown.append(
            "try      python -m flows nightly " + " ".join(f"--set {assignment}" for assignment in assignments)
        )
        shown.append("adopt    in params.yaml, when the test window agrees (the best of many trials flatters itself):")
        return [*shown, *yaml.safe_dump(_nested(self.best.values), allow_unicode=True).splitlines()]


WORDS = {"COMPLETE": "finished", "PRUNED": "given up after a window", "FAIL": "failed"}


@one_line_flow("tune")
async def tune(
    space: SearchSpace = DEFAULT_SPACE,
    trials: NumTrials = 20,
    metric: Metric = "all ndcg@10",
    windows: Windows = [],  # noqa: B006 - a parameter's default in the form
    minutes: Minutes = None,
    seed: Seed = 17,
    name: SearchName = "",
    wait_minutes: WaitMinutes = 240,
) -> TuningResult:
    """Try values of params.yaml and say which were best; nothing is published, registered or changed.

    Args:
        space: What to try, as {"rank.num_leaves": [31, 255], "rank.objective": {"choices": ["binary", "lambdarank"]}}.
        trials: How many trials the search has in all; the first is params.yaml as it is.
        metric: Task and figure of artifacts/evaluate/metrics.json; its mean over the windows is maximised.
        windows: Mondays on which the windows end, first one first. Empty: the two windows before the test window.
        minutes: No trial begins after so many minutes. Empty: no limit.
        seed: Seed of the sampler (TPE).
        name: Name of the search; one that was killed goes on under its name. Empty: made from what is searched.
        wait_minutes: How long to wait while another run holds the lock.
    """
    home, log, started = storage.home(), prefect_run.run_logger(), time.monotonic()
    planned = plan(home, space, metric, windows, seed)
    study = Study(home / "mlruns", name or f"tune-{planned.digest[:8]}", planned)
    log.info("search %s: %s on windows that end on %s", study.name, metric, ", ".join(planned.windows))
    async with _recorded(home, study, wait_minutes) as runs:
        while len(study.ended()) < trials and not _over(started, minutes, log):
            with study.trial() as trial:
                began = time.monotonic()
                await _evaluate(trial, planned, study.name, runs, wait_minutes)
            log.info("%s", _progress(study, trials, metric, time.monotonic() - began))
        tuned = _result(study, metric)
        prefect_run.table("trials", _rows(tuned), f"search {study.name}")
    return tuned


def _over(started: float, minutes: float | None, log: Any) -> bool:
    over = minutes is not None and time.monotonic() - started > 60 * minutes
    if over:
        log.info("the %g minutes are over; the same command goes on", minutes)
    return over


async def _evaluate(trial: Open, planned: SearchPlan, name: str, runs: Any, wait_minutes: float) -> None:
    """All windows of one trial; a stage that fails ends the trial, and whatever is wrong before one ends the search."""
    log = prefect_run.run_logger()
    mlflow_run = runs.begin(trial.number, trial.values)
    for step, window in enumerate(planned.windows):
        values = {**trial.values, "prepare.window_end": window}
        under_way = False
        try:
            async with open_run(f"{name}-{trial.number}-{window}", changes=values, wait_minutes=wait_minutes) as run:
                under_way = True
                run.about = f"trial {trial.number}, {window}: "
                await run.upto(LAST_STAGE)
                metrics = catalogue.METRICS.at(run.tree).read()
                figure = _figure(metrics, planned)
                runs.window(mlflow_run, window, step, figure, metrics[planned.task][OURS], run.keep(LAST_STAGE))
        except Exception as error:
            runs.end(mlflow_run, "FAIL", why=f"{window}: {' '.join(str(error).split())}")
            if not under_way:
                raise
            log.warning("trial %d failed on window %s: %s", trial.number, window, " ".join(str(error).split())[:500])
            return
        trial.report(figure)
        await asyncio.sleep(GIVE_WAY_S)
        if step + 1 < len(planned.windows) and trial.hopeless():
            trial.prune()
            runs.end(mlflow_run, "PRUNED", why=f"below the median of the other trials after {window}")
            return
    trial.finish()
    runs.end(mlflow_run, "COMPLETE", mean=trial.mean)


def _figure(metrics: Mapping[str, Any], planned: SearchPlan) -> float:
    """The searched figure; InputError when the task or the figure is not there or not a finite number."""
    entry = metrics.get(planned.task, {}).get(OURS, {}).get(planned.metric, {})
    value = entry.get("value") if isinstance(entry, Mapping) else None
    if not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise InputError(f"metric: {catalogue.METRICS} has no finite '{planned.task} {planned.metric}' of {OURS}")
    return float(value)


@contextlib.asynccontextmanager
async def _recorded(home: Path, study: Study, wait_minutes: float) -> AsyncIterator[Any]:
    """The search's MLflow run and its trials; closed as FINISHED, or as KILLED when the search is stopped."""
    from nightmarket.serving import set_environment

    set_environment()
    from nightmarket.serving.trials import Trials

    folder, path, log = home / "mlruns", home / ".nightmarket" / "run.lock", prefect_run.run_logger()
    # no registration meanwhile: the first user of MLflow's database creates it
    async with lock.run_lock(path, f"search {study.name}", wait_s=60 * wait_minutes, say=log.info) as held:
        if held.dead:
            outcome.bury(held.dead)
        uri, artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        runs = Trials(uri, artifacts, mlflow_rows.SEARCHES, study.name, study.parent)
        runs.reap()
    study.parent = runs.parent
    space = {dimension.key: dataclasses.asdict(dimension) for dimension in study.plan.space}
    judged = {"metric": f"{study.plan.task} {study.plan.metric}", "windows": ", ".join(study.plan.windows)}
    runs.describe({"space": space, "search": judged | {"seed": study.plan.seed}}, {"digest": study.plan.digest})
    try:
        yield runs
    except Exception as error:
        runs.close("FAILED", {"why": " ".join(str(error).split())[:500]})
        raise
    except BaseException:
        runs.reap()
        runs.close("KILLED", {"why": "stopped"})
        raise
    best = study.best()
    tags = {f"best {key}": str(value) for key, value in best.values.items()} if best else {}
    runs.close("FINISHED", tags, best.mean if best else None)


def _result(study: Study, metric: str) -> TuningResult:
    ended, best = study.ended(), study.best()
    if best is None:
        failed = sum(trial.state == "FAIL" for trial in ended)
        raise InputError(f"search {study.name}: no trial finished ({failed} of {len(ended)} failed; the log says why)")
    return TuningResult(study.name, metric, tuple(ended), best)


def _progress(study: Study, trials: int, metric: str, seconds: float) -> str:
    ended, best = study.ended(), study.best()
    so_far = f"; best {best.mean:.4f} (trial {best.number})" if best and best.mean is not None else ""
    return f"{_described(ended[-1], metric, of=trials)}; {seconds:.0f} s{so_far}"


def _described(trial: Ended, metric: str, of: int = 0) -> str:
    values = ", ".join(f"{key} {_yaml(value)}" for key, value in sorted(trial.values.items()))
    figures = ", ".join(f"{figure:.4f}" for figure in trial.figures) or "no window"
    mean = f"{metric} {trial.mean:.4f} ({figures})" if trial.mean is not None else f"{WORDS[trial.state]} ({figures})"
    return f"trial {trial.number}{f' of {of}' if of else ''}: {values}: {mean}"


def _rows(tuned: TuningResult) -> list[dict[str, Any]]:
    return [
        {"trial": trial.number, "state": trial.state, tuned.metric: trial.mean, "windows": str(trial.figures)}
        | trial.values
        for trial in tuned.trials
    ]


def _yaml(value: Any) -> str:
    """As YAML writes a plain value."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"rank.num_leaves": 63} as sections of params.yaml."""
    sections: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        inner = sections
        for name in path:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return sections


if __name__ == "__main__":
    terminal.hand_over("tune")
