"""One origin, ready to be ranked: candidates with features, a slice of customers at a time.

Training, evaluation and delivery walk the same scene; they differ only in the origin. Memory is bounded by the chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nightmarket.ranking.evidence import Evidence
from nightmarket.ranking.features import FeatureTable
from nightmarket.ranking.launches import LaunchTable
from nightmarket.ranking.sources import (
    Source,
    affinity,
    candidates,
    ease_scores,
    neighbour_scores,
    popularity_scores,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
CHUNK = 256


@dataclass(frozen=True)
class Budget:
    """Candidates per customer that each source may propose."""

    history: int = 150
    ease: int = 60
    neighbours: int = 40
    popular: int = 30
    kind: int = 50
    line: int = 40
    text: int = 0
    launch: int = 40


@dataclass(frozen=True)
class TextScores:
    """Vectors of the fine-tuned towers at the scene's origin; a dot product is the score.

    customers, launch_customers  (C, E)  for products on sale, for products that nobody has bought
    items                        (I, E)
    """

    customers: Floats
    launch_customers: Floats
    items: Floats


@dataclass(frozen=True)
class Batch:
    """Candidates of a slice of customers: N pairs sorted by customer, with features (N, F)."""

    customer: Ints
    item: Ints
    features: Floats


class Scene:
    """Candidates and features at the end of week `evidence.origin`.

    launching  (L,) products that come on sale in the target weeks, sold to nobody before
    """

    def __init__(
        self,
        evidence: Evidence,
        budget: Budget,
        text: TextScores | None,
        launching: Ints,
        target_weeks: int,
        promotion_plan: bool = False,
    ) -> None:
        self.evidence = evidence
        self._budget = budget
        self.text = text
        self._table = FeatureTable(evidence, target_weeks, promotion_plan)
        self.launching = launching
        self._launches = LaunchTable(evidence, launching)

    @property
    def features(self) -> list[str]:
        """Names of the feature columns of `batches`."""
        return self._table.names([source.name for source in self._sources])

    @property
    def launch_features(self) -> list[str]:
        """Names of the feature columns of `launches`."""
        return self._launches.names([source.name for source in self._launch_sources])

    def batches(self) -> Iterator[Batch]:
        """Products that were sold before, in chunks of customers."""
        for rows in self._slices():
            customer, item, scores = candidates(self.evidence, self._sources, rows, self._budget.history)
            yield Batch(customer, item, self._table.rows(customer, item, scores))

    def launches(self) -> Iterator[Batch]:
        """Products that come on sale, in chunks of customers; nothing where there are none."""
        if self.launching.size == 0:
            return
        for rows in self._slices():
            customer, item, scores = candidates(self.evidence, self._launch_sources, rows, 0)
            yield Batch(customer, item, self._launches.rows(customer, item, scores))

    def _slices(self) -> Iterator[slice]:
        num = self.evidence.histories.num_customers
        for start in range(0, num, CHUNK):
            yield slice(start, min(start + CHUNK, num))

    @cached_property
    def _sources(self) -> list[Source]:
        evidence, budget = self.evidence, self._budget
        active, buyers = evidence.active, evidence.buyers
        weight = buyers["4w"] + 0.1 * buyers["13w"] + 0.01 * buyers["ever"]
        made = [
            Source("ease", budget.ease, active, ease_scores(evidence)),
            Source("neighbours", budget.neighbours, active, neighbour_scores(evidence)),
            Source("popular", budget.popular, active, popularity_scores(evidence)),
            Source("kind", budget.kind, active, affinity(evidence, "kind", evidence.catalogue.kind, active, weight)),
            Source("line", budget.line, active, affinity(evidence, "line", evidence.catalogue.line, active, weight)),
        ]
        if self.text is not None:
            made.append(_text_source(self.text.customers, self.text.items, active, budget.text))
        return made

    @cached_property
    def _launch_sources(self) -> list[Source]:
        made = self._launches.sources(self._budget.launch)
        if self.text is not None:
            made.append(_text_source(self.text.launch_customers, self.text.items, self.launching, self._budget.launch))
        return made


def _text_source(customers: Floats, items: Floats, chosen: Ints, num: int) -> Source:
    columns = np.ascontiguousarray(items[chosen].T)
    return Source("text", num, chosen, lambda rows: customers[rows] @ columns)
