"""Products that nobody has bought yet: what their text, line, kind and maker say about who will.

A product without sales has no score of its own; what is known is how the customer buys at each level above it, how
many buyers products that were new at that level lately found, who tries new products at all, and whether the product
has been displayed or mailed: one that stood on display for months without a buyer is another thing than one that came
last week. Every product is described the same way, so a new one needs no training to be scored, and one forest for all
customers makes scores comparable across customers.
"""

from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.histories.promotions import coming_weeks
from nightmarket.ranking.features import PLAN, level_columns, table
from nightmarket.ranking.generators import CandidateGenerator, affinity
from nightmarket.ranking.point_in_time import LEVELS, NEW_WEEKS, Customers, PointInTimeStatistics

_LEVELS = LEVELS[1:]
_OF_LEVEL = {
    "debuts": f"products first sold in the last {NEW_WEEKS} weeks",
    "draw": "customers per such debut and week since",
    "sold": "products ever sold",
    "launching": "products that come on sale now",
    "pop": "buyers of the last 4 weeks, summed over products",
    "trend": "these, per buyer of the last 13 weeks",
    "each": "these, per product ever sold",
}
_OF_PAIR = {
    "num": "baskets of the customer",
    "fresh": "baskets, halved for every 90 days of age",
    "brief": "baskets, halved for every 21 days of age",
    "age": "days since the last one",
    "due": "days since the last one / usual gap between two",
    "share": "fresh / the customer's fresh baskets of everything",
}
_OF_CUSTOMER = {
    "range": "distinct products ever",
    "recent": f"distinct products of the last {NEW_WEEKS} weeks",
    "explore": f"share of the last {NEW_WEEKS} weeks' products that were bought for the first time",
    "adopted": f"purchases of the last {NEW_WEEKS} weeks of products that had just come on sale",
}
_OF_PRODUCT = {
    "display": "share of channels that displayed it in the last 4 weeks",
    "mailer": "share of channels with it in the mailer in the last 4 weeks",
    "display_now": "share of channels that displayed it in the last week",
    "mailer_now": "share of channels with it in the mailer of the last week",
    "display_most": "largest share of channels that ever displayed it in a week",
    "promotion_since": "weeks since it was first displayed or mailed",
    "promotion_ago": "weeks since it was last displayed or mailed",
    "promotion_weeks": "weeks of the last 13 in which it was displayed or mailed",
}
LAUNCH_FEATURES: dict[str, str] = (
    {f"{level}_{name}": f"{level}: {text}" for level in _LEVELS for name, text in (_OF_LEVEL | _OF_PAIR).items()}
    | _OF_CUSTOMER
    | _OF_PRODUCT
)
LAUNCH_PLAN = PLAN | {
    "plan_display_most": "the largest such share of one week",
    "plan_mailer_most": "the largest such share of one week",
    "plan_display_more": "plan_display less display",
    "plan_weeks": "target weeks in which it will be displayed or mailed",
    "plan_wait": "weeks until it is displayed or mailed for the first time of them",
}
"""Known at the cut only where a retailer fixes the promotion plan in advance; `plan_display_N` beside them is the
share of the Nth target week."""


class LaunchTable:
    """Candidates and features for products without sales, at one cut.

    launching       (L,) the products
    promotion_plan  with what is known of the promotions of the `target_days` after the cut
    """

    def __init__(
        self, statistics: PointInTimeStatistics, launching: Int32s, target_days: int = 0, promotion_plan: bool = False
    ) -> None:
        self._statistics = statistics
        self._launching = launching
        self._target_days = target_days
        self._plan = promotion_plan
        self._stats = {level: self._level(statistics.catalogue.codes(level)) for level in _LEVELS}

    def generators(self, num: int) -> list[CandidateGenerator]:
        """Affinity to text, line, kind and category, each weighed by how many buyers a product there can expect."""
        items = self._launching
        made = []
        for level in ("group", "line", "kind", "category"):
            code = self._statistics.catalogue.codes(level)[items]
            stats = self._stats[level]
            expected = (stats["draw"] + 0.1 * stats["each"] + 1e-4)[code].astype(np.float32)
            made.append(
                CandidateGenerator(level, num, items, affinity(self._statistics, level, items, expected, divide=False))
            )
        return made

    def names(self, generators: list[str]) -> list[str]:
        """Names of the feature columns, in order."""
        first, last = coming_weeks(self._statistics.cut, self._target_days)
        weeks = range(1, last - first + 2)
        plan = [*LAUNCH_PLAN, *(f"plan_display_{week}" for week in weeks)] if self._plan else []
        return [*LAUNCH_FEATURES, *plan, *(f"score_{name}" for name in generators)]

    def rows(self, customers: Customers, customer: Int32s, item: Int32s, scores: dict[str, Float32s]) -> Float32s:
        """(N, F) features of the pairs (customer[i], item[i]); customers are counted inside the slice."""
        features: dict[str, Values] = {}
        for level in _LEVELS:
            code = self._statistics.catalogue.codes(level)[item]
            features |= {f"{level}_{name}": values[code] for name, values in self._stats[level].items()}
            columns = level_columns(customers, level, customer, customers.levels[level].find(customer, code))
            features |= {f"{level}_{name}": values for name, values in columns.items()}
        tried, bought = customers.recent
        features["range"], features["recent"] = customers.variety[customer], bought[customer]
        features["explore"] = (tried / np.maximum(bought, 1))[customer]
        features["adopted"] = customers.adopted[customer]
        features |= {name: values[item] for name, values in self._promoted.items()}
        features |= {f"score_{name}": values for name, values in scores.items()}
        return table(features, self.names(list(scores)), customer.size)

    @cached_property
    def _promoted(self) -> dict[str, Float32s]:
        """(I,) what is known of the products' promotions, by the names of `_OF_PRODUCT` and `LAUNCH_PLAN`."""
        promotions, this = self._statistics.promotions, self._statistics.week
        num = self._statistics.catalogue.num_items
        month, now = promotions.mean(num, this - 3, this), promotions.mean(num, this, this)
        ever = promotions.shown(num, 0, this)
        columns = {
            "display": month[0],
            "mailer": month[1],
            "display_now": now[0],
            "mailer_now": now[1],
            "display_most": ever["display"],
            "promotion_since": this - ever["first"],
            "promotion_ago": this - ever["last"],
            "promotion_weeks": promotions.shown(num, this - 12, this)["weeks"],
        }
        if self._plan:
            first, last = coming_weeks(self._statistics.cut, self._target_days)
            coming = promotions.shown(num, first, last)
            columns |= dict(zip(PLAN, promotions.mean(num, first, last), strict=True))
            columns |= {
                "plan_display_most": coming["display"],
                "plan_mailer_most": coming["mailer"],
                "plan_display_more": columns["plan_display"] - columns["display"],
                "plan_weeks": coming["weeks"],
                "plan_wait": coming["first"] - this,
            }
            for week in range(first, last + 1):
                columns[f"plan_display_{week - this}"] = promotions.mean(num, week, week)[0]
        return columns

    def _level(self, codes: Int32s) -> dict[str, Float32s]:
        """What is known of the products of each code of a level, by the names of `_OF_LEVEL`."""
        statistics, num = self._statistics, int(codes.max(initial=0)) + 1
        came = statistics.weeks_ago(statistics.first_days)
        debut = statistics.sold & (came < NEW_WEEKS)
        debuts = np.bincount(codes[debut], minlength=num)
        weeks = np.maximum(came[debut] + 1, 1)
        draw = np.bincount(codes[debut], statistics.buyers["13w"][debut] / weeks, num)
        overall = draw.sum() / max(debuts.sum(), 1)
        sold = np.bincount(codes[statistics.sold], minlength=num)
        month = np.bincount(codes[statistics.active], statistics.buyers["4w"][statistics.active], num)
        columns = {
            "debuts": debuts,
            "draw": (draw + 2 * overall) / (debuts + 2),
            "sold": sold,
            "launching": np.bincount(codes[self._launching], minlength=num),
            "pop": month,
            "trend": (month + 1) / (np.bincount(codes, statistics.buyers["13w"], num) + 3),
            "each": (month + 0.5) / (sold + 2),
        }
        return {name: np.asarray(values, np.float32) for name, values in columns.items()}
