"""What the offline evaluation promised of each version, as the registry has it on record."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

METRIC = "ndcg@10"
TASK = "all"


def promises(uri: str, known: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """One row per decided version, by number; nothing is written.

    uri    MLflow's database, which must exist
    known  rows read earlier; what a version's gate once said never changes, so these are not read again

    Rows: version, as_of, gate (opened, refused), metric, value (its NDCG@10 on `all`), against (whom it had to match)
    and difference ({value, low, high} to that one, paired by customer, or None).
    """
    import mlflow
    from mlflow import MlflowClient

    from nightmarket.serving.registry import MODEL

    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    rows = {int(row["version"]): dict(row) for row in known}
    for version in client.search_model_versions(f"name = '{MODEL}'"):
        number = int(version.version)
        gate = version.tags.get("gate", "pending")
        if number in rows or gate == "pending":
            continue
        where = client.get_run(str(version.run_id)).info.artifact_uri
        said = json.loads(mlflow.artifacts.load_text(f"{where}/decision.json"))
        rows[number] = row(number, gate, said)
    return [rows[number] for number in sorted(rows) if rows[number]["value"] is not None]


def row(number: int, gate: str, decision: Mapping[str, Any]) -> dict[str, Any]:
    """A version's row out of the gate's word (data/champion/decision.json)."""
    own = decision.get("metrics", {}).get(TASK, {}).get(METRIC, {})
    return {
        "version": number,
        "as_of": decision.get("as_of"),
        "gate": gate,
        "metric": f"{METRIC} on {TASK}",
        "value": own.get("value"),
        "against": decision.get("against"),
        "difference": decision.get("differences", {}).get(TASK),
    }
