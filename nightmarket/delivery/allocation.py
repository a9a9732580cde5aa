"""Who gets which option: choices at the dual's prices, repaired to keep every limit, with the bound as certificate.

At the best prices most customers know what they get. Those who hesitate, many of them where values are equal, are dealt
the choices that the dual mixes, in its shares; what that overdraws is taken back where it is worth least, and the close
calls are decided anew (`close_calls`). Where the gap is not small then, and few pairs can still be wrong,
these are decided exactly.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.delivery.close_calls import closest, settle, settle_exactly, within, without_core
from nightmarket.delivery.problem import NOTHING, Optimum, Problem, choose, evaluate, net, optimum
from nightmarket.delivery.wholes import UsablePairs, affordable, survey, whole_budget

CORE = 10_000
"""Customer-option pairs that are decided anew."""
CLOSE_CALL = 1e-4
"""Part of its profit that a choice may be worth after the prices, or lack, and be a close call."""
ENOUGH = 5e-5
"""Gap at which the core grows no further."""
LARGEST = 40_000
"""Pairs of the largest core that is tried for a smaller gap; for a plan at all it grows as far as it must."""
EXACT = 2_000
"""Pairs that are decided exactly, at most, where no others can still be wrong."""
NODES = 300_000
"""Pairs times nodes of branch and bound."""
log = logging.getLogger("nightmarket")


@dataclass(frozen=True)
class Certificate:
    """How far a plan may be from the best one.

    value  profit of the plan, currency
    bound  what no plan can exceed: the dual at the plan's prices, in float64, or less where whole contacts say so
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
    thrift  profit below which a unit of currency is not spent even without a price, so that of equals the cheapest is
            sent
    """

    picks: NDArray[np.int16]
    prices: Float64s
    use: Float64s
    certificate: Certificate
    thrift: float = 0.0


def allocate(problem: Problem, seed: int = 0, core: int = CORE) -> Allocation:
    """The plan with the most profit, up to the gap that its certificate states; no limit is ever overdrawn, and of
    plans with equal profit, up to about a millionth, it is the cheapest.

    An empty budget pays for what is free, and what loses money is not sent.
    core  customer-option pairs decided by the linear programme; it grows where that is not enough

    Raises InputError for profits or costs that are not numbers, and costs below 0.
    """
    problem = affordable(problem)
    seen = survey(problem)
    if problem.most == 0 or not seen.num_usable:
        return _empty(problem)
    problem = replace(problem, budget=whole_budget(problem.budget, seen.costs), thrift=seen.thrift)
    point = optimum(problem, seed)
    log.info("plan: prices found")
    search = _Search(problem, point, seen)
    everything = problem.num_customers * problem.offer.size
    while True:
        search.settle(core)
        if not search.enough:
            search.settle_exactly()
        if not search.enough:
            search.settle(core, dealt=False)
        if search.enough or core >= min(LARGEST, everything):
            break
        core *= 4
    value, use = totals(problem, search.best)
    thrift = seen.thrift if search.prices[0] == 0 else 0.0
    return Allocation(search.best, search.prices, use, Certificate(value, max(search.bound, value)), thrift)


class _Search:
    """The best plan so far, and the least bound.

    best    (C, K)    options
    prices  (1 + G,)  at which the bound is taken; thrift is part of the budget's, where it has one
    """

    def __init__(self, problem: Problem, point: Optimum, seen: UsablePairs) -> None:
        self._problem, self._point, self._seen = problem, point, seen
        self._pure = replace(problem, thrift=0.0)
        self.prices = point.prices.copy()
        if self.prices[0] > 0:
            self.prices[0] += problem.thrift
        self._dual = evaluate(self._pure, self.prices, exact=True).bound
        self.bound = seen.whole_profit(self._dual)
        self._dealt, self._undecided = mixed(problem, point)
        self._plain = choices(problem, point.prices)[0]
        self.best, self._value = np.full_like(self._dealt, NOTHING), 0.0

    @property
    def enough(self) -> bool:
        """Whether the gap is small."""
        return self.bound - self._value <= ENOUGH * self.bound

    def settle(self, size: int, dealt: bool = True) -> None:
        """Decide a core of `size` pairs by its linear programme, among choices that are dealt out, or those at the
        prices."""
        prices = self._point.prices
        close = closest(self._problem, prices, size, self._undecided)
        fixed, close = without_core(self._problem, self._dealt if dealt else self._plain, close)
        left = trim(self._problem, fixed, prices)
        settle(self._problem, fixed, close, left)
        self._keep(fixed)

    def settle_exactly(self) -> None:
        """Decide every pair that may still be wrong, where these are few."""
        problem, missing = self._pure, self._dual - self._value
        close = within(problem, self.prices, missing + 1e-9 * self._dual, EXACT)
        if close is None:
            return
        picks = choices(problem, self.prices, exact=True)[0]
        fixed, close = without_core(problem, picks, close)
        value, use = totals(problem, fixed)
        left = problem.limits - use
        if (left < -1e-9 * np.maximum(1.0, use)).any():  # nothing better is possible: the fixed choices do not fit
            self.bound = min(self.bound, self._value)
            return
        left = np.maximum(left, 0.0)
        thrift = self._problem.thrift
        lost = thrift * min(left[0], float(close.cost.sum()))
        cheap = replace(close, profit=close.profit - thrift * close.cost)
        nodes = max(NODES // max(close.size, 1), 10)
        most = settle_exactly(problem, fixed, cheap, left, 0.2 * ENOUGH * self.bound, nodes)
        self._keep(fixed)
        self.bound = min(self.bound, max(self._seen.whole_profit(value + most + lost), self._value))

    def _keep(self, plan: NDArray[np.int16]) -> None:
        value = totals(self._problem, plan)[0]
        if value > self._value:
            self.best, self._value = plan, value


def choices(problem: Problem, prices: Float64s, exact: bool = False) -> tuple[NDArray[np.int16], Float64s]:
    """(C, K) what each customer chooses at the prices, and (C,) what it costs."""
    picks, spent = np.full((problem.num_customers, problem.most), NOTHING, np.int16), np.zeros(problem.num_customers)
    for some, profit, cost in problem.blocks():
        mine, _ = choose(
            net(problem, profit, cost, prices, exact), problem.allowance[some], problem.offer, problem.most
        )
        picks[some] = mine
        spent[some] = np.where(mine == NOTHING, 0.0, np.take_along_axis(cost, mine.astype(np.int64), axis=1)).sum(
            axis=1
        )
    return picks, spent


GOLDEN = (5**0.5 - 1) / 2
LOST = 1e-5
"""Of the bound, that dealing the choices out in shares may lose."""


def mixed(problem: Problem, point: Optimum) -> tuple[NDArray[np.int16], Bools]:
    """(C, K) the choices that the dual mixes, each customer's one of them, and (C,) who had several to choose from.

    Customers who hesitate between the same sets get them in the dual's shares, spread evenly over what they cost, so
    that the limits are met up to a few contacts however many are alike. Who loses much by theirs, such as one customer
    worth more than all others, keeps the choice at the best prices.
    """
    parts = [choices(problem, prices) for prices in point.points]
    nothing = np.full((problem.num_customers, problem.most), NOTHING, np.int16)
    parts.append((nothing, np.zeros(problem.num_customers)))
    shares = np.append(point.shares, max(1.0 - float(point.shares.sum()), 0.0))
    kept = np.flatnonzero(shares > 1e-6)
    sets = np.stack([np.sort(parts[at][0], axis=1) for at in kept])
    spent = np.stack([parts[at][1] for at in kept])
    undecided = (sets != sets[0]).any(axis=(0, 2))
    rows = np.flatnonzero(undecided)
    keys = sets[:, rows].transpose(0, 2, 1).reshape(kept.size * problem.most, rows.size)
    rows = rows[np.lexsort((spent[:, rows].max(axis=0), *keys))]
    ends = np.cumsum(shares[kept]) / shares[kept].sum()
    which = np.minimum(np.searchsorted(ends, (0.5 + GOLDEN * np.arange(rows.size)) % 1.0, side="right"), kept.size - 1)
    plan = sets[0].copy()
    plan[rows] = sets[which, rows]
    best, _ = choices(problem, point.prices)
    worth = _worth(problem, best, point.prices)
    dual = worth.sum() + float(point.prices @ np.where(point.prices > 0, problem.limits, 0.0))
    lost = worth - _worth(problem, plan, point.prices)
    order = np.argsort(lost, kind="stable")
    much = order[np.cumsum(lost[order]) > LOST * dual]
    plan[much] = best[much]
    order = np.argsort(plan == NOTHING, axis=1, kind="stable")
    return np.take_along_axis(plan, order, axis=1), undecided


def _worth(problem: Problem, plan: NDArray[np.int16], prices: Float64s) -> Float64s:
    """(C,) what each customer's part of a plan is worth after the prices."""
    worth = np.zeros(problem.num_customers)
    for some, profit, cost in problem.blocks():
        mine = plan[some].astype(np.int64)
        reduced = np.take_along_axis(net(problem, profit, cost, prices), np.maximum(mine, 0), axis=1)
        worth[some] = np.where(mine == NOTHING, 0.0, reduced).sum(axis=1, dtype=np.float64)
    return worth


def trim(problem: Problem, plan: NDArray[np.int16], prices: Float64s) -> Float64s:
    """Take back of `plan` (C, K), in place, what overdraws a limit, the least worth for what it draws first; returns
    (1 + G,) what is left of the limits."""
    use = totals(problem, plan)[1]
    if (use <= problem.limits).all():
        return problem.limits - use
    worth, paid = np.zeros(plan.shape), np.zeros(plan.shape)
    for some, profit, cost in problem.blocks():
        at = np.maximum(plan[some], 0).astype(np.int64)
        paid[some] = np.take_along_axis(cost, at, axis=1)
        worth[some] = np.take_along_axis(net(problem, profit, cost, prices), at, axis=1)
    for limit in range(use.size):
        customer, k = np.nonzero(plan != NOTHING)
        option = plan[customer, k]
        draws = paid[customer, k] if limit == 0 else problem.uses[limit - 1, option].astype(np.float64)
        excess = float(draws.sum()) - problem.limits[limit]
        if excess <= 0:
            continue
        some = np.flatnonzero(draws > 0)
        order = some[np.argsort(worth[customer[some], k[some]] / draws[some], kind="stable")]
        out = order[: int(np.searchsorted(np.cumsum(draws[order]), excess * (1 + 1e-12))) + 1]
        plan[customer[out], k[out]] = NOTHING
    order = np.argsort(plan == NOTHING, axis=1, kind="stable")
    plan[:] = np.take_along_axis(plan, order, axis=1)
    return np.asarray(np.maximum(problem.limits - totals(problem, plan)[1], 0.0), np.float64)


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
    problem, rest = (replace(affordable(part), thrift=allocation.thrift) for part in (problem, rest))
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
