"""The best products by a score per text: exact, ties by popularity.

Shapes: Q queries, T texts, I items, K places. Items of one text share its score.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s


@dataclass(frozen=True)
class Shelf:
    """Items by text, those that sell most first.

    item  (A,)  items that may be found, by text; within a text by falling popularity, then by number
    start (T+1,)  where each text's items begin
    popularity (I,)
    """

    item: Int64s
    start: Int64s
    popularity: Float64s

    @classmethod
    def of(cls, text_id: NDArray, popularity: NDArray, num_texts: int, allowed: Bools | None = None) -> Self:
        """text_id (I,), popularity (I,) and which items may be found, (I,); None: all."""
        items = np.arange(len(text_id)) if allowed is None else np.flatnonzero(allowed)
        order = items[np.lexsort((items, -popularity[items].astype(np.float64), text_id[items]))]
        start = np.searchsorted(text_id[order], np.arange(num_texts + 1))
        return cls(order.astype(np.int64), start.astype(np.int64), popularity.astype(np.float64))

    @property
    def stocked(self) -> Bools:
        """(T,) texts with an item that may be found."""
        return np.diff(self.start) > 0

    def best(self, scores_QT: NDArray, k: int) -> Int32s:
        """(Q, k) items by falling score, -1 where there are fewer. A text of score -inf is not found at all."""
        found = np.full((len(scores_QT), k), -1, np.int32)
        size = np.diff(self.start)
        for query, scores in enumerate(scores_QT):
            texts = self._texts(scores, size, k)
            take = np.minimum(size[texts], k)
            begin = np.repeat(self.start[texts] - np.concatenate([[0], np.cumsum(take)[:-1]]), take)
            items = self.item[begin + np.arange(len(begin))]
            order = np.lexsort((items, -self.popularity[items], -np.repeat(scores[texts], take)))[:k]
            found[query, : len(order)] = items[order]
        return found

    def best_texts(self, scores_T: NDArray, num: int) -> Int64s:
        """The `num` best stocked texts; of equal scores the one whose best seller sells more comes first."""
        texts = self._texts(scores_T, np.diff(self.start), num)
        seller = self.item[self.start[texts]]
        return texts[np.lexsort((texts, -self.popularity[seller], -scores_T[texts]))[:num]]

    def items(self, text: int) -> Int64s:
        """The items of a text that may be found, those that sell most first."""
        return self.item[self.start[text] : self.start[text + 1]]

    @staticmethod
    def _texts(scores: NDArray, size: Int64s, k: int) -> Int64s:
        """Texts that the first k items can come from, equal scores at the end included."""
        texts = np.flatnonzero((size > 0) & np.isfinite(scores))
        if len(texts) > k:
            least = np.partition(scores[texts], len(texts) - k)[len(texts) - k]
            texts = texts[scores[texts] >= least]
        return texts
