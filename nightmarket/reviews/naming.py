"""What topics are called: c-TF-IDF over the words of their documents (Grootendorst, 2022, BERTopic)."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float64s, Int32s

NUM_WORDS = 8
NUM_NAMED = 3


def names(counts_DV: sparse.csr_matrix, topic_D: Int32s, words: Sequence[str], num_topics: int) -> list[list[str]]:
    """Up to eight words per topic, the most telling first: all documents of a topic are read as one.

    A word weighs √tf × log(1 + A / f): tf its share of the topic's words, f how often it stands anywhere, A the mean
    number of words of a topic; the root takes weight from words that are frequent everywhere. A word that holds an
    earlier one, or lies in it, is passed over.
    """
    known = topic_D >= 0
    topics = sparse.coo_matrix(
        (np.ones(int(known.sum())), (topic_D[known], np.flatnonzero(known))), shape=(num_topics, topic_D.size)
    ).tocsr()
    counted = (topics @ counts_DV).toarray()
    total = np.maximum(counted.sum(1, keepdims=True), 1)
    weight = np.sqrt(counted / total) * np.log1p(total.mean() / np.maximum(counted.sum(0), 1))
    return [_distinct(weight_V, words) for weight_V in weight]


def _distinct(weight_V: Float64s, words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for place in np.argsort(-weight_V, kind="stable")[: 4 * NUM_WORDS]:
        word = words[place]
        if weight_V[place] > 0 and not any(word in other or other in word for other in kept):
            kept.append(word)
    return kept[:NUM_WORDS]


def name(words: Sequence[str]) -> str:
    """The first three words, with the comma of their script."""
    chinese = sum(any("\u4e00" <= letter <= "\u9fff" for letter in word) for word in words)
    return ("、" if 2 * chinese > len(words) else ", ").join(words[:NUM_NAMED])
