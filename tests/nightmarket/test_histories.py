"""Days and weeks are the shop's own; time is cut where the protocol says; texts say each thing once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from nightmarket.histories.calendar import (
    NEVER,
    date_of,
    day_of,
    last_complete_week,
    last_day,
    last_whole_week,
    monday,
    offsets,
    week_of,
    weeks_before,
    weeks_ending,
)
from nightmarket.histories.histories import Histories
from nightmarket.histories.purchases import returned
from nightmarket.histories.texts import levels, product_texts


def history(rows: list[tuple[int, int, int]], num_customers: int = 3, num_items: int = 4) -> Histories:
    """Lines (customer, item, week), one unit each."""
    table = np.array(sorted(rows), np.int32).reshape(-1, 3)
    ones = np.ones(len(table), np.float32)
    return Histories(
        customer=table[:, 0],
        item=table[:, 1],
        week=table[:, 2],
        day=table[:, 2] * 7 + 4,
        quantity=ones,
        value=ones,
        discount=0 * ones,
        basket=np.arange(len(table), dtype=np.int32),
        channel=np.zeros(len(table), np.int32),
        num_customers=num_customers,
        num_items=num_items,
    )


def test_a_week_starts_on_monday():
    assert week_of(day_of(date(1970, 1, 5))) == 0
    assert week_of(day_of(date(2017, 12, 24))) == week_of(day_of(date(2017, 12, 18)))
    assert week_of(day_of(date(2017, 12, 25))) == week_of(day_of(date(2017, 12, 24))) + 1
    assert monday(week_of(day_of(date(2017, 12, 24)))) == date(2017, 12, 18)
    assert date_of(last_day(week_of(day_of(date(2017, 12, 18))))) == date(2017, 12, 24)


def test_a_week_has_ended_on_its_sunday():
    sunday = day_of(date(2017, 12, 24))
    assert last_whole_week(sunday) == week_of(sunday)
    assert last_whole_week(sunday - 1) == week_of(sunday) - 1


def test_weeks_are_counted_back_from_the_cut_and_are_those_of_the_calendar_where_it_is_a_sunday():
    days = np.arange(17_000, 17_100, dtype=np.int32)
    for cut in range(17_090, 17_100):
        assert weeks_before(np.array([cut, cut - 6, cut - 7], np.int32), cut).tolist() == [0, 0, 1]
        ago = weeks_ending(np.array([cut], np.int32), cut) - weeks_ending(days, cut)
        assert ago.tolist() == weeks_before(days, cut).tolist()
        assert (weeks_ending(days, cut) == week_of(days)).all() == (date_of(cut).weekday() == 6)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"])
def test_offsets_agree_with_the_time_zone_database_through_a_year(zone):
    first = datetime(2017, 1, 1)
    changes = offsets(zone, first, datetime(2017, 12, 31))
    for hours in range(0, 24 * 364, 7):
        moment = (first + timedelta(hours=hours)).replace(tzinfo=UTC)
        ours = [offset for start, offset in changes if moment.timestamp() >= start][-1]
        assert timedelta(seconds=ours) == moment.astimezone(ZoneInfo(zone)).utcoffset()


def test_a_half_week_is_not_a_target_but_a_shop_that_rests_on_sundays_has_complete_weeks():
    assert last_complete_week({1: 7, 2: 7, 3: 7, 4: 6}) == 3
    assert last_complete_week({1: 6, 2: 6, 3: 6}) == 3


def test_cutting_keeps_the_rows_on_the_right_side():
    lines = history([(0, 0, 1), (0, 1, 2), (1, 0, 3)])
    assert lines.until(last_day(2)).week.tolist() == [1, 2]
    assert lines.between(last_day(1) + 1, last_day(3)).item.tolist() == [1, 0]
    assert lines.indptr.tolist() == [0, 2, 3, 3]


def test_targets_are_distinct_and_leave_out_what_was_bought_before():
    lines = history([(0, 0, 1), (0, 0, 5), (0, 2, 5), (0, 2, 6), (1, 3, 5)])
    before, after = lines.until(last_day(4)), lines.between(last_day(4) + 1, last_day(6))
    assert after.targets()[1].tolist() == [0, 2, 3]
    indptr, items = after.targets(before.matrix())
    assert indptr.tolist() == [0, 1, 2, 2]
    assert items.tolist() == [2, 3]


def test_a_text_says_each_thing_once_and_an_empty_product_still_has_one():
    products = pd.DataFrame(
        {
            "title": ["Apple sauce 50 oz", None, "低乳糖牛奶 1L"],
            "category": ["GROCERY > FRUIT > APPLE SAUCE", None, "乳品 > 牛奶"],
            "brand": ["Private", None, "光明"],
        }
    )
    assert product_texts(products).tolist() == [
        "Apple sauce 50 oz, FRUIT, GROCERY, Private",
        "unnamed product",
        "低乳糖牛奶 1L, 乳品, 光明",
    ]


def test_a_missing_level_repeats_the_one_above():
    names = levels(pd.Series(["A > B > C > D", "A > B", "A", None]))
    assert names["department"].tolist() == ["A", "A", "A", ""]
    assert names["category"].tolist() == ["B", "B", "A", ""]
    assert names["type"].tolist() == ["D", "B", "A", ""]


def test_a_return_takes_the_latest_purchase_back_from_its_day_on_and_never_before():
    customer, item, day = (np.array(values, np.int32) for values in ([0, 0, 0, 1], [5, 5, 6, 5], [10, 20, 20, 12]))
    back = {"customer": [0, 0, 0, 1], "item": [5, 5, 5, 5], "day": [22, 30, 31, 11]}
    back = {name: np.array(values, np.int32) for name, values in back.items()} | {"quantity": np.ones(4)}
    came_back = returned(customer, item, day, np.ones(4, np.float32), back)
    # the third return of a product that was bought twice, and one before any purchase, take nothing back
    assert came_back.tolist() == [30, 22, NEVER, NEVER]
    ones = np.ones(4, np.float32)
    codes = np.arange(4, dtype=np.int32)
    lines = Histories(customer, item, day // 7, day, ones, ones, 0 * ones, codes, 0 * codes, 2, 7, came_back)
    assert lines.until(21).day.tolist() == [10, 20, 20, 12]
    assert lines.until(22).day.tolist() == [10, 20, 12]
    assert lines.until(40).day.tolist() == [20, 12]


def test_a_return_takes_units_and_a_line_of_which_some_are_kept_stays():
    codes = np.zeros(3, np.int32)
    day, quantity = np.array([10, 20, 30], np.int32), np.array([1, 2, 3], np.float32)

    def came_back(days, units):
        back = {"customer": codes[: len(days)], "item": codes[: len(days)], "day": np.array(days, np.int32)}
        return returned(codes, codes, day, quantity, back | {"quantity": np.array(units)}).tolist()

    assert came_back([31], [2.0]) == [NEVER, NEVER, NEVER]
    assert came_back([31, 32], [2.0, 1.0]) == [NEVER, NEVER, 32]
    assert came_back([31], [5.0]) == [NEVER, 31, 31]
    assert came_back([25], [9.0]) == [25, 25, NEVER]
    assert came_back([31], [0.0]) == [NEVER, NEVER, 31]  # of a shop that does not say how many
