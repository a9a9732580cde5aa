"""The one function that a live site calls: what a visitor did and where they are, in; ranked products, out."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int32s
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.ranking.sessions.shop import SessionShop
from nightmarket.ranking.sessions.visits import Visit


@dataclass(frozen=True)
class Ranked:
    """Items, best first, with what they were ordered by: comparable within an answer alone."""

    items: Int32s
    score: Float64s


def answer(shop: SessionShop, orders: SessionOrders, visit: Visit, num: int, again: bool = False) -> Ranked:
    """The best `num` items for a visitor; fewer where fewer can be had.

    Before anything was done in this visit the customer's list of the night comes first. What the visit has met already
    is left out: what it meets next is new to it.

    again  nothing is left out, and the order is by what is put into the cart or bought, which often was met before
    """
    asked = Asked(shop, visit)
    items = asked.candidates()
    if not again:
        items = np.setdiff1d(items, visit.item[visit.session])
    order = orders.taken if again else orders.next
    score = order.score(asked.features(items)) if items.size else np.zeros(0)
    listed = np.full(items.size, visit.listed.size)
    if not visit.session.any():
        place = {item: rank for rank, item in enumerate(visit.listed.tolist())}
        listed = np.array([place.get(item, visit.listed.size) for item in items.tolist()], np.int64)
    best = np.lexsort((items, -score, listed))[:num]
    return Ranked(items[best], score[best])
