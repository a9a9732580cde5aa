"""Ranking metrics per customer, and how well one product's audience is ranked across customers.

Shapes: C customers, K places, N targets in all.
"""

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError

Ids = NDArray[np.int32] | NDArray[np.int64]
Metrics = dict[str, NDArray[np.float64]]


def hits(recommended_CK: Ids, indptr: Ids, targets: Ids) -> NDArray[np.bool_]:
    """Which recommended places hold a target of their customer.

    recommended_CK  (C, K)  items, best first, -1 where the list is shorter
    indptr          (C+1,)  customer c's targets are targets[indptr[c]:indptr[c+1]]
    targets         (N,)    distinct items per customer

    Raises InputError for a list that names an item twice: each place would count it.
    """
    _check_lists(recommended_CK)
    num_customers = recommended_CK.shape[0]
    span = int(max(recommended_CK.max(initial=0), targets.max(initial=0))) + 2
    owner = np.repeat(np.arange(num_customers, dtype=np.int64), np.diff(indptr))
    wanted = np.sort(owner * span + targets)
    asked = np.arange(num_customers, dtype=np.int64)[:, None] * span + recommended_CK
    place = np.searchsorted(wanted, asked)
    is_hit = np.zeros(asked.shape, bool)
    inside = place < wanted.size
    is_hit[inside] = wanted[place[inside]] == asked[inside]
    return is_hit & (recommended_CK >= 0)


def _check_lists(recommended_CK: Ids) -> None:
    ordered = np.sort(recommended_CK.astype(np.int64), axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise InputError(
            f"{int(twice.sum()):,} of {twice.size:,} lists name a product more than once, first in row "
            f"{int(twice.argmax())}; name each product once, and fill a short list with -1"
        )


def rank_metrics(recommended_CK: Ids, indptr: Ids, targets: Ids, cutoffs: tuple[int, ...] = (10, 20)) -> Metrics:
    """NDCG, recall, hit rate and reciprocal rank of each customer at each cutoff; NaN for customers without targets.

    NDCG (Järvelin & Kekäläinen, 2002) is ideal-normalised with min(k, number of targets) places. Recall divides by the
    number of targets. Arguments and errors as in `hits`.
    """
    hit = hits(recommended_CK, indptr, targets).astype(np.float64)
    num_targets = np.diff(indptr).astype(np.float64)
    absent = num_targets == 0
    discount = 1.0 / np.log2(np.arange(2, recommended_CK.shape[1] + 2))
    metrics: Metrics = {}
    for k in cutoffs:
        at_k = hit[:, :k]
        ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
        best = ideal[np.minimum(num_targets, k).astype(int)]
        any_hit = at_k.any(axis=1)
        first = np.where(any_hit, at_k.argmax(axis=1) + 1.0, np.inf)
        with np.errstate(invalid="ignore", divide="ignore"):
            metrics[f"ndcg@{k}"] = np.asarray(at_k @ discount[:k] / best, dtype=np.float64)
            metrics[f"recall@{k}"] = np.asarray(at_k.sum(axis=1) / num_targets, dtype=np.float64)
        metrics[f"hit@{k}"] = np.asarray(any_hit, np.float64)
        metrics[f"mrr@{k}"] = np.asarray(1.0 / first, np.float64)
    for values in metrics.values():
        values[absent] = np.nan
    return metrics


def coverage(recommended_CK: Ids, num_items: int, k: int = 10) -> float:
    """Share of the catalogue that appears in at least one customer's first k places."""
    shown = recommended_CK[:, :k]
    return float(np.unique(shown[shown >= 0]).size / max(num_items, 1))


def novelty(recommended_CK: Ids, num_buyers: Ids, num_customers: int, k: int = 10) -> float:
    """Mean self-information -log2(share of customers who bought the item) of what is shown (Zhou et al., 2010), bits.

    num_buyers  (I,)  customers who bought each item before the cut; an item that nobody bought counts as one buyer.
    """
    shown = recommended_CK[:, :k]
    share = np.maximum(num_buyers[shown[shown >= 0]], 1) / max(num_customers, 1)
    return float(-np.log2(share).mean()) if share.size else 0.0


def audience_auc(scores: NDArray[np.float64], bought: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(L,) area under the ROC curve per product: the chance that a buyer stands above a customer who did not buy.

    scores  (C, L)  comparable across customers; ties count half (Mann & Whitney, 1947)
    bought  (C, L)

    NaN for a product that nobody, or everybody, bought.
    """
    from scipy.stats import rankdata  # half a second to import; most stages know this module for its definitions

    ranks = rankdata(scores, axis=0)
    buyers = bought.sum(axis=0).astype(np.float64)
    others = bought.shape[0] - buyers
    with np.errstate(divide="ignore", invalid="ignore"):
        area: NDArray[np.float64] = ((ranks * bought).sum(axis=0) - buyers * (buyers + 1) / 2) / (buyers * others)
    return np.where((buyers > 0) & (others > 0), area, np.nan)
