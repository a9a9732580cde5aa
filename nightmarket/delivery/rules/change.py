"""What rules change in lists, and what that costs. Shapes: C customers, K places."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Int32s, Int64s
from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import Targets

SEED = 17
SHOWN = 5
"""Products that are named, of those that go and those that come."""


@dataclass(frozen=True)
class ListChange:
    """What lists with rules are beside the same without.

    num_customers, num_changed  lists, and those that are not the same, in another order too
    places       of a list, how many hold another product, on average over all lists
    gone, come   (product, customers in whose lists it is no more, or new), most first
    """

    num_customers: int
    num_changed: int
    places: float
    gone: list[tuple[int, int]]
    come: list[tuple[int, int]]


@dataclass(frozen=True)
class Cost:
    """Share of customers who bought something on their list in a window: without rules, with, and the difference; and
    how many customers bought anything then."""

    without: Interval
    with_rules: Interval
    difference: Interval
    num_customers: int


def change(without_CK: Int32s, with_CK: Int32s) -> ListChange:
    """Lists of the same customers, -1 where one is shorter."""
    gone, come = _missing(without_CK, with_CK), _missing(with_CK, without_CK)
    return ListChange(
        len(without_CK),
        int((without_CK != with_CK).any(axis=1).sum()),
        float(come.sum() / max(len(with_CK), 1)),
        _most(without_CK[gone]),
        _most(with_CK[come]),
    )


def cost(without_CK: Int32s, with_CK: Int32s, wanted: Targets) -> Cost:
    """By what these C customers bought in a window."""
    places = without_CK.shape[1]
    hit = [
        rank_metrics(lists, wanted.indptr, wanted.items, (places,))[f"hit@{places}"] for lists in (without_CK, with_CK)
    ]
    num = int(np.isfinite(hit[0]).sum())
    return Cost(bootstrap(hit[0], SEED), bootstrap(hit[1], SEED), paired(hit[1], hit[0], SEED), num)


def _missing(lists_CK: Int32s, other_CK: Int32s) -> Bools:
    """(C, K) which products are not in the same customer's other list."""
    out = lists_CK >= 0
    for place in range(other_CK.shape[1]):
        out &= lists_CK != other_CK[:, place, None]
    return out


def _most(items: Int32s) -> list[tuple[int, int]]:
    distinct, num = np.unique(items, return_counts=True)
    order: Int64s = np.lexsort((distinct, -num))[:SHOWN]
    return [(int(distinct[at]), int(num[at])) for at in order]
