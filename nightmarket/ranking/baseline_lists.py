"""The lists of the baselines that every run is measured against, over the full catalogue."""

from collections.abc import Callable, Iterator

import numpy as np

from nightmarket.contracts.arrays import Int32s
from nightmarket.histories.histories import Histories
from nightmarket.ranking.baselines import Scorer, ease, line_affinity, popularity, recency_frequency, tifu_knn
from nightmarket.ranking.candidate_set import CHUNK, CandidateSet, ahead
from nightmarket.ranking.lists import mask_entries, top_items

BASELINES = ("popularity", "recency_frequency", "tifu_knn", "ease")
Lists = dict[str, Int32s]


def baselines(candidate_set: CandidateSet, num: int) -> Iterator[tuple[str, Lists]]:
    """(name, (C, num) lists per task) of each; tasks are left out that a baseline has no scores for."""
    history, cut = candidate_set.statistics.histories, candidate_set.statistics.cut
    makers: dict[str, Callable[[Histories, int], Scorer]] = {
        "popularity": popularity,
        "recency_frequency": recency_frequency,
        "tifu_knn": tifu_knn,
        "ease": ease,
    }
    for name in BASELINES:
        yield name, walk(makers[name](history, cut), candidate_set, ("all", "new", "rare"), num)
    yield "affinity", walk(line_scorer(candidate_set), candidate_set, ("rare", "launch"), num)


def line_scorer(candidate_set: CandidateSet) -> Scorer:
    """Affinity to line and kind, which can rank products that nobody has bought."""
    statistics = candidate_set.statistics
    return line_affinity(statistics.histories, statistics.catalogue.line, statistics.catalogue.kind, statistics.today)


def walk(scorer: Scorer, candidate_set: CandidateSet, tasks: tuple[str, ...], num: int) -> Lists:
    """Top places per task: products sold before for `all`, without one's own for `new`, those of them with few buyers
    for `rare`, launched ones for `launch`."""
    statistics = candidate_set.statistics
    bought = statistics.histories.matrix()
    sold = np.flatnonzero(statistics.sold).astype(np.int32)
    chosen = {"all": sold, "new": sold, "rare": statistics.rare, "launch": candidate_set.launching}

    def best(rows: slice) -> tuple[slice, Lists]:
        scores, recommended = scorer(rows).astype(np.float32), {}
        for task in tasks:  # `all` comes first: the later tasks leave out what the customer owns
            if task != "all":
                mask_entries(scores, bought[rows])
            places = top_items(scores[:, chosen[task]], num)
            recommended[task] = np.where(places >= 0, chosen[task][np.maximum(places, 0)], -1).astype(np.int32)
        return rows, recommended

    lists = {task: np.full((statistics.histories.num_customers, num), -1, np.int32) for task in tasks}
    for rows, recommended in ahead(best, statistics.slices(CHUNK)):
        for task, places in recommended.items():
            lists[task][rows] = places
    return lists
