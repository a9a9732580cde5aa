"""Score everything held out, beside the baselines, with intervals over customers.

predictions.json holds the recommended lists as counts.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.contracts.arrays import Float64s
from nightmarket.drift import predictions
from nightmarket.encoding.encoder import log_progress
from nightmarket.evaluation.figures import METRIC, OURS, PLANNED, Figures, Metrics, customer_scores, spread
from nightmarket.evaluation.groups import groups
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import TASKS, Task, num_customers, targets
from nightmarket.ranking.audiences import audiences
from nightmarket.ranking.baseline_lists import BASELINES, Lists, baselines, walk
from nightmarket.ranking.candidate_set import CandidateSet
from nightmarket.ranking.chances import Chances
from nightmarket.ranking.model import recommend
from nightmarket.retrieval.scorers.config import ScorerName
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Plot, Stage
from tasks.pipeline.settings import StageSettings

PLACES = 20
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
    """How the held-out days are judged."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the bootstrap")
    num_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples of the customers")
    scorers: tuple[ScorerName, ...] = Field(
        (), description="scorers, by name, to fit and compare: docs/how-to/scorers.md; none of them helps the champion"
    )
    scorer_steps: int | None = Field(
        None, ge=0, description="steps that each of them is trained for; null: its default"
    )


def run(settings: Settings) -> None:
    """Write artifacts/evaluate."""
    data = Prepared()
    window = data.windows.test
    model = recommender.load(catalogue.RANK.path)
    candidate_set = recommender.candidate_set(model, data, catalogue.FINETUNE.path, window)
    wanted = targets(data.histories, window, candidate_set.launched)
    bought = data.histories.between(window.first_target, window.last_target).matrix()
    chances = Chances(model.calibration, bought, predictions.FIRST)
    planned = candidate_set.promotion_plan
    made = recommend(model, candidate_set, (False, True) if planned else (False,), PLACES, chances.see)
    lists: dict[str, Lists] = {OURS: made[False]} | ({PLANNED: made[True]} if planned else {})
    lists |= _others(settings, data, candidate_set)
    values = {
        task: {
            name: rank_metrics(of_model[task], wanted[task].indptr, wanted[task].items)
            for name, of_model in lists.items()
            if task in of_model
        }
        for task in TASKS
    }
    figures = Figures(settings.seed, settings.num_resamples)
    content: dict[str, Any] = {task: _of_task(task, values[task], lists, candidate_set, figures) for task in TASKS}
    for name, launches in audiences(model, candidate_set, bought).items():
        # over launches, not customers: the interval resamples them
        content[Task.DEBUT][name]["audience_auc"] = figures.mean(launches) | {"num_launches": launches.size}
    content["paired"] = {task: figures.differences(of_models) for task, of_models in values.items()}
    permuted = figures.permuted(made[False][Task.DEBUT], wanted[Task.DEBUT])
    content["checks"] = {"debut ndcg@10 of permuted customers": permuted}
    department = data.catalogue.department
    names = dict(zip(department.tolist(), data.products["department"], strict=True))
    by_department = figures.by_department(made[False][Task.ALL], wanted[Task.ALL], department, names)
    beside = {name: of_model for name, of_model in values[Task.ALL].items() if name in (OURS, "popularity")}
    cold = np.bincount(candidate_set.statistics.histories.customer, minlength=data.histories.num_customers) == 0
    content["slices"] = {
        "department recall@20": by_department,
        f"customers who had bought nothing {METRIC}": figures.of_some(beside, cold),
    }
    content["groups"] = {task: _groups(values[task], data, candidate_set, settings) for task in (Task.ALL, Task.NEW)}
    content["calibration"] = chances.figures()
    content["window"] = vars(window) | {"promotion_plan": planned, "use_text": model.use_text}
    content["num_customers"] = num_customers(wanted)
    content["recipe"] = catalogue.RANKER.read()["recipe"]
    metrics = Metrics.read(content)
    catalogue.METRICS.write(metrics.content())
    catalogue.PREDICTIONS.write(_predictions(chances, data))
    table = pa.Table.from_pandas(customer_scores(made[False], wanted), preserve_index=False)
    catalogue.CUSTOMER_SCORES.write(table)
    _write_plot(metrics)
    _tell(metrics)


def _others(settings: Settings, data: Prepared, candidate_set: CandidateSet) -> dict[str, Lists]:
    """Lists of the baselines and of the scorers that were asked for."""
    lists = {}
    for name, of_model in baselines(candidate_set, PLACES):
        lists[name] = of_model
        log.info("evaluate: ranked %s", name)
    for name in settings.scorers:
        lists[f"scorer_{name}"] = _scorer(name, data, candidate_set, settings)
        log.info("evaluate: ranked scorer %s", name)
    return lists


def _scorer(name: str, data: Prepared, candidate_set: CandidateSet, settings: Settings) -> Lists:
    """The lists of a scorer, fitted at the test window's cut."""
    from nightmarket.retrieval.scorers.material import ScorerData
    from nightmarket.retrieval.scorers.scorer import config_of
    from nightmarket.retrieval.scorers.training import fit

    steps = {} if settings.scorer_steps is None else {"max_steps": settings.scorer_steps}
    vectors = recommender.text_vectors(catalogue.FINETUNE.path, data).astype(np.float32)
    material = ScorerData(candidate_set.statistics.histories, vectors, data.text_id, data.recommendable)
    progress = log_progress(log, f"evaluate: scorer {name}")
    scorer = fit(name, material, candidate_set.statistics.cut, config_of(name, **steps), settings.seed, progress)
    every = np.arange(data.histories.num_items, dtype=np.int32)
    return walk(lambda rows: scorer.scores(rows, every), candidate_set, TASKS, PLACES)


def _of_task(
    task: Task,
    values: dict[str, dict[str, Float64s]],
    lists: dict[str, Lists],
    candidate_set: CandidateSet,
    figures: Figures,
) -> dict[str, Any]:
    """Figures of each model's lists of one task, and of text alone."""
    statistics = candidate_set.statistics
    sizes = {Task.LAUNCH: candidate_set.launched.size, Task.DEBUT: candidate_set.launching.size}
    num_items = (sizes | {Task.RARE: statistics.rare.size}).get(task, int(statistics.listed.sum()))
    buyers, num = statistics.buyers["ever"].astype(np.int64), statistics.histories.num_customers
    content = {
        name: {metric: figures.mean(of_metric) for metric, of_metric in of_model.items()}
        | spread(lists[name][task], num_items, buyers, num)
        for name, of_model in values.items()
    }
    # Text alone was measured where it was trained; one measurement is enough.
    text = catalogue.FINETUNE_HISTORY.read()["test"]
    return content | {f"text_{when}": text[when][task] for when in ("before", "after") if task in text[when]}


def _groups(
    values: dict[str, dict[str, Float64s]], data: Prepared, candidate_set: CandidateSet, settings: Settings
) -> dict[str, Any]:
    theirs = {name: values[name][METRIC] for name in BASELINES}
    past, seed = candidate_set.statistics.histories, settings.seed
    return groups(values[OURS][METRIC], theirs, data.customers, past, seed, settings.num_resamples)


def _predictions(chances: Chances, data: Prepared) -> Any:
    """The first places of every list as counts, for the receipt; None for a small shop."""
    customer, chance, own, item = chances.first_places()
    department = data.products["department"].to_numpy(object)[item]
    return predictions.profile(customer, chance, own, department, data.histories.num_customers)


def _tell(metrics: Metrics) -> None:
    for task in TASKS:
        for name in (OURS, PLANNED):
            if name in metrics.task(task):
                interval = metrics.task(task)[name][METRIC].interval
                log.info("evaluate: %s ndcg@10 %.4f [%.4f, %.4f] %s", task, *interval, name.removeprefix(OURS))
    for name, of_task in metrics.groups.items():
        for warning in of_task["warnings"]:
            log.warning("evaluate: %s falls behind %s for %s", name, of_task["against"], warning)


def _write_plot(metrics: Metrics) -> None:
    rows = [
        (str(task), name, *of_model[METRIC].interval) for task in TASKS for name, of_model in metrics.task(task).items()
    ]
    frame = pd.DataFrame(rows, columns=["task", "model", "value", "low", "high"])
    with storage.replacing(catalogue.NDCG_PLOT.path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
