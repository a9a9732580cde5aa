"""Topics of documents that are bags of words: NMF or LDA, with as many topics as are coherent and stable; their names.

The same for reviews (words) and baskets (product types). Method and number are not chosen by hand: of the candidates
that come back on other documents, the one with the most coherent and distinct topics is taken.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.intervals import clustered
from nightmarket.reviews import trends
from nightmarket.reviews.documents import Documents

Method = Literal["nmf", "lda"]
METHODS: tuple[Method, ...] = ("nmf", "lda")
NUMS = (4, 6, 8, 12, 16)
TOP = 10
"""Words of a topic that count for its coherence; fewer where there are few words."""
STABLE = 0.8
"""A candidate comes back from this stability on."""
HALF: dict[Method, int] = {"nmf": 10_000, "lda": 2_000}
"""Documents of each half-sample: what each method can read in about the same time."""
SAMPLE = 20_000
"""Documents that the chosen model is fitted on, and that coherence is read from."""
LEAST_DOCUMENTS = 200
LEAST_WORDS = 10
_BLOCK = 20_000
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class TopicCandidate:
    """A method and a number of topics, as evaluated on half-samples.

    coherence  mean NPMI of the pairs among a topic's ten strongest words, in [-1, 1]
    diversity  share of different ones among these words of all topics, in [0, 1]
    stability  mean cosine of topics matched one to one between disjoint half-samples, in [0, 1]
    """

    method: Method
    num: int
    coherence: float
    diversity: float
    stability: float

    @property
    def quality(self) -> float:
        """Coherence times diversity (Dieng, Ruiz & Blei, 2020): topics that all repeat the commonest words are none."""
        return self.coherence * self.diversity


@dataclass(frozen=True)
class Topics:
    """K topics over V words, with every candidate that was tried.

    usual  (K,) mean weight of each topic in a document
    idf    (V,) weights of words, for NMF
    """

    method: Method
    num: int
    candidates: tuple[TopicCandidate, ...]
    usual: Float64s
    idf: Float32s
    model: Any

    def assign(self, counts_DV: sparse.csr_matrix) -> Int32s:
        """(D,) the topic that weighs most in each document against what is usual; -1 where no word of it is known."""
        topics = np.full(counts_DV.shape[0], -1, np.int32)
        for first in range(0, counts_DV.shape[0], _BLOCK):
            block = counts_DV[first : first + _BLOCK]
            weight = self.model.transform(_input(self.method, block, self.idf)) / self.usual
            known = (np.diff(block.indptr) > 0) & (weight.max(1) > 0)
            topics[first : first + _BLOCK] = np.where(known, weight.argmax(1), -1)
        return topics


def fit(counts_DV: sparse.csr_matrix, seed: int, nums: Sequence[int] = NUMS) -> Topics | None:
    """Topics of D documents, of which samples are read; None where fewer than 200 hold two words or more, or
    there are fewer than 10 words.

    Each candidate is fitted on disjoint half-samples (up to 10,000 documents each for NMF, 2,000 for LDA, which takes
    ten times as long). Coherence is NPMI (Bouma, 2009; Lau, Newman & Baldwin, 2014) over the documents of the sample,
    stability the agreement of the halves (after Greene, O'Callaghan & Cunningham, 2014). Of the candidates with a
    stability of .8 or more the one of the highest quality wins; where there is none, the most stable. It is fitted
    again on up to 20,000 documents, so time and memory do not grow with D.
    """
    rng = np.random.default_rng(seed)
    rich = np.flatnonzero(np.diff(counts_DV.indptr) >= 2)
    if rich.size < LEAST_DOCUMENTS or counts_DV.shape[1] < LEAST_WORDS:
        return None
    sample = counts_DV[rng.permutation(rich)[:SAMPLE]]
    idf = np.log((1 + sample.shape[0]) / (1 + sample.getnnz(0))).astype(np.float32) + 1
    present = sample.astype(bool).astype(np.float32).tocsc()
    candidates = []
    for method in METHODS:
        size = min(HALF[method], sample.shape[0] // 2)
        halves = [sample[:size], sample[size : 2 * size]]
        for num in [num for num in nums if num <= size // 25 and num * 2 <= counts_DV.shape[1]]:
            both = [_fitted(method, num, half, idf, seed).components_ for half in halves]
            telling = idf if method == "lda" else 1.0  # NMF's weights hold it already
            tops = [_top(topics * telling, min(TOP, counts_DV.shape[1] // 3)) for topics in both]
            coherence = float(np.mean([npmi(present, top) for topics in tops for top in topics]))
            diversity = float(np.mean([np.unique(topics).size / topics.size for topics in tops]))
            candidates.append(TopicCandidate(method, num, coherence, diversity, agreement(*both)))
        log.info("reviews: %s evaluated", method)
    stable = [fitted for fitted in candidates if fitted.stability >= STABLE]
    best = max(stable or candidates, key=lambda fitted: fitted.quality if stable else fitted.stability)
    model = _fitted(best.method, best.num, sample, idf, seed)
    usual = np.maximum(model.transform(_input(best.method, sample, idf)).mean(0), 1e-9)
    return Topics(best.method, best.num, tuple(candidates), usual, idf, model)


def npmi(present_DV: sparse.csc_matrix, words: Int64s) -> float:
    """Mean normalised pointwise mutual information of all pairs of words, counted over documents; -1 for a pair that
    never meets."""
    columns = present_DV[:, words]
    both = (columns.T @ columns).toarray() / max(present_DV.shape[0], 1)
    alone = np.diag(both)
    first, second = np.triu_indices(len(words), 1)
    joint, apart = both[first, second], alone[first] * alone[second]
    with np.errstate(divide="ignore", invalid="ignore"):
        normed = np.log(joint / apart) / -np.log(joint)
    return float(np.where(joint <= 0, -1.0, np.where(joint >= 1, 1.0, normed)).mean())


def agreement(one_KV: NDArray, other_KV: NDArray) -> float:
    """Mean cosine of the weights of two fits, topics matched one to one so that it is highest."""
    units = [
        weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12) for weights in (one_KV, other_KV)
    ]
    cosine = units[0] @ units[1].T
    return float(cosine[linear_sum_assignment(-cosine)].mean())


def _top(components_KV: NDArray, num: int) -> Int64s:
    return np.argsort(-components_KV, axis=1, kind="stable")[:, :num]


def _input(method: Method, counts_DV: sparse.csr_matrix, idf_V: Float32s) -> sparse.csr_matrix:
    """Counts for LDA; for NMF tf-idf with unit rows, so that a long document weighs no more than a short one."""
    if method == "lda":
        return counts_DV
    weighted = counts_DV.astype(np.float32).multiply(idf_V).tocsr()
    length = np.sqrt(weighted.multiply(weighted).sum(1)).A1
    return (sparse.diags_array((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ weighted).tocsr()


def _fitted(method: Method, num: int, counts_DV: sparse.csr_matrix, idf_V: Float32s, seed: int) -> Any:
    import warnings

    from sklearn.decomposition import NMF, LatentDirichletAllocation
    from sklearn.exceptions import ConvergenceWarning

    model: Any
    passes = max(1, 4000 // counts_DV.shape[0])
    if method == "nmf":
        model = NMF(num, init="nndsvda", tol=1e-3, max_iter=200, random_state=seed)
    else:
        model = LatentDirichletAllocation(
            num, learning_method="online", batch_size=128, learning_offset=10.0, max_iter=passes,
            max_doc_update_iter=10, random_state=seed,
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(_input(method, counts_DV, idf_V))


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
    """What `json` says of one set of documents, and (D,) the topic of each, -1 for none.

    weeks     that a trend is read over
    positive  (D,) 1.0 praise, 0.0 complaint, NaN unknown; with it, topics tell their share of praise

    Topics are numbered by size; those of fewer than 20 people are left out, and their documents have none.
    """
    nobody = np.full(documents.day.size, NONE, np.int32)
    fitted = fit(documents.counts, seed)
    if fitted is None:
        reason = f"fewer than {LEAST_DOCUMENTS} hold two words or more of those that 20 people use"
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
