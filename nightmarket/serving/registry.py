"""The model registry: one run and one version for each training, two aliases that say who delivers.

Tags of a version: `lock_hash` (the training it came from), `gate` (pending, opened, refused), `reason`,
`package_sha256`, `commit`, `as_of`; `delivered` (since when and until when it was champion, and by whom) and
`reproduced` (when it was last rebuilt, and what came out); `unavailable` (the side stages that failed on its latest
night, and why). A version whose gate is pending was left behind by a killed
registration and is decided later.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

MODEL = "nightmarket"
CHAMPION = "champion"
PREVIOUS = "previous_champion"
PARAMS_A_CALL = 100
METRICS_A_CALL = 1000
"""What MLflow accepts in one call."""
HEADLINE = {f"{task}.nightmarket.ndcg_at_10" for task in ("all", "new", "launch")}
"""Figures that the model itself carries. MLflow copies those logged before the model, one query each."""


@dataclass(frozen=True)
class VersionRecord:
    """What the registry learns about one training.

    files     (local path, folder among the run's artifacts)
    figures   (matplotlib figure, file name among the run's artifacts)
    datasets  name, SHA-256, number of rows, source
    """

    run_name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Sequence[tuple[str, str, int, str]] = ()
    files: Sequence[tuple[str, str]] = ()
    figures: Sequence[tuple[Any, str]] = ()
    version_tags: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """MLflow behind the few words that registering needs.

    One process at a time may open it for writing: the caller holds a lock, because the first user creates the
    database and because reading an alias and setting it is not one step.
    """

    def __init__(self, uri: str, artifacts: str, experiment: str) -> None:
        for name in ("mlflow", "alembic", "matplotlib"):
            logging.getLogger(name).setLevel(logging.WARNING)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._folders: dict[str, str] = {}
        self._experiment, self._where = experiment, artifacts
        try:
            self.client.get_registered_model(MODEL)
        except MlflowException:
            self.client.create_registered_model(MODEL, description="what nightmarket recommends with")

    @cached_property
    def experiment(self) -> str:
        """Id of the experiment that trainings are logged in; created on first use, so that reading writes nothing."""
        experiment = self.client.get_experiment_by_name(self._experiment)
        return str(
            experiment.experiment_id if experiment else self.client.create_experiment(self._experiment, self._where)
        )

    def reap(self) -> int:
        """Close the runs and models of registrations that died; returns how many runs. Only under the lock."""
        runs = self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'")
        for run in runs:
            self.client.set_tag(run.info.run_id, "reaped", "the registration ended before it was complete")
            self.client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
        if runs:
            for model in self.client.search_logged_models([self.experiment]):
                if str(model.status).upper().endswith("PENDING"):
                    self.client.finalize_logged_model(model.model_id, "FAILED")
        return len(runs)

    def find(self, lock_hash: str) -> ModelVersion | None:
        """The version of this training, or None."""
        versions = self.client.search_model_versions(f"name = '{MODEL}' and tag.lock_hash = '{lock_hash}'")
        return max(versions, key=lambda version: int(version.version), default=None)

    def versions(self) -> list[ModelVersion]:
        """Every version, by number."""
        versions = self.client.search_model_versions(f"name = '{MODEL}'")
        return sorted(versions, key=lambda version: int(version.version))

    def aliases(self) -> dict[str, int]:
        """{alias: version that holds it}."""
        held = self.client.get_registered_model(MODEL).aliases
        return {alias: int(number) for alias, number in held.items()}

    def holder(self, alias: str) -> ModelVersion | None:
        """The version that holds the alias, or None."""
        try:
            return self.client.get_model_version_by_alias(MODEL, alias)
        except MlflowException:
            return None

    def record(self, record: VersionRecord, package: str, features: Sequence[str]) -> ModelVersion:
        """Log one run with its model and register the model as a version whose gate is pending.

        package   folder with rank/, finetune/ and manifest.json
        features  columns of the ranker, in its order
        """
        with mlflow.start_run(experiment_id=self.experiment, run_name=record.run_name, tags=dict(record.tags)) as run:
            self._log(run.info.run_id, record)
            self._log_metrics(
                run.info.run_id, {name: record.metrics[name] for name in HEADLINE & record.metrics.keys()}
            )
            model = _log_model(package, features)
            self._log_metrics(run.info.run_id, record.metrics)
        tags = {"gate": "pending", **record.version_tags}
        return self.client.create_model_version(
            MODEL, model.model_uri, run.info.run_id, tags=tags, model_id=model.model_id
        )

    def _log(self, run_id: str, record: VersionRecord) -> None:
        params = [Param(*item) for item in record.params.items()]
        for start in range(0, len(params), PARAMS_A_CALL):
            self.client.log_batch(run_id, params=params[start : start + PARAMS_A_CALL])
        if record.datasets:
            self.client.log_inputs(run_id, [_dataset(*item) for item in record.datasets])
        for path, folder in record.files:
            self.client.log_artifact(run_id, path, folder)
        for figure, name in record.figures:
            self.client.log_figure(run_id, figure, name)

    def _log_metrics(self, run_id: str, figures: Mapping[str, float]) -> None:
        metrics = [Metric(*item, timestamp=0, step=0) for item in figures.items()]
        for start in range(0, len(metrics), METRICS_A_CALL):
            self.client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])

    def keep(self, version: ModelVersion, name: str, content: Any) -> None:
        """Keep a JSON document with the version's run."""
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        self.client.log_text(str(version.run_id), text, name)

    def kept(self, version: ModelVersion, name: str) -> Any:
        """A JSON document of the version's run."""
        return json.loads(mlflow.artifacts.load_text(f"{self._artifacts(str(version.run_id))}/{name}"))

    def lineage(self, version: ModelVersion) -> dict[str, Any]:
        """What the version's run has on record: run_name, tags, params, metrics, and data: {table: {rows, sha256}}."""
        run = self.client.get_run(str(version.run_id))
        given = [entry.dataset for entry in run.inputs.dataset_inputs] if run.inputs else []
        return {
            "run_name": run.info.run_name,
            "tags": {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
            "params": dict(run.data.params),
            "metrics": dict(run.data.metrics),
            "data": {
                dataset.name: {
                    "rows": json.loads(str(dataset.profile))["num_rows"],
                    "sha256": json.loads(str(dataset.source))["sha256"],
                }
                for dataset in sorted(given, key=lambda dataset: dataset.name)
            },
        }

    def manifest(self, version: ModelVersion) -> dict[str, str]:
        """{file of the package: SHA-256}, as the package's own manifest has it; not checked."""
        where = f"models:/{MODEL}/{version.version}/artifacts/package/manifest.json"
        return json.loads(mlflow.artifacts.load_text(where))["files"]

    def tag(self, version: ModelVersion, name: str, value: str | None) -> None:
        """Set a tag of the version; None takes it away."""
        if value is not None:
            self.client.set_model_version_tag(MODEL, version.version, name, value)
            version.tags[name] = value
        elif name in version.tags:
            self.client.delete_model_version_tag(MODEL, version.version, name)
            del version.tags[name]

    def describe(self, version: ModelVersion, markdown: str) -> None:
        """Set the description that MLflow shows with the version."""
        self.client.update_model_version(MODEL, version.version, markdown)

    def fetch(self, version: ModelVersion, names: Sequence[str], into: str) -> None:
        """Copy documents of the version's run into a folder."""
        for name in names:
            mlflow.artifacts.download_artifacts(f"{self._artifacts(str(version.run_id))}/{name}", dst_path=into)

    def package(self, version: ModelVersion, into: str) -> str:
        """Copy the version's package into a folder; returns the package's path."""
        return mlflow.artifacts.download_artifacts(
            f"models:/{MODEL}/{version.version}/artifacts/package", dst_path=into
        )

    def _artifacts(self, run_id: str) -> str:
        """Where the run's artifacts lie; asked once, because MLflow reads the whole run to answer."""
        if run_id not in self._folders:
            self._folders[run_id] = str(self.client.get_run(run_id).info.artifact_uri)
        return self._folders[run_id]

    def close_gate(self, version: ModelVersion, reason: str) -> None:
        """Put the refusal on record; aliases stay."""
        self.client.set_model_version_tag(MODEL, version.version, "reason", reason)
        self.client.set_model_version_tag(MODEL, version.version, "gate", "refused")

    def promote(self, version: ModelVersion) -> None:
        """Make the version champion; the one before keeps the alias previous_champion, set first."""
        reigning = self.holder(CHAMPION)
        if reigning and reigning.version != version.version:
            self.client.set_registered_model_alias(MODEL, PREVIOUS, reigning.version)
        self.client.set_registered_model_alias(MODEL, CHAMPION, version.version)

    def open_gate(self, version: ModelVersion, reason: str) -> None:
        """Put on record that the version became champion; the last step of a promotion."""
        self.client.set_model_version_tag(MODEL, version.version, "reason", reason)
        self.client.set_model_version_tag(MODEL, version.version, "gate", "opened")


def _dataset(name: str, digest: str, num_rows: int, source: str) -> DatasetInput:
    """A table as a data set input; MLflow takes digests of at most 36 characters."""
    profile = json.dumps({"num_rows": num_rows})
    described = json.dumps({"uri": source, "sha256": digest})
    return DatasetInput(
        Dataset(name=name, digest=digest[:32], source_type="snapshot", source=described, profile=profile),
        [InputTag("mlflow.data.context", "training"), InputTag("rows", str(num_rows))],
    )


def _log_model(package: str, features: Sequence[str]) -> Any:
    """Log the package as a pyfunc from code, with signature and example; MLflow scores the example once."""
    from nightmarket.serving import package as packaging

    with _quiet():
        return mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=packaging.code(),
            artifacts={"package": package},
            signature=packaging.signature(features),
            input_example=packaging.example(features),
            pip_requirements=packaging.requirements(),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MLflow's advice about type hints is for models without a signature."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
