"""Two terms that any scorer may lean on: how a product sells just now, and what the customer buys again.

What a customer has bought before is scored by the second term alone, in the place of the scorer (repeat and explore as
two modes: Ren et al., 2019, "RepeatNet"); everything else by the scorer plus the first.

Shapes: A items, P (customer, item) pairs, F features of a pair, G features of an item, B customers, S of their pace.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.retrieval.scorers.material import EventTable
from nightmarket.retrieval.scorers.past import NUM_FEATURES, NUM_PACE

SPANS = (1, 2, 4, 13, 1000)
"""Weeks over which an item's buyers are counted."""

NEW_SPANS = (4, 13, 1000)
"""Weeks over which first-time buyers are counted."""

NUM_TREND = len(SPANS) + len(NEW_SPANS) + 3
_MEMORY = 60  # weeks; older sales count as if they were this old


class Trend:
    """How each item sells at any origin up to the ledger's."""

    def __init__(self, ledger: EventTable) -> None:
        self.ledger = ledger
        self.last = ledger.origin
        first = int(ledger.week.min()) if len(ledger.week) else self.last
        self.first = max(first, self.last - _MEMORY)
        num_weeks = self.last - self.first + 1
        week = np.maximum(ledger.week - self.first, 0)
        self.sold = self._cumulative(week, ledger.item, num_weeks)
        self.new = self._cumulative(week[ledger.first], ledger.item[ledger.first], num_weeks)
        self.all_sold, self.all_new = (table.sum(axis=1, dtype=np.float64) for table in (self.sold, self.new))

    def _cumulative(self, week: np.ndarray, item: np.ndarray, num_weeks: int) -> Float32s:
        """(W + 1, I) events before each week."""
        out = np.zeros((num_weeks + 1, self.ledger.num_items), np.float32)
        counts = np.bincount(week * self.ledger.num_items + item, minlength=num_weeks * self.ledger.num_items)
        np.cumsum(counts.reshape(num_weeks, -1), axis=0, out=out[1:])
        return out

    def features(self, items: Int64s, origin: int) -> Float32s:
        """(A, G) logarithms, divided by 3, of what is known at the end of week `origin`; zero for unsold items."""
        end = min(max(origin - self.first + 1, 0), len(self.sold) - 1)
        columns = []
        for table, total, spans in ((self.sold, self.all_sold, SPANS), (self.new, self.all_new, NEW_SPANS)):
            for span in spans:
                start = max(end - span, 0)
                count = table[end, items] - table[start, items]
                columns.append(np.log((count + 0.3) * (1e4 / (total[end] - total[start] + 1.0))))
        table = self.sold[: end + 1, items]
        weeks = table[1:] > table[:-1]
        ago = np.where(weeks.any(axis=0), weeks[::-1].argmax(axis=0), _MEMORY) if end else np.full(len(items), _MEMORY)
        first = self.ledger.first_week[items].astype(np.int64)
        columns += [np.log1p(ago), np.log1p(np.clip(origin - first, 0, _MEMORY)), np.full(len(items), 3.0)]
        known = (first <= origin)[:, None]
        return (np.stack(columns, axis=1) / 3 * known).astype(np.float32)


class SideTerms(nn.Module):
    """Scores from the features of a pair and of an item; either term may be left out."""

    def __init__(self, repeats: bool, trend: bool, hidden: int = 32) -> None:
        super().__init__()
        self.trend = _SmallNetwork(NUM_TREND, hidden) if trend else None
        self.repeats = _SmallNetwork(NUM_FEATURES + NUM_TREND, hidden) if repeats else None
        self.hidden = _SmallNetwork(NUM_TREND, hidden) if trend else None
        self.leaning = nn.Linear(NUM_PACE, NUM_TREND) if trend else None

    def start(self, generator: torch.Generator) -> None:
        """Where training starts: an item is wanted as it sold in the last 4 and 13 weeks; one's own, as often and as
        lately as it was bought."""
        with torch.no_grad():
            for small in (self.trend, self.repeats, self.hidden):
                if small is not None:
                    bound = small.inside.in_features**-0.5
                    small.inside.weight.uniform_(-bound, bound, generator=generator)
                    for zero in (small.inside.bias, small.direct.bias, small.direct.weight, small.out.weight):
                        zero.zero_()
            if self.leaning is not None:
                self.leaning.weight.zero_()
                self.leaning.bias.zero_()
            if self.trend is not None:
                self.trend.direct.weight[0, [2, 3]] = 1.0
            if self.repeats is not None:
                self.repeats.direct.weight[0, :3] = 1.0

    def of_items(self, trend_AG: Tensor, hidden: bool = False) -> Tensor:
        """(A,) for customers who never bought the item. hidden: for those who did and whose purchase was hidden from
        the scorer, in training alone; how often that is so says nothing about the next weeks.
        """
        term = self.hidden if hidden else self.trend
        if term is None:
            return trend_AG.new_zeros(len(trend_AG))
        return term(trend_AG)

    def of_customers(self, pace_BS: Tensor) -> Tensor:
        """(B, G) what a customer adds to the weights of the trend: who shops often has most of what sells."""
        if self.leaning is None:
            return pace_BS.new_zeros(len(pace_BS), NUM_TREND)
        return self.leaning(pace_BS)

    def of_pairs(self, features_PF: Tensor, trend_PG: Tensor) -> Tensor:
        """(P,) for customers who did, in the place of all else."""
        assert self.repeats is not None
        return self.repeats(torch.cat([features_PF, trend_PG], dim=1))


class _SmallNetwork(nn.Module):
    """A linear map and, beside it, one hidden layer."""

    def __init__(self, num: int, hidden: int) -> None:
        super().__init__()
        self.direct = nn.Linear(num, 1)
        self.inside = nn.Linear(num, hidden)
        self.out = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.direct(x) + self.out(functional.gelu(self.inside(x)))
        return score.squeeze(-1)
