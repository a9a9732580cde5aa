"""BM25 over the texts, for languages with spaces between words and for Chinese.

Shapes: Q queries, T texts, V terms.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp

from nightmarket.contracts.arrays import Float32s
from nightmarket.encoding.terms import words

Terms = Callable[[str], list[str]]

K1, B = 1.2, 0.75


def whole(word: str) -> list[str]:
    """The word alone."""
    return [word]


class BM25:
    """Okapi BM25 (Robertson & Zaragoza, 2009): sum over a query's terms t of

        idf(t) · f (k1 + 1) / (f + k1 (1 - b + b · length / mean length)),  idf(t) = ln(1 + (T - n + ½) / (n + ½))

    f  how often t stands in the text, n  in how many texts it stands; k1 = 1.2, b = .75, the usual values.
    """

    def __init__(self, weight_VT: sp.csr_matrix, place: dict[str, int], terms: Terms) -> None:
        self.weight_VT, self.place, self.terms = weight_VT, place, terms

    @classmethod
    def of(cls, texts: Sequence[str], terms: Terms = whole) -> Self:
        """Index the texts by the terms that each of their words gives."""
        vocabulary: dict[str, int] = {}
        by_word = _counts((words(text) for text in texts), vocabulary, grow=True)
        place: dict[str, int] = {}
        count = (by_word @ _counts((terms(word) for word in vocabulary), place, grow=True)).tocsr()
        count.sort_indices()  # a sum's order, and so its last bit, is the same every time
        length = np.asarray(count.sum(axis=1), dtype=np.float64).ravel()
        holding = np.bincount(count.indices, minlength=len(place))
        idf = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5))
        norm = K1 * (1 - B + B * length / max(float(length.mean()) if len(length) else 1.0, 1e-9))
        owner = np.repeat(np.arange(len(texts)), np.diff(count.indptr))
        weight = idf[count.indices] * count.data * (K1 + 1) / (count.data + norm[owner])
        by_text = sp.csr_matrix((weight.astype(np.float32), count.indices, count.indptr), shape=count.shape)
        return cls(by_text.T.tocsr(), place, terms)

    def scores(self, queries: Sequence[str]) -> Float32s:
        """(Q, T) scores; -inf for a text that shares no term with the query."""
        asked = _counts(
            ([term for word in words(query) for term in self.terms(word)] for query in queries), self.place, grow=False
        )
        scores = np.asarray((asked @ self.weight_VT).todense(), dtype=np.float32)
        scores[scores <= 0] = -np.inf
        return scores


def _counts(lists: Iterable[list[str]], place: dict[str, int], grow: bool) -> sp.csr_matrix:
    """(lists, V) how often each term stands in each list; `grow` gives new terms a place, else they are left out."""
    rows = []
    for terms in lists:
        if grow:
            rows.append(Counter(place.setdefault(term, len(place)) for term in terms))
        else:
            rows.append(Counter(place[term] for term in terms if term in place))
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    indices = np.fromiter((term for row in rows for term in row), np.int64, int(indptr[-1]))
    data = np.fromiter((often for row in rows for often in row.values()), np.float32, int(indptr[-1]))
    return sp.csr_matrix((data, indices, indptr), shape=(len(rows), len(place)))
