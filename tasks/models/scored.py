"""What tonight's lists are chosen from: candidates that may be offered, with what the model orders them by."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.evaluation.protocol import Task
from nightmarket.ranking.candidate_set import Batch
from nightmarket.ranking.model import SHORTLIST, Model
from nightmarket.ranking.ranker import Ranker


@dataclass(frozen=True)
class Scored:
    """Candidates of some customers: N rows of a batch of M pairs, by customer; G columns of the forest.

    rows      (N,) their rows in the batch
    score     (N,) what orders them
    features  (M, G) of all pairs of the batch
    """

    batch: Batch
    rows: Int64s
    score: Float64s
    features: Float32s

    @property
    def customer(self) -> Int32s:
        """(N,)"""
        return self.batch.customer[self.rows]

    @property
    def item(self) -> Int32s:
        """(N,)"""
        return self.batch.item[self.rows]


def scored(
    model: Model, forest: Ranker, task: Task, every: Batch, names: list[str], may: Bools, goods: Deliverable, num: int
) -> Scored:
    """What lists of at most `num` products are chosen from, of a batch's candidates with feature columns `names`.

    may  (M,) which of the candidates may be offered
    """
    batch = every.where(may)
    features = forest.columns(batch.features, names)
    near = np.arange(batch.item.size)
    if not near.size:
        return Scored(batch, near, np.zeros(0), features)
    if model.by_forest(task):  # the first trees say nothing of what a simple score puts first
        near = forest.shortlist(features, batch.customer, SHORTLIST * num * goods.most_of_a_group)
    score = model.order(task, forest, batch.customer[near], features[near], list(forest.features))
    first, score = goods.first_of_groups(batch.customer[near], batch.item[near], score)
    return Scored(batch, near[first], score[first], features)
