"""Customers x options under a budget and capacities, looked at some customers at a time.

Shapes: C customers, J options (an offer on a channel in a time slot), G capacities, K most contacts of one customer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s

Rows = slice | Int64s
Block = Callable[[Rows], tuple[Float32s, Float32s]]
NOTHING = -1


@dataclass(frozen=True)
class Problem:
    """Maximise the profit of the chosen options.

    block      rows → profit (n, J) net of all cost, and cost (n, J) ≥ 0, currency; the same on every call
    allowance  (C,)    contacts that a customer may get
    offer      (J,)    a customer gets each offer once at most
    uses       (G, J)  options that draw on a capacity, one unit each
    capacity   (G,)    contacts
    budget     what the chosen options may cost together, currency; inf: no limit
    chunk      customers held in memory at a time
    """

    block: Block
    allowance: NDArray[np.int8]
    offer: Int32s
    uses: Bools
    capacity: Float64s
    budget: float
    chunk: int = 16_384

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
    reduced *= kind(-prices[0])
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
