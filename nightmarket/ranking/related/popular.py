"""What is in demand in each place of a shop: a category of any level, a market. I items, N events, G places."""

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int32s
from nightmarket.ranking.related.neighbours import Beside


def popular_in(
    place_of_event: Int32s, item: Int32s, strength: Float32s, offered: Bools, num_places: int, num: int
) -> Beside:
    """The `num` items of each place with which most was done there: a row per place.

    place_of_event, item, strength  (N,)  -1 for an event of no place
    offered                         (I,) what lists may hold
    """
    kept = (place_of_event >= 0) & offered[item]
    key = place_of_event[kept].astype(np.int64) * offered.size + item[kept]
    pairs, at = np.unique(key, return_inverse=True)
    done = np.bincount(at, strength[kept], pairs.size)
    place, product = pairs // offered.size, pairs % offered.size
    order = np.lexsort((product, -done, place))
    order = order[done[order] > 0]
    rank = np.arange(order.size) - np.searchsorted(place[order], place[order])
    order, rank = order[rank < num], rank[rank < num]
    beside = Beside.none(num_places, num)
    beside.item[place[order], rank], beside.score[place[order], rank] = product[order], done[order]
    return beside
