"""Tonight's model as the registry sees it: what it is, where it came from, and how it compares."""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.csv as pc

from nightmarket.contracts import InputError, ModelError
from nightmarket.evaluation import forgetting
from nightmarket.evaluation.figures import METRIC, Metrics
from nightmarket.evaluation.intervals import Interval, paired
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import date_of
from nightmarket.serving import gate
from nightmarket.serving.figures import flatten_metrics, flatten_params
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline import settings, unavailable
from tasks.registry import champion, lineage

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import VersionRecord

TASKS = (gate.FIRST, *gate.GUARDED)
COMPARED = (catalogue.CUSTOMERS, catalogue.PRODUCTS, catalogue.PURCHASES, catalogue.PROMOTIONS, catalogue.WINDOWS)
"""Files of prepare that decide what a model is shown and judged on."""

ORIGIN = ("version", "run_id", "lock_hash", "commit", "as_of", "window", "data_fingerprint", "params_sha256", "metrics")
GATE = ("opened", "reasons", "against", "kind", "differences", "groups", "stand_in")
"""What a receipt keeps of where the version came from, and of the gate's word."""


@dataclass(frozen=True)
class Challenger:
    """The artifacts of tonight's training that registering reads, and their lineage."""

    lock_hash: str
    commit: str
    dirty: bool
    snapshot: dict[str, Any]
    validation: dict[str, Any]
    window: dict[str, Any]
    prepared: str
    metrics: Metrics
    ranker: dict[str, Any]
    history: dict[str, Any]
    params: dict[str, Any]

    @property
    def trained_until(self) -> int:
        """Last day whose purchases any part of the model learned from."""
        return max(int(self.ranker["trained_until"]), int(self.history.get("trained_until", 0)))

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The machine and the packages of tonight."""
        return lineage.environment(str(self.history.get("device", "unknown")))

    @property
    def params_sha256(self) -> str:
        """SHA-256 over every value of params.yaml, flat and in the order of the names."""
        params = "\n".join(f"{name}={value}" for name, value in sorted(flatten_params(self.params).items()))
        return hashlib.sha256(params.encode()).hexdigest()


def read() -> Challenger:
    """Read the artifacts; InputError names one that is missing."""
    lock = Path("dvc.lock")
    if not lock.exists():
        raise InputError("dvc.lock is missing; run the stages through `dvc repro` before registering")
    commit, dirty = git_commit()
    return Challenger(
        lock_hash=lineage.lock_hash(lock),
        commit=commit,
        dirty=dirty,
        snapshot=catalogue.SNAPSHOT.read(),
        validation=catalogue.VALIDATION.read(),
        window=catalogue.WINDOWS.read()["test"],
        prepared=manifest.tree_digest(*(artifact.path for artifact in COMPARED if artifact.exists())),
        metrics=Metrics.read(catalogue.METRICS.read()),
        ranker=catalogue.RANKER.read(),
        history=catalogue.FINETUNE_HISTORY.read(),
        params=settings.sections(Path("params.yaml")),
    )


def git_commit() -> tuple[str, bool]:
    """The run's commit and whether files differ from it; ("unknown", True) outside git."""
    given = os.environ.get("NIGHTMARKET_COMMIT")
    if given:
        return given, False
    try:
        asked = [["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
        head, status = (subprocess.run(ask, capture_output=True, text=True, check=True).stdout for ask in asked)
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return head.strip(), bool(status.strip())


def record(tonight: Challenger, package_sha256: str, rival: gate.Rival) -> "VersionRecord":
    """What the registry learns about tonight's training, and how the groups that were strong before fare with it."""
    from nightmarket.serving.figures import ndcg_bars
    from nightmarket.serving.registry import VersionRecord

    content = {name: part for name, part in tonight.metrics.content().items() if name != "slices"}
    groups = {f"forgetting {name}": kept.content() for name, kept in rival.groups.items()}
    metrics, left_out = flatten_metrics(content | groups)
    files = [(catalogue.METRICS.path, "evaluate"), (catalogue.VALIDATION.path, "validate")]
    files += [(catalogue.CUSTOMER_SCORES.path, ""), (Path("params.yaml"), ""), (Path("dvc.lock"), "")]
    figures = []
    if catalogue.NDCG_PLOT.exists():
        files.append((catalogue.NDCG_PLOT.path, "evaluate"))
        figures.append((ndcg_bars(pc.read_csv(catalogue.NDCG_PLOT.path).to_pylist()), "evaluate/ndcg.png"))
    as_of = tonight.snapshot["as_of"]
    return VersionRecord(
        run_name=os.environ.get("NIGHTMARKET_RUN", f"night-{as_of}"),
        tags={**_tags(tonight), "figures_left_out": str(len(left_out))},
        params=flatten_params(tonight.params),
        metrics=metrics,
        datasets=[
            (name, table["sha256"], int(table["rows"]), f"{tonight.snapshot['source']}:{name}")
            for name, table in sorted(tonight.snapshot["tables"].items())
        ],
        files=[(str(path), folder) for path, folder in files],
        figures=figures,
        version_tags={
            "lock_hash": tonight.lock_hash,
            "package_sha256": package_sha256,
            "commit": tonight.commit,
            "as_of": as_of,
            **({"unavailable": lost} if (lost := unavailable.sentence()) else {}),
        },
    )


def _tags(tonight: Challenger) -> dict[str, str]:
    set_aside = sum(int(table["set_aside"]) for table in tonight.validation["tables"].values())
    made_on = tonight.environment
    return {
        "commit": tonight.commit,
        "dirty": str(tonight.dirty).lower(),
        "lock_hash": tonight.lock_hash,
        "as_of": tonight.snapshot["as_of"],
        "data_fingerprint": tonight.snapshot["fingerprint"],
        "key_id": tonight.snapshot["key_id"],
        "validation": "passed" if tonight.validation["success"] else "failed",
        "validation_expectations": str(tonight.validation["expectations"]),
        "validation_rows_set_aside": str(set_aside),
        "params_sha256": tonight.params_sha256,
        **{name: str(value) for name, value in made_on.items() if name != "packages"},
        "packages": json.dumps(made_on["packages"], sort_keys=True),
    }


def rival(tonight: Challenger, seed: int) -> gate.Rival:
    """Whom the challenger must match, with the paired differences on tonight's window."""
    receipt = champion.receipt()
    if receipt is None:
        return _popularity(tonight, (), vacant=True)
    if champion.stands_in(receipt):
        return _popularity(tonight, (f"version {receipt['version']} delivers what is popular",))
    name = f"version {receipt['version']}"
    same = receipt["prepared"] == tonight.prepared and receipt["window"] == tonight.window
    notes: tuple[str, ...] = ()
    try:
        theirs = catalogue.CHAMPION_SCORES.read().to_pandas() if same else recommender.window_scores(storage.CHAMPION)
    except ModelError as error:  # whatever else goes wrong is a mistake of ours, which must not lead to an easier rule
        said = f"{name} cannot be scored by this code ({error}), so the rule for a first champion holds"
        return _popularity(tonight, (said,))
    if int(receipt["trained_until"]) >= int(tonight.window["first_target"]):
        notes = (
            f"{name} was trained on days of this window (until {date_of(receipt['trained_until'])}), so its figures "
            "here are too good; the challenger had to match them even so",
        )
    ours = catalogue.CUSTOMER_SCORES.read().to_pandas()
    differences = {task: paired_difference(ours, theirs, task, seed) for task in TASKS}
    return gate.Rival("champion", name, differences, notes, _kept(tonight, ours, theirs, seed))


def _popularity(tonight: Challenger, notes: tuple[str, ...], *, vacant: bool = False) -> gate.Rival:
    differences = {}
    for task in TASKS:
        figure = tonight.metrics.paired.get(task, {}).get("popularity", {}).get(METRIC)
        if figure:
            differences[task] = figure.interval
    return gate.Rival("popularity", "popularity", differences, notes, vacant=vacant)


def _kept(tonight: Challenger, ours: "pd.DataFrame", theirs: "pd.DataFrame", seed: int) -> dict[str, forgetting.Kept]:
    """The difference on `all` in each group of customers that was strong in the month before the window."""
    data, window = Prepared(), Window(**tonight.window)
    departments = data.products["department"].fillna("unknown").replace("", "unknown").tolist()
    groups = forgetting.strong_groups(data.histories, departments, window.cut, window.days)
    mine, his = (
        frame[frame["task"] == gate.FIRST].set_index("customer")[METRIC].dropna().to_dict() for frame in (ours, theirs)
    )
    return forgetting.compared(groups, mine, his, seed)


def paired_difference(ours: "pd.DataFrame", theirs: "pd.DataFrame", task: str, seed: int) -> Interval:
    """Paired difference over the customers with targets; not finite where the two sides know different customers."""
    mine, his = (frame[frame["task"] == task].set_index("customer")[METRIC] for frame in (ours, theirs))
    mine, his = mine.dropna().sort_index(), his.dropna().sort_index()
    if not mine.index.equals(his.index) or not mine.index.is_unique:
        return Interval(float("nan"), float("nan"), float("nan"))
    return paired(mine.to_numpy(np.float64), his.to_numpy(np.float64), seed)


def decision(tonight: Challenger, version: "ModelVersion", verdict: gate.Decision) -> dict[str, Any]:
    """The gate's word as data/champion/decision.json keeps it; no clock, so that a repeated night says the same."""
    said = verdict.reasons[0]
    outcome = "became champion" if verdict.opened else "was refused"
    return {
        **verdict.content(),
        "sentence": f"version {version.version} {outcome}: {said}",
        **_origin(tonight, version),
    }


def receipt(tonight: Challenger, version: "ModelVersion", said: Mapping[str, Any]) -> dict[str, Any]:
    """Where the model comes from, and what it was worth when it was made."""
    return {
        **_origin(tonight, version),
        "prepared": tonight.prepared,
        "trained_until": tonight.trained_until,
        # what it recommended when it was evaluated, as counts; drift compares every night with it
        "predictions": catalogue.PREDICTIONS.read() if catalogue.PREDICTIONS.exists() else None,
        "environment": tonight.environment,
        "data": lineage.data(tonight.snapshot),
        "validation": lineage.validation(tonight.validation),
        "gate": {name: said[name] for name in GATE},
    }


def late_receipt(decision: Mapping[str, Any], package: Path) -> dict[str, Any]:
    """The receipt of a version whose registration kept none, from the gate's word on it and its package."""
    ranker = storage.read_json(package / "rank/ranker.json")
    history = storage.read_json(package / "finetune/history.json")
    return {
        **{name: decision[name] for name in ORIGIN},
        "prepared": "",  # unknown, so the next gate scores it anew
        "trained_until": max(int(ranker["trained_until"]), int(history.get("trained_until", 0))),
        "gate": {name: decision.get(name) for name in GATE},
    }


def _origin(tonight: Challenger, version: "ModelVersion") -> dict[str, Any]:
    """What is said of a version, with its own finite figures by task."""
    figures = {task: tonight.metrics.ours(task).items() for task in TASKS}
    return {
        "version": int(version.version),
        "run_id": version.run_id,
        "lock_hash": tonight.lock_hash,
        "commit": tonight.commit,
        "as_of": tonight.snapshot["as_of"],
        "window": tonight.window,
        "data_fingerprint": tonight.snapshot["fingerprint"],
        "params_sha256": tonight.params_sha256,
        "metrics": {
            task: {name: figure.model_dump(exclude_unset=True) for name, figure in own if figure.finite}
            for task, own in figures.items()
        },
    }
