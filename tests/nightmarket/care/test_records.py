"""Records: purchases are days, returns reduce value, and nothing after the cut is read."""

import numpy as np
import pytest

from nightmarket.care.records import PurchaseDays, counted, outcomes, records
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.histories import Histories


def histories(customer, day, value, returned=None, num_customers=3):
    customer, day = (np.asarray(values, np.int32) for values in (customer, day))
    zero, ones = np.zeros(customer.size, np.int32), np.ones(customer.size, np.float32)
    back = None if returned is None else np.asarray(returned, np.int32)
    value = np.asarray(value, np.float32)
    return Histories(customer, zero, day // 7, day, ones, value, 0 * ones, zero, zero, num_customers, 1, back)


#                customer 0: days 10, 10, 20, 50        customer 2: day 30
LINES = histories([0, 0, 0, 0, 2], [10, 10, 20, 50, 30], [1, 2, 5, 9, 4], [NEVER, NEVER, 25, 55, NEVER])


def test_two_lines_of_a_day_are_one_purchase():
    known = records(PurchaseDays.of(LINES), 40)
    assert known.customer.tolist() == [0, 2]
    assert known.repeats.tolist() == [1, 0]
    assert known.last.tolist() == [10, 0]
    assert known.age.tolist() == [30, 10]
    assert known.idle.tolist() == [20, 10]


def test_what_had_come_back_by_the_cut_is_no_spend_and_was_before():
    days = PurchaseDays.of(LINES)
    assert records(days, 24).spend.tolist() == [4]  # (1 + 2 + 5) / 2
    assert records(days, 40).spend.tolist() == [1.5, 4]
    assert records(days, 24).again_spend.tolist() == [5]


def test_outcomes_are_of_the_days_after_the_cut_less_what_came_back_in_them():
    days = PurchaseDays.of(LINES)
    known = records(days, 40)
    assert outcomes(days, known, 10).value.tolist() == [9, 0]  # comes back on day 55 only
    assert outcomes(days, known, 20).value.tolist() == [0, 0]
    assert outcomes(days, known, 20).purchases.tolist() == [1, 0]
    assert outcomes(days, known, 9).bought.tolist() == [False, False]
    assert counted(days, known, 20).tolist() == [0, 1]
    assert counted(days, known, 21).tolist() == [1, 1]


def test_nothing_after_the_cut_is_read():
    whole, early = PurchaseDays.of(LINES), PurchaseDays.of(LINES.where(LINES.day <= 40))
    for name in ("customer", "repeats", "last", "age", "spend", "again_spend"):
        assert getattr(records(whole, 40), name).tolist() == getattr(records(early, 40), name).tolist()


@pytest.mark.parametrize("cut", [5, 40])
def test_a_shop_without_purchases_has_no_records(cut):
    days = PurchaseDays.of(histories([], [], []))
    known = records(days, cut)
    assert len(known) == 0
    assert outcomes(days, known, 7).purchases.size == 0
    assert not days.priced
