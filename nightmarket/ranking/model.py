"""The whole second stage: forests with what their candidates need, and the lists that they make."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields, replace

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s
from nightmarket.evaluation.protocol import RARE_BUYERS, TASKS, Task
from nightmarket.histories.promotions import Promotions, coming_weeks
from nightmarket.ranking import lists as ranked_lists
from nightmarket.ranking.baselines import popular_lately
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet
from nightmarket.ranking.impersonal import SPAN
from nightmarket.ranking.ranker import Ranker
from nightmarket.ranking.recipe import AND, FOREST, Recipe, fused, simple

Lists = dict[str, Int32s]
POPULAR = "popular"
"""The order of a version that stands in for a champion: the baseline `popularity`, as it is."""
SHORTLIST = 4
"""So many times a list's length is scored by the whole forest: on the demo 99.7% of the delivered lists of 20 come out
as if every candidate were, and every first ten."""
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class Forests:
    """One forest for products on sale and one for what nobody has bought, each with a variant that knows the promotion
    plan."""

    ranker: Ranker
    ranker_plan: Ranker | None = None
    launch: Ranker | None = None
    launch_plan: Ranker | None = None

    def by_name(self) -> dict[str, Ranker]:
        """Those that were trained."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: forest for name, forest in every.items() if forest is not None}

    def on_sale(self, plan: bool) -> Ranker:
        """The forest for products on sale, with or without the plan."""
        forest = self.ranker_plan if plan else self.ranker
        assert forest is not None
        return forest

    def launching(self, plan: bool) -> Ranker | None:
        """The forest for launches, with or without the plan."""
        return self.launch_plan if plan else self.launch


@dataclass(frozen=True)
class Model:
    """Forests and the settings that their candidates need.

    trained_until  the last day that it learned from
    recipe         what orders each task's lists, where it is not the forest
    popular_span   of whose buyers, or of what attention, the list is made that is the same for everybody
    """

    forests: Forests
    calibration: Calibration | None
    budget: Budget
    target_days: int
    promotion_plan: bool
    use_text: bool
    trained_until: int
    recipe: Recipe = field(default_factory=dict)
    popular_span: str = SPAN

    def by_forest(self, task: Task) -> bool:
        """Whether a forest orders the task's lists, and no simple score."""
        return self.recipe.get(task, FOREST) == FOREST

    def popular(self) -> "Model":
        """The same model, but what is popular orders every list."""
        return replace(self, recipe=dict.fromkeys(TASKS, POPULAR))

    def order(
        self,
        task: Task,
        forest: Ranker,
        customer: Int32s,
        rows: Float32s,
        names: list[str],
        score: Float64s | None = None,
    ) -> Float64s:
        """(N,) what the task's lists are ordered by, of feature rows (N, F) with columns `names`, by customer (N,).

        score  (N,) the forest's, where it is known already
        """
        order = self.recipe.get(task, FOREST)
        if order == POPULAR:
            recent, ever = (rows[:, names.index(name)] for name in ("buyers_4w", "buyers_ever"))
            return popular_lately(recent, ever).astype(np.float64)
        if FOREST in order.split(AND) and score is None:
            score = forest.score(rows, names)
        orders = [
            score if name == FOREST and score is not None else simple(name, rows, names) for name in order.split(AND)
        ]
        return orders[0] if len(orders) == 1 else fused(customer, *orders)

    def knows_plan(self, promotions: Promotions, cut: int) -> bool:
        """Whether it was trained with a promotion plan and there is one for the target days."""
        return self.promotion_plan and promotions.covers(*coming_weeks(cut, self.target_days))


def recommend(
    model: Model,
    candidate_set: CandidateSet,
    plans: Collection[bool] = (False,),
    num: int = 20,
    see: Callable[[Batch, Float64s, Bools], None] | None = None,
) -> dict[bool, Lists]:
    """Per variant, without and with the promotion plan, (C, num) lists per task at the candidate set's cut, -1 padded.

    `see` is given each batch of products on sale with its scores without the plan, and which of them are own products.
    """
    num_customers = candidate_set.statistics.histories.num_customers
    lists: dict[bool, Lists] = {}
    for plan in plans:
        tasks = [task for task in TASKS if task != Task.DEBUT or not plan or model.forests.launch_plan]
        lists[plan] = {task: np.full((num_customers, num), -1, np.int32) for task in tasks}
    own, buyers = candidate_set.features.index("item_num"), candidate_set.features.index("buyers_ever")
    for done, batch in enumerate(candidate_set.batches()):
        new = batch.features[:, own] == 0
        rare = new & (batch.features[:, buyers] < RARE_BUYERS)
        rows_of = {Task.ALL: np.ones(new.size, bool), Task.NEW: new, Task.RARE: rare}
        for plan in plans:
            score = model.forests.on_sale(plan).score(batch.features, candidate_set.features)
            if see is not None and not plan:
                see(batch, score, ~new)
            for task, rows in rows_of.items():
                forest, names = model.forests.on_sale(plan), candidate_set.features
                order = model.order(task, forest, batch.customer, batch.features, names, score)
                ranked_lists.fill(lists[plan][task], batch.customer[rows], batch.item[rows], order[rows])
        if done % 4 == 3:
            log.info("ranked %s of %s customers", f"{batch.customer[-1] + 1:,}", f"{num_customers:,}")
    for batch in candidate_set.young():
        for plan in plans:
            forest = model.forests.on_sale(plan)
            score = model.order(Task.LAUNCH, forest, batch.customer, batch.features, candidate_set.features)
            ranked_lists.fill(lists[plan][Task.LAUNCH], batch.customer, batch.item, score)
    _debuts(model, candidate_set, lists, num)
    return lists


def _debuts(model: Model, candidate_set: CandidateSet, lists: dict[bool, Lists], num: int) -> None:
    """Fill the lists of products that nobody has bought, in place."""
    forests = {plan: forest for plan in lists if (forest := model.forests.launching(plan)) is not None}
    for batch in candidate_set.launches() if forests else ():
        for plan, forest in forests.items():
            features = forest.columns(batch.features, candidate_set.launch_features)
            near = forest.shortlist(features, batch.customer, SHORTLIST * num)
            score = forest.score(features[near], list(forest.features))
            ranked_lists.fill(lists[plan][Task.DEBUT], batch.customer[near], batch.item[near], score)
