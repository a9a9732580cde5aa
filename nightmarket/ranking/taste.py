"""Latent factors in shops that record purchases alone and whose customers seldom buy the same again.

Where they do, as at a grocer, the history says most, and the time for factors is saved (whether they would gain there
was not tried); where they do not, what is asked is what else a customer likes. Shapes: B customers of a slice, A items.
"""

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import KINDS, Interactions
from nightmarket.ranking import factors
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.generators import Score
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics

MOST_REPEATS = 0.2
"""Up to this share of repeats among purchases factors are learned; the demo, a grocer, has .39."""
NUM = 60
DAY_SECONDS = 86_400


def repeats(lines: Histories) -> float:
    """Share of what customers bought on a day that they had bought on an earlier one; 0 without purchases."""
    pair = lines.customer.astype(np.int64) * lines.num_items + lines.item
    span = int(lines.day.max(initial=0)) + 1
    return 1 - np.unique(pair).size / max(np.unique(pair * span + lines.day).size, 1) if len(lines) else 0.0


def events(lines: Histories) -> Interactions:
    """Purchases as what was done, a basket as a session."""
    kind = np.full(len(lines), KINDS.index("purchase"), np.int8)
    second = lines.day.astype(np.int64) * DAY_SECONDS
    return Interactions(
        lines.customer, lines.item, lines.day, second, kind, lines.basket, lines.num_customers, lines.num_items
    )


def candidates(lines: Histories) -> int:
    """How many products factors propose to each customer of a shop: none where many purchases are repeats."""
    return NUM if repeats(lines) <= MOST_REPEATS else 0


def latent(statistics: PointInTimeStatistics) -> Factors | None:
    """Factors from all purchases up to the cut; None where nobody bought anything."""
    said = factors.attributes(statistics.catalogue, statistics.terms, statistics.vectors)
    return factors.fit(events(statistics.histories), statistics.today, said)


def by_factors(statistics: PointInTimeStatistics, learned: Factors, items: Int32s) -> Score:
    """The product of a customer's and an item's factors, (B, A)."""
    columns = np.ascontiguousarray(learned.items[items].T)

    def score(customers: Customers) -> Float32s:
        lines = customers.lines
        done = factors.strengths(events(lines), statistics.today, lines.customer, customers.num)
        scores: Float32s = learned.customers(done) @ columns
        return scores

    return score
