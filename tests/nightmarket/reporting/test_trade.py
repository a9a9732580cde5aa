"""The week's trade, counted by hand."""

import numpy as np
import pytest

from nightmarket.reporting import trade

LAST = 17_531


def view(lines):
    day, customer, basket, value = np.array(lines, float).T
    return trade.view(day.astype(int), customer.astype(int), basket.astype(int), value, LAST)


def test_a_week_is_its_last_seven_days_and_is_held_against_the_seven_before_and_those_of_52_weeks_ago():
    rows = [
        (LAST, 1, 1, 10.0), (LAST, 1, 1, 5.0), (LAST - 6, 2, 2, 15.0),  # two baskets of two customers
        (LAST - 7, 1, 3, 20.0), (LAST - 13, 1, 4, 4.0),
        (LAST - 364, 3, 5, 60.0), (LAST - 371, 3, 6, 1.0),
    ]  # fmt: skip
    week = view(rows)
    assert (week.week.sales, week.week.orders, week.week.customers, week.week.basket) == (30.0, 2, 2, 15.0)
    assert (week.before.sales, week.before.orders, week.before.customers) == (24.0, 2, 1)
    assert (week.year_before.sales, week.year_before.orders) == (60.0, 1)
    assert trade.change(week.week.sales, week.before.sales) == pytest.approx(0.25)


def test_a_shop_without_prices_has_orders_and_no_sales_and_a_young_one_nothing_to_be_held_against():
    week = view([(LAST, 1, 1, 0.0), (LAST - 3, 2, 2, 0.0)])
    assert (week.week.sales, week.week.basket, week.week.orders) == (None, None, 2)
    assert week.before is None
    assert week.year_before is None
    assert trade.change(None, 3.0) is None
    assert trade.change(3.0, 0) is None
