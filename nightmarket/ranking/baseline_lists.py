"""The lists of the baselines that every run is measured against, over the full catalogue."""

from collections.abc import Callable, Iterator

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.histories import Histories
from nightmarket.ranking.baselines import Scorer, ease, line_affinity, popularity, recency_frequency, tifu_knn
from nightmarket.ranking.behaviour import EASE_ITEMS, by_factors, content, ease_of_behaviour
from nightmarket.ranking.candidate_set import CHUNK, CandidateSet, ahead
from nightmarket.ranking.generators import Score
from nightmarket.ranking.lists import mask_entries
from nightmarket.retrieval.top import top_items

BASELINES = ("popularity", "recency_frequency", "tifu_knn", "ease")
UNOWNED = ("new", "rare")
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
    yield "affinity", walk(line_scorer(candidate_set), candidate_set, ("rare", "launch", "debut"), num)
    if candidate_set.statistics.behaves:
        for name, scorer in of_behaviour(candidate_set).items():
            yield name, walk(scorer, candidate_set, ("all", "new", "rare", "launch"), num)


def of_behaviour(candidate_set: CandidateSet) -> dict[str, Scorer]:
    """EASE and latent factors of all that customers did, what was popular lately, and likeness to the texts of what
    they looked at."""
    statistics, learned = candidate_set.statistics, candidate_set.factors
    every = np.arange(statistics.catalogue.num_items, dtype=np.int32)
    popular = statistics.attention
    most = np.sort(np.argsort(-popular, kind="stable")[:EASE_ITEMS]).astype(np.int32)

    def spread(score: Score, items: Int32s) -> Scorer:
        def scorer(rows: slice) -> Float32s:
            scores = np.full((rows.stop - rows.start, every.size), -1e6, np.float32)
            scores[:, items] = score(statistics.customers(rows))
            return scores

        return scorer

    scorers: dict[str, Scorer] = {
        "popular_behaviour": lambda rows: np.tile(popular, (rows.stop - rows.start, 1)),
        "ease_behaviour": spread(ease_of_behaviour(statistics, most), most),
    }
    if learned is not None:
        scorers["factors"] = spread(by_factors(statistics, learned, every), every)
    if statistics.terms is not None:
        scorers["content"] = spread(content(statistics, every), every)
    return scorers


def line_scorer(candidate_set: CandidateSet) -> Scorer:
    """Affinity to line and kind, which can rank products that nobody has bought."""
    statistics = candidate_set.statistics
    return line_affinity(statistics.histories, statistics.catalogue.line, statistics.catalogue.kind, statistics.today)


def walk(scorer: Scorer, candidate_set: CandidateSet, tasks: tuple[str, ...], num: int) -> Lists:
    """Top places per task: products sold before for `all`, without one's own for `new`, those of them with few buyers
    for `rare`, launched ones for `launch`, one's own among them."""
    statistics = candidate_set.statistics
    bought = statistics.histories.matrix()
    listed = np.flatnonzero(statistics.listed).astype(np.int32)
    chosen = {"all": listed, "new": listed, "rare": statistics.rare}
    chosen |= {"launch": candidate_set.launched, "debut": candidate_set.launching}

    def best(rows: slice) -> tuple[slice, Lists]:
        scores, recommended = scorer(rows).astype(np.float32), {}
        for task in sorted(tasks, key=UNOWNED.__contains__):  # these come last: their lists leave out what is owned
            if task in UNOWNED:
                mask_entries(scores, bought[rows])
            places, of_place = top_items(scores[:, chosen[task]], num), np.append(chosen[task], -1)
            recommended[task] = of_place[places].astype(np.int32)  # a place of nothing, -1, is the last
        return rows, recommended

    lists = {task: np.full((statistics.histories.num_customers, num), -1, np.int32) for task in tasks}
    for rows, recommended in ahead(best, statistics.slices(CHUNK)):
        for task, places in recommended.items():
            lists[task][rows] = places
    return lists
