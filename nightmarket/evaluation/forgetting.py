"""Forgetting: groups of customers whom the model served well last month, compared under the old and the new model.

Groups are fixed before the weeks on which the models are compared, and by neither of them: a baseline fitted up to a
month before the cut is judged on that month. Groups picked on the compared figures themselves would fall back to the
mean, and every new model would seem to have forgotten them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int32s
from nightmarket.evaluation.intervals import Interval
from nightmarket.evaluation.metrics import hits, rank_metrics
from nightmarket.histories.histories import Histories

HALF_LIFE_DAYS = 90.0
PLACES = 10
_DRAWS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Group:
    """Customers who were strong for one reason, as codes, ascending (G,)."""

    name: str
    customers: Int32s


def frequent_lists(histories: Histories, cut: int, half_life: float = HALF_LIFE_DAYS) -> Int32s:
    """(C, 10) each customer's products bought most by the end of the day `cut`, a purchase halved per half-life, days.

    Best first, -1 where a customer has fewer; of equals the product with the lower code.
    """
    past = histories.until(cut)
    age = cut - past.day
    weight = past.matrix(np.exp2(-age / half_life).astype(np.float32))
    owner = np.repeat(np.arange(histories.num_customers), np.diff(weight.indptr))
    order = np.lexsort((weight.indices, -weight.data, owner))
    place = np.arange(order.size) - weight.indptr[owner]
    lists = np.full((histories.num_customers, PLACES), -1, np.int32)
    first = place < PLACES
    lists[owner[first], place[first]] = weight.indices[order][first]
    return lists


def strong_groups(
    histories: Histories,
    departments: Sequence[str],
    cut: int,
    days: int,
    *,
    num_departments: int = 6,
    least: int = 30,
) -> list[Group]:
    """The customers and departments that a plain baseline served best in the last `days` days before the cut.

    departments      (I,)  name of each product's department
    cut              the last day that is looked at
    num_departments  departments with the best recall at 10 (share of their purchased products that the lists held)
    least            customers that a group needs

    The first group is the top quarter by NDCG@10 among the customers who bought something in that month. The group of a
    department is the customers for whom the baseline found at least one of its products. [] where the history is too
    short for a month and a past before it.
    """
    past_until = cut - days
    if not (histories.day <= past_until).any():
        return []
    lists = frequent_lists(histories, past_until)
    indptr, items = histories.between(past_until + 1, cut).targets()
    hit = hits(lists, indptr, items)
    score = rank_metrics(lists, indptr, items, cutoffs=(PLACES,))[f"ndcg@{PLACES}"]
    known = score[~np.isnan(score)]
    groups = []
    if known.size:
        strong = np.flatnonzero(score >= max(float(np.quantile(known, 0.75)), 1e-9))
        groups.append(Group("best served quarter of the customers", strong.astype(np.int32)))
    names, code = np.unique(np.asarray(departments, dtype=str), return_inverse=True)
    wanted = np.bincount(code[items], minlength=names.size)
    row, place = np.nonzero(hit)
    department = code[lists[row, place]]
    recall = np.bincount(department, minlength=names.size) / np.maximum(wanted, 1)
    served = {d: np.unique(row[department == d]).astype(np.int32) for d in np.unique(department)}
    enough = [d for d in served if served[d].size >= least]
    for d in sorted(enough, key=lambda d: (-recall[d], names[d]))[:num_departments]:
        groups.append(Group(f"department {names[d]}", served[d]))
    return [group for group in groups if group.customers.size >= least]


@dataclass(frozen=True)
class Kept:
    """A group's mean difference in the compared figure, new minus old, and over how many of its customers."""

    difference: Interval
    num_customers: int

    @property
    def forgotten(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.difference.high < 0

    def content(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {**self.difference._asdict(), "num_customers": self.num_customers}


def compared(
    groups: Sequence[Group],
    new: Mapping[int, float],
    old: Mapping[int, float],
    seed: int,
    *,
    least: int = 30,
    num: int = 10_000,
) -> dict[str, Kept]:
    """Each group's paired difference with an interval that is right for all groups together.

    new, old  a figure per customer who has one; the difference is taken over customers with both
    least     customers with both figures that a group needs; smaller ones are left out

    Percentile bootstrap over customers, widened by Bonferroni: with G groups each interval has level 1 - .05 / G, so
    that under two equal models the chance that any interval lies off zero stays at 5% (below zero: 2.5%).
    """
    differences = {}
    for group in groups:
        both = [int(c) for c in group.customers if int(c) in new and int(c) in old]
        difference = np.array([new[c] - old[c] for c in both], dtype=np.float64)
        if (known := difference[np.isfinite(difference)]).size >= least:
            differences[group.name] = known
    tail = 0.025 / max(len(differences), 1)
    return {name: Kept(_interval(values, tail, seed, num), values.size) for name, values in differences.items()}


def _interval(values: Float64s, tail: float, seed: int, num: int) -> Interval:
    """Mean of (G,) values with its percentile interval; `tail` is the share of resamples beyond either end."""
    rng = np.random.default_rng(seed)
    block = max(1, _DRAWS_AT_ONCE // values.size)
    sizes = [min(block, num - start) for start in range(0, num, block)]
    draws = (rng.integers(0, values.size, (size, values.size), dtype=np.int32) for size in sizes)
    means = np.concatenate([values[drawn].mean(axis=1) for drawn in draws])
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))
