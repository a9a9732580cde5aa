"""Where candidates come from. Each generator proposes its best items for a slice of customers.

A generator gives dense scores over a few columns (the items it chooses from) and how many of the best are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.ranking.baselines import decayed_counts, popular_lately
from nightmarket.ranking.collaborative import Ease, Neighbours, log_counts, reference
from nightmarket.ranking.pairs import Pairs
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics
from nightmarket.retrieval.top import top_items

Score = Callable[[Customers], Float32s]
ATTENTION = "attention"
"""In place of a span of purchases: looks and carts too, where they are recorded."""
UNSOLD = 0.02
"""Weight of a product that nobody has bought, beside buyers of the last 4 weeks."""


@dataclass(frozen=True)
class CandidateGenerator:
    """Scores (B, A) over `items` (A,) for the customers of a slice, an array of their own; the best `num` become
    candidates."""

    name: str
    num: int
    items: Int32s
    score: Score

    def held_to(self, items: Int32s, num: int) -> "CandidateGenerator":
        """The same, for those of its items alone that are among `items`."""
        kept = np.flatnonzero(np.isin(self.items, items))
        return CandidateGenerator(self.name, num, self.items[kept], lambda customers: self.score(customers)[:, kept])

    def recommend(self, customers: Customers, num: int) -> Int32s:
        """(B, num) the best items that the customer never bought, best first; -1 where there are fewer."""
        best = _best_unowned(customers, self.score(customers), self, num)
        return np.where(best >= 0, self.items[np.maximum(best, 0)], -1).astype(np.int32)


def level_shares(level: Pairs, num_customers: int) -> sparse.csr_matrix:
    """(B, K) fresh counts as shares of the customer's whole."""
    shape = (num_customers, level.num_codes)
    counts = sparse.csr_matrix((level.fresh, (level.customer, level.code)), shape=shape)
    total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1e-6)
    return sparse.diags_array(1.0 / total).astype(np.float32).tocsr() @ counts


def affinity(
    statistics: PointInTimeStatistics, level: str, items: Int32s, weight: Float32s, divide: bool = True
) -> Score:
    """Share of the customer's recent baskets in the item's level x the item's share inside that level.

    weight  (A,) what an item's share inside its level is made of
    divide  False: the item's weight itself, not its share
    """
    columns = statistics.catalogue.codes(level)[items]
    inside = np.bincount(columns, weight) + 1e-9
    within = (weight / (inside[columns] if divide else 1.0)).astype(np.float32)

    def score(customers: Customers) -> Float32s:
        dense: Float32s = level_shares(customers.levels[level], customers.num).toarray()
        scores: Float32s = np.take(dense, columns, axis=1)  # not dense[:, columns], which numpy lays out by column
        scores *= within
        return scores

    return score


def ease_scores(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """EASE on log counts, for the items' columns."""
    known = reference(statistics.histories)
    model = Ease(log_counts(known.histories), columns=items)

    def score(customers: Customers) -> Float32s:
        return model.score(log_counts(customers.lines), known.place(customers.rows))

    return score


def neighbour_scores(statistics: PointInTimeStatistics, items: Int32s, num: int = 100) -> Score:
    """What the nearest customers bought lately: cosine nearest by recency-weighted baskets."""

    def unit(counts: sparse.csr_matrix) -> sparse.csr_matrix:
        counts.data = np.log1p(counts.data)
        norm = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        return (sparse.diags_array(1.0 / np.maximum(norm, 1e-9)).astype(np.float32) @ counts).tocsr()

    known = reference(statistics.histories)
    others = unit(decayed_counts(known.histories, statistics.today, 120.0))
    model = Neighbours(others, num)
    chosen = others[:, items].tocsr()

    def score(customers: Customers) -> Float32s:
        own = unit(decayed_counts(customers.lines, statistics.today, 120.0))
        dense: Float32s = (model.weights(own, known.place(customers.rows)) @ chosen).toarray()
        return dense

    return score


def best_sellers(statistics: PointInTimeStatistics, span: str = "2w") -> Float32s:
    """(I,) buyers of the last two weeks, or another of the statistics' SPANS; ties by all buyers. With ATTENTION, all
    that was done with each item lately in their place."""
    lately = statistics.attention if span == ATTENTION else statistics.buyers[span]
    return popular_lately(lately, statistics.buyers["ever"])


def sold_lately(statistics: PointInTimeStatistics) -> Float32s:
    """(I,) weight of an item within its level: buyers, the recent ones above all."""
    buyers = statistics.buyers
    return buyers["4w"] + 0.1 * buyers["13w"] + 0.01 * buyers["ever"]


def rare_lately(statistics: PointInTimeStatistics) -> Int32s:
    """Rare items that somebody bought in the last 13 weeks."""
    return statistics.rare[statistics.buyers["13w"][statistics.rare] > 0]


def popularity_scores(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """Recent popularity, the same for everybody."""
    values = best_sellers(statistics)[items]
    return lambda customers: np.tile(values, (customers.num, 1))


def rare_scores(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """For products with few buyers: line, then kind affinity, x what sold lately."""
    buyers, catalogue = statistics.buyers, statistics.catalogue
    weight = buyers["2w"] + 0.3 * buyers["4w"] + 0.1 * buyers["13w"] + 0.01 * buyers["ever"] + 0.02
    within, line, kind = weight[items], catalogue.line[items], catalogue.kind[items]

    def score(customers: Customers) -> Float32s:
        by_line = level_shares(customers.levels["line"], customers.num).toarray()
        by_kind = 0.01 * level_shares(customers.levels["kind"], customers.num).toarray() + 1e-5
        scores: Float32s = np.take(by_line, line, axis=1)
        scores += np.take(by_kind, kind, axis=1)
        scores *= within
        return scores

    return score


def unsold_generators(statistics: PointInTimeStatistics, unsold: Int32s, num: int) -> list[CandidateGenerator]:
    """Who proposes products that nobody has bought, where purchases alone are recorded: affinity to line and kind,
    beside what is sold and as the generators of those names score that."""
    every = np.union1d(statistics.active, unsold).astype(np.int32)
    weight = sold_lately(statistics)
    weight[unsold] = UNSOLD
    rare = np.union1d(rare_lately(statistics), unsold).astype(np.int32)
    return [
        CandidateGenerator("kind", num, every, affinity(statistics, "kind", every, weight[every])),
        CandidateGenerator("line", num, every, affinity(statistics, "line", every, weight[every])),
        CandidateGenerator("rare", num, rare, rare_scores(statistics, rare)),
    ]


def candidates(
    customers: Customers, generators: list[CandidateGenerator], own: list[Int64s]
) -> tuple[Int32s, Int32s, dict[str, Float32s]]:
    """The union of what the customers did themselves and what the generators propose, for the customers of a slice.

    own  keys (customer · I + item) of what each did

    Returns (customer (N,) counted inside the slice, item (N,), scores {generator: (N,)}), sorted by customer, item. A
    generator's score is kept for every candidate that the generator knows, NaN elsewhere.
    """
    num_items = customers.statistics.catalogue.num_items
    keys = [np.zeros(0, np.int64), *own]
    dense: dict[str, Float32s] = {}
    base = np.arange(customers.num, dtype=np.int64)[:, None] * num_items
    for generator in generators:
        if generator.items.size == 0:
            continue
        scores = generator.score(customers)
        dense[generator.name] = scores
        if generator.num:
            best = _best_unowned(customers, scores, generator, generator.num)
            keys.append((base + generator.items[np.maximum(best, 0)].astype(np.int64))[best >= 0])
    key = np.unique(np.concatenate(keys))
    customer, item = (key // num_items).astype(np.int32), (key % num_items).astype(np.int32)
    by_generator = {}
    for generator in generators:
        known = dense.get(generator.name)
        unknown = np.full(item.size, np.nan, np.float32)
        of_pairs = unknown if known is None else _at(known, generator.items, num_items, customer, item)
        by_generator[generator.name] = of_pairs
    return customer, item, by_generator


def _best_unowned(customers: Customers, scores: Float32s, generator: CandidateGenerator, num: int) -> Int32s:
    """(B, num) columns of the best items that the customer never bought: history proposes the others itself."""
    own = customers.levels["item"]
    place = column_of(generator.items, own.num_codes)[own.code]
    known = place >= 0
    row, column = own.customer[known], place[known]
    kept = scores[row, column]
    scores[row, column] = -np.inf
    best = top_items(scores, num)
    scores[row, column] = kept
    return best


def column_of(items: Int32s, num_items: int) -> Int32s:
    """(I,) each item's place in `items`, -1 for those not in it."""
    column = np.full(num_items, -1, np.int32)
    column[items] = np.arange(items.size, dtype=np.int32)
    return column


def history(customers: Customers, num: int) -> Int64s:
    """Keys of each customer's `num` freshest items that are on sale."""
    own = customers.levels["item"]
    keep = customers.statistics.listed[own.code]
    key, fresh, customer = own.key[keep], own.fresh[keep], own.customer[keep]
    order = np.lexsort((-fresh, customer))
    place = np.arange(key.size) - np.searchsorted(customer[order], customer[order])
    return key[order][place < num]


def _at(scores: Float32s, items: Int32s, num_items: int, row: Int32s, item: Int32s) -> Float32s:
    place = column_of(items, num_items)[item]
    of_pairs = scores[row, np.maximum(place, 0)].astype(np.float32)
    of_pairs[place < 0] = np.nan
    return of_pairs
