"""Recommenders that others would set beside ours, each a function of a question and its settings.

A scorer gives (B, P) float32 for places in question.asked; `lists` keeps the tasks' rules for all of them. Customers
whom a method knows nothing about, and ties, go by recent popularity.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from bench.domains.question import TASKS, Question
from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.histories.histories import Histories
from nightmarket.ranking import baselines
from nightmarket.ranking.collaborative import Ease
from nightmarket.ranking.lists import mask_entries
from nightmarket.retrieval.top import top_items

Scorer = Callable[[Int64s], Float32s]
BEHAVIOUR = {"view": 0.2, "click": 0.2, "cart": 1.0, "purchase": 1.5, "rating": 1.5}
PURCHASES = {"purchase": 1.0}
MOST_SOLVED = 8_000
"""Rows of an inverse."""
MOST_NEIGHBOURS = 20_000
"""Products among which neighbours are sought: those with most weight."""
CELLS = 20_000_000
"""Of a block of scores: 80 MB."""


@dataclass(frozen=True)
class Method:
    """A recommender with the settings that are tried on the tuning window; the first of them is the usual one."""

    make: Callable[..., Scorer]
    grid: tuple[dict[str, Any], ...] = ({},)
    tasks: tuple[str, ...] = TASKS


def lists(
    question: Question, scorer: Scorer, num: int, tasks: tuple[str, ...] = TASKS, *, owned: bool = True
) -> Mapping[str, Int32s]:
    """(B, num) per task from a scorer; `owned`: lists of `all` may hold what the customer bought before."""
    size, num_products = question.asked.size, question.shop.product_ids.size
    active, launching = np.flatnonzero(question.active), np.flatnonzero(question.launching)
    chosen = {"all": active, "launch": launching, "new": active}
    masked = ("new",) if owned else ("new", "all")
    tail = question.popularity()
    tail = 1e-6 * tail / max(float(tail.max()), 1e-9)
    best = {task: np.full((size, num), -1, np.int32) for task in tasks}
    step = max(1, CELLS // num_products)
    for start in range(0, size, step):
        rows = np.arange(start, min(start + step, size))
        scores = scorer(rows)
        scale = np.abs(scores).max(axis=1, initial=0, where=np.isfinite(scores), keepdims=True)
        scores = scores + tail * np.where(scale > 0, scale, 1)
        for task in sorted(tasks, key=lambda task: task in masked):
            if task in masked:
                mask_entries(scores, question.bought[question.asked[rows]])
            items = chosen[task]
            places = top_items(np.ascontiguousarray(scores[:, items]), num)
            best[task][rows] = np.where(places >= 0, items[np.maximum(places, 0)] if items.size else -1, -1)
    return best


def popularity(question: Question, days: int = 28) -> Scorer:
    """The same list for everybody."""
    scores = question.popularity(days)
    return lambda rows: np.broadcast_to(scores, (rows.size, scores.size)).copy()


def _behaviour(
    question: Question, weights: Mapping[str, float], half_life: float | None, log: bool
) -> sparse.csr_matrix:
    counts = question.matrix(weights, half_life)
    if log:
        counts.data = np.log1p(counts.data)
    return counts


def ease(
    question: Question,
    weights: Mapping[str, float] = PURCHASES,
    ridge: float = 50.0,
    half_life: float | None = None,
    log: bool = False,
) -> Scorer:
    """EASE (Steck, 2019): B = I - P / diag(P), P = (XᵀX + ridge)⁻¹.

    Solved from the side, customers or products, that has fewer with an event. Where both are many, between the
    MOST_SOLVED products with most weight.
    """
    counts = _behaviour(question, weights, half_life, log)
    num_active = [int((counts.getnnz(axis=axis) > 0).sum()) for axis in (1, 0)]
    if num_active[0] < num_active[1] and num_active[0] <= MOST_SOLVED:
        return _ease_by_customers(question, counts, ridge)
    columns = heaviest(counts, MOST_SOLVED)
    known = counts[:, columns]
    gram = (known.T @ known).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = cho_solve(cho_factor(gram, overwrite_a=True), np.eye(columns.size), overwrite_b=True)
    between = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(between, 0)
    del gram, inverse

    def score(rows: Int64s) -> Float32s:
        scores = np.zeros((rows.size, question.shop.product_ids.size), np.float32)
        scores[:, columns] = known[question.asked[rows]] @ between
        return scores

    return score


def heaviest(counts: sparse.csr_matrix, most: int) -> Int64s:
    """(A,) at most so many columns, those with most weight, ascending; none without weight."""
    weight = np.asarray(counts.sum(axis=0)).ravel()
    columns = np.sort(np.argsort(-weight, kind="stable")[:most])
    return columns[weight[columns] > 0]


def _ease_by_customers(question: Question, counts: sparse.csr_matrix, ridge: float) -> Scorer:
    """The same weights from an inverse between customers, over every product."""
    active = np.flatnonzero(counts.getnnz(axis=1))
    place = np.full(counts.shape[0], -1, np.int64)
    place[active] = np.arange(active.size)
    model = Ease(counts[active], np.arange(counts.shape[1], dtype=np.int32), ridge)
    return lambda rows: model.score(counts[question.asked[rows]], place[question.asked[rows]])


def item_knn(
    question: Question, num: int = 100, shrink: float = 10.0, half_life: float | None = 60.0, log: bool = False
) -> Scorer:
    """Nearest products by cosine of their columns over all behaviours, shrunk towards 0 where few events speak."""
    counts = _behaviour(question, BEHAVIOUR, half_life, log)
    columns = heaviest(counts, MOST_NEIGHBOURS)
    known = counts[:, columns]
    norm = np.sqrt(np.asarray(known.multiply(known).sum(axis=0)).ravel())
    by_item, blocks = known.T.tocsr(), []
    step = max(1, CELLS // max(columns.size, 1))
    for start in range(0, columns.size, step):
        block = np.arange(start, min(start + step, columns.size))
        close = (by_item[block] @ known).toarray()
        close /= norm[block][:, None] * norm[None, :] + shrink
        close[np.arange(block.size), block] = 0
        if num < close.shape[1]:
            close[close < np.partition(close, -num, axis=1)[:, -num][:, None]] = 0
        blocks.append(sparse.csr_matrix(close))
    near = sparse.vstack(blocks, format="csr")

    def score(rows: Int64s) -> Float32s:
        scores = np.zeros((rows.size, question.shop.product_ids.size), np.float32)
        scores[:, columns] = (known[question.asked[rows]] @ near).toarray()
        return scores

    return score


def histories(question: Question) -> tuple[Histories, Int64s]:
    """Purchases up to the cut as our library holds them, and the row of each customer asked for, -1 without any."""
    shop = question.shop
    rows = np.flatnonzero(question.known & (shop.kind == "purchase") & (shop.customer >= 0) & (shop.product >= 0))
    rows = rows[np.lexsort((shop.day[rows], shop.customer[rows]))]
    buyers, customer = np.unique(shop.customer[rows], return_inverse=True)
    day = shop.day[rows]
    basket = np.unique(np.stack([customer, day]), axis=1, return_inverse=True)[1]
    ones, zeros = np.ones(rows.size, np.float32), np.zeros(rows.size, np.float32)
    lines = Histories(
        customer=customer.astype(np.int32),
        item=shop.product[rows],
        week=((day - 4) // 7).astype(np.int32),
        day=day,
        quantity=ones,
        value=ones,
        discount=zeros,
        basket=basket.astype(np.int32),
        channel=zeros.astype(np.int32),
        num_customers=buyers.size,
        num_items=shop.product_ids.size,
    )
    place = np.full(shop.customer_ids.size, -1, np.int64)
    place[buyers] = np.arange(buyers.size)
    return lines, place[question.asked]


def tifu_knn(question: Question, **settings: Any) -> Scorer:
    """TIFU-kNN (Hu et al., 2020) on purchases."""
    lines, place = histories(question)
    scorer = baselines.tifu_knn(lines, question.window.cut, baselines.TifuSettings(**settings))

    def score(rows: Int64s) -> Float32s:
        scores = np.zeros((rows.size, lines.num_items), np.float32)
        for target, row in enumerate(place[rows].tolist()):
            if row >= 0:
                scores[target] = scorer(slice(row, row + 1))[0]
        return scores

    return score


def recency_frequency(question: Question, half_life: float = 90.0) -> Scorer:
    """What a customer bought often and lately."""
    own = question.matrix(PURCHASES, half_life)
    return lambda rows: own[question.asked[rows]].toarray().astype(np.float32)
