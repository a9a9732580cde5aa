"""Who may get a contact at all: enough baskets, a wanted segment, and room under the frequency cap."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from nightmarket.contracts.arrays import Int64s
from nightmarket.delivery.campaign import Rules
from nightmarket.delivery.timing import WEEK, room
from nightmarket.response.market import Market


def earlier_contacts(market: Market) -> dict[int, tuple[int, ...]]:
    """customer → days of contacts in the week before the market's day, negative, ascending."""
    days: defaultdict[int, list[int]] = defaultdict(list)
    recent = market.contacts.where(market.contacts.day > market.day - WEEK)
    for customer, day in zip(recent.customer.tolist(), (recent.day - market.day).tolist(), strict=True):
        days[customer].append(day)
    return {customer: tuple(sorted(contacts)) for customer, contacts in days.items()}


def eligible(
    market: Market, segment: np.ndarray, rules: Rules, wanted: Sequence[str] = (), min_baskets: int = 1
) -> Int64s:
    """(E,) customers, ascending.

    segment  (C,)  name, or None where a customer is in none
    wanted         segments that may be contacted; none given: everybody
    """
    lines = market.histories
    _, first = np.unique(lines.basket, return_index=True)
    may = np.bincount(lines.customer[first], minlength=lines.num_customers) >= min_baskets
    if wanted:
        may &= np.isin(np.array([str(name) for name in segment]), wanted)
    full = [customer for customer, days in rules.before.items() if room(days, rules.days, rules.per_week) == 0]
    may[full] = False
    return np.flatnonzero(may).astype(np.int64)
