"""Customers x options under a budget and capacities, and the prices of these limits: the Lagrangian dual.

Shapes: C customers, J options (an offer on a channel in a time slot), G capacities, K most contacts of one customer.

With a price on each shared limit the problem falls apart into one small problem per customer, which is solved exactly
(Everett 1963; Geoffrion 1974; for allocations of this size Zhang et al., "Solving billion-scale knapsack problems",
WWW 2020). For any prices y ≥ 0

    g(y) = y·b + sum over customers of max over their sets of (profit - y·use)

is an upper bound of what any plan can earn. g is convex and piecewise linear; its least value is sought with Kelley's
cutting planes (1960) inside a box around the best prices so far (Marsten, Hogan and Blankenship 1975), first on a
sample of the customers, then on all. The multipliers of the last cuts are the primal's answer: the customers' choices
at a few prices, mixed in these shares, keep every limit and are worth the least value found (Dantzig and Wolfe 1960).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s

Rows = slice | Int64s
Block = Callable[[Rows], tuple[Float32s, Float32s]]
NOTHING = -1


@dataclass(frozen=True)
class Problem:
    """Maximise the profit of the chosen options.

    block      rows → profit (n, J) net of all cost, -inf where an option is closed to a customer, and cost (n, J) ≥ 0,
               currency; the same on every call
    allowance  (C,)    contacts that a customer may get
    offer      (J,)    a customer gets each offer once at most
    uses       (G, J)  options that draw on a capacity, one unit each
    capacity   (G,)    contacts
    budget     what the chosen options may cost together, currency; inf: no limit
    chunk      customers held in memory at a time
    thrift     profit that a unit of currency must bring beside its price: a millionth of what it usually brings makes
               the cheapest of equal plans the best
    """

    block: Block
    allowance: NDArray[np.int8]
    offer: Int32s
    uses: Bools
    capacity: Float64s
    budget: float
    chunk: int = 16_384
    thrift: float = 0.0

    def __post_init__(self) -> None:
        if self.uses.shape != (self.capacity.size, self.offer.size):
            raise ValueError(f"uses is {self.uses.shape}, {(self.capacity.size, self.offer.size)} is needed")
        if np.isnan(self.budget) or np.isnan(self.capacity).any():
            raise ValueError("a budget or capacity is not a number")

    @property
    def num_customers(self) -> int:
        """C."""
        return int(self.allowance.size)

    @property
    def most(self) -> int:
        """K."""
        return int(self.allowance.max(initial=0))

    @property
    def open(self) -> Bools:
        """(J,) options whose capacities hold a contact at all."""
        return np.asarray(~self.uses[self.capacity < 1].any(axis=0), bool)

    def blocks(self, rows: Int64s | None = None) -> Iterator[tuple[Rows, Float32s, Float32s]]:
        """(rows, profit, cost) of all customers, or of the given ones, a chunk at a time."""
        num = self.num_customers if rows is None else rows.size
        for start in range(0, num, self.chunk):
            some: Rows = (
                slice(start, min(start + self.chunk, num)) if rows is None else rows[start : start + self.chunk]
            )
            yield some, *self.block(some)

    @property
    def limits(self) -> Float64s:
        """(1 + G,) the budget, then the capacities."""
        return np.concatenate([[self.budget], self.capacity])


def net(problem: Problem, profit: Float32s, cost: Float32s, prices: Float64s, exact: bool = False) -> NDArray:
    """(n, J) profit after the prices of budget and capacities; -inf where an option is closed.

    prices  (1 + G,)  profit per unit of currency spent, then per contact of each capacity
    exact   in float64; otherwise float32, which is enough to choose by but not to certify with
    """
    kind = np.float64 if exact else np.float32
    toll = prices[1:] @ problem.uses
    toll[~problem.open] = np.inf
    reduced: Any = cost.astype(kind)
    reduced *= kind(-prices[0] - problem.thrift)
    reduced += profit
    return np.subtract(reduced, toll.astype(kind), out=reduced)


def choose(
    reduced: NDArray, allowance: NDArray[np.int8], offer: Int32s, most: int | None = None
) -> tuple[NDArray[np.int16], NDArray]:
    """Each customer's best set of options with a positive net value: exact, since options of one offer exclude each
    other and the number is limited (a partition matroid, cut off: greedy is optimal, Edmonds 1971).

    reduced  (n, J)  is used up
    most     K; None: the largest allowance here, which in a chunk may be less than in the whole problem
    Returns (n, K) options, best first, -1 for none, and (n, K) what they are worth, 0 for none.
    """
    num, most = reduced.shape[0], int(allowance.max(initial=0)) if most is None else most
    picks = np.full((num, most), NOTHING, np.int16)
    worth = np.zeros((num, most), reduced.dtype)
    distinct = np.unique(offer).size == offer.size
    every = np.arange(num)
    for k in range(most):
        best = reduced.argmax(axis=1)
        value = reduced[every, best]
        take = (value > 0) & (allowance > k)
        if not take.any():
            break
        picks[take, k] = best[take]
        worth[take, k] = value[take]
        if k + 1 < most:
            if distinct:
                reduced[every, best] = -np.inf
            else:
                reduced[offer[best][:, None] == offer] = -np.inf
    return picks, worth


SAMPLE, SAMPLE_WALKS = 8_192, 400
"""Customers of the sample, and walks over it: where limits are many it takes hundreds to find all their prices."""
CLOSE = 1e-7
"""Relative decrease of the bound that is no longer worth a walk over all customers."""


@dataclass(frozen=True)
class Dual:
    """g at some prices.

    bound  g, currency
    use    (1 + G,)  what the customers' choices cost and how often they draw on each capacity
    """

    bound: float
    use: Float64s


def evaluate(problem: Problem, prices: Float64s, rows: Int64s | None = None, exact: bool = False) -> Dual:
    """g(prices) on all customers, or on the given ones with the limits shrunk to their share."""
    worth, spent = 0.0, 0.0
    taken = np.zeros(problem.offer.size)
    for some, profit, cost in problem.blocks(rows):
        picks, value = choose(net(problem, profit, cost, prices, exact), problem.allowance[some], problem.offer)
        worth += float(value.sum(dtype=np.float64))
        row, _ = np.nonzero(picks != NOTHING)
        option = picks[picks != NOTHING]
        spent += float(cost[row, option].sum(dtype=np.float64))
        taken += np.bincount(option, minlength=taken.size)
    share = 1.0 if rows is None else rows.size / problem.num_customers
    limits = np.where(prices > 0, problem.limits, 0.0) * share  # no price where there is no limit
    return Dual(float(prices @ limits) + worth, np.concatenate([[spent], problem.uses @ taken]))


@dataclass(frozen=True)
class Optimum:
    """Where g is least, and the mixture of choices that is worth as much.

    prices  (1 + G,)
    points  (A, 1 + G)  prices whose choices are mixed
    shares  (A,)        of each, summing to 1; what is missing to 1 chooses nothing
    """

    prices: Float64s
    points: Float64s
    shares: Float64s


def solve(problem: Problem, seed: int = 0, max_walks: int = 150) -> Float64s:
    """(1 + G,) prices at which g is within about a millionth of its least value."""
    return optimum(problem, seed, max_walks).prices


def optimum(problem: Problem, seed: int = 0, max_walks: int = 150) -> Optimum:
    """Prices at which g is within about a millionth of its least value, and the mixture that proves it.

    max_walks  over all customers, at most; more where these are no more than two samples
    """
    limits = problem.limits
    priced = np.isfinite(limits) & (limits > 0)
    none = np.zeros((1, limits.size))
    if not priced.any() or problem.num_customers == 0:
        return Optimum(none[0], none, np.ones(1))
    scale = limits[priced]  # in units of profit per whole limit, so that one box fits all prices

    def oracle(rows: Int64s | None) -> Callable[[NDArray], tuple[float, NDArray]]:
        share = 1.0 if rows is None else rows.size / problem.num_customers

        def at(point: NDArray) -> tuple[float, NDArray]:
            prices = np.zeros(limits.size)
            prices[priced] = point / scale
            dual = evaluate(problem, prices, rows)
            return dual.bound / share, 1.0 - dual.use[priced] / (scale * share)

        return at

    start, radius, close = np.zeros(scale.size), None, 1e-6
    if problem.num_customers > 2 * SAMPLE:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(problem.num_customers, SAMPLE, replace=False))
        start = _descend(oracle(rows), start, None, SAMPLE_WALKS, close)[0]
        radius = 0.005
    else:
        max_walks = max(max_walks, SAMPLE_WALKS)
    best, tried, shares = _descend(oracle(None), start, radius, max_walks, CLOSE)
    prices, points = none[0].copy(), np.zeros((len(tried), limits.size))
    prices[priced] = best / scale
    points[:, priced] = tried / scale
    return Optimum(prices, points, shares)


def _descend(
    oracle: Callable[[NDArray], tuple[float, NDArray]],
    start: NDArray,
    radius: float | None,
    max_calls: int,
    close: float,
) -> tuple[NDArray, NDArray, NDArray]:
    """The point of the least value found, the points whose choices the last model mixes, and their shares.

    oracle(point) is (value, subgradient).
    radius  half the box's side at first, as a share of the value at `start`; None: the whole value
    """
    point = start
    value, slope = oracle(point)
    half = abs(value) * (radius or 1.0)
    # The first cut is that of choosing nothing: it bounds the prices.
    tried, cuts, levels = [point], [np.ones(start.size), slope], [0.0, value - float(slope @ point)]
    calls = 1
    while calls < max_calls:
        low = np.maximum(point - half, 0.0)
        trial, least, _ = _model_minimum(np.array(cuts), np.array(levels), low, point + half)
        hope = value - least
        if hope <= close * abs(value):
            edge = ((trial < low + 1e-6 * half) & (low > 0)) | (trial > point + half * (1 - 1e-6))
            if not edge.any():
                break  # the best of the whole model, since it is convex
            half *= 4.0
            continue
        height, slope = oracle(trial)
        calls += 1
        tried.append(trial)
        cuts.append(slope)
        levels.append(height - float(slope @ trial))
        if height < value:
            half *= 2.0 if value - height > 0.5 * hope else 1.0
            point, value = trial, height
        elif height - value > hope:
            half *= 0.5
    unbounded = np.full(start.size, np.inf)
    _, _, shares = _model_minimum(np.array(cuts), np.array(levels), np.zeros(start.size), unbounded)
    mixed = shares[1:] > SMALLEST_SHARE
    return point, np.array(tried)[mixed], shares[1:][mixed]


SMALLEST_SHARE = 1e-6


def _model_minimum(cuts: NDArray, levels: NDArray, low: NDArray, high: NDArray) -> tuple[NDArray, float, NDArray]:
    """The point of a box where the highest of the cuts is least, how high it stands there, and (cuts,) the shares in
    which these hold it up."""
    num = low.size
    unit = max(float(np.abs(levels).max()), 1e-300)
    rows = np.concatenate([cuts, np.full((len(cuts), 1), -1.0)], axis=1)
    done = linprog(
        np.concatenate([np.zeros(num), [1.0]]),
        A_ub=rows,
        b_ub=-levels / unit,
        bounds=[*zip(low / unit, high / unit, strict=True), (None, None)],
        method="highs-ds",
    )
    if done.x is None:
        return low, -np.inf, np.zeros(len(cuts))
    return np.clip(done.x[:num] * unit, low, high), float(done.fun) * unit, np.abs(done.ineqlin.marginals)
