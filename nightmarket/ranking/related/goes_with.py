"""What goes with a product: bought together, not in place of it. I items, O occasions, K kinds, A candidates.

Each purchase of an item has one vote, divided among what was bought with it and halved with age. Behind the votes of an
item stand those of its kind, as many as PRIOR purchases have: what is rare is known by its kind. Where nobody bought
anything with the kind, its kinds of products and what sells of them count. Where taste is known, what is near in taste
comes first among what the kind says.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.ranking.related.neighbours import Beside
from nightmarket.ranking.related.occasions import Occasions

HALF_LIFE = 250.0
"""Days in which a vote halves."""
PRIOR = 10.0
"""Purchases of its kind that stand behind an item's own."""
KIND_PRIOR = 5.0
"""Purchases behind a kind's own, and behind what is known of pairs of kinds."""
NEARNESS = 4.0
"""By its power e, what is of the same taste counts as many times more than what has nothing to do with it."""
POOL = 60
"""Of a kind's best that every item of the kind looks at; POOL_BY_TASTE where taste orders them anew."""
POOL_BY_TASTE = 600
FAVOURITES = 300
"""Of the shop that are looked at for every kind, besides what was bought with it; where taste is known, all are."""
ROWS = 64
"""Items that are looked at together: the fewer, the fewer products that only some of them were bought with."""


@dataclass(frozen=True)
class _Votes:
    """by_item (I, O) ones; votes (O, I) weighted; of_kind (K, I) what was bought with a kind; purchases (I,) weight of
    each item's that somebody bought something with; share (I,) of each item among what sells of its kind."""

    by_item: sparse.csr_matrix
    votes: sparse.csr_matrix
    of_kind: sparse.csr_matrix
    purchases: Float64s
    share: Float64s

    @classmethod
    def of(cls, bought: Occasions, catalogue: Catalogue, offered: Bools, today: int) -> "_Votes":
        num_items, kind = catalogue.num_items, catalogue.kind
        num_kinds = int(kind.max(initial=-1)) + 1
        several = bought.sizes > 1
        weight = bought.weights(today, HALF_LIFE)
        items = bought.items[np.flatnonzero(several)]
        divided = sparse.diags_array((weight / np.maximum(bought.sizes - 1, 1))[several])
        ones, every = np.ones(num_items, np.float32), np.arange(num_items)
        kinds = sparse.csr_matrix((ones, (every, kind)), (num_items, num_kinds))
        votes = (divided @ items).tocsr()
        own = sparse.csr_matrix((np.asarray(votes.sum(axis=0)).ravel(), (kind, every)), (num_kinds, num_items))
        of_kind = ((items @ kinds).T.tocsr() @ votes - own).tocsr()
        sold = np.bincount(bought.items.indices, np.repeat(weight, bought.sizes), num_items)
        known = np.where(offered, sold + 0.5, 0.0)
        total = np.bincount(kind, known, num_kinds)
        purchases = np.bincount(items.indices, np.repeat(weight[several], bought.sizes[several]), num_items)
        share = known / np.maximum(total[kind], 1e-9)
        return cls(items.T.tocsr(), votes, of_kind, purchases.astype(np.float64), share)


def goes_with(
    bought: Occasions, catalogue: Catalogue, offered: Bools, today: int, taste: Float32s | None, num: int
) -> Beside:
    """The best `num` for each item, by expected votes of one of its purchases.

    offered  (I,) what lists may hold
    taste    (I, D) rows of length 1; None where it is not known
    """
    votes = _Votes.of(bought, catalogue, offered, today)
    kind = catalogue.kind
    num_kinds = votes.of_kind.shape[0]
    by_kind = np.bincount(kind, votes.purchases, num_kinds)
    usual = (by_kind + 1e-3) / (by_kind + 1e-3).sum()
    beside = Beside.none(catalogue.num_items, num)
    order = np.argsort(kind, kind="stable").astype(np.int32)
    bounds = np.searchsorted(kind[order], np.arange(num_kinds + 1))
    pool = POOL if taste is None else POOL_BY_TASTE
    wanted = usual[kind] * votes.share
    everywhere = wanted > 0 if taste is not None else wanted >= np.sort(wanted)[-min(FAVOURITES, wanted.size)]
    for code in range(num_kinds):
        total = votes.of_kind[code].toarray().ravel().astype(np.float64)
        pairs = np.bincount(kind, total, num_kinds)
        pairs = (pairs + KIND_PRIOR * usual) / (pairs.sum() + KIND_PRIOR)
        prior = (total + KIND_PRIOR * pairs[kind] * votes.share) / (by_kind[code] + KIND_PRIOR) * offered
        rows = order[bounds[code] : bounds[code + 1]]
        of_kind = _OfKind.of(PRIOR * prior.astype(np.float32), (total > 0) | everywhere, pool, num)
        for start in range(0, rows.size, ROWS):
            _put(beside, rows[start : start + ROWS], votes, of_kind, offered, taste)
    return _without_substitutes(beside, bought, kind)


@dataclass(frozen=True)
class _OfKind:
    """prior (I,) votes of a kind; near (A,) its best, ascending; least: below it, nothing comes into a list."""

    prior: Float32s
    near: Int32s
    least: float

    @classmethod
    def of(cls, prior: Float32s, known: Bools, size: int, num: int) -> "_OfKind":
        """known (I,): what is looked at, of which the best `size` are kept."""
        near = np.flatnonzero(known & (prior > 0)).astype(np.int32)
        if near.size > size:
            near = np.sort(near[np.argpartition(-prior[near], size - 1)[:size]])
        least = float(np.sort(prior[near])[-num]) if near.size >= num else 0.0
        return cls(prior, near, least)


def _put(beside: Beside, rows: Int32s, votes: _Votes, of_kind: _OfKind, offered: Bools, taste: Float32s | None) -> None:
    """The lists of some items of one kind."""
    own, prior = (votes.by_item[rows] @ votes.votes).tocsr(), of_kind.prior
    strong = own.indices[(own.data + prior[own.indices] >= of_kind.least) & (own.data > 0) & offered[own.indices]]
    items = np.union1d(of_kind.near, strong).astype(np.int32)
    scores = np.tile(prior[items], (rows.size, 1))
    if taste is not None:
        nearer = scores * np.exp(NEARNESS * (taste[rows] @ taste[items].T))
        scores = nearer * (scores.sum(axis=1, keepdims=True) / np.maximum(nearer.sum(axis=1, keepdims=True), 1e-20))
    scores += own[:, items].toarray()
    scores *= items[None, :] != rows[:, None]
    scores /= (PRIOR + votes.purchases[rows]).astype(np.float32)[:, None]
    beside.put(rows, items, scores.astype(np.float32))


def _without_substitutes(beside: Beside, bought: Occasions, kind: Int32s) -> Beside:
    """Without products of the item's own kind that customers take in place of it."""
    row, place = np.nonzero(beside.item >= 0)
    other = beside.item[row, place]
    same = np.flatnonzero(kind[row] == kind[other])
    kept = np.ones(beside.item.shape, bool)
    rows: Int64s = row[same]
    kept[rows, place[same]] = bought.more_than_by_habit(rows.astype(np.int32), other[same])
    return beside.where(kept)
