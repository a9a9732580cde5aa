"""The baselines of nightmarket.ranking.baselines behind the peers' interface. Runs in our own environment."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.libraries.shop import Ints, Scores, Scoring, Shop
from nightmarket.histories.histories import Histories
from nightmarket.ranking import baselines


def histories(shop: Shop) -> Histories:
    """The lines as our library holds them."""
    none = np.zeros(shop.item.size, np.float32)
    return Histories(
        customer=shop.customer,
        item=shop.item,
        week=shop.week,
        day=shop.day,
        quantity=shop.quantity,
        value=shop.value,
        discount=none,
        basket=shop.basket,
        channel=np.zeros(shop.item.size, np.int32),
        num_customers=shop.num_customers,
        num_items=shop.num_items,
    )


class _House(Scoring):
    """A function of nightmarket.ranking.baselines; its scorer takes slices, so it is asked customer by customer run."""

    make: Callable[..., baselines.Scorer]

    def __init__(self, seed: int, **settings: Any) -> None:
        self.settings = settings

    def learn(self, shop: Shop) -> None:
        """Fit."""
        self._scorer = type(self).make(histories(shop), shop.cut, **self.settings)

    def scores(self, customers: Ints) -> Scores:
        """(B, I)"""
        first, last = int(customers[0]), int(customers[-1])
        if customers.size == last - first + 1 and (np.diff(customers) == 1).all():
            return self._scorer(slice(first, last + 1))
        return np.concatenate([self._scorer(slice(int(c), int(c) + 1)) for c in customers])


class Popularity(_House):
    """Customers of the last weeks; setting `weeks`."""

    make = staticmethod(baselines.popularity)


class RecencyFrequency(_House):
    """Own purchases, halved for every `half_life` days."""

    make = staticmethod(baselines.recency_frequency)


class Ease(_House):
    """EASE (Steck, 2019); setting `ridge`."""

    make = staticmethod(baselines.ease)


class Tifu(_House):
    """TIFU-kNN (Hu et al., 2020); settings as peers.TifuSettings."""

    make = staticmethod(
        lambda lines, cut, **settings: baselines.tifu_knn(lines, cut, baselines.TifuSettings(**settings))
    )


class Affinity(_House):
    """Affinity to kind and maker, which can rank products that nobody bought yet."""

    def learn(self, shop: Shop) -> None:
        """Fit."""
        self._scorer = baselines.line_affinity(histories(shop), shop.line, shop.kind, shop.cut)
