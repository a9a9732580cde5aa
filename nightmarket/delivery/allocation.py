"""Who gets which option: prices from the dual, choices per customer, a repaired plan, and the bound as certificate."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float64s
from nightmarket.delivery.prices import evaluate, solve
from nightmarket.delivery.problem import NOTHING, Problem, choose, net
from nightmarket.delivery.repair import CORE, picks_and_core, settle, without_core

ENOUGH = 5e-5
"""Gap at which the core grows no further."""
LARGEST = 40_000
"""Pairs of the largest core that is tried for a smaller gap; for a plan at all it grows as far as it must."""
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class Certificate:
    """How far a plan may be from the best one.

    value  profit of the plan, currency
    bound  what no plan can exceed: the dual at the plan's prices, in float64
    """

    value: float
    bound: float

    @property
    def gap(self) -> float:
        """(bound - value) / bound, at least 0; 0 where nothing can be earned."""
        return max(self.bound - self.value, 0.0) / self.bound if self.bound > 0 else 0.0


@dataclass(frozen=True)
class Allocation:
    """A plan.

    picks   (C, K)    options, -1 for none
    prices  (1 + G,)  profit per unit of budget, then per contact of each capacity
    use     (1 + G,)  what the plan spends, then how often it draws on each capacity
    """

    picks: NDArray[np.int16]
    prices: Float64s
    use: Float64s
    certificate: Certificate


def allocate(problem: Problem, seed: int = 0, core: int = CORE) -> Allocation:
    """The plan with the most profit, up to the gap that its certificate states; no limit is ever overdrawn.

    An empty budget gives an empty plan, and what loses money is not sent.
    core  customer-option pairs decided by the linear programme; it grows where that is not enough
    """
    if problem.budget <= 0 or problem.most == 0 or problem.num_customers == 0 or not problem.open.any():
        return _empty(problem)
    prices = solve(problem, seed)
    log.info("plan: prices found")
    bound = evaluate(problem, prices, exact=True).bound
    everything = problem.num_customers * problem.offer.size
    best, most = None, -np.inf
    while True:
        chosen, close = picks_and_core(problem, prices, core)
        fixed, close = without_core(problem, chosen, close)
        if settle(problem, fixed, close, totals(problem, fixed)[1]):
            value = totals(problem, fixed)[0]
            if value > most:
                best, most = fixed, value
            if bound - most <= ENOUGH * bound or core >= LARGEST:
                break
        if core >= everything:
            break
        core *= 4
    assert best is not None, "nothing is fixed, and a limit is overdrawn"
    use = totals(problem, best)[1]
    return Allocation(best, prices, use, Certificate(most, max(bound, most)))


def totals(problem: Problem, picks: NDArray[np.int16]) -> tuple[float, Float64s]:
    """Profit of a plan, and (1 + G,) what it draws on budget and capacities."""
    value, spent = 0.0, 0.0
    taken = np.zeros(problem.offer.size)
    for some, profit, cost in problem.blocks():
        mine = picks[some]
        row, k = np.nonzero(mine != NOTHING)
        option = mine[row, k]
        value += float(profit[row, option].sum(dtype=np.float64))
        spent += float(cost[row, option].sum(dtype=np.float64))
        taken += np.bincount(option, minlength=taken.size)
    return value, np.concatenate([[spent], problem.uses @ taken])


def at_prices(problem: Problem, prices: Float64s) -> NDArray[np.int16]:
    """(C, K) what each customer would get at given prices, limits aside: the choice for customers kept back."""
    picks = np.full((problem.num_customers, problem.most), NOTHING, np.int16)
    for some, profit, cost in problem.blocks():
        reduced = net(problem, profit, cost, prices)
        picks[some], _ = choose(reduced, problem.allowance[some], problem.offer, problem.most)
    return picks


def violations(problem: Problem, picks: NDArray[np.int16]) -> int:
    """Limits that a plan breaks: budget, capacities, contacts per customer, the same offer twice."""
    use = totals(problem, picks)[1]
    shared = int((use > problem.limits * (1 + 1e-9)).sum())
    crowded = int(((picks != NOTHING).sum(axis=1) > problem.allowance).sum())
    offers = np.sort(np.where(picks == NOTHING, -1 - np.arange(picks.shape[1]), problem.offer[picks]), axis=1)
    return shared + crowded + int((offers[:, 1:] == offers[:, :-1]).sum())


def _empty(problem: Problem) -> Allocation:
    picks = np.full((problem.num_customers, problem.most), NOTHING, np.int16)
    none = np.zeros(problem.limits.size)
    return Allocation(picks, none, none.copy(), Certificate(0.0, 0.0))
