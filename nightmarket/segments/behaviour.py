"""Behavioural features per customer, comparable between one who came yesterday and one of many years."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.histories.histories import Histories

PARTS = ("morning", "midday", "evening", "night")
"""Day parts by local hour: morning 5-10, midday 11-16, evening 17-21, night 22-4."""
LEAST_WEEKS = 4
"""A customer of one day has a rate as of four weeks, so that a first basket does not make a best customer."""
BLOCKS: dict[str, tuple[str, ...]] = {
    "rfm": ("recency", "visits", "spend", "basket"),
    "price": ("price", "discount", "discounted"),
    "time": (*PARTS, "weekend"),
    "channel": ("channels", "main_channel"),
    "breadth": ("kinds",),
}
"""Features by the question they answer; the shares of categories are a block of their own."""
SHARE = "share: "
CATEGORIES = 24
"""Categories, by spend, whose shares count; finer ones are too seldom bought to tell customers apart."""
_CLIP = 10.0


@dataclass(frozen=True)
class Assortment:
    """What grouping knows of I products.

    category  (I,)  code of department and category, into `names`
    kind      (I,)  code of the finest level
    usual     (K,)  median price per unit of a kind, currency; NaN where nothing was sold
    featured  codes of the categories whose shares are features
    """

    category: Int32s
    kind: Int32s
    names: tuple[str, ...]
    usual: Float64s
    featured: tuple[int, ...]


@dataclass(frozen=True)
class Visits:
    """Distinct hours in which customers bought; V visits, in no order.

    customer  (V,)  code
    day       (V,)  days since 1970-01-01, local
    part      (V,)  index into PARTS; -1 where the shop records no time of day
    """

    customer: Int32s
    day: Int32s
    part: NDArray[np.int8]

    def where(self, mask: Bools) -> "Visits":
        """The visits where the mask (V,) is true."""
        return Visits(self.customer[mask], self.day[mask], self.part[mask])

    @property
    def timed(self) -> bool:
        """Whether the time of day is known."""
        return bool(self.part.size) and bool((self.part >= 0).all())

    @property
    def weekday(self) -> Int64s:
        """(V,) 0 is Monday."""
        return (self.day.astype(np.int64) - 4) % 7


def assortment(products: pd.DataFrame, lines: Histories, categories: tuple[str, ...] | None = None) -> Assortment:
    """Codes and usual prices from the products that `prepare` writes; row i is item i.

    categories  names of those whose shares are features; None: the 24 on which most was spent
    """
    same = products["department"] == products["category"]
    path = products["department"].where(same, products["department"] + " > " + products["category"]).fillna("")
    category, names = pd.factorize(path)
    kind, kinds = pd.factorize(path + " > " + products["type"].fillna(""))
    paid = lines.value > 0
    unit = pd.Series(lines.value[paid] / lines.quantity[paid])
    usual = unit.groupby(kind[lines.item[paid]]).median().reindex(range(len(kinds))).to_numpy(np.float64)
    if categories is None:
        spent = np.bincount(category[lines.item], weights=amounts(lines), minlength=len(names))
        featured = tuple(int(i) for i in np.argsort(-spent, kind="stable")[:CATEGORIES] if spent[i] > 0)
    else:
        featured = tuple(list(names).index(name) for name in categories if name in names)
    return Assortment(category.astype(np.int32), kind.astype(np.int32), tuple(names), usual, featured)


def amounts(lines: Histories) -> Float64s:
    """(N,) what lines count: what was paid, or units where no line says what was paid, as in a shop without prices."""
    paid = bool(lines.value.any())
    return (lines.value if paid else lines.quantity).astype(np.float64)


def visits(customer: Int32s, local_seconds: Int64s) -> Visits:
    """Visits of events: customer code and local seconds since 1970, per event.

    Where more than 19 of 20 events stand at midnight sharp the shop records days only, and the part is -1.
    """
    if not customer.size:
        return Visits(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))
    timed = (local_seconds % 86_400 == 0).mean() <= 0.95
    hours = local_seconds // 3600
    first = int(hours.min())
    span = int(hours.max()) - first + 1
    who, hour = np.divmod(np.unique(customer.astype(np.int64) * span + hours - first), span)
    hour += first
    part = np.searchsorted([5, 11, 17, 22], hour % 24, side="right") - 1
    part = np.where(part < 0, len(PARTS) - 1, part) if timed else np.full(hour.size, -1)
    return Visits(who.astype(np.int32), (hour // 24).astype(np.int32), part.astype(np.int8))


def behaviour(
    lines: Histories, seen: Visits, assortment: Assortment, today: Int32s | int, closed: Int64s | None = None
) -> pd.DataFrame:
    """One row per customer code (C), columns of BLOCKS and one share per category; NaN for customers without lines.

    today   the last day that counts, days since 1970-01-01; (C,) where it differs between customers
    closed  days on which the shop was closed, ascending: in no count of weeks

    recency log days, visits log baskets per week, spend log currency per week, basket log currency; price mean log
    ratio to the kind's usual price; discount share of the undiscounted amount, discounted share of lines; parts and
    weekend shares of visits; channels log number; kinds log number per week; shares of spend, square root (Hellinger).
    Where no line says what was paid, spend, basket and price are 0 for everybody and the shares are of units.
    """
    num = lines.num_customers
    who = lines.customer.astype(np.int64)
    now = np.broadcast_to(np.asarray(today), (num,))
    count = _sum(who, None, num)
    known = count > 0
    first, last = np.full(num, 2**31 - 1), np.full(num, -(2**31))
    np.minimum.at(first, who, lines.day)
    np.maximum.at(last, who, lines.day)
    weeks = np.maximum(open_days(first, now, closed) / 7, LEAST_WEEKS)
    value, discount = lines.value.astype(np.float64), np.maximum(lines.discount.astype(np.float64), 0)
    spend, baskets = _sum(who, value, num), _distinct(who, lines.basket, num)
    out = pd.DataFrame(index=pd.RangeIndex(num, name="customer"))
    with np.errstate(divide="ignore", invalid="ignore"):
        out["recency"] = np.log1p(np.maximum(now - last, 0))
        out["visits"] = np.log(baskets / weeks)
        out["spend"] = np.log((spend + 1) / weeks) if value.any() else 0.0
        out["basket"] = np.log((spend + 1) / baskets) if value.any() else 0.0
        usual = assortment.usual[assortment.kind[lines.item]]
        priced = (value > 0) & (usual > 0)
        ratio = np.log(np.clip(value[priced] / lines.quantity[priced] / usual[priced], 1 / _CLIP, _CLIP))
        out["price"] = np.nan_to_num(_sum(who[priced], ratio, num) / _sum(who[priced], None, num))
        reduced = _sum(who, discount, num)
        out["discount"] = np.nan_to_num(reduced / (reduced + spend))
        out["discounted"] = _sum(who, (discount > 0).astype(float), num) / count
        out["channels"] = np.log(_distinct(who, lines.channel, num))
        out["main_channel"] = _largest(who, lines.channel, lines.basket, num) / baskets
        out["kinds"] = np.log(_distinct(who, assortment.kind[lines.item], num) / np.sqrt(weeks))
    out = out.join(_when(seen, num)).join(
        _shares(who, amounts(lines), assortment.category[lines.item], assortment, num)
    )
    return out.where(pd.Series(known, index=out.index), np.nan)


def open_days(first: NDArray, last: NDArray | int, closed: Int64s | None) -> NDArray:
    """Days from the first to the last, both counted, without those on which the shop was closed."""
    days = last - first + 1
    if closed is None:
        return days
    return np.asarray(days - (np.searchsorted(closed, last, side="right") - np.searchsorted(closed, first)))


def _when(seen: Visits, num: int) -> pd.DataFrame:
    total = np.maximum(_sum(seen.customer, None, num), 1)
    columns = {"weekend": _sum(seen.customer, (seen.weekday >= 5).astype(float), num) / total}
    if seen.timed:
        for i, part in enumerate(PARTS):
            columns[part] = np.sqrt(_sum(seen.customer, (seen.part == i).astype(float), num) / total)
    return pd.DataFrame(columns, index=pd.RangeIndex(num, name="customer"))


def _shares(who: Int64s, value: Float64s, category: Int32s, assortment: Assortment, num: int) -> pd.DataFrame:
    spent = np.maximum(_sum(who, value, num), 1e-9)
    shares = {}
    for code in assortment.featured:
        inside = category == code
        shares[SHARE + assortment.names[code]] = np.sqrt(_sum(who[inside], value[inside], num) / spent)
    return pd.DataFrame(shares, index=pd.RangeIndex(num, name="customer"))


def _sum(who: NDArray, weights: Float64s | None, num: int) -> Float64s:
    return np.bincount(who, weights=weights, minlength=num).astype(np.float64)


def _distinct(who: Int64s, code: Int32s, num: int) -> Float64s:
    """Number of distinct codes per customer."""
    size = int(code.max(initial=0)) + 1
    return _sum(np.unique(who * size + code) // size, None, num)


def _largest(who: Int64s, channel: Int32s, basket: Int32s, num: int) -> Float64s:
    """Baskets in each customer's main channel."""
    if not who.size:
        return np.zeros(num)
    _, first = np.unique(basket, return_index=True)  # a basket is of one customer and one channel
    size = int(channel.max()) + 1
    pair, baskets = np.unique(who[first] * size + channel[first], return_counts=True)
    out = np.zeros(num)
    np.maximum.at(out, pair // size, baskets)
    return out
