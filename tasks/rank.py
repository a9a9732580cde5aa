"""Gather candidates at earlier origins and train the second stage on what was bought afterwards.

reads   artifacts/prepare, artifacts/finetune
writes  artifacts/rank   NAME.txt per forest (LightGBM's text form), ranker.json, importance.json
"""

import logging
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from nightmarket.ranking import Budget, CandidateSet, Ranker, TrainingRows, Trees, fit, thinned
from nightmarket.ranking.calibration import Calibration
from tasks.files import catalogue, storage
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

OUT = catalogue.RANK.path
FINETUNE = catalogue.FINETUNE.path
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "gather candidates and train the second-stage ranker",
    reads=(catalogue.PREPARE, catalogue.FINETUNE),
    writes=(catalogue.RANK,),
    timeout_s=3_600,
)


class Settings(StageSettings):
    """The second stage."""

    seed: int = Field(17, ge=0, description="seed of the thinning and of LightGBM")
    objective: Literal["binary", "lambdarank"] = Field("binary", description="what the trees are fitted to")
    num_trees: int = Field(200, ge=1, le=5000, description="trees")
    num_leaves: int = Field(31, ge=2, le=1024, description="leaves of a tree")
    learning_rate: float = Field(0.075, gt=0, le=1, description="shrinkage of a tree")
    min_leaf_rows: int = Field(1000, ge=1, description="rows that a leaf must hold")
    l2: float = Field(50.0, ge=0, description="L2 penalty on the values of leaves")
    keep_own: float = Field(0.5, gt=0, le=1, description="share of the unbought candidates from the history that train")
    keep_other: float = Field(0.2, gt=0, le=1, description="share of the other unbought candidates that train")
    max_customers: int = Field(20_000, ge=10, description="customers that train; more are thinned at random")
    calibrate_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of the customers whom probabilities are calibrated on, by a forest of its own",
    )
    use_text: bool = Field(False, description="candidates and features from the fine-tuned text towers")
    text_candidates: int = Field(30, ge=0, le=1000, description="candidates that the text towers propose")
    promotion_plan: bool = Field(
        True,
        description="train a second forest that knows the promotions of the target weeks; it is used where the plan of "
        "those weeks lies in the tables, and judged beside the one without",
    )
    launch_trees: int = Field(600, ge=1, le=5000, description="trees of the ranker for products without sales")
    launch_learning_rate: float = Field(
        0.025, gt=0, le=1, description="shrinkage for launches: few buyers to learn from, so many small steps"
    )
    launch_leaf_rows: int = Field(100, ge=1, description="rows that a leaf must hold, for launches")
    launch_l2: float = Field(50.0, ge=0, description="L2 penalty for launches")
    launch_feature_share: float = Field(0.25, gt=0, le=1, description="share of the features a tree sees, for launches")
    keep_launch: float = Field(0.005, gt=0, le=1, description="share of unbought customer-launch pairs that train")


def run(settings: Settings) -> None:
    """Write artifacts/rank."""
    data = recommender.prepared()
    budget = Budget(text=settings.text_candidates if settings.use_text else 0)
    windows = data.windows["train"]
    # a tower knows the purchases of the weeks that it learned from, so with its scores nothing learns from them again
    launch_windows = windows if settings.use_text else data.windows["launch"] or windows
    target_weeks = windows[0]["last_target"] - windows[0]["fit_until"]
    plan, launch_plan = (
        settings.promotion_plan
        and all(data.promotions.covers(window["first_target"], window["last_target"]) for window in every)
        for every in (windows, [*windows, *launch_windows])
    )
    parts: list[TrainingRows] = []
    launch_parts: list[TrainingRows] = []
    for window in [*windows, *(window for window in launch_windows if window not in windows)]:
        origin = window["fit_until"]
        text = recommender.text_scores(FINETUNE, data, origin) if settings.use_text else None
        candidate_set = CandidateSet(data.statistics(origin), budget, text, data.launching(window), target_weeks, plan)
        bought = data.histories.between(window["first_target"], window["last_target"]).matrix()
        rng = np.random.default_rng([settings.seed, origin])
        num = 0
        if window in windows:
            names = candidate_set.features
            parts.append(_rows(candidate_set, bought, settings, rng))
            num = parts[-1].label.size
        if window in launch_windows:
            of_launch = candidate_set.launch_features
            launch_parts.append(_launch_rows(candidate_set, bought, settings, rng))
            num += launch_parts[-1].label.size
        log.info("rank: week %d: %s rows to learn from", origin, f"{num:,}")
    trees = _trees(settings)
    forests = {"ranker": fit(parts, names, _without_plan(names), trees, "ranker")}
    if plan:
        forests["ranker_plan"] = fit(parts, names, names, trees, "ranker with the plan")
    if any(part.label.any() for part in launch_parts):
        few = replace(
            trees,
            num_trees=settings.launch_trees,
            learning_rate=settings.launch_learning_rate,
            min_leaf_rows=settings.launch_leaf_rows,
            l2=settings.launch_l2,
            feature_share=settings.launch_feature_share,
        )
        forests["launch"] = fit(launch_parts, of_launch, _without_plan(of_launch), few, "launch")
        if launch_plan:
            forests["launch_plan"] = fit(launch_parts, of_launch, of_launch, few, "launch with the plan")
    calibration = _calibration(settings, parts, names)
    _write(settings, forests, calibration, budget, target_weeks, plan, windows[0]["last_target"])


def _trees(settings: Settings) -> Trees:
    known = {"num_trees", "num_leaves", "learning_rate", "min_leaf_rows", "l2", "seed", "objective"}
    return Trees(**settings.model_dump(include=known))


def _without_plan(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("plan_")]


def _calibration(settings: Settings, parts: list[TrainingRows], names: list[str]) -> Calibration | None:
    """Probabilities from scores, learned on a fifth of the customers from a forest that did not see them."""
    if settings.objective != "binary":
        return None
    learned, held = zip(*(part.split(settings.seed, settings.calibrate_share) for part in parts), strict=True)
    if not (any(part.label.any() for part in learned) and any(part.label.any() for part in held)):
        return None
    forest = fit(list(learned), names, _without_plan(names), _trees(settings), "calibration")
    score = np.concatenate([forest.score(part.features, names) for part in held])
    label, weight = (np.concatenate([getattr(part, name) for part in held]) for name in ("label", "weight"))
    own = np.concatenate([part.features[:, names.index("item_num")] > 0 for part in held])
    return Calibration.fit(score, label, weight.astype(np.float64), own)


def _rows(
    candidate_set: CandidateSet, bought: sparse.csr_matrix, settings: Settings, rng: np.random.Generator
) -> TrainingRows:
    own = candidate_set.features.index("item_num")
    keep_customer = _chosen(candidate_set, settings, rng)
    kept = []
    for batch in candidate_set.batches():
        label = batch.label(bought)
        keep, weight = thinned(label, batch.features[:, own] > 0, settings.keep_own, settings.keep_other, rng)
        keep &= keep_customer[batch.customer]
        kept.append((batch.features[keep], label[keep], batch.customer[keep], weight[keep]))
    return _joined(kept)


def _launch_rows(
    candidate_set: CandidateSet, bought: sparse.csr_matrix, settings: Settings, rng: np.random.Generator
) -> TrainingRows:
    """Every bought pair and a share of all others, customers who bought no launch included: that is what makes the
    scores of one launch comparable across customers."""
    keep_customer = _chosen(candidate_set, settings, rng)
    kept = []
    for batch in candidate_set.sampled_launches(bought, settings.keep_launch, rng):
        label = batch.label(bought)
        keep = keep_customer[batch.customer]
        weight = np.where(label, 1.0, 1.0 / settings.keep_launch).astype(np.float32)
        kept.append((batch.features[keep], label[keep], batch.customer[keep], weight[keep]))
    if not kept:
        empty = np.zeros((0, len(candidate_set.launch_features)), np.float32)
        return TrainingRows(empty, np.zeros(0, bool), np.zeros(0, int), np.zeros(0, np.float32))
    return _joined(kept)


def _chosen(candidate_set: CandidateSet, settings: Settings, rng: np.random.Generator) -> NDArray[np.bool_]:
    num = candidate_set.statistics.histories.num_customers
    return rng.random(num) < settings.max_customers / max(num, 1)


def _joined(kept: list[tuple[NDArray, NDArray, NDArray, NDArray]]) -> TrainingRows:
    features, label, customer, weight = (np.concatenate(part) for part in zip(*kept, strict=True))
    group = np.unique(customer, return_counts=True)[1]
    return TrainingRows(features, label, group, weight)


def _write(
    settings: Settings,
    forests: dict[str, Ranker],
    calibration: Calibration | None,
    budget: Budget,
    target_weeks: int,
    plan: bool,
    trained_until: int,
) -> None:
    for name, forest in forests.items():
        with storage.replacing(OUT / f"{name}.txt") as temporary:
            temporary.write_text(forest.text(), encoding="utf-8")
    facts: dict[str, Any] = {
        "forests": {name: list(forest.features) for name, forest in forests.items()},
        "features": list(forests["ranker"].features),
        "calibration": calibration.to_json() if calibration else None,
        "budget": asdict(budget),
        "target_weeks": target_weeks,
        "promotion_plan": plan,
        "use_text": settings.use_text,
        "trained_until": trained_until,
        "settings": settings.model_dump(),
    }
    catalogue.RANKER.write(facts)
    storage.write_json({name: forest.gains() for name, forest in forests.items()}, OUT / "importance.json")
