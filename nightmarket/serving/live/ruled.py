"""The list of one visitor as the shop's rules make it: N candidates, K places."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.delivery.rules.choosing import choose

if TYPE_CHECKING:
    from nightmarket.serving.live.recommender import Question

TAIL, BELOW = -500.0, -2e29
"""Scores of a forest below which only its first trees looked at a candidate; what `choose` is told of those."""


@dataclass(frozen=True)
class RuledList:
    """Places that are filled, the first one first.

    pinned  (K,) which a rule holds
    last    (K,) which come after all others, for they are buried
    """

    items: Int32s
    score: Float64s
    pinned: Bools
    last: Bools

    @classmethod
    def of(
        cls, question: "Question", items: Int32s, score: Float64s, num: int, pins: bool = True, others: bool = True
    ) -> "RuledList":
        """The best of candidates (N,), which stand best first, that all rules allow.

        others  places that they leave are filled with what is in demand; otherwise the list holds candidates alone
        """
        assert question.rules is not None
        assert question.who is not None
        met = question.met
        popular = question.allowed.in_demand if others else items
        rules = replace(question.rules, popular=popular)

        def may(_: Int32s, asked: Int32s) -> Bools:
            kept = question.allowed(asked)
            return kept & ~np.isin(asked, met) if others and met.size else kept

        row = np.zeros(items.size, np.int32)
        chosen = choose(rules, question.who, row, items, _order(score), num, may, pins=pins, fill_up=others)
        held = np.flatnonzero(chosen.item[0] >= 0)
        listed, at = chosen.item[0, held], chosen.at[0, held]
        return cls(listed, _scores(score, at), chosen.pinned[0, held], rules.buried(question.who, listed))

    def of_rows(self, rows: Int64s) -> "RuledList":
        """Those of these places."""
        return RuledList(self.items[rows], self.score[rows], self.pinned[rows], self.last[rows])


def _order(score: Float64s) -> Float64s:
    """What orders candidates that stand best first: their scores, or where these do not fall, their places."""
    if not (np.diff(score) <= 0).all():
        return -np.arange(score.size, dtype=np.float64)
    tail = score < TAIL
    return np.where(tail, BELOW * (1 + np.arange(score.size) / max(score.size, 1)), score)


def _scores(score: Float64s, at: Int64s) -> Float64s:
    """(K,) of the places, those that no candidate holds below all others."""
    lowest = float(score.min(initial=0.0))
    return np.where(at >= 0, score[np.maximum(at, 0)] if score.size else lowest, lowest - 1 - np.arange(at.size))
