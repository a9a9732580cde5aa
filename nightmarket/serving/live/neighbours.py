"""What stands beside a product on its page where the table of the night says too little, or is not there: alternatives
to it, and what goes with it. M candidates."""

import numpy as np

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s
from nightmarket.ranking.sessions.shop import LEVELS, SessionShop

LOOSE = 0.5
"""Of a price as many times higher or lower, in its logarithm, at which likeness of price has fallen to a third."""

OWN_KIND = 4.0
"""More than all other likeness together."""


def alike(shop: SessionShop, item: int) -> tuple[Int32s, Float64s]:
    """Candidates for alternatives (M,), ascending, and their scores: likeness of maker, brand and the rest, of price,
    of taste, and how often they are met in one visit, each in [0, 1], summed; those of its kind come before others."""
    own = np.array([item], np.int32)
    kind = shop.catalogue.kind[own]
    proposed = np.concatenate([shop.near.of_items(own), shop.of_kind.rows(kind), shop.young.rows(kind)])
    items = np.setdiff1d(proposed, own).astype(np.int32)
    keys = shop.level_keys
    score = (keys[:, items] == keys[:, own]).sum(axis=0) / len(LEVELS)
    score += OWN_KIND * (shop.catalogue.kind[items] == kind)
    gap = np.abs(shop.log_price[items] - shop.log_price[item])
    score += np.nan_to_num(np.exp(-gap / LOOSE))
    near = shop.near.values(own, items)[0]
    score += near / max(float(near.max(initial=0)), 1e-9)
    if shop.factors is not None:
        score += np.maximum(_cosine(shop.factors.items[item], shop.factors.items[items]), 0)
    return items, score.astype(np.float64)


def together(shop: SessionShop, item: int) -> tuple[Int32s, Float64s]:
    """Candidates for what goes with an item (M,), ascending, and their scores: how often they are taken after it, or
    follow its purchase; where neither is known, are met with it. Other kinds of products come before its own."""
    own = np.array([item], np.int32)
    several = [shop.leads, shop.follows]
    if not any(near.of_items(own).size for near in several):
        several = [shop.near]
    items = np.setdiff1d(np.concatenate([near.of_items(own) for near in several]), own).astype(np.int32)
    score = np.max([near.values(own, items)[0] for near in several], axis=0).astype(np.float64)
    return items, score + (shop.catalogue.kind[items] != shop.catalogue.kind[item])


def with_first(first: Int32s, items: Int32s, score: Float64s) -> tuple[Int32s, Float64s]:
    """Candidates (M,), ascending, and their scores, with others (L,), best first, that come before all of them."""
    others = ~np.isin(items, first)
    above = float(score.max(initial=0)) + np.arange(first.size, 0, -1)
    every, scores = np.append(first, items[others]), np.append(above, score[others])
    order = np.argsort(every)
    return every[order].astype(np.int32), scores[order]


def _cosine(own: Float32s, others: Float32s) -> Float32s:
    own, others = own.astype(np.float32), others.astype(np.float32)
    norms = np.linalg.norm(others, axis=1) * np.linalg.norm(own)
    return np.asarray(others @ own / np.maximum(norms, 1e-9), np.float32)
