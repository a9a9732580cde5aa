"""Trials of a hyper-parameter search as MLflow runs: one parent for the search, a nested run for each trial.

They have an experiment of their own: a registration closes what it finds open in the experiment of the trainings.
"""

import logging
from collections.abc import Mapping
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from nightmarket.serving.figures import flatten_metrics, flatten_params

STATES = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}
"""Optuna's word for how a trial ended, and MLflow's; the tag `state` keeps ours: FINISHED, PRUNED or FAILED."""


class Trials:
    """The runs of one search. Open it for the first time under a lock: the first user creates the database."""

    def __init__(self, uri: str, artifacts: str, experiment: str, name: str, parent: str | None = None) -> None:
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        mlflow.set_tracking_uri(uri)
        self.client = MlflowClient(tracking_uri=uri)
        known = self.client.get_experiment_by_name(experiment)
        self.experiment = known.experiment_id if known else self.client.create_experiment(experiment, artifacts)
        if parent is not None and any(run.info.run_id == parent for run in self._runs("")):
            self.parent = parent
            self.client.update_run(parent, status="RUNNING")
        else:
            self.parent = self.client.create_run(self.experiment, run_name=name).info.run_id

    def describe(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """What is searched, on the parent run."""
        self.client.log_batch(self.parent, params=[Param(*item) for item in flatten_params(params).items()])
        for key, value in tags.items():
            self.client.set_tag(self.parent, key, value)

    def reap(self) -> int:
        """Close the trials that a killed search left open; returns how many."""
        left = [run for run in self._runs("attributes.status = 'RUNNING'") if self._is_ours(run)]
        for run in left:
            self.client.set_tag(run.info.run_id, "state", "KILLED")
            self.client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
        return len(left)

    def begin(self, number: int, values: Mapping[str, Any]) -> str:
        """A nested run with the trial's values; returns its id."""
        tags = {MLFLOW_PARENT_RUN_ID: self.parent, "trial": str(number)}
        run = self.client.create_run(self.experiment, run_name=f"trial {number}", tags=tags).info.run_id
        self.client.log_batch(run, params=[Param(key, str(value)) for key, value in values.items()])
        return run

    def window(self, run: str, name: str, step: int, value: float, metrics: Mapping[str, Any], commit: str) -> None:
        """The figures of one window: what is searched for under `window NAME`, everything else below `NAME.`."""
        flat, _ = flatten_metrics(metrics)
        figures = [Metric("value", value, 0, step), Metric(f"window {name}", value, 0, 0)]
        figures += [Metric(f"{name}.{key}", number, 0, 0) for key, number in flat.items()]
        for start in range(0, len(figures), 1000):
            self.client.log_batch(run, metrics=figures[start : start + 1000])
        self.client.set_tag(run, f"commit {name}", commit)

    def end(self, run: str, state: str, *, mean: float | None = None, why: str = "") -> None:
        """Close a trial; `state` is COMPLETE, PRUNED or FAIL."""
        if mean is not None:
            self.client.log_batch(run, metrics=[Metric("mean", mean, 0, 0)])
        self.client.set_tag(run, "state", {"FAIL": "FAILED", "COMPLETE": "FINISHED"}.get(state, state))
        if why:
            self.client.set_tag(run, "why", why[:500])
        self.client.set_terminated(run, STATES[state])

    def close(self, status: str, tags: Mapping[str, str], mean: float | None = None) -> None:
        """Close the search; `status` is FINISHED, FAILED or KILLED."""
        for key, value in tags.items():
            self.client.set_tag(self.parent, key, value)
        if mean is not None:
            self.client.log_batch(self.parent, metrics=[Metric("mean", mean, 0, 0)])
        self.client.set_terminated(self.parent, status)

    def _runs(self, query: str) -> list[Any]:
        return list(self.client.search_runs([self.experiment], query, max_results=5000))

    def _is_ours(self, run: Any) -> bool:
        return run.data.tags.get(MLFLOW_PARENT_RUN_ID) == self.parent
