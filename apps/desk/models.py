"""Nights and models: what ran, which versions there are, two of them side by side, promote and roll back."""

import threading
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from fastapi.responses import Response

from apps.desk.prefect_api import RunRow
from apps.desk.today import latest_runs
from apps.desk.visit import DeskVisit, OfVisit
from flows.engine.forms.form import Reason
from flows.engine.run import dag
from nightmarket.contracts import InputError
from nightmarket.serving.card import card
from tasks.registry import card as cards
from tasks.registry import promotion, store, versions

router = APIRouter()
Why = Annotated[Reason, Form()]
TASKS = ("all", "new", "launch")
_one_at_a_time = threading.Lock()
"""MLflow's client is set up once for a process."""
_kept: dict[Path, tuple[Any, list[dict[str, Any]]]] = {}


@router.get("/models")
def list_models(visit: OfVisit, done: str = "") -> Response:
    """Runs and versions."""
    runs, away = latest_runs(visit)
    known = registered(visit.home)
    delivers, before = (next((row["version"] for row in known if alias in row["aliases"]), None)
                        for alias in ("champion", "previous_champion"))  # fmt: skip
    return visit.page(
        "models.html",
        runs=runs[:15],
        away=away,
        progress={run.id: progress(visit, run) for run in runs if run.kind == "running"},
        versions=list(reversed(known)),
        tasks=TASKS,
        delivers=delivers,
        before=before,
        busy=any(run.kind in ("running", "pending") for run in runs),
        done=done,
        changes=list(reversed(promotion.changes()))[:5],
    )


@router.get("/models/compare")
def compare(visit: OfVisit, first: Annotated[int, Query(ge=1)], second: Annotated[int, Query(ge=1)]) -> Response:
    """Two versions side by side."""
    from tasks.registry import side_by_side  # which brings the models along

    with _one_at_a_time:
        compared = side_by_side.compare(first, second)
    return visit.page("compare.html", compared=compared, numbers=(first, second))


@router.get("/models/{version}")
def show_version(visit: OfVisit, version: int) -> Response:
    """How it came to be: its card."""
    with _one_at_a_time:
        registry = store.for_reading()
        content = cards.record(registry, store.chosen(registry, version))
    return visit.page("version.html", card=card(content), version=version, params=content["lineage"]["params"],
                      delivers="champion" in content["aliases"])  # fmt: skip


@router.post("/models/{version}/promote")
def promote(visit: OfVisit, version: int, reason: Why) -> Response:
    """Start the flow `promote`."""
    visit.desk.prefect.start("promote", {"version": version, "reason": reason, "who": visit.who})
    visit.note("promotion asked for", version=version, why=reason)
    return visit.to("/models?done=promote")


@router.post("/models/rollback")
def roll_back(visit: OfVisit, reason: Why) -> Response:
    """Start the flow `rollback`."""
    visit.desk.prefect.start("rollback", {"reason": reason, "who": visit.who})
    visit.note("rollback asked for", why=reason)
    return visit.to("/models?done=rollback")


def registered(home: Path) -> list[dict[str, Any]]:
    """A row of each version on record with the aliases that it holds, oldest first; none before the first night."""
    database = home / "mlruns" / "mlflow.db"
    if not database.exists():
        return []
    with _one_at_a_time:
        about = [path.stat().st_mtime_ns for path in (database, database.with_name("mlflow.db-wal")) if path.exists()]
        if home not in _kept or _kept[home][0] != about:
            rows = versions.registered([])
            held = store.for_reading().aliases()
            for row in rows:
                row["aliases"] = [alias for alias, number in held.items() if number == row["version"]]
            _kept[home] = about, rows
        return _kept[home][1]


def progress(visit: DeskVisit, run: RunRow) -> tuple[int, int, str] | None:
    """(stages done, stages in all, the one at work) of a night that runs."""
    if run.flow not in ("nightly", "retrain", "deliver"):
        return None
    try:
        stages = visit.desk.prefect.stages(run.id)
    except InputError:
        return None
    at_work = next((name for name, state in stages if state == "Running"), "")
    return sum(state != "Running" for _, state in stages), len(dag.read(visit.home)), at_work
