"""Texts that can be searched by their words, by their meaning, or by both at once.

Shapes: Q queries, T texts, D width of a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int64s
from nightmarket.retrieval.search.fusion import fused
from nightmarket.retrieval.search.lexical import BM25, pieces, whole, words
from nightmarket.retrieval.search.places import Shelf

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
        for one in orders:
            one[:, ~listed] = -np.inf
        return orders[0] if len(orders) == 1 else fused(orders)

    def find(self, query: str, vector: NDArray | None, shelf: Shelf, num: int, method: Method = "both") -> list[Hit]:
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
    found = np.empty((len(queries_QD), len(texts_TD)), np.float32)
    asked = np.asarray(queries_QD, np.float32)
    for at in range(0, len(texts_TD), _BLOCK):
        found[:, at : at + _BLOCK] = asked @ np.asarray(texts_TD[at : at + _BLOCK], np.float32).T
    return found


def _shared(asked: list[str], said: list[str]) -> list[str]:
    """Words of the query that the text says, a character of Chinese only where no pair has it."""
    found = [word for word in dict.fromkeys(asked) if word in set(said)]
    return [word for word in found if not any(word != other and len(word) == 1 and word in other for other in found)]
