"""The list of those who objected to profiling, or whom nobody knows: what sells lately, the same for everybody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Values
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import Targets
from nightmarket.ranking.explanations.claims import MIN_BUYERS
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.generators import ATTENTION, best_sellers
from nightmarket.ranking.point_in_time import SPANS, PointInTimeStatistics
from nightmarket.ranking.recipe import MIN_CUSTOMERS, PLACES, of_customers

KIND = "popular"
SPAN = "2w"
"""Of what sells lately, where a shop has too few customers to tell."""


@dataclass(frozen=True)
class SpanFigures:
    """How the shared list of each span foretold what the B buyers of a window bought.

    stranger  (B,)  of whom nothing was known at the cut
    ndcg      {span: (B,)}
    """

    stranger: Bools
    ndcg: dict[str, Float64s]

    @classmethod
    def of(cls, statistics: PointInTimeStatistics, wanted: Targets) -> "SpanFigures":
        """At the statistics' cut; `wanted` is what each of the C customers bought in the days after it."""
        who = np.flatnonzero(np.diff(wanted.indptr) > 0).astype(np.int32)
        theirs, ndcg = of_customers(wanted, who), {}
        for span in (*SPANS, ATTENTION) if statistics.behaves else SPANS:
            items = top(best_sellers(statistics, span), statistics.active, PLACES)
            ranked = np.broadcast_to(items, (who.size, items.size))
            ndcg[span] = rank_metrics(ranked, theirs.indptr, theirs.items, (PLACES,))[f"ndcg@{PLACES}"]
        return cls(~statistics.known[who], ndcg)


def best_span(windows: Sequence[SpanFigures]) -> str:
    """What the shared list is made of: buyers of one of SPANS, or ATTENTION where more than purchases is recorded, what
    best foretold what customers bought at cuts before the test window.

    Judged on customers of whom nothing was known at the cut, for it is they who get the list; on all buyers, where
    those are fewer than MIN_CUSTOMERS; and where these are, SPAN.
    """
    judged = np.concatenate([np.zeros(0, bool), *(window.stranger for window in windows)])
    if judged.sum() < MIN_CUSTOMERS:
        judged[:] = True
    if judged.sum() < MIN_CUSTOMERS:
        return SPAN
    spans = windows[0].ndcg
    means = {span: float(np.concatenate([window.ndcg[span] for window in windows])[judged].mean()) for span in spans}
    return max(means, key=lambda span: means[span])


def top(score: Float32s, items: Int32s, num: int) -> Int32s:
    """At most `num` of the items, best first."""
    return items[np.argsort(-score[items], kind="stable")[:num]]


DEPTH = 20
"""Times as many products as a list holds, so that it is full for those who may not be offered everything."""


@dataclass(frozen=True)
class PopularList:
    """The best sellers on sale, best first, of a group of sizes and colours the best alone.

    num      how many a list holds; there are more, because not everything may be offered to everybody
    items    (N,)
    score    (N,)  buyers of the span, ties by all buyers
    reasons  (N,)  how many bought it, or where they are few that it sells
    """

    num: int
    items: Int32s
    score: Float32s
    reasons: NDArray[Any]

    @classmethod
    def of(
        cls,
        statistics: PointInTimeStatistics,
        num: int,
        language: str,
        target: str = "purchase",
        span: str = "2w",
        on_sale: Bools | None = None,
        group: Int32s | None = None,
    ) -> "PopularList":
        """For lists of `num` of the products on sale.

        target   what lists foretell, of histories.interactions.TARGETS
        span     of whose buyers: see generators.best_sellers
        on_sale  (I,) what may be offered at all; None: everything
        group    (I,) products that are one in several sizes and colours, -1 for one of its own; None: all are
        """
        buyers, active = statistics.buyers, statistics.active
        active = active if on_sale is None else active[on_sale[active]]
        score = best_sellers(statistics, span)
        items = top(score, active, active.size)
        if group is not None:
            own = np.where(group[items] >= 0, group[items], -1 - np.arange(items.size))
            items = items[np.sort(np.unique(own, return_index=True)[1])]
        items = items[: DEPTH * num]
        words = LANGUAGES[language].of(target)
        reasons = [
            words.say(KIND, customers=words.count("customers", count))
            if count >= MIN_BUYERS
            else words.say("best_seller")
            for count in buyers["4w"][items].tolist()
        ]
        return cls(num, items, score[items], np.array(reasons, object))

    def of_items(self, items: Int32s, otherwise: str) -> tuple[Float32s, NDArray[Any]]:
        """(M,), (M,) scores and reasons of any items; 0 and `otherwise` for those that are not in the list."""
        score, reasons = np.zeros(items.size, np.float32), np.full(items.size, otherwise, object)
        place = {item: at for at, item in enumerate(self.items.tolist())}
        for row, item in enumerate(items.tolist()):
            if item in place:
                score[row], reasons[row] = self.score[place[item]], self.reasons[place[item]]
        return score, reasons

    def instead(
        self, part: dict[str, Values], objected: Bools, may: Callable[[Int32s, Int32s], Bools]
    ) -> dict[str, Values]:
        """Lists of some customers, with this one in place of the personal one of those who objected.

        part      customer, item, rank, score, probability, reason, reason_kind, by customer
        objected  (C,)
        may       (customer, item) → which pairs may be offered
        """
        theirs = objected[part["customer"]]
        if not theirs.any():
            return part
        who, deep = np.unique(part["customer"][theirs]), self.items.size
        allowed = may(np.repeat(who, deep), np.tile(self.items, who.size)).reshape(who.size, deep)
        rank = np.cumsum(allowed, axis=1)
        row, place = np.nonzero(allowed & (rank <= self.num))
        shared = {
            "customer": who[row],
            "item": self.items[place],
            "rank": rank[row, place].astype(np.int32),
            "score": self.score[place],
            "probability": np.full(row.size, np.nan),
            "reason": self.reasons[place],
            "reason_kind": np.full(row.size, KIND, object),
        }
        joined = {name: np.concatenate([values[~theirs], shared[name]]) for name, values in part.items()}
        order = np.lexsort((joined["rank"], joined["customer"]))
        return {name: values[order] for name, values in joined.items()}
