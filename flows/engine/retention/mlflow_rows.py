"""What MLflow's database says of versions, runs and models; read only, in milliseconds.

MLflow itself takes seconds to open, which a night does not spend only to learn that nothing is old. What is deleted is
deleted by MLflow: `tasks.registry.retire`.
"""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from nightmarket.contracts import InputError

MODEL = "nightmarket"
SEARCHES = "nightmarket search"
"""The experiment of searches (flows/tune.py)."""
MARKS = ("lock_hash", "digest", "trial")
"""Tags that a registration, a search and its trials set; a run without any of them is somebody's own."""
PARENT = "mlflow.parentRunId"

QUERIES = {
    "versions": "SELECT name, version, run_id, source, creation_time FROM model_versions "
    "WHERE coalesce(current_stage, '') != 'Deleted_Internal'",
    "version_tags": "SELECT name, version, key, value FROM model_version_tags",
    "aliases": "SELECT name, version FROM registered_model_aliases",
    "runs": "SELECT r.run_uuid, e.name, r.start_time, r.end_time, r.artifact_uri, r.name FROM runs r "
    "JOIN experiments e ON e.experiment_id = r.experiment_id",
    "tags": f"SELECT run_uuid, key, value FROM tags WHERE key IN {(PARENT, *MARKS)}",
    "models": "SELECT model_id, source_run_id, artifact_location FROM logged_models",
}


@dataclasses.dataclass(frozen=True)
class Version:
    """A registered version of any model; `refused` where the gate closed before it and it never delivered."""

    model: str
    number: int
    run: str
    source: str
    at: float
    commit: str
    refused: bool
    run_name: str


@dataclasses.dataclass(frozen=True)
class Due:
    """What may go: numbers of versions, ids of runs and of logged models, and the folders of their files."""

    versions: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.versions or self.runs)


class MlflowRows:
    """The database as it was when it was read."""

    def __init__(self, tables: dict[str, list[Any]], place: Path) -> None:
        tags: dict[tuple[str, int], dict[str, str]] = {}
        for model, number, key, value in tables["version_tags"]:
            tags.setdefault((model, number), {})[key] = value
        held = set(tables["aliases"])
        run_names = {run: name or "" for run, *_, name in tables["runs"]}
        self.versions = [
            _version(row, tags.get((row[0], row[1]), {}), (row[0], row[1]) in held, run_names.get(row[2], ""))
            for row in tables["versions"]
        ]
        self._place = place
        self._runs, self._tags, self._models = tables["runs"], tables["tags"], tables["models"]

    def refused(self, before: float, but: Collection[str]) -> list[Version]:
        """Versions older than `before` that never delivered, but for those of these commits."""
        return [
            version
            for version in self.versions
            if version.refused and version.at < before and version.commit not in but
        ]

    def due(
        self, experiments: Collection[str], before: float, leaving: Collection[Version], but: Collection[str]
    ) -> Due:
        """The versions that leave, and runs of these experiments, last heard of before `before`, that nothing needs.

        A version that stays needs its run, the model it was made of, and the runs above them.

        but   ids of runs that stay
        """
        staying = [version for version in self.versions if version not in leaving]
        sources = " ".join(version.source for version in staying)
        used = {model for model, _, _ in self._models if model in sources}
        needed = (
            {version.run for version in staying} | {run for model, run, _ in self._models if model in used} | set(but)
        )
        marked = {run for run, key, _ in self._tags if key in MARKS}
        heard = {run: max(start or 0, end or 0) / 1000 for run, _, start, end, *_ in self._runs}
        ours = {run for run, experiment, *_ in self._runs if experiment in experiments} & marked
        needed |= {run for run in heard if run not in ours or heard[run] >= before}
        above = {run: value for run, key, value in self._tags if key == PARENT}
        for run in list(needed):
            while (run := above.get(run, "")) and run not in needed:
                needed.add(run)
        runs = {run: uri for run, _, _, _, uri, _ in self._runs if run not in needed}
        models = {model: uri for model, run, uri in self._models if run in runs and model not in used}
        folders = [_path(uri) for uri in (*runs.values(), *models.values())]
        numbers = tuple(version.number for version in leaving)
        return Due(
            numbers, tuple(runs), tuple(models), tuple(folder for folder in folders if self._place in folder.parents)
        )


def read(home: Path) -> MlflowRows | None:
    """What is registered; None where nothing ever was.

    Raises InputError where the database cannot be read, or is missing although something was registered here.
    """
    database = home / "mlruns" / "mlflow.db"
    if not database.exists() or not database.stat().st_size:
        if (home / ".nightmarket" / "promotions.jsonl").exists():
            raise InputError(
                "mlruns/mlflow.db is gone, so nobody can say what the registered versions need; restore it from a "
                "backup, and prune then"
            )
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=2)) as base:
            return MlflowRows(
                {name: base.execute(query).fetchall() for name, query in QUERIES.items()}, database.parent
            )
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"mlruns/mlflow.db cannot be read ({error}), so nobody can say what the registered versions need; end the "
            "program that holds it, or restore the file"
        ) from None


def _version(row: Any, tags: dict[str, str], alias: bool, run_name: str) -> Version:
    model, number, run, source, created = row
    refused = (
        model == MODEL and tags.get("gate") == "refused" and not alias and not {"delivered", "promoting"} & {*tags}
    )
    return Version(
        model, int(number), run or "", source or "", created / 1000, tags.get("commit", ""), refused, run_name
    )


def _path(uri: str) -> Path:
    parts = urlparse(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else Path()
