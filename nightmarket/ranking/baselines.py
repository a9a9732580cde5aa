"""The lists of the baselines that every run is measured against, over the full catalogue."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nightmarket.histories import Histories
from nightmarket.ranking.lists import mask_entries, top_items
from nightmarket.ranking.peers import Scorer, ease, line_affinity, popularity, recency_frequency, tifu_knn
from nightmarket.ranking.scene import CHUNK, Scene

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
    num_items = evidence.catalogue.num_items
    allowed = {"all": evidence.sold, "new": evidence.sold}
    for task, items in (("rare", evidence.rare), ("launch", scene.launching)):
        allowed[task] = np.isin(np.arange(num_items), items)
    found = {task: np.full((evidence.histories.num_customers, num), -1, np.int32) for task in tasks}
    for rows in evidence.slices(CHUNK):
        scores = scorer(rows).astype(np.float32)
        for task in tasks:  # `all` comes first: the later tasks leave out what the customer owns
            if task != "all":
                mask_entries(scores, bought[rows])
            found[task][rows] = top_items(np.where(allowed[task], scores, -np.inf), num)
    return found
