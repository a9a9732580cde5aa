"""How well the audience of a launch is distinguished from everybody else."""

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float64s
from nightmarket.evaluation.figures import OURS, PLANNED
from nightmarket.evaluation.metrics import audience_auc
from nightmarket.ranking.baseline_lists import line_scorer
from nightmarket.ranking.candidate_set import CandidateSet
from nightmarket.ranking.model import Model

MIN_AUDIENCE = 5


def audiences(model: Model, candidate_set: CandidateSet, bought: sparse.csr_matrix) -> dict[str, Float64s]:
    """Area under the curve of each launch with MIN_AUDIENCE buyers or more, by model and by affinity; {} without any.

    bought  (C, I) has an entry for what was bought in the target days
    """
    launching = candidate_set.launching
    items = launching[bought[:, launching].getnnz(axis=0) >= MIN_AUDIENCE]
    variants = {OURS: False} | ({PLANNED: True} if candidate_set.promotion_plan else {})
    forests = {name: forest for name, plan in variants.items() if (forest := model.forests.launching(plan))}
    if items.size == 0 or not forests:
        return {}
    buyers = bought[:, items].toarray() > 0
    scores = {name: np.zeros(buyers.shape) for name in forests}
    for batch in candidate_set.audience(items):
        rows = slice(int(batch.customer[0]), int(batch.customer[-1]) + 1)
        for name, forest in forests.items():
            scores[name][rows] = forest.score(batch.features, candidate_set.launch_features).reshape(-1, items.size)
    affinity = line_scorer(candidate_set)
    scores["affinity"] = np.concatenate([affinity(rows)[:, items] for rows in candidate_set.statistics.slices(256)])
    return {name: audience_auc(values, buyers) for name, values in scores.items()}
