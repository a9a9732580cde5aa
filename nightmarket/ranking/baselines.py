"""The baselines that every run is measured against, over the full catalogue.

Each is a function of the histories before the cut and gives scores (B, I) for a slice of customers, so that memory
does not grow with the number of customers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.histories.histories import Histories
from nightmarket.ranking.collaborative import Ease, log_counts, mean_of_nearest, reference

Scorer = Callable[[slice], Float32s]
"""Float32s (B, I) of all items for the customers of a slice; higher is better."""


def recent_popularity(histories: Histories, cut: int, weeks: int = 4) -> Float32s:
    """(I,) customers who bought the item in the last weeks, ties by all-time buyers."""
    recent = histories.between(cut - 7 * weeks + 1, cut).matrix()
    ever = histories.matrix()
    return popular_lately(recent.getnnz(axis=0), ever.getnnz(axis=0))


def popular_lately(recent: Values, ever: Values) -> Float32s:
    """(I,) recent buyers, plus a trace of all buyers to break ties."""
    return (recent + 1e-4 * ever.astype(np.float64)).astype(np.float32)


def popularity(histories: Histories, cut: int, weeks: int = 4) -> Scorer:
    """The same list for everybody."""
    scores = recent_popularity(histories, cut, weeks)
    return lambda rows: np.broadcast_to(scores, (rows.stop - rows.start, scores.size)).copy()


def decayed_counts(histories: Histories, today: int, half_life: float) -> sparse.csr_matrix:
    """(C, I) number of baskets with the item, each halved for every `half_life` days before the day `today`."""
    age = today - histories.day
    return histories.matrix(np.exp2(-age / half_life).astype(np.float32))


def recency_frequency(histories: Histories, cut: int, half_life: float = 90.0) -> Scorer:
    """What the customer bought often and lately; ties and the rest of the list by recent popularity."""
    own = decayed_counts(histories, cut, half_life)
    shared = recent_popularity(histories, cut)
    tail = 1e-6 * shared / max(float(shared.max()), 1.0)

    def score(rows: slice) -> Float32s:
        dense: Float32s = own[rows].toarray()
        return dense + tail

    return score


@dataclass(frozen=True)
class TifuSettings:
    """TIFU-kNN's hyper-parameters; the defaults were chosen on earlier windows of the demo."""

    num_groups: int = 20
    within_decay: float = 0.98
    group_decay: float = 0.9
    num_neighbours: int = 300
    own_share: float = 0.8


def tifu_vectors(histories: Histories, settings: TifuSettings) -> sparse.csr_matrix:
    """(C, I) personal item frequencies with two decays (Hu et al., 2020): within a group of baskets and across groups.

    A customer's baskets are cut into `num_groups` runs of equal length, so that the decay follows each one's own pace.
    """
    order = np.unique(histories.basket)  # baskets are numbered by customer, then time
    owner = np.zeros(order.size, np.int64)
    position = np.searchsorted(order, histories.basket)
    owner[position] = histories.customer
    last = np.searchsorted(owner, owner, side="right") - 1
    back = last - np.arange(order.size)  # 0 = the customer's newest basket
    total = last - np.searchsorted(owner, owner) + 1
    size = -(-total // settings.num_groups)
    group, within = back // size, back % size
    group_len = np.minimum(size, total - group * size)
    weight = settings.within_decay**within * settings.group_decay**group / (group_len * -(-total // size))
    return histories.matrix(weight[position].astype(np.float32))


def neighbours(vectors: sparse.csr_matrix, num: int, chunk: int = 2048) -> sparse.csr_matrix:
    """(C, C) rows that average each customer's `num` nearest others by Euclidean distance."""
    num_customers = vectors.shape[0]
    square = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    transposed = vectors.T.tocsr()
    parts = []
    for start in range(0, num_customers, chunk):
        rows = slice(start, min(start + chunk, num_customers))
        distance = square[None, :] - 2 * (vectors[rows] @ transposed).toarray()
        distance[np.arange(distance.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        parts.append(mean_of_nearest(distance, num))
    return sparse.vstack(parts, format="csr")


def tifu_knn(histories: Histories, cut: int, settings: TifuSettings | None = None) -> Scorer:
    """TIFU-kNN: own decayed frequencies blended with those of the nearest customers (Hu et al., SIGIR 2020)."""
    settings = settings or TifuSettings()
    vectors = tifu_vectors(histories, settings)
    around = neighbours(vectors, settings.num_neighbours)
    shared = recent_popularity(histories, cut)
    tail = 1e-9 * shared / max(float(shared.max()), 1.0)

    def score(rows: slice) -> Float32s:
        blend = settings.own_share * vectors[rows] + (1 - settings.own_share) * (around[rows] @ vectors)
        dense: Float32s = blend.toarray()
        return dense + tail

    return score


def ease(histories: Histories, cut: int, ridge: float = 300.0, columns: Int32s | None = None) -> Scorer:
    """EASE (Steck, 2019) on log counts; with `columns` (A,) the scores are (B, A) for those items alone."""
    known = reference(histories, 8000)
    columns = np.arange(histories.num_items, dtype=np.int32) if columns is None else columns
    model = Ease(log_counts(known.histories), columns, ridge)
    counts = log_counts(histories)
    return lambda rows: model.score(counts[rows], known.place(rows))


def line_affinity(histories: Histories, line: Int32s, kind: Int32s, today: int) -> Scorer:
    """How much of the customer's recent buying is in the product's line, then in its kind; needs no sales of it.

    line, kind  (I,) codes of the products
    """
    fresh = np.exp2((histories.day - today) / 90).astype(np.float32)

    def shares(codes: Int32s) -> sparse.csr_matrix:
        shape = (histories.num_customers, int(codes.max(initial=0)) + 1)
        counts = sparse.coo_matrix((fresh, (histories.customer, codes[histories.item])), shape=shape).tocsr()
        total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1e-9)
        return (sparse.diags_array(1 / total) @ counts).tocsr().astype(np.float32)

    by_line, by_kind = shares(line), shares(kind)

    def score(rows: slice) -> Float32s:
        dense: Float32s = by_line[rows].toarray()[:, line] + 0.01 * by_kind[rows].toarray()[:, kind]
        return dense

    return score
