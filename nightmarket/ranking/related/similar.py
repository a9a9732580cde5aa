"""What can be taken in place of a product: of its kind, near in taste, price, words and looks, met in one visit.

I items, A items of a kind.
"""

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.ranking.related.neighbours import Beside
from nightmarket.ranking.sessions.co_visits import CoVisits

WIDTH = 0.5
"""Of the logarithm of a price at whose distance likeness of price has fallen to a third."""
LEVELS = ("maker", "brand", "line")
MOST_OF_KIND = 3000
"""Products of a kind that are compared: those that sell best."""
ROWS = 512


def similar(
    catalogue: Catalogue,
    offered: Bools,
    near: CoVisits,
    popularity: Float32s,
    taste: Float32s | None,
    terms: sparse.csr_matrix | None,
    num: int,
) -> Beside:
    """The best `num` of each item's own kind: the sum of likenesses of taste, price, words, maker and brand, and of how
    often they are met in one visit, each at most 1; how much is done with a product parts the rest.

    offered  (I,) what lists may hold
    near     what is met with what in a visit
    taste    (I, D) rows of length 1; None where it is not known
    terms    (T, F) unit rows of the texts of `catalogue.text`
    """
    kind = catalogue.kind
    beside = Beside.none(catalogue.num_items, num)
    order = np.lexsort((-popularity, kind)).astype(np.int32)
    bounds = np.searchsorted(kind[order], np.arange(int(kind.max(initial=-1)) + 2))
    price = np.log(np.where(catalogue.list_price > 0, catalogue.list_price, np.nan))
    demand = 0.1 * np.log1p(np.maximum(popularity, 0)) / max(float(np.log1p(popularity.max(initial=0))), 1e-9)
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[first:last]
        items = np.sort(rows[offered[rows]][:MOST_OF_KIND])
        words = terms[catalogue.text[items]].T.tocsc() if terms is not None and items.size else None
        for start in range(0, rows.size, ROWS):
            here = rows[start : start + ROWS]
            score = _met(near, here, items) + demand[items]
            score += np.nan_to_num(np.exp(-np.abs(price[here][:, None] - price[items]) / WIDTH))
            for level in LEVELS:
                code = catalogue.codes(level)
                score += (code[here][:, None] == code[items]) / len(LEVELS)
            if taste is not None:
                score += np.maximum(taste[here] @ taste[items].T, 0)
            if terms is not None and words is not None:
                score += (terms[catalogue.text[here]] @ words).toarray()
            beside.put(here, items, np.where(here[:, None] == items, 0, score + 1e-6).astype(np.float32))
    return beside


def _met(near: CoVisits, rows: Int32s, items: Int32s) -> Float64s:
    """(B, A) how often items are met with each row's, over the most of that row."""
    if not items.size:
        return np.zeros((rows.size, 0))
    values = near.values(rows, items).astype(np.float64)
    return np.asarray(values / np.maximum(values.max(axis=1, keepdims=True), 1e-9))
