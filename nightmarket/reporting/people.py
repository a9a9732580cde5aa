"""A few customers as examples: chosen by the length of their history, never by who they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Int64s

KINDS = (("A short history", 0.1), ("A usual history", 0.5), ("A long history", 0.9))
"""What stands above each example, and its place among all customers ordered by number of visits."""


@dataclass(frozen=True)
class Purchase:
    """One visit: its day, counted from 1970-01-01, and the titles bought."""

    day: int
    titles: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True)
class Pick:
    """One recommendation; times_bought is how often this customer bought it before."""

    rank: int
    title: str
    reason: str
    times_bought: int


@dataclass(frozen=True)
class Person:
    """An example customer. `pseudonym` is cut to eight characters on the page."""

    kind: str
    pseudonym: str
    num_visits: int
    num_products: int
    purchases: Sequence[Purchase]
    picks: Sequence[Pick]


def choose(num_visits: Int64s) -> list[int]:
    """Customers (indices) with a short, a usual and a long history; the first in the file where several are equal.

    num_visits  (C,)  visits of each customer; customers without any are not chosen

    The order of the file is the order of first purchases, so a new pseudonym key shows the same people.
    """
    active = np.sort(num_visits[num_visits > 0])
    chosen: list[int] = []
    for _, place in KINDS:
        if active.size == 0:
            break
        wanted = active[int(place * (active.size - 1))]
        free = [int(i) for i in np.flatnonzero(num_visits == wanted) if int(i) not in chosen]
        chosen += free[:1]
    return chosen
