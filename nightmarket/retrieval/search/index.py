"""Texts that can be searched by their words, by their meaning, or by both at once; and the best products behind them.

Shapes: Q queries, T texts.

Shapes: Q queries, T texts, I items, K places. Items of one text share its score.

Shapes: Q queries, T texts, D width of a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.encoding.terms import pieces, words
from nightmarket.retrieval.search.lexical import BM25, whole

CONSTANT = 60.0
"""Of reciprocal rank fusion, as its authors give it."""
DEPTH = 1000
"""Texts of each order that count."""


def fused(scores: Sequence[NDArray], constant: float = CONSTANT, depth: int = DEPTH) -> Float64s:
    """Reciprocal rank fusion (Cormack, Clarke & Büttcher, 2009): sum over the orders of 1 / (60 + rank), (Q, T).

    scores  (Q, T) each, -inf where a text is not found. Equal scores share the best of their ranks. A text that no
            order has among its first `depth` is not found: -inf
    """
    total = np.zeros(scores[0].shape)
    for order in scores:
        for row, row_scores in zip(total, order, strict=True):
            texts = _first(row_scores, depth)
            falling = np.sort(-row_scores[texts])
            rank = 1 + np.searchsorted(falling, -row_scores[texts])
            row[texts] += 1.0 / (constant + rank)
    total[total == 0] = -np.inf
    return total


def _first(scores: NDArray, depth: int) -> Int64s:
    texts = np.flatnonzero(np.isfinite(scores))
    if len(texts) > depth:
        least = np.partition(scores[texts], len(texts) - depth)[len(texts) - depth]
        texts = texts[scores[texts] >= least]
    return texts


@dataclass(frozen=True)
class ItemsByText:
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
        lists = np.full((len(scores_QT), k), -1, np.int32)
        size = np.diff(self.start)
        for query, scores in enumerate(scores_QT):
            texts = self._texts(scores, size, k)
            take = np.minimum(size[texts], k)
            begin = np.repeat(self.start[texts] - np.concatenate([[0], np.cumsum(take)[:-1]]), take)
            items = self.item[begin + np.arange(len(begin))]
            order = np.lexsort((items, -self.popularity[items], -np.repeat(scores[texts], take)))[:k]
            lists[query, : len(order)] = items[order]
        return lists

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


Method = Literal["words", "meaning", "both"]
_BLOCK = 65_536


@dataclass(frozen=True)
class Hit:
    """A text that was found, with the products that bear it.

    text        its row
    score       of the method; comparable within one answer alone
    similarity  cosine of the query and the text; None without vectors
    words       words of the query that stand in the text
    items       products that may be found, those that sell most first
    """

    text: int
    score: float
    similarity: float | None
    words: list[str]
    items: Int64s


@dataclass(frozen=True)
class Index:
    """Distinct texts with their words and, where an encoder is at hand, their vectors (T, D) of unit norm.

    Exact: every text is compared with every query. For a query the cost is T·D multiplications and a sparse product.
    """

    texts: Sequence[str]
    lexical: BM25
    vectors: NDArray | None

    @classmethod
    def of(cls, texts: Sequence[str], vectors: NDArray | None = None) -> "Index":
        """Index the texts; vectors float32 or float16 (T, D), None for a search by words alone.

        Pieces of words help where there are no vectors; beside vectors whole words are better
        (docs/explanation/search.md).
        """
        return cls(texts, BM25.of(texts, pieces if vectors is None else whole), vectors)

    def scores(self, queries: Sequence[str], vectors_QD: NDArray | None, method: Method, listed: Bools) -> NDArray:
        """(Q, T) by one method; -inf for a text that is not `listed` (T,), or that the method does not find."""
        orders = []
        if method != "meaning":
            orders.append(self.lexical.scores(queries))
        if method != "words":
            if self.vectors is None or vectors_QD is None:
                raise InputError("method: a search by meaning needs an encoder's vectors; choose words")
            orders.append(similarity(vectors_QD, self.vectors))
        for order in orders:
            order[:, ~listed] = -np.inf
        return orders[0] if len(orders) == 1 else fused(orders)

    def find(
        self, query: str, vector: NDArray | None, shelf: ItemsByText, num: int, method: Method = "both"
    ) -> list[Hit]:
        """The `num` best texts for one query, each with its products; equal scores by what sells most.

        vector  (D,) of the query, unit norm; None for a search by words alone

        Raises InputError for a query without a letter or digit.
        """
        asked = words(query)
        if not asked:
            raise InputError("query: say what to look for; there is no letter and no digit in it")
        vectors_QD = None if vector is None else vector[None, :]
        [scores] = self.scores([query], vectors_QD, method, shelf.stocked)
        best = shelf.best_texts(scores, num)
        close = None
        if vectors_QD is not None and self.vectors is not None:
            close = similarity(vectors_QD, self.vectors[best])[0]
        return [
            Hit(
                text=int(text),
                score=float(scores[text]),
                similarity=None if close is None else float(close[place]),
                words=_shared(asked, words(self.texts[text])),
                items=shelf.items(int(text)),
            )
            for place, text in enumerate(best)
        ]


def similarity(queries_QD: NDArray, texts_TD: NDArray) -> Float32s:
    """Dot products float32 (Q, T), in blocks of texts, so that half-precision vectors are never copied as a whole."""
    products = np.empty((len(queries_QD), len(texts_TD)), np.float32)
    asked = np.asarray(queries_QD, np.float32)
    for at in range(0, len(texts_TD), _BLOCK):
        products[:, at : at + _BLOCK] = asked @ np.asarray(texts_TD[at : at + _BLOCK], np.float32).T
    return products


def _shared(asked: list[str], said: list[str]) -> list[str]:
    """Words of the query that the text says, a character of Chinese only where no pair has it."""
    shared = [word for word in dict.fromkeys(asked) if word in set(said)]
    return [word for word in shared if not any(word != other and len(word) == 1 and word in other for other in shared)]
