"""Candidate generators of shops that record more than purchases: what looks, carts and texts say.

All learn from every customer and guest. Shapes: B customers of a slice, A items of a generator, I items, F terms.
"""

from weakref import WeakKeyDictionary

import numpy as np
from scipy import linalg, sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.encoding.given import unit
from nightmarket.histories.interactions import BOUGHT, CARTED, LOOKED, STRENGTH, Interactions
from nightmarket.ranking import factors
from nightmarket.ranking.factors import HALF_LIFE, Factors
from nightmarket.ranking.generators import CandidateGenerator, Score
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics
from nightmarket.ranking.preference import Preferences

EASE_ITEMS = 5_000
"""EASE costs the cube of the items: some ten seconds for so many on two cores."""
RIDGE = 50.0
PROFILE_HALF_LIFE = 21.0
"""Days in which an event halves as a sign of what a customer is after."""
MOST_OF_SESSION = 30
"""Later events of a session are left out of co-visits: their pairs grow with the square."""
NEIGHBOURS = 60
MOST = 4.0
"""Times, as a logarithm, that a preference makes a product more probable."""


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The rows scaled to length 1; empty ones stay empty."""
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sparse.diags_array((1.0 / np.maximum(norm, 1e-9)).astype(np.float32)) @ matrix).tocsr()


def profile(events: Interactions, today: int, half_life: float = PROFILE_HALF_LIFE) -> sparse.csr_matrix:
    """(B, I) what the customers of a slice did lately, by strength and age."""
    return events.matrix(events.strengths(today, half_life))


def visitors(events: Interactions, today: int, columns: Int32s) -> sparse.csr_matrix:
    """(V, A) strength and age of what each customer, and each session of a guest, did with the items `columns`."""
    place = np.full(events.num_items, -1, np.int32)
    place[columns] = np.arange(columns.size, dtype=np.int32)
    known = events.where(place[events.item] >= 0)
    row = known.visitors()
    shape = (int(row.max(initial=-1)) + 1, columns.size)
    return sparse.coo_matrix((known.strengths(today, HALF_LIFE), (row, place[known.item])), shape=shape).tocsr()


def ease_weights(counts: sparse.csr_matrix, ridge: float) -> Float32s:
    """(A, A) weights of EASE (Steck, 2019) from visitors' counts (V, A): B = I - P / diag(P), P = (XᵀX + λ)⁻¹."""
    gram = (counts.T @ counts).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    inverse, _ = linalg.lapack.spotri(linalg.cholesky(gram, lower=True, overwrite_a=True), lower=True)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights: Float32s = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return weights


def ease_of_behaviour(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """EASE on looks, carts and purchases together, for the items' columns."""
    first = statistics.first_of_group[items]
    columns, place = np.unique(first, return_inverse=True)
    weights = ease_weights(visitors(statistics.grouped_events, statistics.today, columns), RIDGE)

    def score(customers: Customers) -> Float32s:
        scores: Float32s = profile(customers.grouped_events, statistics.today, HALF_LIFE)[:, columns] @ weights
        return in_size(customers, scores[:, place], items)

    return score


def in_size(customers: Customers, scores: Float32s, items: Int32s) -> Float32s:
    """(B, A) scores of products in all sizes and colours, spread over the sizes that each customer takes."""
    statistics = customers.statistics
    if statistics.sizes is None:
        return scores
    shares = statistics.sizes.shares(customers.events, statistics.today, items)
    return np.where(scores > 0, scores * shares, scores)


def latent(statistics: PointInTimeStatistics) -> Factors | None:
    """Factors from all that customers and guests did up to the cut."""
    said = factors.attributes(statistics.catalogue, statistics.terms, statistics.vectors)
    return factors.fit(statistics.events, statistics.today, said)


def by_factors(statistics: PointInTimeStatistics, learned: Factors, items: Int32s) -> Score:
    """The product of a customer's and an item's factors."""
    columns = np.ascontiguousarray(learned.items[items].T)

    def score(customers: Customers) -> Float32s:
        events = customers.events
        done = factors.strengths(events, statistics.today, events.customer, customers.num)
        scores: Float32s = learned.customers(done) @ columns
        return scores

    return score


def co_visits(events: Interactions, today: int, to: tuple[int, ...]) -> sparse.csr_matrix:
    """(I, I) how much more often than by chance who looked at the row's item did one of `to` with the column's in the
    same session; the NEIGHBOURS strongest of a row. Pairs are halved for every HALF_LIFE days of age."""
    size = np.bincount(events.session) if len(events) else np.zeros(1, np.int64)
    first = np.cumsum(size) - size
    early = np.arange(len(events)) - first[events.session] < MOST_OF_SESSION
    weight = np.exp2((events.day - today) / HALF_LIFE).astype(np.float32)
    shape = (size.size, events.num_items)

    def by_session(mask: Bools, values: Float32s) -> sparse.csr_matrix:
        return sparse.coo_matrix((values[mask], (events.session[mask], events.item[mask])), shape=shape).tocsr()

    ones = np.ones(len(events), np.float32)
    looked = by_session(early & (STRENGTH[events.kind] > 0), weight)
    then = by_session(early & np.isin(events.kind, to), ones)
    then.data[:] = 1
    pairs = (looked.T @ then).tocsr()
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    usual = np.sqrt(np.asarray(then.sum(axis=0)).ravel() + 5.0)
    often = np.sqrt(np.asarray(looked.sum(axis=0)).ravel() + 5.0)
    scaled = sparse.diags_array(1 / often) @ pairs @ sparse.diags_array(1 / usual)
    return strongest(scaled.tocsr().astype(np.float32), NEIGHBOURS)


def strongest(matrix: sparse.csr_matrix, num: int) -> sparse.csr_matrix:
    """The `num` largest entries of each row."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, row))
    place = np.arange(order.size) - matrix.indptr[row[order]]
    kept = order[place < num]
    return sparse.coo_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape).tocsr()


def co_visited(statistics: PointInTimeStatistics, items: Int32s, to: tuple[int, ...], half_life: float) -> Score:
    """What goes with what the customer did lately."""
    first = statistics.first_of_group[items]
    near = co_visits(statistics.grouped_events, statistics.today, to)[:, first].tocsr()

    def score(customers: Customers) -> Float32s:
        scores: Float32s = (profile(customers.grouped_events, statistics.today, half_life) @ near).toarray()
        return in_size(customers, scores, items)

    return score


def shares_of(customers: Customers, level: str, codes: Int32s) -> Float32s:
    """(B, A) share of the customer's looks and carts at each item's code of a level, smoothed by everybody's."""
    own = customers.touches[level]
    counts = np.zeros((customers.num, own.num_codes), np.float32)
    counts[own.customer, own.code] = own.looked_long + 3 * own.carted
    usual = customers.statistics.usual_shares(level)
    total = counts.sum(axis=1, keepdims=True)
    shares = (counts + 2.0 * usual) / (total + 2.0)
    return np.take(shares, codes, axis=1)


def content(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """Cosine of an item's terms to those of what the customer did lately."""
    assert statistics.terms is not None
    terms = statistics.terms
    columns = terms[statistics.catalogue.text[items]].T.tocsr()

    def score(customers: Customers) -> Float32s:
        recent = profile(customers.events, statistics.today)
        of_texts = sparse.csr_matrix(
            (recent.data, statistics.catalogue.text[recent.indices], recent.indptr), (customers.num, terms.shape[0])
        )
        scores: Float32s = (unit_rows((of_texts @ terms).tocsr()) @ columns).toarray()
        return scores

    return score


def pictured(statistics: PointInTimeStatistics, items: Int32s) -> Score:
    """Cosine of an item's own vector to those of what the customer did lately."""
    assert statistics.vectors is not None
    vectors = statistics.vectors
    columns = np.ascontiguousarray(vectors[items].T)

    def score(customers: Customers) -> Float32s:
        scores: Float32s = unit(profile(customers.events, statistics.today) @ vectors) @ columns
        return scores

    return score


def fitting(statistics: PointInTimeStatistics, items: Int32s, score: Score) -> Score:
    """A score times the customer's shares of each item's kind and size."""
    kind = statistics.catalogue.kind[items]

    def fit(customers: Customers) -> Float32s:
        return in_size(customers, score(customers) * shares_of(customers, "kind", kind), items)

    return fit


def preferred(statistics: PointInTimeStatistics, liked: Preferences, items: Int32s) -> Score:
    """How many an item draws, times how much more probable the customer's preferences make it."""
    weight = np.sqrt(statistics.draw[items])
    columns = np.ascontiguousarray(liked.items[items].T)

    def score(customers: Customers) -> Float32s:
        own = liked.customers(customers.events, statistics.today)
        return weight * np.exp(np.minimum(own @ columns, MOST))

    return score


def once(score: Score) -> Score:
    """The same score, computed once for the slice of customers that it was last asked for, by any thread."""
    kept: WeakKeyDictionary[Customers, Float32s] = WeakKeyDictionary()

    def remembered(customers: Customers) -> Float32s:
        if customers not in kept:
            kept[customers] = score(customers)
        return kept[customers].copy()

    return remembered


def seen(customers: Customers, num: int) -> Int64s:
    """Keys (customer · I + item) of the `num` recommendable items that each customer did most with lately."""
    own = customers.touches["item"]
    keep = customers.statistics.listed[own.code]
    strength = (0.2 * own.looked + own.carted + 0.05 * own.looked_long)[keep]
    key, customer = own.key[keep], own.customer[keep]
    order = np.lexsort((-strength, customer))
    place = np.arange(key.size) - np.searchsorted(customer[order], customer[order])
    return key[order][place < num]


def generators(
    statistics: PointInTimeStatistics, learned: Factors | None, budget: dict[str, int]
) -> list[CandidateGenerator]:
    """Who proposes products on sale in a shop that records more than purchases, besides the customer's own history."""
    lively = statistics.lively
    popular = statistics.attention
    most = np.sort(lively[np.argsort(-statistics.grouped_attention[lively], kind="stable")[:EASE_ITEMS]])

    def popularity(customers: Customers) -> Float32s:
        return np.tile(popular[lively], (customers.num, 1))

    def in_demand(customers: Customers) -> Float32s:
        return np.tile(statistics.grouped_attention[lively], (customers.num, 1))

    make = CandidateGenerator
    made = [
        make("ease", budget["ease"], most, ease_of_behaviour(statistics, most)),
        make("together", budget["together"], lively, co_visited(statistics, lively, LOOKED, 7.0)),
        make("leads", budget["leads"], lively, co_visited(statistics, lively, (*CARTED, *BOUGHT), 21.0)),
        make("popular", budget["popular"], lively, popularity),
        make("of_kind", budget["of_kind"], lively, fitting(statistics, lively, in_demand)),
    ]
    if statistics.preference is not None:
        liked = fitting(statistics, lively, preferred(statistics, statistics.preference, lively))
        made.append(make("preferred", budget["preferred"], lively, liked))
    if learned is not None:
        made.append(make("factors", budget["factors"], lively, by_factors(statistics, learned, lively)))
    if statistics.terms is not None:
        likeness = once(content(statistics, lively))
        young = np.flatnonzero(np.isin(lively, statistics.launched()))
        fits = once(fitting(statistics, lively, likeness))
        made += [
            make("content", 0, lively, likeness),
            make("fitting", budget["content"], lively, fits),
            make("young", budget["young"], lively[young], lambda customers: fits(customers)[:, young]),
        ]
    if statistics.vectors is not None:
        made.append(make("pictured", budget["pictured"], lively, once(pictured(statistics, lively))))
    return made


def launch_generators(
    statistics: PointInTimeStatistics, learned: Factors | None, items: Int32s, num: int
) -> list[CandidateGenerator]:
    """Who proposes products that are announced, which nobody can have looked at: what is said of them."""
    made = []
    if learned is not None:
        made.append(CandidateGenerator("factors", num, items, by_factors(statistics, learned, items)))
    if statistics.terms is not None:
        likeness = once(content(statistics, items))
        fits = once(fitting(statistics, items, likeness))
        of_words = (("content", 0, likeness), ("fitting", num, fits), ("young", 0, fits))
        made += [CandidateGenerator(name, most, items, score) for name, most, score in of_words]
    if statistics.vectors is not None:
        made.append(CandidateGenerator("pictured", num, items, once(pictured(statistics, items))))
    return made
