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
from nightmarket.evaluation.protocol import Targets, Task, Window, targets
from nightmarket.histories.calendar import date_of, week_of
from nightmarket.histories.interactions import CARTED, LOOKED, Interactions
from nightmarket.histories.promotions import coming_weeks
from nightmarket.ranking import taste
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet
from nightmarket.ranking.impersonal import SpanFigures, best_span
from nightmarket.ranking.model import Forests, Model
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit, thinned
from nightmarket.ranking.recipe import MIN_CUSTOMERS, MOST_CUSTOMERS, HeldOut, Ordering, choose, of_customers, rivals
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

JUDGED = 300
"""Lists of all training windows together that are held out, where a shop has so many customers."""
MOST_HELD = 0.5
HELD = 77
"""Says which draw chooses the customers that are held out, and those whose lists are judged."""
SOLD_TASKS = (Task.ALL, Task.NEW, Task.RARE)
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
        description="share of the customers, at least, whom probabilities are calibrated on, by a forest of its own",
    )
    recipe: Literal["auto", "forest"] = Field(
        "auto",
        description="what orders each task's lists: auto, the forest, a simple score that is clearly better on the "
        "newest window that trains, or both where they are level; forest, always the forest",
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
    # where looks are recorded debuts are a comparison alone: launches have a forest that knows looks
    behaves = len(data.interactions) > 0
    launch_windows = windows if settings.use_text or behaves else data.windows.launch or windows
    plan, launch_plan = (
        settings.promotion_plan and all(data.promotions.covers(*coming_weeks(w.cut, w.days)) for w in needed)
        for needed in (windows, [*windows, *launch_windows])
    )
    budget = _budget(settings, data, windows[0], behaves)
    on_sale, launches, of_launches = Examples(), Examples(), Examples()
    shared: list[SpanFigures] = []
    held = _held(settings, data, windows)
    past = [window.last_target <= windows[0].cut for window in windows]
    forward = any(past) and _buyers(data, windows[0]) >= MIN_CUSTOMERS
    for window in [*windows, *(window for window in launch_windows if window not in windows)]:
        text = recommender.text_scores(catalogue.FINETUNE.path, data, window.cut) if settings.use_text else None
        statistics, launching = recommender.statistics(data, window), data.launching(window)
        candidate_set = CandidateSet(statistics, budget, text, launching, windows[0].days, plan)
        judged = (np.full(held.size, window == windows[0]) if forward else held) & statistics.known
        targets = Outcomes.of(data, candidate_set, window, judged)
        rng = np.random.default_rng([settings.seed, week_of(window.cut)])
        num = 0
        if window in windows:
            num += on_sale.gather(candidate_set, candidate_set.batches(), targets, SOLD_TASKS, settings, rng)
            shared.append(SpanFigures.of(statistics, targets.targets[Task.ALL]))
            if settings.recipe == "auto" and candidate_set.launched.size:
                of_launches.hold_out(candidate_set, candidate_set.young(), targets, (Task.LAUNCH,))
        if window in launch_windows:
            rows = _launch_rows(candidate_set, targets.bought, settings, rng)
            num += launches.add(rows, candidate_set.launch_features)
        log.info("rank: %s: %s rows to learn from", date_of(window.cut), f"{num:,}")
    trees = _trees(settings, behaves)
    forests = _forests(on_sale, trees, plan, launches, _launch_trees(settings, behaves), launch_plan)
    apart = on_sale.without(held, trees, "held out")
    calibration = _calibration(settings, apart, on_sale, held)
    recipe: dict[Task, Ordering] = {}
    if settings.recipe == "auto":
        judge = on_sale.of(past, trees, "earlier") if forward else apart
        recipe = _recipe(on_sale, judge) | _recipe(of_launches, judge)
    days, until = windows[0].days, windows[0].last_target
    orders = {str(task): choice.order for task, choice in recipe.items()}
    model = Model(forests, calibration, budget, days, plan, settings.use_text, until, orders, best_span(shared))
    _write(settings, model, recipe)


def _forests(
    on_sale: "Examples", trees: Trees, plan: bool, launches: "Examples", few: Trees, launch_plan: bool
) -> Forests:
    """Those that deliver, with variants that know the promotion plan."""
    bought = any(part.label.any() for part in launches.parts)
    return Forests(
        ranker=on_sale.fit(trees, False, "ranker"),
        ranker_plan=on_sale.fit(trees, True, "ranker with the plan") if plan else None,
        launch=launches.fit(few, False, "launch") if bought else None,
        launch_plan=launches.fit(few, True, "launch with the plan") if bought and launch_plan else None,
    )


def _budget(settings: Settings, data: Prepared, newest: Window, behaves: bool) -> Budget:
    """How many candidates each generator proposes at every cut."""
    of_taste = 0 if behaves else taste.candidates(data.histories.until(newest.cut))
    return Budget(text=settings.text_candidates if settings.use_text else 0, taste=of_taste)


def _held(settings: Settings, data: Prepared, windows: Sequence[Window]) -> Bools:
    """(C,) customers whom the forest that calibrates does not learn from: more in a small shop, up to half."""
    buyers = sum(_buyers(data, window) for window in windows)
    share = float(np.clip(JUDGED / max(buyers, 1), settings.calibrate_share, MOST_HELD))
    return np.random.default_rng([settings.seed, HELD]).random(data.histories.num_customers) < share


def _buyers(data: Prepared, window: Window) -> int:
    """Customers who bought in the window's target days and before."""
    before = data.histories.until(window.cut)
    after = data.histories.between(window.first_target, window.last_target)
    return int(np.intersect1d(before.customer, after.customer).size)


@dataclass(frozen=True)
class Outcomes:
    """What happened in a window's target days.

    bought  (C, I)
    done    all that was done
    judged  (C,) customers who bought and whose lists are judged
    """

    bought: sparse.csr_matrix
    done: Interactions
    targets: dict[str, Targets]
    judged: Bools

    @classmethod
    def of(cls, data: Prepared, candidate_set: CandidateSet, window: Window, may: Bools) -> "Outcomes":
        """Of the window that begins after the candidate set's cut; (C,) whose lists `may` be judged."""
        first, last = window.first_target, window.last_target
        wanted = targets(data.histories, window, candidate_set.launched)
        buyers = np.flatnonzero((np.diff(wanted[Task.ALL].indptr) > 0) & may)
        rng = np.random.default_rng([window.cut, HELD])
        judged = np.zeros(may.size, bool)
        judged[rng.permutation(buyers)[:MOST_CUSTOMERS]] = True
        return cls(data.histories.between(first, last).matrix(), data.interactions.between(first, last), wanted, judged)


@dataclass
class Examples:
    """What one kind of forest learns from, rows of several cuts with the same feature columns; and what it is judged
    on."""

    names: list[str] = field(default_factory=list)
    parts: list[TrainingRows] = field(default_factory=list)
    held: list[HeldOut] = field(default_factory=list)

    def add(self, rows: TrainingRows, names: list[str]) -> int:
        """Add the rows of one cut; how many they are."""
        self.names = names
        self.parts.append(rows)
        return rows.label.size

    def gather(
        self,
        candidate_set: CandidateSet,
        batches: Iterator[Batch],
        outcomes: Outcomes,
        tasks: tuple[Task, ...],
        settings: Settings,
        rng: np.random.Generator,
    ) -> int:
        """Add the candidates of one cut; how many rows are learned from."""
        rows, held = _rows(candidate_set, batches, outcomes, settings, rng)
        self._hold_out(candidate_set, held, outcomes, tasks)
        return self.add(rows, candidate_set.features)

    def hold_out(
        self, candidate_set: CandidateSet, batches: Iterator[Batch], outcomes: Outcomes, tasks: tuple[Task, ...]
    ) -> None:
        """Add what one cut's lists are judged by, and nothing to learn from."""
        if not outcomes.judged.any():
            return
        self.names = candidate_set.features
        self._hold_out(candidate_set, [_of_judged(batch, outcomes) for batch in batches], outcomes, tasks)

    def _hold_out(
        self,
        candidate_set: CandidateSet,
        held: list[tuple[Values, ...]],
        outcomes: Outcomes,
        tasks: tuple[Task, ...],
    ) -> None:
        if not held or not outcomes.judged.any():
            return
        customer, item, features = _whole(held)
        who = np.flatnonzero(outcomes.judged).astype(np.int32)
        wanted = {task: of_customers(outcomes.targets[task], who) for task in tasks}
        place = np.searchsorted(who, customer).astype(np.int32)
        self.held.append(HeldOut(candidate_set.features, place, item, features, wanted, who))

    def fit(self, trees: Trees, plan: bool, name: str) -> Ranker:
        """A forest, with or without what is known of the promotion plan; where nothing was bought, one that orders
        nothing."""
        features = [name for name in self.names if plan or not name.startswith("plan_")]
        if not any(part.label.any() for part in self.parts):
            log.info("rank: %s: nothing was bought of what was proposed before, so it orders nothing", name)
            return Ranker.silent(features)
        return fit(self.parts, self.names, features, trees, name)

    def without(self, held: Bools, trees: Trees, name: str) -> Ranker | None:
        """A forest that has not seen the customers `held` (C,); None where the others bought nothing."""
        return self._fitted([part.split(held)[0] for part in self.parts], trees, name)

    def of(self, chosen: Sequence[bool], trees: Trees, name: str) -> Ranker | None:
        """A forest of some of the cuts; None where nobody bought anything there."""
        return self._fitted([part for part, kept in zip(self.parts, chosen, strict=True) if kept], trees, name)

    def _fitted(self, parts: list[TrainingRows], trees: Trees, name: str) -> Ranker | None:
        return Examples(self.names, parts).fit(trees, False, name) if any(p.label.any() for p in parts) else None


def _recipe(examples: Examples, forest: Ranker | None) -> dict[Task, Ordering]:
    """What orders the lists of each task that the examples can judge."""
    if forest is None or not examples.held:
        return {}
    scores = {id(part): forest.score(part.features, examples.names) for part in examples.held}
    names = rivals(forest.features)
    recipe = {}
    for task in examples.held[0].targets:
        choice = choose(task, examples.held, lambda part: scores[id(part)], names)
        if choice is not None:
            recipe[task] = choice
            rival, gap = f"forest - {choice.rival}", choice.difference
            log.info("rank: %s: %s (%s: %+.4f [%+.4f, %+.4f])", task, choice.order, rival, *gap)
    return recipe


def _trees(settings: Settings, behaves: bool = False) -> Trees:
    known = {"num_trees", "num_leaves", "learning_rate", "min_leaf_rows", "l2", "seed", "objective"}
    trees = Trees(**settings.model_dump(include=known))
    if not behaves:
        return trees
    return replace(trees, num_trees=settings.behaviour_trees, min_leaf_rows=settings.behaviour_leaf_rows)


def _launch_trees(settings: Settings, behaves: bool) -> Trees:
    return replace(
        _trees(settings),
        num_trees=min(settings.launch_trees, settings.behaviour_trees) if behaves else settings.launch_trees,
        learning_rate=settings.launch_learning_rate,
        min_leaf_rows=settings.launch_leaf_rows,
        l2=settings.launch_l2,
        feature_share=settings.launch_feature_share,
    )


def _calibration(settings: Settings, forest: Ranker | None, examples: Examples, held: Bools) -> Calibration | None:
    """Probabilities from scores, learned on the customers `held` from a forest that did not see them."""
    parts = [part.split(held)[1] for part in examples.parts]
    if settings.objective != "binary" or forest is None or not any(part.label.any() for part in parts):
        return None
    names = examples.names
    score = np.concatenate([forest.score(part.features, names) for part in parts])
    label, weight = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "weight"))
    own = np.concatenate([part.features[:, names.index("item_num")] > 0 for part in parts])
    return Calibration.fit(score, label, weight.astype(np.float64), own)


def _rows(
    candidate_set: CandidateSet,
    batches: Iterator[Batch],
    outcomes: Outcomes,
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[TrainingRows, list[tuple[Values, ...]]]:
    """Candidates to learn from, and all of the judged customers': customer, item, features."""
    own, done = candidate_set.features.index("item_num"), outcomes.done
    looked, carted = (done.kinds(*kinds).entries() for kinds in (LOOKED, CARTED))
    keep_customer = _chosen(candidate_set, settings, rng)
    kept_shares = (settings.keep_behaviour,) * 2 if len(done) else (settings.keep_own, settings.keep_other)
    kept: list[tuple[Values, ...]] = []
    judged: list[tuple[Values, ...]] = []
    for batch in batches:
        label = batch.label(outcomes.bought)
        interest = np.maximum(label, settings.look_label * batch.label(looked)).astype(np.float32)
        interest = np.maximum(interest, np.float32(settings.cart_label) * batch.label(carted))
        keep, weight = thinned(interest > 0, batch.features[:, own] > 0, *kept_shares, rng)
        keep &= keep_customer[batch.customer]
        kept.append((batch.features[keep], label[keep], batch.customer[keep], weight[keep], interest[keep]))
        judged.append(_of_judged(batch, outcomes))
    rows = _joined([part[:4] for part in kept])
    return replace(rows, interest=_whole(kept)[4]) if len(done) else rows, judged


def _of_judged(batch: Batch, outcomes: Outcomes) -> tuple[Values, ...]:
    """Customer, item, features of the judged customers' candidates."""
    held = outcomes.judged[batch.customer]
    return batch.customer[held], batch.item[held], batch.features[held]


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
        return TrainingRows(empty, np.zeros(0, bool), np.zeros(0, int), np.zeros(0, np.float32), np.zeros(0, int))
    return _joined(kept)


def _chosen(candidate_set: CandidateSet, settings: Settings, rng: np.random.Generator) -> Bools:
    num = candidate_set.statistics.histories.num_customers
    return rng.random(num) < settings.max_customers / max(num, 1)


def _joined(kept: Sequence[tuple[Values, ...]]) -> TrainingRows:
    features, label, customer, weight = _whole(kept)
    who, group = np.unique(customer, return_counts=True)
    return TrainingRows(features, label, group, weight, who)


def _whole(parts: Sequence[tuple[Values, ...]]) -> list[Values]:
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _write(settings: Settings, model: Model, recipe: dict[Task, Ordering]) -> None:
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
        "popular_span": model.popular_span,
        "recipe": {str(task): choice.content() for task, choice in recipe.items()},
        "settings": settings.model_dump(),
    }
    catalogue.RANKER.write(facts)
    storage.write_json({name: forest.gains() for name, forest in forests.items()}, catalogue.RANK / "importance.json")
