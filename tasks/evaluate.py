"""Score everything held out, beside the baselines, with intervals over customers.

reads   artifacts/prepare, artifacts/finetune, artifacts/rank
writes  artifacts/evaluate   metrics.json, per_customer.parquet, ndcg.csv, predictions.json (the lists, as counts)
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from nightmarket.drift.predictions import FIRST, profile
from nightmarket.encoding.encoder import log_progress
from nightmarket.evaluation import Interval, audience_auc, bootstrap, coverage, hits, novelty, paired, rank_metrics
from nightmarket.evaluation.calibration import calibration_figures
from nightmarket.evaluation.groups import groups
from nightmarket.ranking import Batch, CandidateSet
from nightmarket.ranking.baseline_lists import BASELINES, Lists, baselines, line_scorer, walk
from tasks.files import catalogue, storage
from tasks.models import recommender
from tasks.pipeline.declaration import Plot, Stage
from tasks.pipeline.settings import StageSettings

OUT = catalogue.EVALUATE.path
FINETUNE = catalogue.FINETUNE.path
OURS, PLANNED = "nightmarket", "nightmarket_plan"
PLACES = 20
FEWEST = 20
"""Fewer customers than this are no group to show."""
MIN_AUDIENCE = 5
Metrics = dict[str, NDArray[np.float64]]
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "score everything held out, beside the baselines",
    reads=(catalogue.PREPARE, catalogue.FINETUNE, catalogue.RANK),
    writes=(catalogue.CUSTOMER_SCORES, catalogue.PREDICTIONS),
    metrics=(catalogue.METRICS,),
    plots=(Plot(catalogue.NDCG_PLOT, x="task", y="value"),),
    timeout_s=3_600,
)


class Settings(StageSettings):
    """How the held-out weeks are judged."""

    seed: int = Field(17, ge=0, description="seed of the bootstrap")
    num_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples of the customers")
    scorers: tuple[str, ...] = Field(
        (), description="scorers, by name, to fit and compare: docs/how-to/scorers.md; none of them helps the champion"
    )
    scorer_steps: int | None = Field(
        None, ge=0, description="steps that each of them is trained for; null: its default"
    )


def run(settings: Settings) -> None:
    """Write artifacts/evaluate."""
    data = recommender.prepared()
    window = data.windows["test"]
    ours = recommender.load(catalogue.RANK.path)
    candidate_set = ours.candidate_set(data, FINETUNE, window)
    targets = recommender.window_targets(data, window)
    bought = data.histories.between(window["first_target"], window["last_target"]).matrix()
    chances = _Chances(ours, bought)
    plans = (False, True) if candidate_set.promotion_plan else (False,)
    found = recommender.window_lists(ours, candidate_set, plans, PLACES, chances.see)
    lists: dict[str, Lists] = {OURS: found[False]} | ({PLANNED: found[True]} if candidate_set.promotion_plan else {})
    for name, their_lists in baselines(candidate_set, PLACES):
        lists[name] = their_lists
        log.info("evaluate: ranked %s", name)
    for name in settings.scorers:
        lists[f"head_{name}"] = _scorer(name, data, candidate_set, settings)
        log.info("evaluate: ranked scorer %s", name)
    per_customer = {
        task: {name: rank_metrics(found[task], *targets[task]) for name, found in lists.items() if task in found}
        for task in recommender.TASKS
    }
    content: dict[str, Any] = {
        task: {name: _intervals(values, settings) for name, values in of_task.items()}
        for task, of_task in per_customer.items()
    }
    text = catalogue.FINETUNE_HISTORY.read()["test"]
    for task in recommender.TASKS:
        for name, their_lists in lists.items():
            if task in their_lists:
                content[task][name] |= _beyond(their_lists[task], candidate_set, task)
        # Text alone was measured where it was trained; one measurement is enough.
        content[task] |= {f"text_{when}": text[when][task] for when in ("before", "after") if task in text[when]}
    for name, figure in _audiences(ours, candidate_set, bought, settings).items():
        content["launch"][name]["audience_auc"] = figure
    content["paired"] = {task: _paired(of_task, settings) for task, of_task in per_customer.items()}
    content["checks"] = {"launch ndcg@10 of permuted customers": _permuted(found[False]["launch"], targets, settings)}
    departments = dict(zip(data.catalogue.department.tolist(), data.products["department"], strict=True))
    content["slices"] = {
        "department recall@20": _by_department(lists[OURS]["all"], targets["all"], candidate_set, departments, settings)
    }
    content["groups"] = {task: _groups(per_customer[task], candidate_set, settings) for task in ("all", "new")}
    content["calibration"] = chances.figures()
    content["window"] = window | {"promotion_plan": candidate_set.promotion_plan, "use_text": ours.use_text}
    content["num_customers"] = {task: int((np.diff(targets[task][0]) > 0).sum()) for task in recommender.TASKS}
    catalogue.METRICS.write(content)
    catalogue.PREDICTIONS.write(chances.predictions(data))
    table = recommender.customer_scores(lists[OURS], targets)
    catalogue.CUSTOMER_SCORES.write(pa.Table.from_pandas(table, preserve_index=False))
    _write_plot(content)
    _tell(content)


def _scorer(name: str, data: recommender.Prepared, candidate_set: CandidateSet, settings: Settings) -> Lists:
    """The lists of a scoring scorer, fitted at the test window's origin."""
    from nightmarket.retrieval.scorers.material import ScorerData
    from nightmarket.retrieval.scorers.scorer import config_of
    from nightmarket.retrieval.scorers.training import fit

    steps = {} if settings.scorer_steps is None else {"max_steps": settings.scorer_steps}
    material = ScorerData(
        candidate_set.statistics.histories,
        recommender.text_vectors(FINETUNE, data).astype(np.float32),
        data.products["text_id"].to_numpy(np.int32),
        data.catalogue.recommendable,
    )
    progress = log_progress(log, f"evaluate: scorer {name}")
    scorer = fit(name, material, candidate_set.statistics.origin, config_of(name, **steps), settings.seed, progress)
    every = np.arange(data.histories.num_items, dtype=np.int32)
    return walk(lambda rows: scorer.scores(rows, every), candidate_set, recommender.TASKS, PLACES)


def _tell(content: dict[str, Any]) -> None:
    for task in recommender.TASKS:
        for name in (OURS, PLANNED):
            if name in content[task]:
                figure = content[task][name]["ndcg@10"]
                values = figure["value"], figure["low"], figure["high"]
                log.info("evaluate: %s ndcg@10 %.4f [%.4f, %.4f] %s", task, *values, name.removeprefix(OURS))
    for task, found in content["groups"].items():
        for warning in found["warnings"]:
            log.warning("evaluate: %s falls behind %s for %s", task, found["against"], warning)


class _Chances:
    """Probabilities of the test candidates beside what was bought."""

    def __init__(self, ours: recommender.Model, bought: sparse.csr_matrix) -> None:
        self._calibration, self._bought = ours.calibration, bought
        self._parts: list[tuple[NDArray, NDArray, NDArray]] = []
        self._first: list[tuple[NDArray, ...]] = []

    def see(self, batch: Batch, score: NDArray[np.float64], own: NDArray[np.bool_]) -> None:
        """Take note of one batch."""
        chance = np.full(score.size, np.nan)
        if self._calibration is not None:
            chance = self._calibration.probability(score, own)
            self._parts.append((chance, batch.label(self._bought), batch.customer))
        order = np.lexsort((batch.item, -score, batch.customer))
        customer = batch.customer[order]
        first = order[np.arange(customer.size) - np.searchsorted(customer, customer) < FIRST]
        self._first.append((batch.customer[first], chance[first], own[first], batch.item[first]))

    def predictions(self, data: recommender.Prepared) -> Any:
        """The first places of every list as counts, for the receipt; None for a small shop."""
        customer, chance, own, item = (np.concatenate(part) for part in zip(*self._first, strict=True))
        department = data.products["department"].to_numpy(object)[item]
        return profile(customer, chance, own, department, data.histories.num_customers)

    def figures(self) -> dict[str, Any]:
        """Calibration error, log-loss and the rest; empty where the model gives no probabilities."""
        if not self._parts:
            return {}
        chance, label, customer = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return calibration_figures(chance, label, customer)


def _audiences(
    ours: recommender.Model, candidate_set: CandidateSet, targets: sparse.csr_matrix, settings: Settings
) -> dict[str, dict[str, float]]:
    """Area under the curve over launches with MIN_AUDIENCE buyers or more, as a mean over launches: the interval
    resamples launches, not customers."""
    items = candidate_set.launching[targets[:, candidate_set.launching].getnnz(axis=0) >= MIN_AUDIENCE]
    names = {"launch": OURS} | ({"launch_plan": PLANNED} if candidate_set.promotion_plan else {})
    forests = {names[key]: forest for key, forest in ours.forests.items() if key in names}
    if items.size == 0 or not forests:
        return {}
    bought = targets[:, items].toarray() > 0
    every = {name: np.zeros(bought.shape) for name in forests}
    for batch in candidate_set.audience(items):
        rows = slice(int(batch.customer[0]), int(batch.customer[-1]) + 1)
        for name, forest in forests.items():
            every[name][rows] = forest.score(batch.features, candidate_set.launch_features).reshape(-1, items.size)
    affinity = line_scorer(candidate_set)
    every["affinity"] = np.concatenate([affinity(rows)[:, items] for rows in candidate_set.statistics.slices(256)])
    return {
        name: bootstrap(audience_auc(values, bought), settings.seed, settings.num_resamples)._asdict()
        | {"num_launches": int(items.size)}
        for name, values in every.items()
    }


def _permuted(found: NDArray[np.int32], targets: dict[str, Any], settings: Settings) -> dict[str, float]:
    """Launch lists handed to other customers: what is left is what the lists say of products, not of customers."""
    other = np.random.default_rng(settings.seed).permutation(found.shape[0])
    indptr, items = targets["launch"]
    score = rank_metrics(found[other], indptr, items, cutoffs=(10,))["ndcg@10"]
    return bootstrap(score, settings.seed, settings.num_resamples)._asdict()


def _groups(of_task: dict[str, Metrics], candidate_set: CandidateSet, settings: Settings) -> dict[str, Any]:
    customers = storage.read_table(recommender.PREPARED / "customers.parquet").to_pandas()
    theirs = {name: of_task[name]["ndcg@10"] for name in BASELINES}
    return groups(
        of_task[OURS]["ndcg@10"],
        theirs,
        customers,
        candidate_set.statistics.histories,
        settings.seed,
        settings.num_resamples,
    )


def _intervals(values: Metrics, settings: Settings) -> dict[str, dict[str, float]]:
    return {name: bootstrap(v, settings.seed, settings.num_resamples)._asdict() for name, v in values.items()}


def _beyond(found: NDArray[np.int32], candidate_set: CandidateSet, task: str) -> dict[str, dict[str, float]]:
    """Coverage and novelty: properties of the lists, without an interval."""
    statistics = candidate_set.statistics
    sizes = {"launch": candidate_set.launching.size, "rare": statistics.rare.size}
    catalogue = sizes.get(task, int(statistics.sold.sum()))
    buyers = statistics.buyers["ever"].astype(np.int64)
    values = {
        "coverage@10": coverage(found, catalogue),
        "novelty@10": novelty(found, buyers, statistics.histories.num_customers),
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


def _by_department(
    found: NDArray[np.int32],
    targets: tuple[NDArray[np.int64], NDArray[np.int32]],
    candidate_set: CandidateSet,
    names: dict[int, str],
    settings: Settings,
) -> dict[str, dict[str, float]]:
    indptr, items = targets
    department = candidate_set.statistics.catalogue.department
    owner = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    hit = hits(found, indptr, items)
    by_department: dict[str, dict[str, float]] = {}
    largest = np.argsort(-np.bincount(department[items], minlength=1), kind="stable")[:8]
    for code in largest:
        wanted = np.bincount(owner[department[items] == code], minlength=indptr.size - 1).astype(np.float64)
        held = (hit & (department[np.maximum(found, 0)] == code)).sum(axis=1)
        if (wanted > 0).sum() < FEWEST:
            continue
        share = np.where(wanted > 0, held / np.maximum(wanted, 1), np.nan)
        by_department[names[code]] = bootstrap(share, settings.seed, settings.num_resamples)._asdict() | {
            "num_customers": int((wanted > 0).sum())
        }
    return by_department


def _write_plot(content: dict) -> None:
    rows = [
        (task, name, *(content[task][name]["ndcg@10"][key] for key in ("value", "low", "high")))
        for task in recommender.TASKS
        for name in content[task]
    ]
    frame = pd.DataFrame(rows, columns=["task", "model", "value", "low", "high"])
    with storage.replacing(catalogue.NDCG_PLOT.path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
