"""Who gets which option: choices at the dual's prices, repaired to keep every limit, with the bound as certificate.

At the best prices the customers' own choices overdraw or underuse the limits by the few customers who hesitate between
two options. These close calls, the closest of every option, form the core (Balas and Zemel 1980); everything else is
fixed and the core is solved as a linear programme, whose vertices split at most as many customers as there are limits.
What it leaves split is settled by diving: one pair is rounded up if it fits, or else left out, and the programme is
solved again on the pairs that are closest by its own prices.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.delivery.problem import NOTHING, Problem, choose, evaluate, net, solve

CORE = 10_000
"""Customer-option pairs that are decided anew."""
DIVE, MAX_DIVES = 1500, 60
WHOLE = 1 - 1e-6


@dataclass(frozen=True)
class ClosePairs:
    """Close calls: pairs of a customer and an option.

    customer, option (N,)  int64
    profit, cost     (N,)  float64, currency
    worth            (N,)  net of prices
    """

    customer: Int64s
    option: Int64s
    profit: Float64s
    cost: Float64s
    worth: Float64s

    def at(self, rows: NDArray) -> "ClosePairs":
        """The pairs of the given rows."""
        return ClosePairs(self.customer[rows], self.option[rows], self.profit[rows], self.cost[rows], self.worth[rows])


def picks_and_core(problem: Problem, prices: Float64s, size: int) -> tuple[NDArray[np.int16], ClosePairs]:
    """(C, K) each customer's choice at the prices, and the `size` pairs whose decision was closest."""
    chosen = np.full((problem.num_customers, problem.most), NOTHING, np.int16)
    kept: list[tuple[NDArray, ClosePairs]] = []
    cutoff, num, options = np.full(problem.offer.size, np.inf), 0, problem.offer.size
    for some, profit, cost in problem.blocks():
        reduced = net(problem, profit, cost, prices)
        picks, worth = choose(reduced.copy(), problem.allowance[some], problem.offer, problem.most)
        chosen[some] = picks
        close = _regret(reduced, picks, worth, problem.allowance[some], problem.offer)
        row, option = np.nonzero(close < cutoff)
        values = (profit[row, option], cost[row, option], reduced[row, option])
        first = some.start if isinstance(some, slice) else 0
        kept.append((close[row, option], ClosePairs(row + first, option, *(v.astype(np.float64) for v in values))))
        num += row.size
        if num > 4 * size:
            kept = [_closest(kept, -(-size // options))]
            num = kept[0][0].size
            cutoff = _cutoffs(*kept[0], -(-size // options), options)
    return chosen, _closest(kept, -(-size // options))[1]


def _regret(
    reduced: NDArray, picks: NDArray[np.int16], worth: NDArray, allowance: NDArray[np.int8], offer: NDArray
) -> NDArray:
    """(n, J) how much net value it costs to decide a pair the other way; inf where an option is closed."""
    most = picks.shape[1]
    row, k = np.nonzero(picks != NOTHING)
    option = picks[row, k]
    others = reduced.copy()
    others[row, option] = -np.inf
    second = np.maximum(others.max(axis=1), 0.0)
    # What a further contact pushes out: the least of the choices where no more are allowed, or nothing.
    full = (picks != NOTHING).sum(axis=1) >= allowance
    least = np.where(picks != NOTHING, worth, np.inf).min(axis=1, initial=np.inf)
    floor = np.where(full, least, 0.0)[:, None]
    regret = np.where(np.isinf(reduced), np.inf, np.maximum(floor - reduced, 0.0))
    if most > 1:
        for nth in range(most):
            same = (offer == offer[picks[:, nth]][:, None]) & (picks[:, nth] != NOTHING)[:, None]
            regret = np.where(same, np.maximum(regret, worth[:, [nth]] - reduced), regret)
    regret[row, option] = reduced[row, option] - second[row]
    regret[allowance == 0] = np.inf
    return np.maximum(regret, 0.0)


def _closest(kept: list[tuple[NDArray, ClosePairs]], each: int) -> tuple[NDArray, ClosePairs]:
    """The `each` closest pairs of every option."""
    regret = np.concatenate([close for close, _ in kept])
    names = ("customer", "option", "profit", "cost", "worth")
    pairs = ClosePairs(*(np.concatenate([getattr(part, name) for _, part in kept]) for name in names))
    order = np.lexsort((regret, pairs.option))
    first = np.searchsorted(pairs.option[order], pairs.option[order])
    rows = np.sort(order[np.arange(order.size) - first < each])
    return regret[rows], pairs.at(rows)


def _cutoffs(regret: NDArray, pairs: ClosePairs, each: int, options: int) -> NDArray:
    """(J,) regret from which a pair of an option is no longer among its closest."""
    worst = np.zeros(options)
    np.maximum.at(worst, pairs.option, regret)
    return np.where(np.bincount(pairs.option, minlength=options) < each, np.inf, worst)


def settle(problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, fixed_use: Float64s) -> bool:
    """Decide the core anew and write it into `chosen` (C, K), which holds the fixed choices alone.

    fixed_use  (1 + G,)  what the fixed choices draw on budget and capacities
    Returns False, with `chosen` as it was, where the fixed choices alone overdraw a limit.
    """
    left = problem.limits - fixed_use
    if (left < -1e-9 * np.maximum(1.0, np.abs(fixed_use))).any():
        return False
    plan = _Greedy(problem, chosen, core, np.maximum(left, 0.0))
    share, regret = _relaxed(problem, chosen, core, plan.left)
    order = np.argsort(np.where((share > WHOLE) | (share < 1 - WHOLE), regret, -1.0), kind="stable")
    for pair in order[DIVE:][share[order[DIVE:]] > WHOLE].tolist():
        plan.add(pair)
    waiting = order[:DIVE]
    for _ in range(MAX_DIVES):
        waiting = waiting[[plan.has_room(pair) for pair in waiting.tolist()]] if waiting.size else waiting
        share, _ = _relaxed(problem, chosen, core.at(waiting), plan.left)
        split = (share <= WHOLE) & (share >= 1 - WHOLE)
        if not split.any():
            break
        best = int(np.argmax(np.where(split, share, -1.0)))
        plan.add(int(waiting[best]))
        waiting, share = np.delete(waiting, best), np.delete(share, best)
    for pair in waiting[np.lexsort((-core.worth[waiting], -share.round(6)))].tolist():
        plan.add(pair)
    return True


def _relaxed(problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s) -> tuple[NDArray, NDArray]:
    """(N,) how much of each pair the linear programme takes, in [0, 1], and what it would cost to decide otherwise."""
    num = core.customer.size
    if num == 0:
        return np.zeros(0), np.zeros(0)
    every = np.arange(num)
    used = (chosen[core.customer] != NOTHING).sum(axis=1)
    people, person = np.unique(core.customer, return_inverse=True)
    room = np.zeros(people.size)
    room[person] = problem.allowance[core.customer] - used
    deals, deal = np.unique(core.customer * problem.offer.size + problem.offer[core.option], return_inverse=True)
    priced = np.isfinite(left)
    shared = np.concatenate([core.cost[None], problem.uses[:, core.option]])[priced]
    rows = [
        sparse.csr_matrix(shared),
        sparse.csr_matrix((np.ones(num), (person, every)), shape=(people.size, num)),
        sparse.csr_matrix((np.ones(num), (deal, every)), shape=(deals.size, num)),
    ]
    done = linprog(
        -core.profit,
        A_ub=sparse.vstack(rows, format="csr"),
        b_ub=np.concatenate([left[priced], room, np.ones(deals.size)]),
        bounds=(0, 1),
        method="highs-ds",
    )
    if done.x is None:
        return np.zeros(num), np.zeros(num)
    return done.x, np.abs(done.lower.marginals + done.upper.marginals)


class _Greedy:
    """Pairs taken one by one, while every limit holds."""

    def __init__(self, problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s) -> None:
        self._problem, self._chosen, self._core = problem, chosen, core
        self.left = left.copy()

    def has_room(self, pair: int) -> bool:
        """Whether the customer may still get the pair's offer, limits aside."""
        customer, option = int(self._core.customer[pair]), int(self._core.option[pair])
        mine = self._chosen[customer]
        has = mine[mine != NOTHING]
        offer = self._problem.offer
        return bool(has.size < self._problem.allowance[customer] and not (offer[has] == offer[option]).any())

    def add(self, pair: int) -> bool:
        """Take a pair if it fits."""
        core, problem = self._core, self._problem
        customer, option = int(core.customer[pair]), int(core.option[pair])
        need = np.concatenate([[core.cost[pair]], problem.uses[:, option]])
        if core.profit[pair] <= 0 or (need > self.left).any() or not self.has_room(pair):
            return False
        self.left -= need
        self._chosen[customer, int((self._chosen[customer] != NOTHING).sum())] = option
        return True


def without_core(problem: Problem, chosen: NDArray[np.int16], core: ClosePairs) -> tuple[NDArray[np.int16], ClosePairs]:
    """The choices with those of the core taken out, and the core without options that a fixed choice rules out."""
    fixed = chosen.copy()
    for k in range(fixed.shape[1]):
        fixed[core.customer[chosen[core.customer, k] == core.option], k] = NOTHING
    order = np.argsort(fixed == NOTHING, axis=1, kind="stable")
    fixed = np.take_along_axis(fixed, order, axis=1)
    free = (fixed[core.customer] != NOTHING).sum(axis=1) < problem.allowance[core.customer]
    for k in range(fixed.shape[1]):
        mine = fixed[core.customer, k]
        free &= (mine == NOTHING) | (problem.offer[mine] != problem.offer[core.option])
    return fixed, core.at(np.flatnonzero(free))


CLOSE_CALL = 1e-4
"""Part of its profit that a choice may be worth after the prices, or lack, and be a close call."""
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


def at_prices(problem: Problem, prices: Float64s) -> tuple[NDArray[np.int16], Bools]:
    """(C, K) what each customer would get at given prices, limits aside, and (C, K) which of it is a close call: worth
    nothing after the prices, up to their precision.
    """
    picks = np.full((problem.num_customers, problem.most), NOTHING, np.int16)
    close = np.zeros(picks.shape, bool)
    for some, profit, cost in problem.blocks():
        slack = np.where(np.isfinite(profit), CLOSE_CALL * np.abs(profit), 0)
        chosen, worth = choose(
            net(problem, profit, cost, prices) + slack, problem.allowance[some], problem.offer, problem.most
        )
        row, k = np.nonzero(chosen != NOTHING)
        picks[some] = chosen
        near = np.zeros(chosen.shape, bool)
        near[row, k] = worth[row, k] <= 2 * slack[row, chosen[row, k]]
        close[some] = near
    return picks, close


def as_sent(problem: Problem, allocation: Allocation, rest: Problem, seed: int = 0) -> NDArray[np.int16]:
    """(C, K) what the customers of `rest` would be sent if they were among those of `problem`, whose allocation it is.

    That is their choice at its prices. Where many customers are alike, prices divide nobody: of the close calls they
    get the share that was sent, drawn at random.
    """
    picks, close = at_prices(problem, allocation.prices)
    num_close = int(close.sum())
    sure = int((picks != NOTHING).sum()) - num_close
    share = ((allocation.picks != NOTHING).sum() - sure) / num_close if num_close else 0.0
    picks, close = at_prices(rest, allocation.prices)
    row, k = np.nonzero(close)
    rng = np.random.default_rng(seed)
    dropped = rng.permutation(row.size)[int(np.clip(share, 0.0, 1.0) * row.size + rng.random()) :]
    picks[row[dropped], k[dropped]] = NOTHING
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
