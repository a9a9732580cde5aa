"""What customers looked at and put into carts: statistics of (customer, code) pairs at a level, beside `Pairs`, which
holds what they bought.
"""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Int64s, Values
from nightmarket.histories.interactions import BOUGHT, CARTED, LOOKED, STRENGTH, Interactions

BRIEF, LONG = 14.0, 90.0
"""Half-lives, days."""


@dataclass(frozen=True)
class Touches:
    """Statistics of (customer, code) pairs that occur; P pairs sorted by key. Float32 but for the key.

    looked, looked_long  looks, halved for every BRIEF or LONG days of age
    carted               the same of carts and wishes, by BRIEF
    last                 day of the last event
    visits               sessions with the code
    now                  looks and carts in the customer's last session
    waiting              carts since the last purchase of the code
    """

    key: Int64s
    num_codes: int
    looked: Float32s
    looked_long: Float32s
    carted: Float32s
    last: Float32s
    visits: Float32s
    now: Float32s
    waiting: Float32s

    @property
    def customer(self) -> Int32s:
        """(P,) the customer of each pair."""
        return (self.key // self.num_codes).astype(np.int32)

    @property
    def code(self) -> Int32s:
        """(P,) the code of each pair."""
        return (self.key % self.num_codes).astype(np.int32)

    def find(self, customer: Int32s, code: Int32s) -> Int64s:
        """(N,) row of each asked pair, -1 where it never occurred."""
        if self.key.size == 0:
            return np.full(customer.size, -1)
        asked = customer.astype(np.int64) * self.num_codes + code
        row = np.minimum(np.searchsorted(self.key, asked), self.key.size - 1)
        return np.where(self.key[row] == asked, row, -1)


def touches(events: Interactions, codes: Int32s, num_codes: int, today: int) -> Touches:
    """Aggregate the events of a slice of customers by customer and code of the item; returns count for nothing.

    codes  (I,) the level's code of each item; below 0 for none
    today  the day that ages are counted from
    """
    code = codes[events.item]
    events, code = events.where(code >= 0), code[code >= 0]
    key = events.customer.astype(np.int64) * num_codes + code
    order = np.argsort(key, kind="stable")  # a pair's events stay in their order of time
    key = key[order]
    if key.size == 0:
        nothing = np.zeros(0, np.float32)
        return Touches(key, num_codes, *(nothing,) * 7)
    day, kind, session = events.day[order], events.kind[order], events.session[order]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    age = (today - day).astype(np.float32)
    looked, carted, bought = (np.isin(kind, of).astype(np.float32) for of in (LOOKED, CARTED, BOUGHT))

    def total(values: Values) -> Float32s:
        return np.add.reduceat(values.astype(np.float64), start).astype(np.float32)

    brief = np.exp2(-age / BRIEF)
    last_of = np.full(events.num_customers, -1, np.int64)
    np.maximum.at(last_of, events.customer, events.session)
    new_visit = (np.diff(key, prepend=-1) != 0) | (np.diff(session, prepend=-1) != 0)
    bought_at = np.maximum.reduceat(np.where(bought > 0, np.arange(key.size), -1), start)
    pair = np.repeat(np.arange(start.size), np.diff(np.append(start, key.size)))
    after = np.arange(key.size) > bought_at[pair]
    return Touches(
        key=key[start],
        num_codes=num_codes,
        looked=total(looked * brief),
        looked_long=total(looked * np.exp2(-age / LONG)),
        carted=total(carted * brief),
        last=np.maximum.reduceat(day, start).astype(np.float32),
        visits=total(new_visit),
        now=total((looked + carted) * (session == last_of[events.customer[order]])),
        waiting=total(carted * after),
    )


def visit_shares(events: Interactions, codes: Int32s, usual: Float32s, today: int, half_life: float) -> Float32s:
    """(B, K) share of each customer's visits that were about each code, smoothed by everybody's: one visit is about the
    code that most was done with. What strays into a visit, as what a shop shows to all, counts for nothing.

    codes  (I,) the code of each item
    usual  (K,) everybody's shares
    """
    num, strength = usual.size, STRENGTH[events.kind]
    visit, first = np.unique(events.session, return_index=True)
    key = np.searchsorted(visit, events.session) * num + codes[events.item]
    cell, place = np.unique(key, return_inverse=True)
    total = np.bincount(place, strength, cell.size)
    order = np.lexsort((cell, -total, cell // num))
    best = order[np.unique(cell[order] // num, return_index=True)[1]]
    weight = np.exp2((events.day[first] - today) / half_life) * (total[best] > 0)
    counts = np.bincount(events.customer[first] * np.int64(num) + cell[best] % num, weight, events.num_customers * num)
    counts = counts.reshape(-1, num)
    shares: Float32s = ((counts + usual) / (counts.sum(axis=1, keepdims=True) + 1)).astype(np.float32)
    return shares
