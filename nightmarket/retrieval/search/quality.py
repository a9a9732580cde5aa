"""How well a search finds products by the names of their categories and types, names that the texts do not tell.

Shapes: Q queries, T texts, I items, D width of a vector.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s, Int64s
from nightmarket.evaluation import rank_metrics
from nightmarket.retrieval.search.places import Shelf

Rows = tuple[Int64s, Int32s]
PerQuery = dict[str, Float64s]
CUTOFFS = (10, 20)
_BLOCK = 16_000_000
"""Scores held at a time: 64 MB."""


def search_quality(
    vectors_of_texts: Float32s,
    vectors_of_queries: Float32s,
    relevant: Rows,
    text_id: NDArray | None = None,
    popularity: NDArray | None = None,
) -> PerQuery:
    """NDCG, recall, hit rate and MRR at 10 and 20 of each query by cosine, over the full catalogue; float64 (Q,).

    vectors_of_texts    (T, D)  unit norm
    vectors_of_queries  (Q, D)  unit norm
    relevant            (indptr (Q+1,), items (N,)), distinct per query; NaN for a query without any
    text_id             (I,)  the text of each item; None: item i is text i
    popularity          (I,)  breaks ties between items; None: the smaller number first
    """
    text_id = np.arange(len(vectors_of_texts)) if text_id is None else text_id
    popularity = np.zeros(len(text_id)) if popularity is None else popularity
    shelf = Shelf.of(text_id, popularity, len(vectors_of_texts))
    return judged(lambda rows: vectors_of_queries[rows] @ vectors_of_texts.T, shelf, relevant)


def judged(scores: Callable[[slice], NDArray], shelf: Shelf, relevant: Rows) -> PerQuery:
    """As `search_quality`, for any search: `scores` gives (some queries, T), -inf where a text is not found."""
    num = len(relevant[0]) - 1
    step = max(1, _BLOCK // max(1, len(shelf.start)))
    found = [shelf.best(scores(slice(at, min(at + step, num))), max(CUTOFFS)) for at in range(0, num, step)]
    lists = np.concatenate(found) if found else np.zeros((0, max(CUTOFFS)), np.int32)
    return rank_metrics(lists, *relevant, cutoffs=CUTOFFS)
