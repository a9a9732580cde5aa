"""Recommenders beside ours: they know what is met in the visit, and what all visits up to a night met.

A scorer gives (I,) float32 for what the visit has met, oldest first. I items, S visits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.interactions import STRENGTH, Interactions
from nightmarket.ranking.sessions.shop import SessionShop

Scorer = Callable[[Int32s], Float32s]
DAYS = 91


def popular(events: Interactions, shop: SessionShop, days: int = 7) -> Scorer:
    """What is met most in the last days."""
    counts = _counts(events, shop, days)
    return lambda met: counts


def popular_of_kind(events: Interactions, shop: SessionShop, days: int = 7) -> Scorer:
    """The same among the kind of what was met last; then the rest."""
    counts, kind = _counts(events, shop, days), shop.catalogue.kind
    return lambda met: counts + (counts.max() + 1) * (kind == kind[met[-1]])


def co_visits(
    events: Interactions, shop: SessionShop, scale: str = "cosine", last: bool = False, fade: float = 0.8
) -> Scorer:
    """How often what the visit met was met in one visit with each item; cosine, or per visit with the first of them."""
    visits = _visits(events, shop.cut)
    together = (visits.T @ visits).tocsr()
    together.setdiag(0)
    often = np.maximum(np.asarray(visits.sum(axis=0)).ravel(), 1)
    if scale == "cosine":
        root = sparse.diags_array(1 / np.sqrt(often))
        together = (root @ together @ root).tocsr()
    elif scale == "share":
        together = (sparse.diags_array(1 / (often + 5)) @ together).tocsr()
    tail = _tail(events, shop)

    def score(met: Int32s) -> Float32s:
        own = met[-1:] if last else met
        weights = fade ** np.arange(own.size)[::-1]
        rows = sparse.csr_matrix((weights.astype(np.float32), own, [0, own.size]), shape=(1, events.num_items))
        return (rows @ together).toarray()[0] + tail

    return score


def visit_knn(events: Interactions, shop: SessionShop, num: int = 200, days: int = 28) -> Scorer:
    """V-SKNN (Ludewig & Jannach, 2018): items of the most similar of the last visits, events of this one weighing
    more the later they are."""
    visits = _visits(events, shop.cut, days)
    size = np.sqrt(np.maximum(np.asarray(visits.sum(axis=1)).ravel(), 1))
    by_item, tail = visits.T.tocsr(), _tail(events, shop)

    def score(met: Int32s) -> Float32s:
        weights = np.arange(1, met.size + 1, dtype=np.float32) / met.size
        row = sparse.csr_matrix((weights, met, [0, met.size]), shape=(1, events.num_items))
        like = (row @ by_item).toarray()[0] / size
        near = np.argsort(-like, kind="stable")[:num]
        near = near[like[near] > 0]
        return like[near].astype(np.float32) @ visits[near].toarray() + tail

    return score


PEERS: dict[str, tuple[Callable[..., Scorer], tuple[dict[str, Any], ...]]] = {
    "popular": (popular, ({"days": 7}, {"days": 1}, {"days": 28})),
    "popular_of_kind": (popular_of_kind, ({"days": 7}, {"days": 1}, {"days": 28})),
    "co_visits": (
        co_visits,
        tuple(
            {"scale": scale, "last": last, "fade": fade}
            for scale in ("cosine", "share", "counts")
            for last, fade in ((True, 1.0), (False, 0.8), (False, 1.0))
        ),
    ),
    "visit_knn": (visit_knn, ({"num": 200, "days": 28}, {"num": 1000, "days": 28}, {"num": 1000, "days": 91})),
}
"""Each with the settings that are tried on the tuning window."""


def _counts(events: Interactions, shop: SessionShop, days: int) -> Float32s:
    rows = (events.day > shop.cut - days) & (events.day <= shop.cut)
    return np.bincount(events.item[rows], minlength=events.num_items).astype(np.float32)


def _tail(events: Interactions, shop: SessionShop) -> Float32s:
    """What is popular, so small that it only orders what is not known otherwise."""
    counts = _counts(events, shop, 7)
    tail: Float32s = 1e-6 * counts / max(float(counts.max()), 1.0)
    return tail


def _visits(events: Interactions, cut: int, days: int = DAYS) -> sparse.csr_matrix:
    """(S, I) 1 where a visit of the last days met an item."""
    rows = (events.day > cut - days) & (events.day <= cut) & (STRENGTH[events.kind] > 0)
    session = np.unique(events.session[rows], return_inverse=True)[1]
    shape = (int(session.max(initial=-1)) + 1, events.num_items)
    met = sparse.coo_matrix((np.ones(session.size, np.float32), (session, events.item[rows])), shape=shape).tocsr()
    met.data[:] = 1
    return met
