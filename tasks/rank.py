"""Gather candidates at earlier origins and train the second stage on what was bought afterwards.

reads   artifacts/prepare, artifacts/finetune
writes  artifacts/rank   ranker.txt, launch.txt (LightGBM's text form), ranker.json, importance.json
"""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.ranking import Budget, Ranker, Scene, TrainingRows, fit, thinned
from tasks import model, storage
from tasks.settings import StageSettings

OUT = storage.ARTIFACTS / "rank"
FINETUNE = storage.ARTIFACTS / "finetune"
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """The second stage."""

    seed: int = Field(17, ge=0, description="seed of the thinning and of LightGBM")
    objective: Literal["binary", "lambdarank"] = Field("binary", description="what the trees are fitted to")
    num_trees: int = Field(200, ge=1, le=5000, description="trees")
    num_leaves: int = Field(63, ge=2, le=1024, description="leaves of a tree")
    learning_rate: float = Field(0.07, gt=0, le=1, description="shrinkage of a tree")
    keep_own: float = Field(0.5, gt=0, le=1, description="share of the unbought candidates from the history that train")
    keep_other: float = Field(0.2, gt=0, le=1, description="share of the other unbought candidates that train")
    max_customers: int = Field(20_000, ge=10, description="customers that train; more are thinned at random")
    use_text: bool = Field(False, description="candidates and features from the fine-tuned text towers")
    text_candidates: int = Field(30, ge=0, le=1000, description="candidates that the text towers propose")
    promotion_plan: bool = Field(
        False, description="features from the promotions of the target weeks; only where the plan is fixed in advance"
    )
    launch_trees: int = Field(100, ge=1, le=5000, description="trees of the ranker for products without sales")


def run(settings: Settings) -> None:
    """Write artifacts/rank."""
    data = model.prepared()
    budget = Budget(text=settings.text_candidates if settings.use_text else 0)
    target_weeks = data.windows["test"]["last_target"] - data.windows["test"]["fit_until"]
    parts: list[TrainingRows] = []
    launch_parts: list[TrainingRows] = []
    for window in data.windows["train"]:
        origin = window["fit_until"]
        text = model.text_scores(FINETUNE, data, origin) if settings.use_text else None
        scene = Scene(
            data.evidence(origin), budget, text, data.launching(window), target_weeks, settings.promotion_plan
        )
        bought = data.histories.between(window["first_target"], window["last_target"]).matrix()
        rng = np.random.default_rng([settings.seed, origin])
        parts.append(_rows(scene, bought, settings, rng))
        launch_parts.append(_launch_rows(scene, bought, settings, rng))
        log.info("rank: week %d: %s rows to learn from", origin, f"{parts[-1].label.size:,}")
    knobs: dict[str, Any] = settings.model_dump(include={"objective", "num_leaves", "learning_rate", "seed"})
    ranker = fit(parts, scene.features, num_trees=settings.num_trees, **knobs)
    launch = None
    if any(part.label.any() for part in launch_parts):
        launch = fit(launch_parts, scene.launch_features, num_trees=settings.launch_trees, name="launch", **knobs)
    _write(settings, ranker, launch, budget, target_weeks, data.windows["train"][0]["last_target"])


def _rows(scene: Scene, bought: object, settings: Settings, rng: np.random.Generator) -> TrainingRows:
    own = scene.features.index("item_num")
    keep_customer = _chosen(scene, settings, rng)
    kept = []
    for batch in scene.batches():
        label = _label(bought, batch.customer, batch.item)
        keep, weight = thinned(label, batch.features[:, own] > 0, settings.keep_own, settings.keep_other, rng)
        keep &= keep_customer[batch.customer]
        kept.append((batch.features[keep], label[keep], batch.customer[keep], weight[keep]))
    return _joined(kept)


def _launch_rows(scene: Scene, bought: object, settings: Settings, rng: np.random.Generator) -> TrainingRows:
    """Only customers who bought a launch teach the order of launches."""
    kept = []
    for batch in scene.launches():
        label = _label(bought, batch.customer, batch.item)
        keep = np.isin(batch.customer, np.unique(batch.customer[label]))
        kept.append((batch.features[keep], label[keep], batch.customer[keep], np.ones(keep.sum(), np.float32)))
    if not kept:
        empty = np.zeros((0, len(scene.launch_features)), np.float32)
        return TrainingRows(empty, np.zeros(0, bool), np.zeros(0, int), np.zeros(0, np.float32))
    return _joined(kept)


def _chosen(scene: Scene, settings: Settings, rng: np.random.Generator) -> NDArray[np.bool_]:
    num = scene.evidence.histories.num_customers
    return rng.random(num) < settings.max_customers / max(num, 1)


def _label(bought: object, customer: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.bool_]:
    return np.asarray(bought[customer, item]).ravel() > 0  # type: ignore[index]


def _joined(kept: list[tuple[NDArray, NDArray, NDArray, NDArray]]) -> TrainingRows:
    features, label, customer, weight = (np.concatenate(part) for part in zip(*kept, strict=True))
    group = np.unique(customer, return_counts=True)[1]
    return TrainingRows(features, label, group, weight)


def _write(
    settings: Settings, ranker: Ranker, launch: Ranker | None, budget: Budget, target_weeks: int, trained_until: int
) -> None:
    _write_text(ranker, OUT / "ranker.txt")
    gains = {"rank": ranker.gains()}
    if launch is not None:
        _write_text(launch, OUT / "launch.txt")
        gains["launch"] = launch.gains()
    facts = {
        "features": list(ranker.features),
        "launch_features": list(launch.features) if launch else [],
        "budget": asdict(budget),
        "target_weeks": target_weeks,
        "promotion_plan": settings.promotion_plan,
        "use_text": settings.use_text,
        "trained_until": trained_until,
        "settings": settings.model_dump(),
    }
    storage.write_json(facts, OUT / "ranker.json")
    storage.write_json(gains, OUT / "importance.json")


def _write_text(ranker: Ranker, path: Path) -> None:
    with storage.replacing(path) as temporary:
        temporary.write_text(ranker.text(), encoding="utf-8")
