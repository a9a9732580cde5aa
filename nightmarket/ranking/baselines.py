"""The lists of the baselines that every run is measured against, over the full catalogue."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nightmarket.histories import Histories
from nightmarket.ranking.lists import mask_entries, top_items
from nightmarket.ranking.peers import Scorer, ease, line_affinity, popularity, recency_frequency, tifu_knn
from nightmarket.ranking.scene import CHUNK, Scene, ahead

BASELINES = ("popularity", "recency_frequency", "tifu_knn", "ease")
Lists = dict[str, NDArray[np.int32]]


def baselines(scene: Scene, num: int) -> Iterator[tuple[str, Lists]]:
    """(name, (C, num) lists per task) of each; tasks are left out that a baseline has no scores for."""
    history, origin = scene.evidence.histories, scene.evidence.origin
    makers: dict[str, Callable[[Histories, int], Scorer]] = {
        "popularity": popularity,
        "recency_frequency": recency_frequency,
        "tifu_knn": tifu_knn,
        "ease": ease,
    }
    for name in BASELINES:
        yield name, walk(makers[name](history, origin), scene, ("all", "new", "rare"), num)
    yield "affinity", walk(line_scorer(scene), scene, ("rare", "launch"), num)


def line_scorer(scene: Scene) -> Scorer:
    """Affinity to line and kind, which can rank products that nobody has bought."""
    evidence = scene.evidence
    return line_affinity(evidence.histories, evidence.catalogue.line, evidence.catalogue.kind, evidence.last_day)


def walk(scorer: Scorer, scene: Scene, tasks: tuple[str, ...], num: int) -> Lists:
    """Top places per task: products sold before for `all`, without one's own for `new`, those of them with few buyers
    for `rare`, launched ones for `launch`."""
    evidence = scene.evidence
    bought = evidence.histories.matrix()
    sold = np.flatnonzero(evidence.sold).astype(np.int32)
    chosen = {"all": sold, "new": sold, "rare": evidence.rare, "launch": scene.launching}

    def best(rows: slice) -> tuple[slice, Lists]:
        scores, found = scorer(rows).astype(np.float32), {}
        for task in tasks:  # `all` comes first: the later tasks leave out what the customer owns
            if task != "all":
                mask_entries(scores, bought[rows])
            places = top_items(scores[:, chosen[task]], num)
            found[task] = np.where(places >= 0, chosen[task][np.maximum(places, 0)], -1).astype(np.int32)
        return rows, found

    lists = {task: np.full((evidence.histories.num_customers, num), -1, np.int32) for task in tasks}
    for rows, found in ahead(best, evidence.slices(CHUNK)):
        for task, places in found.items():
            lists[task][rows] = places
    return lists
