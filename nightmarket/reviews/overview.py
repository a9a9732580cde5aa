"""The topics of a set of documents: what they are called, how large they are, where they go."""

from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.shares import clustered
from nightmarket.reviews import naming, topics, trends
from nightmarket.reviews.documents import Documents

NONE = -1


def overview(
    found: Documents, seed: int, weeks: int, positive: Float64s | None = None
) -> tuple[dict[str, Any], Int32s]:
    """What `topics.json` says of one set of documents, and (D,) the topic of each, -1 for none.

    weeks     that a trend is read over
    positive  (D,) 1.0 praise, 0.0 complaint, NaN unknown; with it, topics tell their share of praise

    Topics are numbered by size; those of fewer than 20 people are left out, and their documents have none.
    """
    nobody = np.full(found.day.size, NONE, np.int32)
    fitted = topics.fit(found.counts, seed)
    if fitted is None:
        reason = f"fewer than {topics.LEAST_DOCUMENTS} hold two words or more of those that 20 people use"
        return {"method": None, "topics": [], "candidates": [], "span": None, "reason": reason}, nobody
    label = fitted.assign(found.counts)
    words = naming.names(found.counts, label, found.words, fitted.num)
    sizes = np.bincount(label[label >= 0], minlength=fitted.num)
    kept = [int(k) for k in np.argsort(-sizes, kind="stable") if _people(found, label == k) >= MIN_GROUP]
    number = np.full(fitted.num + 1, NONE, np.int32)  # the last is of those without a topic
    number[kept] = np.arange(len(kept))
    label = number[label]
    when = trends.periods(found.day, found.who, weeks)
    told = trends.trends(when, found.who, label, range(len(kept))) if when and kept else []
    rows = []
    for new, old in enumerate(kept):
        mine = label == new
        share = clustered(found.who, mine)
        row: dict[str, Any] = {"topic": new, "name": naming.name(words[old]), "words": words[old]}
        row |= {"num": int(mine.sum()), "people": _people(found, mine)}
        row |= {"share": share.value, "low": share.low, "high": share.high, "trend": told[new] if told else None}
        if positive is not None:
            row["positive"] = praise(found.who[mine], positive[mine])
        rows.append(row)
    candidates = [
        {"method": one.method, "num": one.num, "coherence": one.coherence, "diversity": one.diversity}
        | {"stability": one.stability}
        for one in fitted.candidates
    ]
    content: dict[str, Any] = {"method": fitted.method, "num": fitted.num, "topics": rows, "candidates": candidates}
    content |= {"span": [day.isoformat() for day in trends.span(when)] if when else None, "reason": None}
    return content | {"num_documents": int(found.day.size)}, label


def praise(who: Int64s, positive: Float64s) -> dict[str, Any] | None:
    """Share of praise with interval and people; None below 20 people."""
    known = np.isfinite(positive)
    num = int(np.unique(who[known]).size)
    if num < MIN_GROUP:
        return None
    return clustered(who[known], positive[known] > 0.5)._asdict() | {"people": num}


def _people(found: Documents, mask: Bools) -> int:
    return int(np.unique(found.who[mask]).size)
