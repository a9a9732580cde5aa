"""The list of those who objected to profiling, or whom nobody knows: what sells lately, the same for everybody."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Values
from nightmarket.ranking.explanations.claims import MIN_BUYERS
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.generators import best_sellers
from nightmarket.ranking.point_in_time import PointInTimeStatistics

KIND = "popular"


@dataclass(frozen=True)
class PopularList:
    """The best sellers on sale, best first.

    items    (N,)
    score    (N,)  buyers of the last two weeks, ties by all buyers
    reasons  (N,)  how many bought it, or where they are few that it sells
    """

    items: Int32s
    score: Float32s
    reasons: NDArray[Any]

    @classmethod
    def of(cls, statistics: PointInTimeStatistics, num: int, language: str, target: str = "purchase") -> "PopularList":
        """The first `num` of the products on sale.

        target  what lists foretell, of histories.interactions.TARGETS
        """
        buyers, active = statistics.buyers, statistics.active
        score = best_sellers(statistics)
        items = active[np.argsort(-score[active], kind="stable")[:num]]
        words = LANGUAGES[language].of(target)
        reasons = [
            words.say(KIND, customers=words.count("customers", count))
            if count >= MIN_BUYERS
            else words.say("best_seller")
            for count in buyers["4w"][items].tolist()
        ]
        return cls(items, score[items], np.array(reasons, object))

    def instead(self, part: dict[str, Values], objected: Bools) -> dict[str, Values]:
        """Lists of some customers, with this one in place of the personal one of those who objected.

        part      customer, item, rank, score, probability, reason, reason_kind, by customer
        objected  (C,)
        """
        theirs = objected[part["customer"]]
        if not theirs.any():
            return part
        who, num = np.unique(part["customer"][theirs]), self.items.size
        shared = {
            "customer": np.repeat(who, num),
            "item": np.tile(self.items, who.size),
            "rank": np.tile(np.arange(1, num + 1, dtype=np.int32), who.size),
            "score": np.tile(self.score, who.size),
            "probability": np.full(num * who.size, np.nan),
            "reason": np.tile(self.reasons, who.size),
            "reason_kind": np.full(num * who.size, KIND, object),
        }
        joined = {name: np.concatenate([values[~theirs], shared[name]]) for name, values in part.items()}
        order = np.lexsort((joined["rank"], joined["customer"]))
        return {name: values[order] for name, values in joined.items()}
