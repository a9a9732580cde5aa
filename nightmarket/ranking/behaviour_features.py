"""What the second stage knows of a (customer, product) pair from looks and carts, in shops that record them.

`BEHAVIOUR` documents each column; NaN means "never happened", which the trees treat as a value of its own.
"""

from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s, Values
from nightmarket.histories.interactions import BOUGHT, CARTED, LOOKED
from nightmarket.ranking.pairs import take
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics
from nightmarket.ranking.touches import visit_shares

LEVELS = ("item", "group", "line", "kind", "category", "maker", "brand", "size")
_OF_LEVEL = {
    "looked": "looks, halved for every 14 days of age",
    "looked_long": "looks, halved for every 90 days of age",
    "carted": "carts and wishes, halved for every 14 days of age",
    "seen_ago": "days since the last look, cart or purchase",
    "looked_share": "its part of the customer's looks, halved for every 90 days of age",
}
_OF_PAIR = {
    "visits": "sessions with the item",
    "now": "looks and carts of the item in the customer's last session",
    "waiting": "carts with the item since it was last bought",
    "kind_now": "looks and carts of the kind in the customer's last session",
    "price_to_looked": "log of the price over the mean log price of what the customer looked at",
    "preferred": "log of how much more probable than another of its kind the customer's preferences make it",
    "size_taken": "share of the customer's looks, carts and purchases of sized products that are of its size",
    "kind_visits": "share of the customer's visits that were about its kind, halved for every 28 days of age",
    "kind_visits_long": "the same, halved for every 180 days of age",
    "price_spread": "the same, over the spread of those prices",
}
_OF_PRODUCT = {
    "looks_1w": "looks of the last week",
    "looks_4w": "looks of the last 4 weeks",
    "carts_4w": "carts and wishes of the last 4 weeks",
    "bought_4w": "purchases of the last 4 weeks",
    "looks_trend": "looks of the last week, per look of the last 4",
    "conversion": "purchases per look of the last 13 weeks, smoothed by the shop's",
    "cart_rate": "carts per look of the last 13 weeks, smoothed by the shop's",
    "kind_conversion": "purchases per look of the kind, last 13 weeks",
    "days_on_sale": "days on sale",
    "draw": "looks, carts and purchases lately, in all sizes and colours and by time on sale, over the shop's mean",
    "kind_looks": "its part of its kind's looks of the last 4 weeks",
}
_OF_CUSTOMER = {
    "looks": "looks of the last 4 weeks",
    "carts": "carts of the last 4 weeks",
    "sessions": "sessions of the last 4 weeks",
    "away": "days since the last event",
    "looks_ever": "looks, halved for every 90 days of age",
}
BEHAVIOUR: dict[str, str] = (
    {f"{level}_{name}": f"{level}: {text}" for level in LEVELS for name, text in _OF_LEVEL.items()}
    | _OF_PAIR
    | _OF_PRODUCT
    | _OF_CUSTOMER
)
VISITS = {"kind_visits": 28.0, "kind_visits_long": 180.0}
"""Half-lives, days."""
PRIOR_LOOKS = 50.0
"""Looks that a product's rates are smoothed with."""


class BehaviourTable:
    """Computes these columns for pairs at one cut; what is said of products is made once, on first use."""

    def __init__(self, statistics: PointInTimeStatistics) -> None:
        self._statistics = statistics

    def columns(self, customers: Customers, customer: Int32s, item: Int32s) -> dict[str, Values]:
        """(N,) each of BEHAVIOUR for the pairs (customer[i], item[i]); customers are counted inside the slice."""
        columns: dict[str, Values] = {}
        ever = _looks_ever(customers)
        for level in LEVELS:
            code = self._statistics.catalogue.codes(level)[item]
            own = customers.touches[level]
            row = np.where(code >= 0, own.find(customer, code), -1)
            for name in ("looked", "looked_long", "carted"):
                columns[f"{level}_{name}"] = take(getattr(own, name), row, 0.0)
            columns[f"{level}_seen_ago"] = take(self._statistics.today - own.last, row, np.nan)
            columns[f"{level}_looked_share"] = columns[f"{level}_looked_long"] / ever[customer]
            if level == "item":
                columns |= {name: take(getattr(own, name), row, 0.0) for name in ("visits", "now", "waiting")}
            if level == "kind":
                columns["kind_now"] = take(own.now, row, 0.0)
        columns |= self._prices(customers, customer, item)
        columns |= self._tastes(customers, customer, item)
        columns |= {name: values[item] for name, values in self._products.items()}
        columns |= {name: values[customer] for name, values in self._of_customers(customers).items()}
        return columns

    @cached_property
    def price(self) -> Float32s:
        """(I,) log of the list price, else of the mean price paid before; NaN where there is neither."""
        histories, num = self._statistics.histories, self._statistics.catalogue.num_items
        value, units = (np.bincount(histories.item, of, num) for of in (histories.value, histories.quantity))
        with np.errstate(divide="ignore", invalid="ignore"):
            paid = np.where(units > 0, value / units, np.nan)
            listed = self._statistics.catalogue.list_price
            price = np.log(np.where(np.isfinite(listed), listed, paid))
        return np.where(np.isfinite(price), price, np.nan).astype(np.float32)

    def _prices(self, customers: Customers, customer: Int32s, item: Int32s) -> dict[str, Values]:
        own = customers.touches["item"]
        price = self.price[own.code]
        weight = np.where(np.isfinite(price), own.looked_long + own.carted, 0)
        known = np.where(weight > 0, price, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = np.bincount(own.customer, weight, customers.num)
            mean = np.bincount(own.customer, weight * known, customers.num) / total
            square = np.bincount(own.customer, weight * known**2, customers.num) / total
            spread = np.sqrt(np.maximum(square - mean**2, 0) + 0.01)
        gap = self.price[item] - mean[customer]
        return {"price_to_looked": gap, "price_spread": gap / spread[customer]}

    def _tastes(self, customers: Customers, customer: Int32s, item: Int32s) -> dict[str, Values]:
        statistics, unknown = self._statistics, np.full(item.size, np.nan, np.float32)
        liked, sizes = statistics.preference, statistics.sizes
        if liked is not None:
            own = liked.customers(customers.events, statistics.today)
            preferred = np.einsum("ne,ne->n", own[customer], liked.items[item])
        taken = None if sizes is None else sizes.of_pairs(customers.events, statistics.today, customer, item)
        kind, usual = statistics.catalogue.kind, statistics.usual_shares("kind")
        visits = {
            name: visit_shares(customers.events, kind, usual, statistics.today, half_life)[customer, kind[item]]
            for name, half_life in VISITS.items()
        }
        tastes = {
            "preferred": unknown if liked is None else preferred,
            "size_taken": unknown if taken is None else taken,
        }
        return visits | tastes

    @cached_property
    def _products(self) -> dict[str, Float32s]:
        statistics = self._statistics
        events, num, kind = statistics.events, statistics.catalogue.num_items, statistics.catalogue.kind

        def count(weeks: int, kinds: tuple[int, ...]) -> Float32s:
            lately = (events.day >= statistics.today - 7 * weeks) & np.isin(events.kind, kinds)
            return np.bincount(events.item[lately], minlength=num).astype(np.float32)

        looks, carts, bought = (count(13, kinds) for kinds in (LOOKED, CARTED, BOUGHT))
        month, week = count(4, LOOKED), count(1, LOOKED)
        of_kind = {name: np.bincount(kind, values) for name, values in (("looks", looks), ("bought", bought))}
        usual = bought.sum() / max(looks.sum(), 1), carts.sum() / max(looks.sum(), 1)
        kind_rate = (of_kind["bought"] + PRIOR_LOOKS * usual[0]) / (of_kind["looks"] + PRIOR_LOOKS)
        columns = {
            "looks_1w": week,
            "looks_4w": month,
            "carts_4w": count(4, CARTED),
            "bought_4w": count(4, BOUGHT),
            "looks_trend": week / np.maximum(month, 1),
            "conversion": (bought + PRIOR_LOOKS * kind_rate[kind]) / (looks + PRIOR_LOOKS),
            "cart_rate": (carts + PRIOR_LOOKS * usual[1]) / (looks + PRIOR_LOOKS),
            "kind_conversion": kind_rate[kind],
            "days_on_sale": statistics.age,
            "draw": statistics.draw,
            "kind_looks": month / np.maximum(np.bincount(kind, month)[kind], 1),
        }
        return {name: values.astype(np.float32) for name, values in columns.items()}

    def _of_customers(self, customers: Customers) -> dict[str, Values]:
        events, num, today = customers.events, customers.num, self._statistics.today
        lately = events.day >= today - 28
        last = np.full(num, -(10**6), np.int64)
        np.maximum.at(last, events.customer, events.day)
        pair = np.unique(np.stack([events.customer[lately], events.session[lately]]), axis=1)
        return {
            "looks": np.bincount(events.customer[lately & np.isin(events.kind, LOOKED)], minlength=num),
            "carts": np.bincount(events.customer[lately & np.isin(events.kind, CARTED)], minlength=num),
            "sessions": np.bincount(pair[0], minlength=num),
            "away": today - last,
            "looks_ever": _looks_ever(customers),
        }


def _looks_ever(customers: Customers) -> Float32s:
    """(B,) looks, halved for every 90 days of age; above 0, so that it can divide."""
    own = customers.touches["item"]
    return np.maximum(np.bincount(own.customer, own.looked_long, customers.num), 1e-6).astype(np.float32)
