"""The best items of each customer over the full catalogue, exactly and repeatably.

Shapes: C customers, I items, T texts, E width of the towers' space, K places.
Items of one text have one score. Among them the one with more purchases before the cut comes first, then the one that
stands earlier in the catalogue.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.retrieval.top import top_items

_CHUNK = 512


def score(customers_CE: Float32s, items_IE: Float32s, chunk: int = _CHUNK) -> Iterator[tuple[int, Float32s]]:
    """Dot products in chunks of customers: (first customer, float32 [chunk, I])."""
    items = torch.from_numpy(items_IE).T.contiguous()
    for start in range(0, len(customers_CE), chunk):
        yield start, (torch.from_numpy(customers_CE[start : start + chunk]) @ items).numpy()


def best_items(
    customers_CE: Float32s,
    texts_TE: Float32s,
    text_id: Int32s,
    candidates: Bools,
    popularity: NDArray,
    rows: Int64s,
    k: int = 10,
    exclude: tuple[Int64s, Int32s] | None = None,
) -> Int32s:
    """The k best candidate items of the customers `rows`, int32 [C, k], -1 where there are fewer; other rows are -1.

    candidates  (I,)  which items may be recommended
    popularity  (I,)  purchases before the cut; breaks ties between items of one text
    exclude     (indptr, items) of the items per customer that are left out, mostly those bought before
    """
    lists = np.full((len(customers_CE), k), -1, dtype=np.int32)
    allowed = np.flatnonzero(candidates)
    if not len(allowed) or not len(rows):
        return lists
    order = allowed[np.lexsort((allowed, -popularity[allowed], text_id[allowed]))]
    texts, first, size = np.unique(text_id[order], return_index=True, return_counts=True)
    plenty = k if exclude is None else 4 * k
    for start, scores in score(customers_CE[rows], texts_TE[texts]):
        for i, likeliest in enumerate(top_items(scores, min(plenty, len(texts)))):
            customer = int(rows[start + i])
            banned = exclude[1][exclude[0][customer] : exclude[0][customer + 1]] if exclude is not None else None
            best = _items_of(likeliest, order, first, size, k, banned)
            while len(best) < k and len(likeliest) < len(texts):
                likeliest = top_items(scores[i : i + 1], min(4 * len(likeliest), len(texts)))[0]
                best = _items_of(likeliest, order, first, size, k, banned)
            lists[customer, : len(best)] = best
    return lists


def _items_of(
    texts: Int32s, order: NDArray, first: NDArray, size: NDArray, k: int, banned: Int32s | None
) -> NDArray[np.int32]:
    """The first k items of texts by falling score, each with its items in order, without the banned ones."""
    texts = texts[texts >= 0]
    # Without bans the first k items of a text are enough.
    take = np.minimum(size[texts], k if banned is None else k + len(banned))
    begin = np.repeat(first[texts] - np.concatenate([[0], np.cumsum(take)[:-1]]), take)
    items = order[begin + np.arange(len(begin))]
    if banned is not None:
        items = items[~np.isin(items, banned)]
    return items[:k].astype(np.int32)
