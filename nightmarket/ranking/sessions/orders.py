"""What orders answers: forests that were learned, or a single column of features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Float32s, Float64s
from nightmarket.evaluation.intervals import Interval
from nightmarket.ranking.compiled import CompiledForest
from nightmarket.ranking.sessions.features import NAMES

FOREST = "forest"
GOALS = ("next", "taken")
"""What an answer is for: SessionOrders."""
SHORTLIST = 100
"""Candidates of an answer that all trees look at; the others stand below them."""


@dataclass(frozen=True)
class SessionOrder:
    """What orders an answer: a forest, or the column `order` where nothing better was learned.

    forest      None where there was too little to learn from
    difference  NDCG of the forest minus that of the best column, on visits that it did not learn from
    """

    order: str
    forest: CompiledForest | None
    rival: str = ""
    difference: Interval | None = None
    num_visits: int = 0

    @classmethod
    def plain(cls, num_visits: int = 0) -> "SessionOrder":
        """By what goes with what, where too little is there to learn from."""
        return cls("score_near", None, num_visits=num_visits)

    @classmethod
    def of(cls, content: Mapping[str, Any], forest: str | None) -> "SessionOrder":
        """The reverse of `content`; `forest` in LightGBM's text form."""
        gap = content["difference"]
        difference = Interval(gap["value"], gap["low"], gap["high"]) if gap else None
        compiled = CompiledForest.of(forest) if forest is not None else None
        return cls(content["order"], compiled, content["rival"], difference, content["num_visits"])

    def content(self) -> dict[str, Any]:
        """All but the forest, as JSON-ready values."""
        gap = self.difference._asdict() if self.difference else None
        return {"order": self.order, "rival": self.rival, "difference": gap, "num_visits": self.num_visits}

    def score(self, rows: Float32s) -> Float64s:
        """(M,) of feature rows (M, F)."""
        if self.order == FOREST:
            assert self.forest is not None
            return self._by_forest(self.forest, rows)
        column = rows[:, NAMES.index(self.order)].astype(np.float64)
        tail = rows[:, NAMES.index("score_popular")].astype(np.float64)
        return np.nan_to_num(column) + 1e-6 * tail / max(float(tail.max(initial=0)), 1e-9)

    @staticmethod
    def _by_forest(forest: CompiledForest, rows: Float32s) -> Float64s:
        """The first trees order all rows, all trees the SHORTLIST best of them."""
        score = forest.score(rows, max(1, forest.num_trees // 5))
        if score.size <= SHORTLIST:
            best = np.arange(score.size)
        else:
            best = np.sort(np.argpartition(-score, SHORTLIST)[:SHORTLIST])
        score -= 1e3
        score[best] = forest.score(rows[best])
        return score


@dataclass(frozen=True)
class SessionOrders:
    """Of answers that hold what is new to the visit, by what is met next; and of those that may hold what was met, by
    what is put into the cart or bought."""

    next: SessionOrder
    taken: SessionOrder

    @classmethod
    def plain(cls) -> "SessionOrders":
        """Where nothing was learned."""
        return cls(SessionOrder.plain(), SessionOrder.plain())
