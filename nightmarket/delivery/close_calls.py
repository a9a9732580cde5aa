"""The core of an allocation: the close calls, decided anew while everything else is fixed (Balas and Zemel 1980).

The core is solved as a linear programme, whose vertices split at most as many customers as there are limits. What it
leaves split is settled by diving: one pair is rounded up if it fits, or else left out, and the programme is solved
again on the pairs that are closest by its own prices. A core that holds every pair whose decision may still be wrong,
and is small, is solved exactly, which proves a bound that counts whole contacts.

Shapes as in `problem`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.delivery.problem import NOTHING, Problem, choose, net

DIVE, MAX_DIVES = 1500, 60
WHOLE = 1 - 1e-6


@dataclass(frozen=True)
class ClosePairs:
    """Close calls: pairs of a customer and an option.

    customer, option (N,)  int64
    profit, cost     (N,)  float64, currency; profit after what thrift asks of the cost
    worth            (N,)  net of prices
    regret           (N,)  what it costs, in the bound, to decide the pair the other way
    """

    customer: Int64s
    option: Int64s
    profit: Float64s
    cost: Float64s
    worth: Float64s
    regret: Float64s

    def at(self, rows: NDArray) -> "ClosePairs":
        """The pairs of the given rows."""
        return ClosePairs(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def size(self) -> int:
        """N."""
        return int(self.customer.size)

    @classmethod
    def joined(cls, parts: "list[ClosePairs]") -> "ClosePairs":
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


class _Closest:
    """The `each` pairs of every option with the least of some score, kept while all pass by."""

    def __init__(self, each: int, options: int) -> None:
        self._each, self._options = each, options
        self._kept: list[tuple[NDArray, ClosePairs]] = []
        self._num = 0
        self.cutoff = np.full(options, np.inf)

    def add(self, score: NDArray, pairs: ClosePairs) -> None:
        """Pairs with a score (N,) below the cutoff of their option."""
        self._kept.append((score, pairs))
        self._num += score.size
        if self._num > 4 * self._each * self._options:
            score, pairs = self._best()
            self._kept, self._num = [(score, pairs)], score.size
            worst = np.zeros(self._options)
            np.maximum.at(worst, pairs.option, score)
            short = np.bincount(pairs.option, minlength=self._options) < self._each
            self.cutoff = np.where(short, np.inf, worst)

    def pairs(self) -> ClosePairs:
        """Those that are left."""
        return self._best()[1]

    def _best(self) -> tuple[NDArray, ClosePairs]:
        score = np.concatenate([part for part, _ in self._kept])
        pairs = ClosePairs.joined([part for _, part in self._kept])
        order = np.lexsort((score, pairs.option))
        first = np.searchsorted(pairs.option[order], pairs.option[order])
        rows = np.sort(order[np.arange(order.size) - first < self._each])
        return score[rows], pairs.at(rows)


def closest(problem: Problem, prices: Float64s, size: int, undecided: Bools) -> ClosePairs:
    """About `size` pairs whose decision is closest, by customer: in currency, as a share of what a pair draws on the
    limits at their prices, and the dearest pairs of customers who are `undecided` (C,), who would upset a budget most.

    The small ones fill what the large ones leave; the shares find those that a small error of the prices decides.
    """
    options = problem.offer.size
    each = -(-size // (3 * options))
    keepers = [_Closest(each, options) for _ in range(3)]
    toll = prices[1:] @ problem.uses
    for some, profit, cost in problem.blocks():
        first = some.start if isinstance(some, slice) else 0
        reduced, regret = regrets(problem, some, profit, cost, prices)
        drawn = np.maximum(cost * prices[0] + toll, np.maximum(np.abs(profit), 1e-30) * 1e-3)
        doubtful = undecided[some][:, None] & np.isfinite(regret)
        scores = (regret, regret / np.minimum(drawn, 1e30), np.where(doubtful, -cost, np.inf))
        for keeper, score in zip(keepers, scores, strict=True):
            row, option = np.nonzero(score < keeper.cutoff)
            keeper.add(score[row, option], _pairs(problem, (row, option, first), profit, cost, reduced, regret))
    pairs = ClosePairs.joined([keeper.pairs() for keeper in keepers])
    return pairs.at(np.unique(pairs.customer * options + pairs.option, return_index=True)[1])


def within(problem: Problem, prices: Float64s, regret: float, most: int) -> ClosePairs | None:
    """Every pair that costs at most `regret` in the bound to decide the other way; None where there are more than
    `most`. No plan that is worth that much more than the others may differ from the choices in any other pair.
    """
    parts, num = [], 0
    for some, profit, cost in problem.blocks():
        first = some.start if isinstance(some, slice) else 0
        reduced, close = regrets(problem, some, profit, cost, prices, exact=True)
        row, option = np.nonzero(close <= regret)
        num += row.size
        if num > most:
            return None
        parts.append(_pairs(problem, (row, option, first), profit, cost, reduced, close))
    return ClosePairs.joined(parts)


def _pairs(
    problem: Problem,
    at: tuple[NDArray, NDArray, int],
    profit: NDArray,
    cost: NDArray,
    reduced: NDArray,
    regret: NDArray,
) -> ClosePairs:
    row, option, first = at
    paid = cost[row, option].astype(np.float64)
    gain = profit[row, option].astype(np.float64) - problem.thrift * paid
    worth, close = (values[row, option].astype(np.float64) for values in (reduced, regret))
    return ClosePairs(row + first, option, gain, paid, worth, close)


def regrets(
    problem: Problem, some: slice | Int64s, profit: NDArray, cost: NDArray, prices: Float64s, exact: bool = False
) -> tuple[NDArray, NDArray]:
    """(n, J) net values, and (n, J) how much net value it costs to decide a pair the other way; inf where an option is
    closed."""
    reduced, allowance, offer = net(problem, profit, cost, prices, exact), problem.allowance[some], problem.offer
    picks, worth = choose(reduced.copy(), allowance, offer, problem.most)
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
    if problem.most > 1:
        for nth in range(problem.most):
            same = (offer == offer[picks[:, nth]][:, None]) & (picks[:, nth] != NOTHING)[:, None]
            regret = np.where(same, np.maximum(regret, worth[:, [nth]] - reduced), regret)
    regret[row, option] = reduced[row, option] - second[row]
    regret[allowance == 0] = np.inf
    return reduced, np.maximum(regret, 0.0)


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


def settle(problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s) -> None:
    """Decide the core anew and write it into `chosen` (C, K), which holds the fixed choices alone.

    left  (1 + G,)  what the fixed choices leave of budget and capacities, not negative
    """
    plan = _Greedy(problem, chosen, core, left)
    share, regret = _relaxed(problem, chosen, core, plan.left)
    order = _by_doubt(share, regret, core.cost)
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
    for pair in np.argsort(-core.worth, kind="stable").tolist():
        plan.add(pair)


def _by_doubt(share: NDArray, regret: NDArray, cost: NDArray) -> NDArray:
    """Rows of split pairs, then alternately of those with the least regret and the least regret for what they cost."""
    doubt = np.where((share > WHOLE) | (share < 1 - WHOLE), regret, -1.0)
    ranks = np.empty((2, doubt.size))
    for rank, key in zip(ranks, (doubt, doubt / np.maximum(cost, 1e-30)), strict=True):
        rank[np.argsort(key, kind="stable")] = np.arange(doubt.size)
    return np.argsort(ranks.min(axis=0), kind="stable")


def settle_exactly(
    problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s, precision: float, max_nodes: int
) -> float:
    """As `settle`, by branch and bound; returns what no decision of the core is worth more than, by `core.profit`.

    precision  that is enough, currency
    """
    core = core.at(np.flatnonzero((core.profit > 0) & (core.cost <= left[0])))
    if not core.size:
        return 0.0
    matrix, high = _programme(problem, chosen, core, left)
    unit, most, total = float(np.median(core.profit)), 0.0, float(core.profit.sum())
    best, start = -np.inf, chosen.copy()
    for slack in (0.0, 2e-6):  # what the solver may overdraw a limit by: the second time none of it is used
        done = milp(
            -core.profit / unit,
            constraints=LinearConstraint(matrix, ub=high * (1 - slack)),
            integrality=1,
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": precision / total, "node_limit": max_nodes},
        )
        if slack == 0.0:
            most = total if done.mip_dual_bound is None else min(-float(done.mip_dual_bound) * unit, total)
        share = np.zeros(core.size) if done.x is None else done.x.round()
        decided = start.copy()
        plan = _Greedy(problem, decided, core, left)
        taken = np.array([plan.add(pair) for pair in np.lexsort((-core.worth, -share)).tolist()], bool)
        value = float(core.profit[np.lexsort((-core.worth, -share))][taken].sum())
        if value > best:
            best, chosen[:] = value, decided
        if done.x is not None and value >= float(core.profit @ share) - precision:
            break
    return most


def _programme(
    problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s
) -> tuple[sparse.csr_matrix, NDArray]:
    """The core's matrix (R, N) and right-hand side (R,)."""
    every = np.arange(core.size)
    used = (chosen[core.customer] != NOTHING).sum(axis=1)
    people, person = np.unique(core.customer, return_inverse=True)
    room = np.zeros(people.size)
    room[person] = problem.allowance[core.customer] - used
    deals, deal = np.unique(core.customer * problem.offer.size + problem.offer[core.option], return_inverse=True)
    priced = np.isfinite(left)
    shared = np.concatenate([core.cost[None], problem.uses[:, core.option]])
    right = left.copy()
    paid = core.cost[core.cost > 0]
    if paid.size:  # in units of a usual cost, so that the solver's tolerances are small beside it
        shared[0] /= np.median(paid)
        right[0] /= np.median(paid)
    rows = [
        sparse.csr_matrix(shared[priced]),
        sparse.csr_matrix((np.ones(core.size), (person, every)), shape=(people.size, core.size)),
    ]
    limits = [right[priced], room]
    if problem.most > 1:  # an offer once; with one contact that says nothing more
        rows.append(sparse.csr_matrix((np.ones(core.size), (deal, every)), shape=(deals.size, core.size)))
        limits.append(np.ones(deals.size))
    return sparse.vstack(rows, format="csr"), np.concatenate(limits)


def _relaxed(problem: Problem, chosen: NDArray[np.int16], core: ClosePairs, left: Float64s) -> tuple[NDArray, NDArray]:
    """(N,) how much of each pair the linear programme takes, in [0, 1], and what it would cost to decide otherwise."""
    if core.size == 0:
        return np.zeros(0), np.zeros(0)
    matrix, high = _programme(problem, chosen, core, left)
    gain = core.profit / max(float(np.median(np.abs(core.profit))), 1e-300)
    done = linprog(-gain, A_ub=matrix, b_ub=high, bounds=(0, 1), method="highs-ds")
    if done.x is None:
        return np.zeros(core.size), np.zeros(core.size)
    regret = np.abs(done.lower.marginals + done.upper.marginals)
    # A pair that is taken whole may owe its place to the limit of its customer, not to its own.
    shared = int(np.isfinite(left).sum())
    own = matrix[shared:].T @ -done.ineqlin.marginals[shared:]
    return done.x, np.where(done.x > WHOLE, regret + own, regret)


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
        if core.profit[pair] <= 0 or core.cost[pair] > self.left[0]:
            return False
        need = np.concatenate([[core.cost[pair]], problem.uses[:, option]])
        if (need > self.left).any() or not self.has_room(pair):
            return False
        self.left -= need
        self._chosen[customer, int((self._chosen[customer] != NOTHING).sum())] = option
        return True
