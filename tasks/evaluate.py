"""Score everything held out, beside the baselines, with intervals over customers.

reads   artifacts/prepare, artifacts/finetune, artifacts/rank
writes  artifacts/evaluate   metrics.json, per_customer.parquet, ndcg.csv
"""

import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.evaluation import Interval, bootstrap, coverage, hits, novelty, paired, rank_metrics
from nightmarket.ranking import Scene
from nightmarket.ranking.lists import mask_entries, top_items
from nightmarket.ranking.peers import Scorer, ease, line_affinity, popularity, recency_frequency, tifu_knn
from tasks import model, storage
from tasks.settings import StageSettings

OUT = storage.ARTIFACTS / "evaluate"
FINETUNE = storage.ARTIFACTS / "finetune"
OURS = "nightmarket"
BASELINES = ("popularity", "recency_frequency", "tifu_knn", "ease")
PLACES = 20
Lists = dict[str, NDArray[np.int32]]
Metrics = dict[str, NDArray[np.float64]]
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """How the held-out weeks are judged."""

    seed: int = Field(17, ge=0, description="seed of the bootstrap")
    num_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples of the customers")


def run(settings: Settings) -> None:
    """Write artifacts/evaluate."""
    data = model.prepared()
    window = data.windows["test"]
    ours = model.load(storage.ARTIFACTS / "rank")
    scene = ours.scene(data, FINETUNE, window)
    targets = model.window_targets(data, window)
    lists = {OURS: model.window_lists(ours, scene, PLACES)}
    lists |= dict(_baselines(data, scene))
    per_customer = {
        task: {name: rank_metrics(found[task], *targets[task]) for name, found in lists.items() if task in found}
        for task in model.TASKS
    }
    content: dict[str, object] = {
        task: {name: _intervals(values, settings) for name, values in of_task.items()}
        for task, of_task in per_customer.items()
    }
    text = storage.read_json(FINETUNE / "history.json")["test"]
    for task in model.TASKS:
        for name, found in lists.items():
            if task in found:
                content[task][name] |= _beyond(found[task], scene, task)  # type: ignore[index]
        # Text alone was measured where it was trained; one measurement is enough.
        content[task] |= {f"text_{when}": text[when][task] for when in ("before", "after")}  # type: ignore[operator]
    content["paired"] = {task: _paired(of_task, settings) for task, of_task in per_customer.items()}
    departments = dict(zip(data.catalogue.department.tolist(), data.products["department"], strict=True))
    score = per_customer["all"][OURS]["ndcg@10"]
    content["slices"] = _slices(score, lists[OURS]["all"], targets["all"], scene, departments, settings)
    content["window"] = window | {"promotion_plan": ours.promotion_plan, "use_text": ours.use_text}
    content["num_customers"] = {task: int((np.diff(targets[task][0]) > 0).sum()) for task in model.TASKS}
    storage.write_json(content, OUT / "metrics.json")
    table = model.customer_scores(lists[OURS], targets)
    storage.write_table(pa.Table.from_pandas(table, preserve_index=False), OUT / "per_customer.parquet")
    _write_plot(content)
    for task in model.TASKS:
        figure = content[task][OURS]["ndcg@10"]  # type: ignore[index]
        log.info("evaluate: %s ndcg@10 %.4f [%.4f, %.4f]", task, figure["value"], figure["low"], figure["high"])


def _baselines(data: model.Prepared, scene: Scene) -> Iterator[tuple[str, Lists]]:
    """Each baseline's lists over the full catalogue; `launch` by the peer that can rank unsold products."""
    history, origin = scene.evidence.histories, scene.evidence.origin
    makers = {"popularity": popularity, "recency_frequency": recency_frequency, "tifu_knn": tifu_knn, "ease": ease}
    for name in BASELINES:
        yield name, _walk(makers[name](history, origin), scene, ("all", "new"))
        log.info("evaluate: ranked %s", name)
    catalogue = scene.evidence.catalogue
    affinity = line_affinity(history, catalogue.line, catalogue.kind, scene.evidence.last_day)
    yield "affinity", _walk(affinity, scene, ("launch",))


def _walk(scorer: Scorer, scene: Scene, tasks: tuple[str, ...]) -> Lists:
    """Top places per task: products sold before for `all`, without one's own for `new`, launched ones for `launch`."""
    evidence, num = scene.evidence, scene.evidence.histories.num_customers
    bought = evidence.histories.matrix()
    launching = np.zeros(evidence.catalogue.num_items, bool)
    launching[scene.launching] = True
    found: Lists = {task: np.full((num, PLACES), -1, np.int32) for task in tasks}
    for start in range(0, num, 256):
        rows = slice(start, min(start + 256, num))
        scores = scorer(rows).astype(np.float32)
        for task in tasks:
            if task == "new":
                mask_entries(scores, bought[rows])
            allowed = launching if task == "launch" else evidence.sold
            best = top_items(np.where(allowed, scores, -np.inf), PLACES)
            found[task][rows] = best
    return found


def _intervals(values: Metrics, settings: Settings) -> dict[str, dict[str, float]]:
    return {name: bootstrap(v, settings.seed, settings.num_resamples)._asdict() for name, v in values.items()}


def _beyond(found: NDArray[np.int32], scene: Scene, task: str) -> dict[str, dict[str, float]]:
    """Coverage and novelty: properties of the lists, without an interval."""
    evidence = scene.evidence
    catalogue = scene.launching.size if task == "launch" else int(evidence.sold.sum())
    buyers = evidence.buyers["ever"].astype(np.int64)
    values = {
        "coverage@10": coverage(found, catalogue),
        "novelty@10": novelty(found, buyers, evidence.histories.num_customers),
    }
    return {name: Interval(value, value, value)._asdict() for name, value in values.items()}


def _paired(of_task: dict[str, Metrics], settings: Settings) -> dict[str, dict[str, dict[str, float]]]:
    ours = of_task[OURS]
    return {
        name: {
            metric: paired(ours[metric], theirs[metric], settings.seed, settings.num_resamples)._asdict()
            for metric in ("ndcg@10", "recall@20")
        }
        for name, theirs in of_task.items()
        if name != OURS
    }


def _slices(
    score: NDArray[np.float64],
    found: NDArray[np.int32],
    targets: tuple[NDArray[np.int64], NDArray[np.int32]],
    scene: Scene,
    departments: dict[int, str],
    settings: Settings,
) -> dict[str, dict[str, dict[str, float]]]:
    """NDCG@10 by length of history; recall@20 by department (share of its targets that the list holds)."""
    history = scene.evidence.histories
    lines = np.bincount(history.customer, minlength=history.num_customers)
    cuts = np.quantile(lines[lines > 0], [0.25, 0.5, 0.75]) if (lines > 0).any() else [0, 0, 0]
    names = [f"up to {cuts[0]:.0f} lines", f"up to {cuts[1]:.0f}", f"up to {cuts[2]:.0f}", f"over {cuts[2]:.0f}"]
    group = np.searchsorted(cuts, lines)
    by_length = {
        name: bootstrap(np.where(group == i, score, np.nan), settings.seed, settings.num_resamples)._asdict()
        | {"num_customers": int(((group == i) & ~np.isnan(score)).sum())}
        for i, name in enumerate(names)
    }
    by_department = _by_department(found, targets, scene, departments, settings)
    return {"history ndcg@10": by_length, "department recall@20": by_department}


def _by_department(
    found: NDArray[np.int32],
    targets: tuple[NDArray[np.int64], NDArray[np.int32]],
    scene: Scene,
    names: dict[int, str],
    settings: Settings,
) -> dict[str, dict[str, float]]:
    indptr, items = targets
    department = scene.evidence.catalogue.department
    owner = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    hit = hits(found, indptr, items)
    by_department: dict[str, dict[str, float]] = {}
    largest = np.argsort(-np.bincount(department[items], minlength=1), kind="stable")[:8]
    for code in largest:
        wanted = np.bincount(owner[department[items] == code], minlength=indptr.size - 1).astype(np.float64)
        held = (hit & (department[np.maximum(found, 0)] == code)).sum(axis=1)
        if not wanted.any():
            continue
        share = np.where(wanted > 0, held / np.maximum(wanted, 1), np.nan)
        by_department[names[code]] = bootstrap(share, settings.seed, settings.num_resamples)._asdict() | {
            "num_customers": int((wanted > 0).sum())
        }
    return by_department


def _write_plot(content: dict) -> None:
    rows = [
        (task, name, *(content[task][name]["ndcg@10"][key] for key in ("value", "low", "high")))
        for task in model.TASKS
        for name in content[task]
    ]
    frame = pd.DataFrame(rows, columns=["task", "model", "value", "low", "high"])
    with storage.replacing(OUT / "ndcg.csv") as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
