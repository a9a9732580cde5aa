"""The best of each row of scores: exact, ties to the lower code, on every machine alike.

Shapes: B rows, I items, k places.
"""

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Int32s

NARROWEST = 8
"""Items of a block from which looking at blocks first pays."""


def top_items(scores_BI: Float32s, num: int) -> Int32s:
    """(B, num) best items, best first, ties to the lower code; -1 where fewer than `num` have a finite score.

    Items are looked at in blocks of neighbours: the k best stand in the k blocks with the highest maxima, and of
    blocks with equal maxima the first ones suffice, for each of them holds an item with that score.
    """
    best = np.full((scores_BI.shape[0], num), -1, np.int32)
    kept = min(num, scores_BI.shape[1])
    if kept == 0 or scores_BI.shape[0] == 0:
        return best
    scores_BI = np.ascontiguousarray(scores_BI)
    width = 2 ** int(np.log2(max(scores_BI.shape[1] / kept, 1)) / 2)
    items = _by_blocks(scores_BI, kept, width) if width >= NARROWEST else _top(scores_BI, kept)
    chosen = np.take_along_axis(scores_BI, items, axis=1)
    best[:, :kept] = np.where(np.isfinite(chosen), items, -1)
    return best


def _by_blocks(scores_BI: Float32s, kept: int, width: int) -> Int32s:
    """(B, kept) as `_top`, of blocks of `width` items; there are at least `kept` blocks."""
    import torch

    num_rows, num_items = scores_BI.shape
    whole = num_items // width
    highest = torch.from_numpy(scores_BI[:, : whole * width]).reshape(num_rows, whole, width).amax(2).numpy()
    blocks = np.sort(_top(highest, kept), axis=1)
    inside = blocks[:, :, None] * width + np.arange(width, dtype=np.int32)
    rest = np.broadcast_to(np.arange(whole * width, num_items, dtype=np.int32), (num_rows, num_items - whole * width))
    candidates = np.concatenate([inside.reshape(num_rows, -1), rest], axis=1)
    places = _top(np.take_along_axis(scores_BI, candidates, axis=1), kept)
    return np.take_along_axis(candidates, places, axis=1)


def _top(scores_BI: Float32s, kept: int) -> Int32s:
    """(B, kept) best items, best first, ties to the lower code."""
    import torch  # two seconds, which a process that ranks nothing does without

    top = torch.topk(torch.from_numpy(scores_BI), kept, dim=1)
    border = top.values[:, -1].numpy()
    best = _in_order(scores_BI, top.indices.numpy().astype(np.int32))
    # Which of several items that are equal at the border topk names is not defined: those rows are done by hand.
    tied = np.flatnonzero(np.count_nonzero(scores_BI >= border[:, None], axis=1) > kept)
    for row in tied.tolist():
        scores, least = scores_BI[row], border[row]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        item = np.sort(np.concatenate([above, equal[: kept - above.size]]))
        best[row] = item[np.argsort(-scores[item], kind="stable")]
    return best


def _in_order(scores_BI: Float32s, items: Int32s) -> NDArray[np.int32]:
    """Each row's items (B, k) by falling score, equal ones by rising code."""
    items = np.sort(items, axis=1)
    order = np.argsort(-np.take_along_axis(scores_BI, items, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1)
