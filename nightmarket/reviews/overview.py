"""The topics of a set of documents: what they are called, how large they are, where they go."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.intervals import clustered
from nightmarket.reviews import topics, trends
from nightmarket.reviews.documents import Documents

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


NONE = -1


def overview(
    documents: Documents, seed: int, weeks: int, positive: Float64s | None = None
) -> tuple[dict[str, Any], Int32s]:
    """What `topics.json` says of one set of documents, and (D,) the topic of each, -1 for none.

    weeks     that a trend is read over
    positive  (D,) 1.0 praise, 0.0 complaint, NaN unknown; with it, topics tell their share of praise

    Topics are numbered by size; those of fewer than 20 people are left out, and their documents have none.
    """
    nobody = np.full(documents.day.size, NONE, np.int32)
    fitted = topics.fit(documents.counts, seed)
    if fitted is None:
        reason = f"fewer than {topics.LEAST_DOCUMENTS} hold two words or more of those that 20 people use"
        return {"method": None, "topics": [], "candidates": [], "span": None, "reason": reason}, nobody
    label = fitted.assign(documents.counts)
    words = names(documents.counts, label, documents.words, fitted.num)
    sizes = np.bincount(label[label >= 0], minlength=fitted.num)
    kept = [int(k) for k in np.argsort(-sizes, kind="stable") if _people(documents, label == k) >= MIN_GROUP]
    number = np.full(fitted.num + 1, NONE, np.int32)  # the last is of those without a topic
    number[kept] = np.arange(len(kept))
    label = number[label]
    when = trends.periods(documents.day, documents.who, weeks)
    courses = trends.trends(when, documents.who, label, range(len(kept))) if when and kept else []
    rows = []
    for new, old in enumerate(kept):
        mine = label == new
        share = clustered(documents.who, mine)
        row: dict[str, Any] = {"topic": new, "name": name(words[old]), "words": words[old]}
        row |= {"num": int(mine.sum()), "people": _people(documents, mine)}
        row |= {"share": share.value, "low": share.low, "high": share.high, "trend": courses[new] if courses else None}
        if positive is not None:
            row["positive"] = praise(documents.who[mine], positive[mine])
        rows.append(row)
    candidates = [
        {
            "method": candidate.method,
            "num": candidate.num,
            "coherence": candidate.coherence,
            "diversity": candidate.diversity,
        }
        | {"stability": candidate.stability}
        for candidate in fitted.candidates
    ]
    content: dict[str, Any] = {"method": fitted.method, "num": fitted.num, "topics": rows, "candidates": candidates}
    content |= {"span": [day.isoformat() for day in trends.span(when)] if when else None, "reason": None}
    return content | {"num_documents": int(documents.day.size)}, label


def praise(who: Int64s, positive: Float64s) -> dict[str, Any] | None:
    """Share of praise with interval and people; None below 20 people."""
    known = np.isfinite(positive)
    num = int(np.unique(who[known]).size)
    if num < MIN_GROUP:
        return None
    return clustered(who[known], positive[known] > 0.5)._asdict() | {"people": num}


def _people(documents: Documents, mask: Bools) -> int:
    return int(np.unique(documents.who[mask]).size)
