"""On which day does each contact go out? Frequency caps, and a load that is spread over the days."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float64s, Int64s

WEEK = 7


@lru_cache(maxsize=1 << 16)
def room(taken: tuple[int, ...], num_days: int, per_week: int) -> int:
    """Contacts that still fit on days 0 .. num_days - 1: at most one a day and `per_week` in any seven days.

    taken  days of contacts that stand, ascending; those before the campaign are negative
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
    customer: Int64s,
    cell: Int64s,
    capacity: Float64s,
    num_days: int,
    per_week: int,
    before: dict[int, tuple[int, ...]],
) -> Int64s:
    """(N,) day of each contact, from 0; -1 where no day is left.

    customer  (N,)  whose contact it is
    cell      (N,)  channel x slot
    capacity  (cells,)  contacts a day
    before    customer → days of earlier contacts, negative, ascending; who has none may be missing

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
