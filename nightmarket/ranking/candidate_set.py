"""One cut in time, ready to be ranked: candidates with features, a slice of customers at a time.

Training, evaluation and delivery walk the same candidate set; they differ only in the cut. Memory is bounded by the
chunk.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.ranking import behaviour, taste
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.features import FeatureTable
from nightmarket.ranking.generators import (
    CandidateGenerator,
    affinity,
    candidates,
    ease_scores,
    history,
    neighbour_scores,
    popularity_scores,
    rare_lately,
    rare_scores,
    sold_lately,
    unsold_generators,
)
from nightmarket.ranking.launches import LaunchTable
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 256
WORKERS = max(1, min(4, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE") or 1)))
"""Batches that are made side by side, ahead of the one in use: numpy, scipy and torch leave Python's lock. Processes
of torchrun share the cores."""


@dataclass(frozen=True)
class Budget:
    """Candidates per customer that each generator may propose; `taste`: factors where purchases alone are recorded."""

    history: int = 150
    ease: int = 60
    neighbours: int = 40
    popular: int = 30
    kind: int = 50
    line: int = 40
    rare: int = 40
    text: int = 0
    launch: int = 200
    seen: int = 60
    together: int = 40
    leads: int = 40
    of_kind: int = 40
    content: int = 60
    young: int = 40
    factors: int = 60
    pictured: int = 40
    taste: int = 0
    preferred: int = 60


@dataclass(frozen=True)
class TextScores:
    """Vectors of the fine-tuned towers at the candidate set's cut; a dot product is the score.

    customers, launch_customers  (C, E)  for products on sale, for products that nobody has bought
    items                        (I, E)
    """

    customers: Float32s
    launch_customers: Float32s
    items: Float32s


@dataclass(frozen=True)
class Batch:
    """Candidates of a slice of customers: N pairs sorted by customer, with features (N, F)."""

    customers: Customers
    customer: Int32s
    item: Int32s
    features: Float32s

    def where(self, mask: Bools) -> "Batch":
        """The pairs where the mask (N,) is true."""
        return self if mask.all() else Batch(self.customers, self.customer[mask], self.item[mask], self.features[mask])

    def label(self, bought: sparse.csr_matrix) -> Bools:
        """(N,) which pairs have an entry in `bought` (C, I)."""
        if self.customer.size == 0:  # for which scipy gives a matrix
            return np.zeros(0, bool)
        return np.asarray(bought[self.customer, self.item]).ravel() > 0


class CandidateSet:
    """Candidates and features at the end of the day `statistics.cut`.

    launching       (L,) products that come on sale in the target days, sold to nobody before
    launched        (Y,) products that are new by their days on sale, sold or not, or announced for the target days
    promotion_plan  with what is known of the promotions of the target days
    """

    def __init__(
        self,
        statistics: PointInTimeStatistics,
        budget: Budget,
        text: TextScores | None,
        launching: Int32s,
        target_days: int,
        promotion_plan: bool = False,
    ) -> None:
        self.statistics = statistics
        self._budget = budget
        self.text = text
        self.promotion_plan = promotion_plan
        self._table = FeatureTable(statistics, target_days, promotion_plan)
        self.launching = launching
        self.launched = statistics.launched(target_days)
        self._launches = LaunchTable(statistics, launching, target_days, promotion_plan)

    @property
    def features(self) -> list[str]:
        """Names of the feature columns of `batches`."""
        return self._table.names([generator.name for generator in self.generators])

    @property
    def launch_features(self) -> list[str]:
        """Names of the feature columns of `launches`."""
        return self._launches.names([generator.name for generator in self.launch_generators])

    def batches(self, step: int = CHUNK, wanted: Iterable[slice] | None = None) -> Iterator[Batch]:
        """Products that were sold before, `step` customers at a time, or for the `wanted` slices of customers."""
        return self._batches(self.generators, None, self.statistics.slices(step) if wanted is None else wanted)

    def young(self, step: int = CHUNK, wanted: Iterable[slice] | None = None) -> Iterator[Batch]:
        """Products `launched`, with the features of `batches`; nothing where there are none."""
        if self.launched.size == 0:
            return iter(())
        slices = self.statistics.slices(step) if wanted is None else wanted
        return self._batches(self.young_generators, self.launched, slices)

    def _batches(
        self, generators: list[CandidateGenerator], only: Int32s | None, wanted: Iterable[slice]
    ) -> Iterator[Batch]:
        def made(rows: slice) -> Batch:
            customers = self.statistics.customers(rows)
            customer, item, scores = candidates(customers, generators, self._own(customers, only))
            features = self._table.rows(customers, customer, item, scores)
            return Batch(customers, customer + np.int32(rows.start), item, features)

        return ahead(made, wanted)

    def _own(self, customers: Customers, only: Int32s | None) -> list[Int64s]:
        """Keys of what the customers bought and, where that is known, looked at, of the items `only`; None: of all."""
        keys = [history(customers, self._budget.history)]
        if self.statistics.behaves:
            keys.append(behaviour.seen(customers, self._budget.seen))
        num_items = self.statistics.catalogue.num_items
        return keys if only is None else [key[np.isin(key % num_items, only)] for key in keys]

    def launches(self, step: int = CHUNK) -> Iterator[Batch]:
        """Products that come on sale, in chunks of customers; nothing where there are none."""
        if self.launching.size == 0:
            return iter(())
        generators = self.launch_generators

        def made(rows: slice) -> Batch:
            customers = self.statistics.customers(rows)
            customer, item, scores = candidates(customers, generators, [])
            features = self._launches.rows(customers, customer, item, scores)
            return Batch(customers, customer + np.int32(rows.start), item, features)

        return ahead(made, self.statistics.slices(step))

    def audience(self, items: Int32s, step: int = CHUNK) -> Iterator[Batch]:
        """Every customer with each of a few launching products, by the features of `launches`."""

        def made(rows: slice) -> Batch:
            num = rows.stop - rows.start
            customer = np.repeat(np.arange(num, dtype=np.int32), items.size)
            return self._launch_batch(rows, customer, np.tile(items, num))

        return ahead(made, self.statistics.slices(step))

    def sampled_launches(
        self, bought: sparse.csr_matrix, share: float, rng: np.random.Generator, step: int = CHUNK
    ) -> Iterator[Batch]:
        """A random share of all pairs of a customer and a launching product, and every pair that was bought.

        bought  (C, I)
        """

        def drawn() -> Iterator[tuple[slice, Int32s, Int32s]]:
            for rows in self.statistics.slices(step) if self.launching.size else ():
                label = bought[rows][:, self.launching].toarray() > 0
                customer, place = np.nonzero(label | (rng.random(label.shape) < share))
                yield rows, customer.astype(np.int32), self.launching[place]

        return ahead(lambda pairs: self._launch_batch(*pairs), drawn())

    def _launch_batch(self, rows: slice, customer: Int32s, item: Int32s) -> Batch:
        customers = self.statistics.customers(rows)
        place = np.searchsorted(self.launching, item)
        scores = {generator.name: generator.score(customers)[customer, place] for generator in self.launch_generators}
        features = self._launches.rows(customers, customer, item, scores)
        return Batch(customers, customer + np.int32(rows.start), item, features)

    @cached_property
    def generators(self) -> list[CandidateGenerator]:
        """Who proposes products on sale, besides the customer's own history."""
        statistics, budget = self.statistics, self._budget
        if statistics.behaves:
            made = behaviour.generators(statistics, self.factors, asdict(budget))
            if self.text is not None:
                lively = statistics.lively
                made.append(_text_generator(self.text.customers, self.text.items, lively, budget.text))
            return made
        active, rare = statistics.active, rare_lately(statistics)
        weight = sold_lately(statistics)[active]
        made = [
            CandidateGenerator("ease", budget.ease, active, ease_scores(statistics, active)),
            CandidateGenerator("neighbours", budget.neighbours, active, neighbour_scores(statistics, active)),
            CandidateGenerator("popular", budget.popular, active, popularity_scores(statistics, active)),
            CandidateGenerator("kind", budget.kind, active, affinity(statistics, "kind", active, weight)),
            CandidateGenerator("line", budget.line, active, affinity(statistics, "line", active, weight)),
            CandidateGenerator("rare", budget.rare, rare, rare_scores(statistics, rare)),
        ]
        if self._tastes is not None:
            liked = taste.by_factors(statistics, self._tastes, active)
            made.append(CandidateGenerator("factors", budget.taste, active, liked))
        if self.text is not None:
            made.append(_text_generator(self.text.customers, self.text.items, active, budget.text))
        return made

    @cached_property
    def factors(self) -> Factors | None:
        """Of visitors and products; None where purchases alone are recorded."""
        return behaviour.latent(self.statistics) if self.statistics.behaves else None

    @cached_property
    def _tastes(self) -> Factors | None:
        """The same from purchases, where those alone are recorded; None where the budget has no place for them."""
        return taste.latent(self.statistics) if self._budget.taste and not self.statistics.behaves else None

    @cached_property
    def young_generators(self) -> list[CandidateGenerator]:
        """Those of `generators` held to the products `launched`, each with the budget of a launch."""
        num = self._budget.young * 2
        if self.statistics.behaves:
            announced = behaviour.launch_generators(self.statistics, self.factors, self.launched, num)
        else:
            unsold = self.launched[self.statistics.buyers["ever"][self.launched] == 0]
            made = unsold_generators(self.statistics, unsold, num) if unsold.size else []
            if unsold.size and self._tastes is not None:
                every = np.union1d(self.statistics.active, unsold).astype(np.int32)
                liked = taste.by_factors(self.statistics, self._tastes, every)
                made.append(CandidateGenerator("factors", num, every, liked))
            announced = [of.held_to(self.launched, num) for of in made]
        by_name = {generator.name: generator for generator in announced}
        return [by_name.get(of.name) or of.held_to(self.launched, num) for of in self.generators]

    @cached_property
    def launch_generators(self) -> list[CandidateGenerator]:
        """Who proposes products that come on sale."""
        made = self._launches.generators(self._budget.launch)
        if self.text is not None:
            made.append(
                _text_generator(self.text.launch_customers, self.text.items, self.launching, self._budget.launch)
            )
        return made


def _text_generator(vectors: Float32s, items: Float32s, chosen: Int32s, num: int) -> CandidateGenerator:
    columns = np.ascontiguousarray(items[chosen].T)
    return CandidateGenerator("tower", num, chosen, lambda customers: vectors[customers.rows] @ columns)


def ahead(make: Callable[[T], R], wanted: Iterable[T]) -> Iterator[R]:
    """`make` of each, in order; `WORKERS` of them are under way while one is used."""
    under_way: deque[Future[R]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for argument in wanted:
            under_way.append(pool.submit(make, argument))
            if len(under_way) > WORKERS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
