"""Gather candidates at earlier cuts in time and train the second stage on what was bought afterwards.

Each forest is kept as NAME.txt, in LightGBM's text form.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Values
from nightmarket.histories.calendar import date_of, week_of
from nightmarket.histories.interactions import CARTED, LOOKED, Interactions
from nightmarket.histories.promotions import coming_weeks
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet
from nightmarket.ranking.model import Forests, Model
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit, thinned
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "gather candidates and train the second-stage ranker",
    reads=(catalogue.PREPARE, catalogue.FINETUNE),
    writes=(catalogue.RANK,),
    timeout_s=3_600,
)


class Settings(StageSettings):
    """The second stage."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the thinning and of LightGBM")
    objective: Literal["binary", "lambdarank"] = Field("binary", description="what the trees are fitted to")
    num_trees: int = Field(200, ge=1, le=5000, description="trees")
    num_leaves: int = Field(31, ge=2, le=1024, description="leaves of a tree")
    learning_rate: float = Field(0.075, gt=0, le=1, description="shrinkage of a tree")
    min_leaf_rows: int = Field(1000, ge=1, description="rows that a leaf must hold")
    l2: float = Field(50.0, ge=0, description="L2 penalty on the values of leaves")
    look_label: float = Field(0.1, ge=0, le=1, description="what a look in the target days counts beside a purchase")
    cart_label: float = Field(0.3, ge=0, le=1, description="what a cart in the target days counts beside a purchase")
    keep_own: float = Field(0.5, gt=0, le=1, description="share of the unbought candidates from the history that train")
    keep_other: float = Field(0.2, gt=0, le=1, description="share of the other unbought candidates that train")
    behaviour_trees: int = Field(100, ge=1, le=5000, description="trees where looks and carts are recorded")
    behaviour_leaf_rows: int = Field(200, ge=1, description="rows that a leaf must hold, where they are")
    keep_behaviour: float = Field(
        0.03, gt=0, le=1, description="share of the candidates that train of which nothing came, where they are"
    )
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
        description="train a second forest that knows the promotions of the target days; it is used where the plan of "
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
    data = Prepared()
    windows = data.windows.train
    # a tower knows the purchases of the days that it learned from, so with its scores nothing learns from them again
    launch_windows = windows if settings.use_text else data.windows.launch or windows
    plan, launch_plan = (
        settings.promotion_plan and all(data.promotions.covers(*coming_weeks(w.cut, w.days)) for w in needed)
        for needed in (windows, [*windows, *launch_windows])
    )
    budget = Budget(text=settings.text_candidates if settings.use_text else 0)
    on_sale, launches, young = Examples(), Examples(), Examples()
    for window in [*windows, *(window for window in launch_windows if window not in windows)]:
        text = recommender.text_scores(catalogue.FINETUNE.path, data, window.cut) if settings.use_text else None
        statistics, launching = recommender.statistics(data, window.cut), data.launching(window)
        candidate_set = CandidateSet(statistics, budget, text, launching, windows[0].days, plan)
        bought = data.histories.between(window.first_target, window.last_target).matrix()
        rng = np.random.default_rng([settings.seed, week_of(window.cut)])
        num = 0
        if window in windows:
            interest = data.interactions.between(window.first_target, window.last_target)
            rows = _rows(candidate_set, candidate_set.batches(), bought, interest, settings, rng)
            num += on_sale.add(rows, candidate_set.features)
            if len(interest) and candidate_set.launched.size:
                rows = _rows(candidate_set, candidate_set.young(), bought, interest, settings, rng)
                num += young.add(rows, candidate_set.features)
        if window in launch_windows:
            num += launches.add(_launch_rows(candidate_set, bought, settings, rng), candidate_set.launch_features)
        log.info("rank: %s: %s rows to learn from", date_of(window.cut), f"{num:,}")
    trees, few = _trees(settings, len(data.interactions) > 0), _launch_trees(settings)
    if len(data.interactions):  # debuts are then a comparison alone: launches have a forest that knows looks
        few = replace(few, num_trees=min(few.num_trees, settings.behaviour_trees))
    bought_launches = any(part.label.any() for part in launches.parts)
    forests = Forests(
        ranker=on_sale.fit(trees, False, "ranker"),
        ranker_plan=on_sale.fit(trees, True, "ranker with the plan") if plan else None,
        launch=launches.fit(few, False, "launch") if bought_launches else None,
        launch_plan=launches.fit(few, True, "launch with the plan") if bought_launches and launch_plan else None,
        young=young.fit(trees, False, "young") if any(part.label.any() for part in young.parts) else None,
    )
    calibration, days = _calibration(settings, trees, on_sale), windows[0].days
    _write(settings, Model(forests, calibration, budget, days, plan, settings.use_text, windows[0].last_target))


@dataclass
class Examples:
    """What one kind of forest learns from: rows of several cuts, with the same feature columns."""

    names: list[str] = field(default_factory=list)
    parts: list[TrainingRows] = field(default_factory=list)

    def add(self, rows: TrainingRows, names: list[str]) -> int:
        """Add the rows of one cut; how many they are."""
        self.names = names
        self.parts.append(rows)
        return rows.label.size

    def fit(self, trees: Trees, plan: bool, name: str) -> Ranker:
        """A forest, with or without what is known of the promotion plan."""
        features = [name for name in self.names if plan or not name.startswith("plan_")]
        return fit(self.parts, self.names, features, trees, name)


def _trees(settings: Settings, behaves: bool = False) -> Trees:
    known = {"num_trees", "num_leaves", "learning_rate", "min_leaf_rows", "l2", "seed", "objective"}
    trees = Trees(**settings.model_dump(include=known))
    if not behaves:
        return trees
    return replace(trees, num_trees=settings.behaviour_trees, min_leaf_rows=settings.behaviour_leaf_rows)


def _launch_trees(settings: Settings) -> Trees:
    return replace(
        _trees(settings),
        num_trees=settings.launch_trees,
        learning_rate=settings.launch_learning_rate,
        min_leaf_rows=settings.launch_leaf_rows,
        l2=settings.launch_l2,
        feature_share=settings.launch_feature_share,
    )


def _calibration(settings: Settings, trees: Trees, examples: Examples) -> Calibration | None:
    """Probabilities from scores, learned on a fifth of the customers from a forest that did not see them."""
    if settings.objective != "binary":
        return None
    names, share = examples.names, settings.calibrate_share
    learned, held = zip(*(part.split(settings.seed, share) for part in examples.parts), strict=True)
    if not (any(part.label.any() for part in learned) and any(part.label.any() for part in held)):
        return None
    forest = Examples(names, list(learned)).fit(trees, False, "calibration")
    score = np.concatenate([forest.score(part.features, names) for part in held])
    label, weight = (np.concatenate([getattr(part, name) for part in held]) for name in ("label", "weight"))
    own = np.concatenate([part.features[:, names.index("item_num")] > 0 for part in held])
    return Calibration.fit(score, label, weight.astype(np.float64), own)


def _rows(
    candidate_set: CandidateSet,
    batches: Iterator[Batch],
    bought: sparse.csr_matrix,
    done: Interactions,
    settings: Settings,
    rng: np.random.Generator,
) -> TrainingRows:
    own = candidate_set.features.index("item_num")
    looked, carted = (done.kinds(*kinds).entries() for kinds in (LOOKED, CARTED))
    keep_customer = _chosen(candidate_set, settings, rng)
    kept_shares = (settings.keep_behaviour,) * 2 if len(done) else (settings.keep_own, settings.keep_other)
    kept = []
    for batch in batches:
        label = batch.label(bought)
        interest = np.maximum(label, settings.look_label * batch.label(looked)).astype(np.float32)
        interest = np.maximum(interest, np.float32(settings.cart_label) * batch.label(carted))
        keep, weight = thinned(interest > 0, batch.features[:, own] > 0, *kept_shares, rng)
        keep &= keep_customer[batch.customer]
        kept.append((batch.features[keep], label[keep], batch.customer[keep], weight[keep], interest[keep]))
    rows = _joined([part[:4] for part in kept])
    return replace(rows, interest=np.concatenate([part[4] for part in kept])) if len(done) else rows


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


def _chosen(candidate_set: CandidateSet, settings: Settings, rng: np.random.Generator) -> Bools:
    num = candidate_set.statistics.histories.num_customers
    return rng.random(num) < settings.max_customers / max(num, 1)


def _joined(kept: Sequence[tuple[Values, ...]]) -> TrainingRows:
    features, label, customer, weight = (np.concatenate(part) for part in zip(*kept, strict=True))
    group = np.unique(customer, return_counts=True)[1]
    return TrainingRows(features, label, group, weight)


def _write(settings: Settings, model: Model) -> None:
    forests = model.forests.by_name()
    for name, forest in forests.items():
        with storage.replacing(catalogue.RANK / f"{name}.txt") as temporary:
            temporary.write_text(forest.text(), encoding="utf-8")
    facts: dict[str, Any] = {
        "forests": {name: list(forest.features) for name, forest in forests.items()},
        "features": list(model.forests.ranker.features),
        "calibration": model.calibration.to_json() if model.calibration else None,
        "budget": asdict(model.budget),
        "target_days": model.target_days,
        "promotion_plan": model.promotion_plan,
        "use_text": model.use_text,
        "trained_until": model.trained_until,
        "settings": settings.model_dump(),
    }
    catalogue.RANKER.write(facts)
    storage.write_json({name: forest.gains() for name, forest in forests.items()}, catalogue.RANK / "importance.json")
