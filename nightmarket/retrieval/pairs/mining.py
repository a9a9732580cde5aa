"""Hard negatives: texts that the encoder, as it is, takes for a positive of an anchor, and that are none.

Shapes: T texts, D width of a vector, K hard negatives of a text.
"""

import numpy as np
import torch
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.histories import Histories

_CHUNK = 512


def bought_together(histories: Histories, text_id: Int32s, horizon: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """(T, S) and (S, T): their product is above 0 where somebody bought the second text with or after the first.

    A sitting, of which there are S, is a customer's `horizon` weeks; "after" is her next one.
    """
    num_texts = int(text_id.max(initial=-1)) + 1
    text = text_id[histories.item].astype(np.int64)
    period = (histories.week - histories.week.min(initial=0)).astype(np.int64) // horizon
    num_periods = int(period.max(initial=0)) + 2
    sitting = histories.customer.astype(np.int64) * num_periods + period
    shape = (histories.num_customers * num_periods, num_texts)
    ones = np.ones(len(text), np.float32)
    bought = sparse.csr_matrix((ones, (sitting, text)), shape=shape)
    before = sparse.csr_matrix((ones, (np.maximum(sitting - 1, 0), text)), shape=shape)
    return bought.T.tocsr(), (bought + before).tocsr()


def hard_negatives(
    vectors: Float32s,
    kind: Int64s,
    together: tuple[sparse.csr_matrix, sparse.csr_matrix],
    anchors: Bools,
    candidates: Bools,
    num: int,
) -> Int32s:
    """[T, num] the nearest texts of each anchor, nearest first; -1 where there are fewer, and for other texts.

    vectors     [T, D] unit vectors by the encoder as it is
    kind        (T,)   texts of one kind are duplicates in all but size or brand, never each other's hard negatives
    together    of `bought_together`: a text that somebody bought with or after the anchor is a positive
    candidates  (T,)   texts that are positives of some anchor; others would only ever be pushed away
    """
    found = np.full((len(vectors), num), -1, dtype=np.int32)
    among = np.flatnonzero(candidates)
    asked = np.flatnonzero(anchors)
    first, second = together[0], together[1][:, among]
    table = torch.from_numpy(vectors[among])
    most = min(num, len(among))
    for start in range(0, len(asked) if most else 0, _CHUNK):
        rows = asked[start : start + _CHUNK]
        scores = torch.from_numpy(vectors[rows]) @ table.T
        positive = (first[rows] @ second).toarray() > 0
        out = positive | (kind[rows][:, None] == kind[among][None, :])
        scores[torch.from_numpy(out)] = -torch.inf
        value, place = scores.topk(most, dim=1)
        nearest = among[place.numpy()].astype(np.int32)
        found[rows, :most] = np.where(np.isfinite(value.numpy()), nearest, -1)
    return found
