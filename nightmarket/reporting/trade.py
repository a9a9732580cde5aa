"""The last week's trade beside the week before and the same week a year ago."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Float64s, Int64s

WEEK, YEAR = 7, 364
"""Days; 52 weeks, so that weekdays fall on weekdays."""


@dataclass(frozen=True)
class WeekOfTrade:
    """Seven days.

    last       the last of them, days since 1970-01-01
    sales      currency; None where no purchase has a value
    orders     baskets
    customers  who bought
    """

    last: int
    sales: float | None
    orders: int
    customers: int

    @property
    def basket(self) -> float | None:
        """Currency of an order; None without sales."""
        return None if self.sales is None or not self.orders else self.sales / self.orders


@dataclass(frozen=True)
class TradeView:
    """The last week and what it is held against; None where the purchases do not reach back so far."""

    week: WeekOfTrade
    before: WeekOfTrade | None
    year_before: WeekOfTrade | None


def change(now: float | None, then: float | None) -> float | None:
    """Share by which it grew; None where there is nothing to hold it against."""
    return None if now is None or not then else now / then - 1


def view(day: Int64s, customer: Int64s, basket: Int64s, value: Float64s, last: int) -> TradeView:
    """day, customer, basket, value  (N,)  purchase lines; days since 1970-01-01, codes, codes, currency

    last  day of the last week
    """
    priced = bool(np.any(value > 0))
    first = int(day.min()) if day.size else last

    def week(until: int) -> WeekOfTrade:
        inside = (day > until - WEEK) & (day <= until)
        sales = float(value[inside].sum()) if priced else None
        return WeekOfTrade(until, sales, np.unique(basket[inside]).size, np.unique(customer[inside]).size)

    known = [week(last - back) if first <= last - back - WEEK + 1 else None for back in (WEEK, YEAR)]
    return TradeView(week(last), *known)
