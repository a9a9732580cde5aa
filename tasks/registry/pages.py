"""Keep the morning page with the MLflow run of the version that the gate spoke of last, or of the one that delivers.

    python -m tasks.registry.pages

A step after `report`. A version keeps one page, report/index.html among its run's artifacts: that of the latest night.
"""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nightmarket.contracts import InputError
from nightmarket.serving import set_environment
from tasks.files import catalogue, manifest, storage
from tasks.pipeline import lifetime, unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = catalogue.PAGE.path
FOLDER = "report"
TAG = "unavailable"
MOST_BYTES = 3_000_000
"""A page is bounded; what is larger does not belong into a registry."""
SQLITE = b"SQLite format 3\0"


def keep() -> str:
    """Log the page, unless this very page was logged; returns what was done, in a line.

    Raises InputError where there is no page, no version or no registry to keep it with.
    """
    if not PAGE.exists():
        raise InputError(f"{PAGE} is missing; run `dvc repro report` first")
    if PAGE.stat().st_size > MOST_BYTES:
        raise InputError(f"{PAGE} has {PAGE.stat().st_size:,} bytes, more than {MOST_BYTES:,}; it is not kept")
    version, run_id = _version()
    database = storage.home() / "mlruns" / "mlflow.db"
    if not _is_database(database):
        raise InputError(f"{database.parent.name}/{database.name} is no registry to keep the page with")
    noted, this = storage.private("page.json"), {"run_id": run_id, "sha256": manifest.digest(PAGE)}
    if noted.exists() and storage.read_json(noted) == this:
        return f"version {version} has this page already"
    set_environment()
    from mlflow import MlflowClient

    uri = f"sqlite:///{database}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.log_artifact(run_id, str(PAGE), FOLDER)
    _tag(client, version)
    storage.write_json(this, noted)
    return f"kept with MLflow run {run_id} of version {version}, as {FOLDER}/{PAGE.name}"


def _tag(client: "MlflowClient", version: int) -> None:
    """Let the version's tag say what its latest night went on without; a version that was deleted has none."""
    from mlflow.exceptions import MlflowException

    from nightmarket.serving.registry import MODEL

    lost = unavailable.sentence()
    with contextlib.suppress(MlflowException):
        if lost:
            client.set_model_version_tag(MODEL, str(version), TAG, lost)
        elif TAG in client.get_model_version(MODEL, str(version)).tags:
            client.delete_model_version_tag(MODEL, str(version), TAG)


def _is_database(path: Path) -> bool:
    """Whether a file begins as SQLite's do. MLflow would try a broken one again and again."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _version() -> tuple[int, str]:
    """Number and run of the version that the page is kept with."""
    for document in (catalogue.CHAMPION_DECISION, catalogue.CHAMPION_RECEIPT):
        record = document.read() if document.exists() else {}
        if record.get("run_id"):
            return int(record["version"]), str(record["run_id"])
    raise InputError("no version is on record in data/champion, so the page is kept with none")


def main() -> int:
    """Keep the page; one line on stderr, exit code 2 for wrong input and 1 where MLflow failed."""
    try:
        print(f"page: {keep()}", flush=True)
    except InputError as error:
        print(f"nightmarket: page: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        print(
            f"page: MLflow did not take it ({type(error).__name__}: {' '.join(str(error).split())[:200]})", flush=True
        )
        return 1
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
