"""What the second stage knows of a (customer, product) pair at a cut.

`FEATURES` documents each one; NaN means "never happened", which the trees treat as a value of its own.
"""

from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s, Int64s, Values
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import coming_weeks
from nightmarket.ranking.behaviour_features import BEHAVIOUR, BehaviourTable
from nightmarket.ranking.pairs import take
from nightmarket.ranking.point_in_time import LEVELS, Customers, PointInTimeStatistics

_MEANING = {
    "item": "item",
    "group": "the item in all sizes and colours",
    "line": "line",
    "kind": "kind",
    "category": "category",
    "maker": "maker",
}
_LEVEL_FEATURES = {
    "num": "baskets with it",
    "fresh": "baskets with it, halved for every 90 days of age",
    "brief": "baskets with it, halved for every 21 days of age",
    "age": "days since the last one",
    "due": "days since the last one / usual gap between two",
    "share": "fresh / the customer's fresh baskets of everything",
}
_ITEM_FEATURES = {
    "item_gap": "usual days between two purchases",
    "item_since": "days since the first purchase",
    "item_units": "units per basket",
    "item_rate": "baskets with it / baskets since its first purchase",
    "item_of_kind": "its part of the customer's fresh baskets of the kind",
    "line_of_kind": "its line's part of the customer's fresh baskets of the kind",
    "buyers_2w": "customers who bought it in the last 2 weeks",
    "buyers_4w": "in the last 4 weeks",
    "buyers_13w": "in the last 13 weeks",
    "buyers_ever": "ever",
    "trend": "buyers per week of the last 4 weeks / of the last 13",
    "repeat": "share of its buyers who bought it on two days or more",
    "loyal": "baskets per buyer",
    "sold_for": "weeks since its first sale",
    "kind_share": "its part of the recent buyers of the kind",
    "price": "mean price paid, currency per unit",
    "price_to_kind": "price / what this customer usually pays in the kind",
    "price_now": "price of the last 4 weeks / usual price",
    "discount": "share of the last 4 weeks' value that was discounted",
    "display": "share of channels that displayed it in the last 4 weeks",
    "mailer": "share of channels with it in the mailer in the last 4 weeks",
}
_CUSTOMER_FEATURES = {
    "baskets": "baskets ever",
    "baskets_4w": "baskets in the last 4 weeks",
    "basket_size": "distinct products per basket",
    "idle": "days since the last basket",
    "explore": "share of the last 8 weeks' purchases that were first purchases",
    "spend": "value per basket",
    "range": "distinct products ever",
}
PLAN = {
    "plan_display": "share of channels that will display it in the target weeks",
    "plan_mailer": "share of channels that will have it in the mailer in the target weeks",
}
"""Known at the cut only where a retailer fixes the promotion plan in advance: off unless `rank.promotion_plan`."""

FEATURES: dict[str, str] = {
    **{f"{level}_{name}": f"{_MEANING[level]}: {text}" for level in LEVELS for name, text in _LEVEL_FEATURES.items()},
    **_ITEM_FEATURES,
    **_CUSTOMER_FEATURES,
}


class FeatureTable:
    """Computes feature rows for pairs at one cut; what is said of products is made once, on first use."""

    def __init__(self, statistics: PointInTimeStatistics, target_days: int, promotion_plan: bool = False) -> None:
        self._statistics = statistics
        self._target_days = target_days
        self._plan = promotion_plan
        self._behaviour = BehaviourTable(statistics) if statistics.behaves else None

    def names(self, generators: list[str]) -> list[str]:
        """Names of the columns, in order; `generators` are the candidate generators whose scores are appended."""
        behaviour = BEHAVIOUR if self._behaviour else {}
        return [*FEATURES, *behaviour, *(PLAN if self._plan else {}), *(f"score_{name}" for name in generators)]

    def rows(self, customers: Customers, customer: Int32s, item: Int32s, scores: dict[str, Float32s]) -> Float32s:
        """(N, F) features of the pairs (customer[i], item[i]); customers are counted inside the slice."""
        features = _levels(customers, customer, item)
        of_customer = _of_customers(customers)
        features |= {name: values[item] for name, values in self._items.items()}
        features |= _ratios(features, of_customer, customer)
        features |= {name: of_customer[name][customer] for name in _CUSTOMER_FEATURES}
        if self._behaviour is not None:
            features |= self._behaviour.columns(customers, customer, item)
        if self._plan:
            features |= {name: values[item] for name, values in self._planned.items()}
        features |= {f"score_{name}": values for name, values in scores.items()}
        return table(features, self.names(list(scores)), customer.size)

    @cached_property
    def _items(self) -> dict[str, Float32s]:
        statistics, histories = self._statistics, self._statistics.histories
        num_items, week = statistics.catalogue.num_items, statistics.week
        buyers = statistics.buyers
        ever = np.maximum(buyers["ever"], 1)
        kinds = np.bincount(statistics.catalogue.kind, buyers["4w"])
        recent = statistics.last_weeks(4)
        usual, now = _price(histories, num_items), _price(recent, num_items)
        value = np.bincount(recent.item, recent.value, num_items)
        off = np.bincount(recent.item, np.abs(recent.discount), num_items)
        display, mailer = statistics.promotions.mean(num_items, week - 3, week)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                **{f"buyers_{name}": values for name, values in buyers.items()},
                "trend": (buyers["4w"] / 4) / (buyers["13w"] / 13),
                "repeat": statistics.again / ever,
                "loyal": statistics.baskets / ever,
                "sold_for": _sold_for(statistics),
                "kind_share": buyers["4w"] / np.maximum(kinds[statistics.catalogue.kind], 1),
                "price": usual,
                "price_now": now / usual,
                "discount": off / (value + off),
                "display": display,
                "mailer": mailer,
            }
        return {name: np.asarray(values, np.float32) for name, values in columns.items()}

    @cached_property
    def _planned(self) -> dict[str, Float32s]:
        weeks = coming_weeks(self._statistics.cut, self._target_days)
        shares = self._statistics.promotions.mean(self._statistics.catalogue.num_items, *weeks)
        return dict(zip(PLAN, shares, strict=True))


def table(features: dict[str, Values], names: list[str], num: int) -> Float32s:
    """(N, F) the named columns side by side."""
    rows = np.empty((num, len(names)), np.float32)
    for column, name in enumerate(names):
        rows[:, column] = features[name]
    return rows


def level_columns(customers: Customers, level: str, customer: Int32s, row: Int64s) -> dict[str, Float32s]:
    """The `_LEVEL_FEATURES` of pairs at one level, without its name in front; `row` (N,) is what `Pairs.find` gave."""
    stats = customers.levels[level]
    age = (customers.statistics.today - stats.last).astype(np.float32)
    counts = {"num": stats.num, "fresh": stats.fresh, "brief": stats.brief}
    features = {name: take(values, row, 0.0) for name, values in counts.items()}
    features |= {"age": take(age, row, np.nan), "due": take(age / stats.gap, row, np.nan)}
    return features | {"share": features["fresh"] / customers.fresh[customer]}


def _levels(customers: Customers, customer: Int32s, item: Int32s) -> dict[str, Float32s]:
    features: dict[str, Float32s] = {}
    rows = {}
    for level in LEVELS:
        code = customers.statistics.catalogue.codes(level)[item]
        rows[level] = customers.levels[level].find(customer, code)
        columns = level_columns(customers, level, customer, rows[level])
        features |= {f"{level}_{name}": values for name, values in columns.items()}
    own, kind = customers.levels["item"], customers.levels["kind"]
    row = rows["item"]
    features["item_gap"] = take(own.gap, row, np.nan)
    features["item_since"] = take((customers.statistics.today - own.first).astype(np.float32), row, np.nan)
    features["item_units"] = take(own.units / np.maximum(own.num, 1), row, np.nan)
    paid = kind.spend / np.maximum(kind.units, 1e-6)
    features["_kind_price"] = take(paid, rows["kind"], np.nan)
    return features


def _ratios(features: dict[str, Float32s], of_customer: dict[str, Float32s], customer: Int32s) -> dict[str, Float32s]:
    with np.errstate(divide="ignore", invalid="ignore"):
        kind = np.where(features["kind_fresh"] > 0, features["kind_fresh"], np.nan)
        weeks = np.maximum(features["item_since"] / 7, 1)
        pace = of_customer["pace"][customer]
        ratios = {
            "item_rate": features["item_num"] / np.maximum(pace * weeks, 1),
            "item_of_kind": features["item_fresh"] / kind,
            "line_of_kind": features["line_fresh"] / kind,
            "price_to_kind": features["price"] / features["_kind_price"],
        }
    return {name: values.astype(np.float32) for name, values in ratios.items()}


def _of_customers(customers: Customers) -> dict[str, Float32s]:
    """(B,) each of `_CUSTOMER_FEATURES`, and `pace`: baskets per week since the first purchase."""
    lines, num, statistics = customers.lines, customers.num, customers.statistics
    baskets = _baskets(lines)
    tried, recent = customers.recent
    last, weeks = np.full(num, -(10**6), np.int32), np.zeros(num, np.int32)
    np.maximum.at(last, lines.customer, lines.day)
    np.maximum.at(weeks, lines.customer, statistics.weeks_ago(lines.day))
    own = customers.levels["item"]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "baskets": baskets,
            "baskets_4w": _baskets(statistics.last_weeks(4, lines)),
            "basket_size": np.bincount(own.customer, own.num, num) / baskets,
            "idle": statistics.today - last,
            "explore": tried / recent,
            "spend": np.bincount(lines.customer, lines.value, num) / baskets,
            "range": customers.variety,
            "pace": baskets / (weeks + 1),
        }
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def _price(histories: Histories, num_items: int) -> Float64s:
    """(I,) mean price per unit; NaN where nothing was sold."""
    value = np.bincount(histories.item, histories.value, num_items)
    units = np.bincount(histories.item, histories.quantity, num_items)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(units > 0, value / units, np.nan)


def _sold_for(statistics: PointInTimeStatistics) -> Float64s:
    """(I,) weeks since the first sale, the one that the cut ends included; NaN where nothing was sold."""
    weeks = statistics.weeks_ago(statistics.first_days).astype(np.float64) + 1
    return np.where(weeks > 0, weeks, np.nan)


def _baskets(histories: Histories) -> Int64s:
    """(C,) distinct baskets."""
    pair = np.unique(np.stack([histories.customer, histories.basket]), axis=1)
    return np.bincount(pair[0], minlength=histories.num_customers)
