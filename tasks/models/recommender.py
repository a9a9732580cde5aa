"""A model folder (rank/ and finetune/) brought to life on prepared tables.

Training, evaluation, the gate and delivery all look at an origin through here, so that a champion is judged and served
by the same code that trained it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.encoding.hashes import lookup
from nightmarket.evaluation import rank_metrics
from nightmarket.histories import Histories
from nightmarket.ranking import (
    Batch,
    Budget,
    CandidateSet,
    Catalogue,
    PointInTimeStatistics,
    Promotions,
    Ranker,
    TextScores,
    catalogue,
)
from nightmarket.ranking import lists as ranked_lists
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.point_in_time import RARE_BUYERS
from nightmarket.retrieval.tower import Tower
from tasks.files import storage

PREPARED = storage.ARTIFACTS / "prepare"
Lists = dict[str, NDArray[np.int32]]
TASKS = ("all", "new", "rare", "launch")
SHORTLIST = 4
"""So many times a list's length is scored by the whole forest: on the demo 99.7% of the delivered lists of 20 come out
as if every candidate were, and every first ten."""
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class Prepared:
    """The tables of `prepare` as arrays."""

    histories: Histories
    products: pd.DataFrame
    promotions: Promotions
    windows: dict[str, Any]

    @cached_property
    def catalogue(self) -> Catalogue:
        """Codes of the products."""
        return catalogue(self.products)

    @cached_property
    def texts(self) -> list[str]:
        """Row = text_id."""
        return storage.read_table(PREPARED / "texts.parquet")["text"].to_pylist()

    def launching(self, window: dict[str, int]) -> NDArray[np.int32]:
        """Products first sold in the window's target weeks; none for a window without targets."""
        first = self.histories.first_weeks()
        inside = (first >= window.get("first_target", 1)) & (first <= window.get("last_target", 0))
        return np.flatnonzero(inside & self.catalogue.recommendable).astype(np.int32)

    def statistics(self, origin: int) -> PointInTimeStatistics:
        """What was known at the end of week `origin`."""
        return PointInTimeStatistics(self.histories.until(origin), self.catalogue, origin, self.promotions)


def prepared() -> Prepared:
    """Read artifacts/prepare."""
    lines = storage.read_table(PREPARED / "purchases.parquet")
    products = storage.read_table(PREPARED / "products.parquet").to_pandas()
    num_customers = storage.read_table(PREPARED / "customers.parquet", columns=["customer"]).num_rows
    shares = storage.read_table(PREPARED / "promotions.parquet")
    return Prepared(
        histories=Histories(
            **{name: lines[name].to_numpy() for name in lines.column_names},
            num_customers=num_customers,
            num_items=len(products),
        ),
        products=products,
        promotions=Promotions(**{name: shares[name].to_numpy() for name in ("item", "week", "display", "mailer")}),
        windows=storage.read_json(PREPARED / "windows.json"),
    )


def text_scores(finetune: Path, data: Prepared, origin: int) -> TextScores:
    """The towers' vectors of a finetune folder for all customers as they stood at `origin`, and all products."""
    tower = Tower.load(storage.read_tensors(finetune / "tower.safetensors"), storage.read_json(finetune / "tower.json"))
    vectors = text_vectors(finetune, data)
    text_id = data.products["text_id"].to_numpy(np.int32)
    # Products of one text share its vector, so the towers see texts, of which there are fewer.
    past = data.histories.until(origin)
    by_text = replace(past, item=text_id[past.item], num_items=len(vectors))
    return TextScores(
        customers=tower.customers(vectors, by_text, origin, "repertoire"),
        launch_customers=tower.customers(vectors, by_text, origin, "launch"),
        items=tower.items(vectors)[text_id],
    )


def text_vectors(finetune: Path, data: Prepared) -> NDArray[np.float32]:
    """(T, D) vectors of tonight's texts by the folder's encoder; texts that it has not seen are encoded now."""
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.hashes import text_hashes

    stored = storage.read_tensors(finetune / "text_vectors.safetensors")
    vectors, missing = lookup(text_hashes(data.texts), stored["hashes"], stored["vectors"])
    if missing.size:
        log.info("encoding %s texts that the model has not seen", f"{missing.size:,}")
        encoder = Encoder.load(str(finetune / "encoder"), "auto")
        vectors[missing] = encoder.encode([data.texts[i] for i in missing])
    return vectors


@dataclass(frozen=True)
class Model:
    """A ranker for products on sale, one for launches, and the settings that their candidates need.

    forests  ranker; launch where there were launches; each with `_plan` where it was trained with a promotion plan too
    """

    forests: dict[str, Ranker]
    calibration: Calibration | None
    budget: Budget
    target_weeks: int
    promotion_plan: bool
    use_text: bool
    trained_until: int

    def candidate_set(self, data: Prepared, finetune: Path, window: dict[str, int]) -> CandidateSet:
        """Candidates with features at the end of the window's `fit_until`; with the promotion plan where one is known
        of and was trained with."""
        origin = window["fit_until"]
        text = text_scores(finetune, data, origin) if self.use_text else None
        launching = data.launching(window)
        plan = self.knows_plan(data, origin)
        return CandidateSet(data.statistics(origin), self.budget, text, launching, self.target_weeks, plan)

    def knows_plan(self, data: Prepared, origin: int) -> bool:
        """Whether it was trained with a promotion plan and the tables hold that of the target weeks."""
        return self.promotion_plan and data.promotions.covers(origin + 1, origin + self.target_weeks)

    def ranker(self, plan: bool) -> Ranker:
        """The forest for products on sale, with or without the plan."""
        return self.forests["ranker_plan" if plan else "ranker"]


def load(rank: Path) -> Model:
    """Read a rank folder."""
    facts = storage.read_json(rank / "ranker.json")
    if "forests" not in facts:
        raise InputError(f"{rank}: written by an older version; run `make nightly`, which trains and registers anew")
    return Model(
        forests={name: Ranker.load((rank / f"{name}.txt").read_text(encoding="utf-8")) for name in facts["forests"]},
        calibration=Calibration.from_json(facts["calibration"]) if facts["calibration"] else None,
        budget=Budget(**facts["budget"]),
        target_weeks=facts["target_weeks"],
        promotion_plan=facts["promotion_plan"],
        use_text=facts["use_text"],
        trained_until=facts["trained_until"],
    )


def window_lists(
    model: Model,
    candidate_set: CandidateSet,
    plans: tuple[bool, ...] = (False,),
    num: int = 20,
    see: Callable[[Batch, NDArray[np.float64], NDArray[np.bool_]], None] | None = None,
) -> dict[bool, Lists]:
    """Per variant, without and with the promotion plan, (C, num) lists per task at the scene's origin, -1 padded.

    Tasks: all products, those new to the customer, those of them with few buyers, launches.
    `see` is given each batch of products on sale with its scores without the plan, and which of them are own products.
    """
    statistics = candidate_set.statistics
    num_customers = statistics.histories.num_customers
    launch = {plan: forest for plan in plans if (forest := model.forests.get("launch_plan" if plan else "launch"))}
    tasks = {plan: TASKS[:-1] if plan and plan not in launch else TASKS for plan in plans}
    found = {plan: {task: np.full((num_customers, num), -1, np.int32) for task in tasks[plan]} for plan in plans}
    own, few = candidate_set.features.index("item_num"), candidate_set.features.index("buyers_ever")
    for done, batch in enumerate(candidate_set.batches()):
        new = batch.features[:, own] == 0
        chosen = {"all": np.ones(new.size, bool), "new": new, "rare": new & (batch.features[:, few] < RARE_BUYERS)}
        for plan in plans:
            score = model.ranker(plan).score(batch.features, candidate_set.features)
            if see is not None and not plan:
                see(batch, score, ~new)
            for task, rows in chosen.items():
                ranked_lists.fill(found[plan][task], batch.customer[rows], batch.item[rows], score[rows])
        if done % 4 == 3:
            log.info("ranked %s of %s customers", f"{batch.customer[-1] + 1:,}", f"{num_customers:,}")
    for batch in candidate_set.launches() if launch else ():
        for plan, forest in launch.items():
            features = forest.columns(batch.features, candidate_set.launch_features)
            near = forest.shortlist(features, batch.customer, SHORTLIST * num)
            score = forest.score(features[near], list(forest.features))
            ranked_lists.fill(found[plan]["launch"], batch.customer[near], batch.item[near], score)
    return found


def window_targets(data: Prepared, window: dict[str, int]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Distinct products per customer that the window's weeks hold, per task, as (indptr, items)."""
    before = data.histories.until(window["fit_until"])
    targets = data.histories.between(window["first_target"], window["last_target"])
    owned = before.matrix()
    buyers = owned.getnnz(axis=0)[targets.item]
    few = targets.where((buyers > 0) & (buyers < RARE_BUYERS))
    return {
        "all": targets.targets(),
        "new": targets.targets(owned),
        "rare": few.targets(owned),
        "launch": targets.where(buyers == 0).targets(),
    }


def window_scores(folder: Path) -> pd.DataFrame:
    """NDCG@10 per customer and task of a model folder on the current test window: customer, task, ndcg@10."""
    data, model = prepared(), load(folder / "rank")
    window = data.windows["test"]
    lists = window_lists(model, model.candidate_set(data, folder / "finetune", window))[False]
    return customer_scores(lists, window_targets(data, window))


def customer_scores(lists: Lists, targets: dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]]) -> pd.DataFrame:
    """NDCG@10 per customer and task as a long table; customers without targets in a task are left out."""
    parts = []
    for task in TASKS:
        score = rank_metrics(lists[task], *targets[task], cutoffs=(10,))["ndcg@10"]
        part = pd.DataFrame({"customer": np.arange(score.size, dtype=np.int32), "task": task, "ndcg@10": score})
        parts.append(part[part["ndcg@10"].notna()])
    return pd.concat(parts, ignore_index=True)
