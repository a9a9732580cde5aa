"""When a contact goes out: the day part in which a customer shops, and the day, within frequency caps.

Shapes: C customers, S slots (day parts).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Float64s, Int64s

HOURS = 24


@dataclass(frozen=True)
class Slot:
    """Hours first ≤ hour < last of a local day."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """As written in params.yaml: "18-21"."""
        return f"{self.first}-{self.last}"

    def quiet(self, begin: int, end: int) -> bool:
        """Whether an hour of the slot lies in the quiet hours, which run from `begin` to `end`, over midnight where
        begin > end; none where they are equal."""
        length = (end - begin) % HOURS
        return any((hour - begin) % HOURS < length for hour in range(self.first, self.last))


def slots(names: tuple[str, ...]) -> list[Slot]:
    """Slots from names like "18-21"; InputError where one is no part of a day or two overlap."""
    parts = []
    for name in names:
        first, dash, last = name.partition("-")
        hours = [int(part) if part.strip().isdigit() else -1 for part in (first, last)]
        if not dash or not 0 <= hours[0] < hours[1] <= HOURS:
            raise InputError(f'"{name}" is no slot; write hours of one day, like "18-21"')
        parts.append(Slot(*hours))
    for earlier, later in pairwise(sorted(parts, key=lambda slot: slot.first)):
        if later.first < earlier.last:
            raise InputError(f"{earlier.name} and {later.name} overlap; every hour belongs to one slot")
    return parts


def slot_of_hour(parts: Sequence[Slot]) -> Int64s:
    """(24,) the slot of each hour, -1 for hours outside all slots."""
    out = np.full(HOURS, -1, np.int64)
    for at, slot in enumerate(parts):
        out[slot.first : slot.last] = at
    return out


@dataclass(frozen=True)
class Preference:
    """Dirichlet prior over slots, fitted to a population.

    share     (S,)  of visits, population
    strength  visits that the prior is worth; inf where customers do not differ
    """

    share: Float64s
    strength: float

    @classmethod
    def fit(cls, counts: NDArray) -> "Preference":
        """From (C, S) visits per slot: the population's shares, and the strength of greatest likelihood under the
        Dirichlet-multinomial (Minka, "Estimating a Dirichlet distribution", 2000), sought on a grid of factor 1.19."""
        total = counts.sum(axis=0).astype(np.float64)
        num = total.size
        if total.sum() == 0:
            return cls(np.full(num, 1 / num), np.inf)
        share = (total + 0.5) / (total.sum() + 0.5 * num)
        sizes = counts.sum(axis=1)
        some = np.flatnonzero(sizes > 0)[:: max(1, int((sizes > 0).sum()) // 20_000)]
        grid = 2.0 ** np.arange(-2, 12, 0.25)
        fits = [_likelihood(counts[some].astype(np.float64), share * strength) for strength in grid]
        best = int(np.argmax(fits))
        return cls(share, float(grid[best]) if best < grid.size - 1 else np.inf)

    def of(self, counts: NDArray) -> Float64s:
        """(C, S) each customer's share of visits per slot, shrunk to the population's; rows sum to 1."""
        if np.isinf(self.strength):
            return np.broadcast_to(self.share, counts.shape)
        size = counts.sum(axis=1, keepdims=True) + self.strength
        return np.asarray((counts + self.strength * self.share) / size, np.float64)


def _likelihood(counts: Float64s, alpha: Float64s) -> float:
    """Log-likelihood of counts (n, S) under a Dirichlet-multinomial, without the part that alpha does not change."""
    whole = alpha.sum()
    rows = gammaln(whole) - gammaln(counts.sum(axis=1) + whole)
    return float(rows.sum() + (gammaln(counts + alpha) - gammaln(alpha)).sum())


def log_likelihood(shares: NDArray, counts: NDArray) -> float:
    """Mean log-likelihood of a visit: shares (C, S) or (S,), visits (C, S); nan without visits."""
    num = counts.sum()
    return float((counts * np.log(shares)).sum() / num) if num else float("nan")


def damping(shares: Float64s, effect: float) -> Float32s:
    """(C, S) factor on the chance of a response: 1 in the customer's best slot, 1 - effect in one never visited."""
    best = shares.max(axis=1, keepdims=True)
    return np.asarray(1 - effect * (1 - shares / best), np.float32)


WEEK = 7


@lru_cache(maxsize=1 << 16)
def room(taken: tuple[int, ...], num_days: int, per_week: int) -> int:
    """Contacts that still fit on days 0 .. num_days - 1: at most one a day and `per_week` in any seven days.

    taken  days of contacts that stand, ascending; those before the campaign are negative, others may lie in it or after
    The earliest day that fits is taken each time, which leaves the most room (an exchange argument).
    """
    days = list(taken)
    for day in range(num_days):
        if fits(tuple(days), day, per_week):
            days = sorted([*days, day])
    return len(days) - len(taken)


def fits(taken: tuple[int, ...], day: int, per_week: int) -> bool:
    """Whether a contact on `day` keeps to one a day and `per_week` in any seven days."""
    if day in taken:
        return False
    near = [other for other in taken if abs(other - day) < WEEK]
    return all(
        sum(first <= other < first + WEEK for other in near) < per_week for first in range(day - WEEK + 1, day + 1)
    )


def schedule(
    customer: Int64s, cell: Int64s, capacity: Float64s, num_days: int, per_week: int, before: dict[int, tuple[int, ...]]
) -> Int64s:
    """(N,) day of each contact, from 0; -1 where no day is left.

    customer  (N,)  whose contact it is
    cell      (N,)  channel x slot
    capacity  (cells,)  contacts a day
    before    customer → days of other contacts, ascending; who has none may be missing

    Contacts are placed in order, each on the emptiest day of its cell that leaves room for the customer's others.
    """
    load = np.zeros((capacity.size, num_days))
    waiting = np.bincount(customer, minlength=int(customer.max(initial=-1)) + 1)
    placed: dict[int, tuple[int, ...]] = {}
    out = np.full(customer.size, -1, np.int64)
    for at, (who, where) in enumerate(zip(customer.tolist(), cell.tolist(), strict=True)):
        waiting[who] -= 1
        days = placed.get(who, before.get(who, ()))
        day = _emptiest(load[where], capacity[where], days, int(waiting[who]), num_days, per_week)
        if day >= 0:
            out[at] = day
            load[where, day] += 1
            placed[who] = tuple(sorted((*days, day)))
    return out


def _emptiest(load: NDArray, capacity: float, days: tuple[int, ...], others: int, num_days: int, per_week: int) -> int:
    open_days = [day for day in _choices(days, others, num_days, per_week) if load[day] + 1 <= capacity]
    return min(open_days, key=lambda day: (load[day], day), default=-1)


@lru_cache(maxsize=1 << 16)
def _choices(days: tuple[int, ...], others: int, num_days: int, per_week: int) -> Sequence[int]:
    """Days on which a contact fits and leaves room for `others` more, or for as many as there is room for at all."""
    fitting = [day for day in range(num_days) if fits(days, day, per_week)]
    left = {day: min(room(tuple(sorted((*days, day))), num_days, per_week), others) for day in fitting}
    most = max(left.values(), default=0)
    return tuple(day for day in fitting if left[day] == most)
