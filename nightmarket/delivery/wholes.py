"""What whole contacts say of an allocation before it is solved: which options anybody can pay for, which sums a budget
can be spent in, and what profit plans can have."""

from dataclasses import dataclass, replace

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Float64s
from nightmarket.delivery.problem import Problem, Rows

MOST_AMOUNTS = 64
ALIKE = 1e-6
"""Relative difference below which amounts in float32 are the same."""
FINEST = 1e-3
"""Of the least amount that a common unit is, at least."""
THRIFT = 1e-6
"""Of what a unit of currency usually brings."""


@dataclass(frozen=True)
class UsablePairs:
    """Pairs of a customer and an option that earn something and can be paid for.

    num_usable      how many there are
    costs, profits  (≤ 64,)  their different amounts above 0, currency; empty where there are more
    thrift          a millionth of the median of profit over cost
    """

    num_usable: int
    costs: Float64s
    profits: Float64s
    thrift: float

    def whole_profit(self, bound: float) -> float:
        """The most that a plan whose profit is at most `bound` can have."""
        return _whole(bound, self.profits)


def affordable(problem: Problem) -> Problem:
    """The problem without the options that cost a customer more than the whole budget."""

    def block(rows: Rows) -> tuple[Float32s, Float32s]:
        profit, cost = problem.block(rows)
        too_dear = cost > problem.budget
        return (np.where(too_dear, np.float32(-np.inf), profit) if too_dear.any() else profit), cost

    return replace(problem, block=block)


def survey(problem: Problem) -> UsablePairs:
    """Look at every pair once.

    Raises InputError for a profit that is not a number or infinite, and a cost that is not a number, infinite or
    below 0, of an option that is open.
    """
    num, ratios = 0, []
    costs, profits = _Amounts(), _Amounts()
    for some, profit, cost in problem.blocks():
        open_pairs = profit != -np.inf
        bad = open_pairs & ~((profit < np.inf) & (cost >= 0) & (cost < np.inf))
        if bad.any():
            first = int(bad.any(axis=1).argmax()) + (some.start if isinstance(some, slice) else 0)
            raise InputError(
                f"allocation: {int(bad.sum())} profits or costs are not finite, or costs below 0, first of customer "
                f"number {first}; give numbers, costs of at least 0, and a profit of -inf where an option is closed"
            )
        usable = (profit > 0) & problem.open & (problem.allowance[some] > 0)[:, None]
        num += int(usable.sum())
        paid, gained = cost[usable], profit[usable]
        costs.add(paid[paid > 0])
        profits.add(gained)
        step = max(paid.size // 4096, 1)
        paid, gained = paid[::step], gained[::step]
        ratios.append(gained[paid > 0].astype(np.float64) / paid[paid > 0])
    ratio = np.concatenate(ratios) if ratios else np.zeros(0)
    return UsablePairs(num, costs.all, profits.all, THRIFT * float(np.median(ratio)) if ratio.size else 0.0)


class _Amounts:
    """The different amounts that pass by, none once there are too many."""

    def __init__(self) -> None:
        self.all: Float64s = np.zeros(0)
        self._many = False

    def add(self, values: Float32s) -> None:
        """Values (n,), positive."""
        if self._many:
            return
        few = np.unique(values[:1000])
        joined = np.union1d(self.all, np.unique(values).astype(np.float64)) if few.size <= MOST_AMOUNTS else few
        self._many = joined.size > MOST_AMOUNTS
        self.all = np.zeros(0) if self._many else np.asarray(joined, np.float64)


def whole_budget(budget: float, costs: Float64s) -> float:
    """The most of a budget that contacts at these costs can spend."""
    return _whole(budget, costs)


def _whole(total: float, amounts: Float64s) -> float:
    """The largest sum of amounts that is not above the total, up to a millionth, where they have a common unit."""
    unit = _common_unit(amounts)
    if unit == 0 or not np.isfinite(total):
        return total
    return float(min(total, unit * np.floor(total * (1 + ALIKE) / unit) * (1 + ALIKE)))


def _common_unit(amounts: Float64s) -> float:
    """What all amounts are whole multiples of, up to rounding; 0 where there is no such thing."""
    if not amounts.size:
        return 0.0
    least, unit = float(amounts.min()), float(amounts[0])
    for amount in amounts.tolist():
        larger, smaller = max(amount, unit), min(amount, unit)
        while smaller > FINEST * least:
            larger, smaller = smaller, abs(larger - smaller * round(larger / smaller))
        unit = larger
    times = amounts / unit
    return unit if (np.abs(times - times.round()) <= ALIKE * times).all() else 0.0
