"""Offline metrics of each version and when it delivered, as the registry has them on record."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

METRIC = "ndcg@10"
TASK = "all"
TASKS = (TASK, "new", "launch")


def promises(uri: str, known: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """One row per decided version, by number; nothing is written.

    uri    MLflow's database, which must exist
    known  rows read earlier; what a version's gate once said never changes, so it is not read again. When a version
           delivered does change, and comes from the registry each time

    Rows: version, as_of, registered (UTC), commit, gate (opened, refused), metric, value (its NDCG@10 on `all`),
    figures ({task: {value, low, high}} of `all`, `new` and `launch`, where finite), against (whom it had to match),
    difference ({value, low, high} to that one, paired by customer, or None) and delivered ([{since, until, by}], oldest
    first; `until` is None while it delivers). Rows of older code lack registered, commit, figures and delivered.
    """
    import mlflow
    from mlflow import MlflowClient

    from nightmarket.serving.registry import MODEL

    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    rows = {int(row["version"]): dict(row) for row in known}
    versions = sorted(client.search_model_versions(f"name = '{MODEL}'"), key=lambda version: int(version.version))
    reigns = delivered([_reign(version) for version in versions])
    for version in versions:
        number = int(version.version)
        gate = version.tags.get("gate", "pending")
        if gate == "pending":
            continue
        if number not in rows or "figures" not in rows[number]:
            where = client.get_run(str(version.run_id)).info.artifact_uri
            rows[number] = row(number, gate, json.loads(mlflow.artifacts.load_text(f"{where}/decision.json")))
        registered = _reign(version)[1]
        rows[number] |= {"registered": registered, "commit": version.tags.get("commit")}
        rows[number]["delivered"] = reigns.get(number, [])
    return [rows[number] for number in sorted(rows) if rows[number]["value"] is not None]


def row(number: int, gate: str, decision: Mapping[str, Any]) -> dict[str, Any]:
    """A version's row out of the gate's word (data/champion/decision.json)."""
    metrics = decision.get("metrics", {})
    figures = {task: metrics[task][METRIC] for task in TASKS if METRIC in metrics.get(task, {})}
    return {
        "version": number,
        "as_of": decision.get("as_of"),
        "gate": gate,
        "metric": f"{METRIC} on {TASK}",
        "value": figures.get(TASK, {}).get("value"),
        "figures": figures,
        "against": decision.get("against"),
        "difference": decision.get("differences", {}).get(TASK),
    }


Reign = tuple[int, str, str, list[dict[str, Any]] | None]
"""Version, when it was registered, the gate's word, and the spans on record (None under older code)."""


def delivered(versions: Sequence[Reign]) -> dict[int, list[dict[str, Any]]]:
    """{version: [{since, until, by}]}, for versions by number.

    A version that older code promoted has no spans on record: it delivered from its registration until the next one
    began.
    """
    spans_by_version: dict[int, list[dict[str, Any]]] = {}
    begins = [_begin(version) for version in versions]
    for place, (number, registered, gate, spans) in enumerate(versions):
        if spans is not None:
            spans_by_version[number] = spans
        elif gate == "opened":
            later = [begin for begin in begins[place + 1 :] if begin]
            spans_by_version[number] = [{"since": registered, "until": min(later, default=None), "by": "gate"}]
    return spans_by_version


def _begin(version: Reign) -> str | None:
    _, registered, gate, spans = version
    if spans:
        return str(spans[0]["since"])
    return registered if gate == "opened" and spans is None else None


def _reign(version: Any) -> Reign:
    moment = datetime.datetime.fromtimestamp(version.creation_timestamp / 1000, datetime.UTC)
    spans = json.loads(version.tags["delivered"]) if "delivered" in version.tags else None
    gate = version.tags.get("gate", "pending")
    return int(version.version), moment.strftime("%Y-%m-%dT%H:%M:%SZ"), gate, spans
