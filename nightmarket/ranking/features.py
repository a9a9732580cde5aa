"""What the second stage knows of a (customer, product) pair at an origin.

`FEATURES` documents each one; NaN means "never happened", which the trees treat as a value of its own.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nightmarket.histories import Histories
from nightmarket.ranking.evidence import Evidence

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_LEVELS = ("item", "line", "kind", "category", "maker")
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
"""Known at the origin only where a retailer fixes the promotion plan in advance: off unless `rank.promotion_plan`."""

FEATURES: dict[str, str] = {
    **{f"{level}_{name}": f"{level}: {text}" for level in _LEVELS for name, text in _LEVEL_FEATURES.items()},
    **_ITEM_FEATURES,
    **_CUSTOMER_FEATURES,
}


class FeatureTable:
    """Computes feature rows for pairs at one origin; statistics are made once, on first use."""

    def __init__(self, evidence: Evidence, target_weeks: int, promotion_plan: bool = False) -> None:
        self._evidence = evidence
        self._target_weeks = target_weeks
        self._plan = promotion_plan

    def names(self, sources: list[str]) -> list[str]:
        """Names of the columns, in order; `sources` are the candidate sources whose scores are appended."""
        return [*FEATURES, *(PLAN if self._plan else {}), *(f"score_{name}" for name in sources)]

    def rows(self, customer: Ints, item: Ints, scores: dict[str, Floats]) -> Floats:
        """(N, F) features of the pairs (customer[i], item[i])."""
        found = self._levels(customer, item)
        found |= self._of_item(customer, item, found)
        found |= {name: values[customer] for name, values in self._customers.items()}
        if self._plan:
            found |= {name: values[item] for name, values in self._planned.items()}
        found |= {f"score_{name}": values for name, values in scores.items()}
        table = np.empty((customer.size, len(found)), np.float32)
        for column, name in enumerate(self.names(list(scores))):
            table[:, column] = found[name]
        return table

    def _levels(self, customer: Ints, item: Ints) -> dict[str, Floats]:
        catalogue, last_day = self._evidence.catalogue, self._evidence.last_day
        codes = {"item": item} | {level: getattr(catalogue, level)[item] for level in _LEVELS[1:]}
        found: dict[str, Floats] = {}
        for level in _LEVELS:
            stats = self._evidence.levels[level]
            row = stats.find(customer, codes[level])
            never = row < 0
            age = (last_day - stats.last).astype(np.float32)
            columns = {"num": stats.num, "fresh": stats.fresh, "brief": stats.brief, "age": age, "due": age / stats.gap}
            for name, values in columns.items():
                found[f"{level}_{name}"] = _take(
                    values, row, never, 0.0 if name in ("num", "fresh", "brief") else np.nan
                )
            found[f"{level}_share"] = found[f"{level}_fresh"] / self._evidence.customer_fresh[customer]
            if level == "item":
                since = (last_day - stats.first).astype(np.float32)
                found["item_gap"] = _take(stats.gap, row, never, np.nan)
                found["item_since"] = _take(since, row, never, np.nan)
                found["item_units"] = _take(stats.units / np.maximum(stats.num, 1), row, never, np.nan)
            if level == "kind":
                paid = stats.spend / np.maximum(stats.units, 1e-6)
                found["_kind_price"] = _take(paid, row, never, np.nan)
        return found

    def _of_item(self, customer: Ints, item: Ints, found: dict[str, Floats]) -> dict[str, Floats]:
        items = {name: values[item] for name, values in self._items.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            kind = np.where(found["kind_fresh"] > 0, found["kind_fresh"], np.nan)
            weeks = np.maximum(found["item_since"] / 7, 1)
            pace = self._customers["baskets"][customer] / self._tenure[customer]
            ratios = {
                "item_rate": found["item_num"] / np.maximum(pace * weeks, 1),
                "item_of_kind": found["item_fresh"] / kind,
                "line_of_kind": found["line_fresh"] / kind,
                "price_to_kind": items["price"] / found.pop("_kind_price"),
            }
        return items | {name: values.astype(np.float32) for name, values in ratios.items()}

    @cached_property
    def _tenure(self) -> Floats:
        """(C,) weeks since each customer's first purchase, at least one."""
        histories = self._evidence.histories
        first = np.full(histories.num_customers, self._evidence.origin, np.int32)
        np.minimum.at(first, histories.customer, histories.week)
        return (self._evidence.origin - first + 1).astype(np.float32)

    @cached_property
    def _items(self) -> dict[str, Floats]:
        evidence, histories = self._evidence, self._evidence.histories
        num_items, origin = evidence.catalogue.num_items, evidence.origin
        buyers, stats = evidence.buyers, evidence.levels["item"]
        ever = np.maximum(buyers["ever"], 1)
        again = np.bincount(stats.code, stats.days > 1, num_items)
        baskets = np.bincount(stats.code, stats.num, num_items)
        kinds = np.bincount(evidence.catalogue.kind, buyers["4w"])
        recent = histories.between(origin - 3, origin)
        usual, now = _price(histories, num_items), _price(recent, num_items)
        value = np.bincount(recent.item, recent.value, num_items)
        off = np.bincount(recent.item, np.abs(recent.discount), num_items)
        display, mailer = evidence.promotions.mean(num_items, origin - 3, origin)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                **{f"buyers_{name}": values for name, values in buyers.items()},
                "trend": (buyers["4w"] / 4) / (buyers["13w"] / 13),
                "repeat": again / ever,
                "loyal": baskets / ever,
                "sold_for": _sold_for(histories.first_weeks(), origin),
                "kind_share": buyers["4w"] / np.maximum(kinds[evidence.catalogue.kind], 1),
                "price": usual,
                "price_now": now / usual,
                "discount": off / (value + off),
                "display": display,
                "mailer": mailer,
            }
        return {name: np.asarray(values, np.float32) for name, values in columns.items()}

    @cached_property
    def _planned(self) -> dict[str, Floats]:
        origin = self._evidence.origin
        shares = self._evidence.promotions.mean(
            self._evidence.catalogue.num_items, origin + 1, origin + self._target_weeks
        )
        return dict(zip(PLAN, shares, strict=True))

    @cached_property
    def _customers(self) -> dict[str, Floats]:
        histories, origin = self._evidence.histories, self._evidence.origin
        stats, num = self._evidence.levels["item"], histories.num_customers
        baskets = _baskets(histories)
        tried, recent = self._evidence.customer_recent
        last = np.full(num, -(10**6), np.int32)
        np.maximum.at(last, histories.customer, histories.day)
        sizes = np.bincount(stats.customer, stats.num, num)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                "baskets": baskets,
                "baskets_4w": _baskets(histories.between(origin - 3, origin)),
                "basket_size": sizes / baskets,
                "idle": self._evidence.last_day - last,
                "explore": tried / recent,
                "spend": np.bincount(histories.customer, histories.value, num) / baskets,
                "range": self._evidence.customer_range,
            }
        return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def _take(values: NDArray, row: NDArray[np.int64], never: NDArray[np.bool_], missing: float) -> Floats:
    if values.size == 0:
        return np.full(row.size, missing, np.float32)
    taken = values[np.maximum(row, 0)].astype(np.float32)
    taken[never] = missing
    return taken


def _price(histories: Histories, num_items: int) -> NDArray[np.float64]:
    """(I,) mean price per unit; NaN where nothing was sold."""
    value = np.bincount(histories.item, histories.value, num_items)
    units = np.bincount(histories.item, histories.quantity, num_items)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(units > 0, value / units, np.nan)


def _sold_for(first_weeks: Ints, origin: int) -> NDArray[np.float64]:
    return np.where(first_weeks <= origin, origin - first_weeks.astype(np.float64) + 1, np.nan)


def _baskets(histories: Histories) -> NDArray[np.int64]:
    """(C,) distinct baskets."""
    pair = np.unique(np.stack([histories.customer, histories.basket]), axis=1)
    return np.bincount(pair[0], minlength=histories.num_customers)
