"""Cuts in time at their edges: exactly enough history, the last and the first day, a window of one day."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.evaluation.protocol import RARE_BUYERS, Task, Window, cuts, targets
from nightmarket.histories.calendar import (
    NEVER,
    date_of,
    day_of,
    first_day,
    last_complete_week,
    last_day,
    last_whole_week,
    monday,
    offsets,
    week_of,
)
from nightmarket.histories.histories import Histories


def test_exactly_enough_history_is_enough_and_a_day_less_is_not():
    made = cuts(last_day=149, first_day=100, target_days=10, num_origins=3, origin_step=10)
    assert made["test"] == Window(139, 140, 149)
    assert [window.cut for window in made["train"]] == [129, 119]
    assert made["finetune"] == Window(109, 110, 119)
    assert made["launch"] == ()
    with pytest.raises(InputError, match="49 days of history, 50 are needed"):
        cuts(last_day=149, first_day=101, target_days=10, num_origins=3, origin_step=10)


def test_the_oldest_cut_for_launches_has_three_windows_of_history_before_it():
    made = cuts(last_day=200, first_day=101, target_days=10, num_origins=2, origin_step=1, num_launch=99)
    assert made["launch"][0].cut == 180, "the newest ends where the test window begins to be known"
    assert made["launch"][-1].cut == 130
    assert made["launch"][-1].cut - 101 + 1 == 3 * 10
    assert len(made["launch"]) == 51
    few = cuts(last_day=200, first_day=101, target_days=10, num_origins=2, origin_step=1, num_launch=2)
    assert [window.cut for window in few["launch"]] == [180, 179]


def test_every_training_target_is_known_before_the_test_window_and_no_two_windows_are_the_same():
    for step in (3, 5, 10):
        made = cuts(last_day=300, first_day=101, target_days=10, num_origins=5, origin_step=step)
        known = [window.cut for window in made["train"]]
        assert known == list(range(280, 249, -step))
        assert all(window.last_target <= made["test"].cut for window in made["train"])
        assert all(window.last_target - window.cut == window.days == 10 for window in made["train"])
        assert made["finetune"].last_target == 250 <= min(known)


def test_a_window_after_a_cut_has_the_days_that_it_says():
    assert Window.after(50, 1) == Window(50, 51, 51)
    assert Window.after(50, 1).days == 1
    assert Window.after(50) == Window(50, 51, 50)
    assert Window.after(50).days == 0


def lines(rows):
    """Lines (customer, item, day)."""
    table = np.array(sorted(rows), np.int32).reshape(-1, 3)
    ones, zeros = np.ones(len(table), np.float32), np.zeros(len(table), np.int32)
    return Histories(table[:, 0], table[:, 1], table[:, 2] // 7, table[:, 2], ones, ones, 0 * ones, zeros, zeros, 20, 3)


def test_a_product_of_ten_buyers_is_not_rare_and_one_of_nine_is():
    assert RARE_BUYERS == 10
    before = [(customer, 0, 10) for customer in range(10)] + [(customer, 1, 10) for customer in range(9)]
    wanted = targets(lines([*before, (15, 0, 11), (15, 1, 11), (15, 2, 11)]), Window(10, 11, 12))
    assert wanted[Task.RARE].items.tolist() == [1]
    assert wanted[Task.DEBUT].items.tolist() == [2]
    assert wanted[Task.ALL].items.tolist() == [0, 1, 2]
    assert wanted[Task.ALL].customers.tolist() == [15]


def test_the_day_of_the_cut_is_known_and_the_last_target_day_is_asked_for():
    rows = [(0, 0, 10), (0, 1, 11), (0, 2, 12), (1, 0, 13)]
    wanted = targets(lines(rows), Window(10, 11, 12))
    assert wanted[Task.NEW].items.tolist() == [1, 2]
    assert targets(lines(rows), Window(10, 12, 13))[Task.ALL].items.tolist() == [2, 0]
    assert targets(lines(rows), Window(9, 10, 10))[Task.DEBUT].items.tolist() == [0]


def test_days_weeks_and_dates_by_hand():
    assert day_of(date(1970, 1, 1)) == 0
    assert day_of(date(1971, 1, 1)) == 365
    assert date_of(-1) == date(1969, 12, 31)
    assert (week_of(3), week_of(4), week_of(10), week_of(11)) == (-1, 0, 0, 1)
    assert (first_day(0), last_day(0), first_day(2)) == (4, 10, 18)
    assert monday(1) == date(1970, 1, 12)
    assert [last_whole_week(day) for day in (9, 10, 11, 16, 17)] == [-1, 0, 0, 0, 1]
    assert np.iinfo(np.int32).max == NEVER, "later than every day, and still a day that fits"


def test_the_last_complete_week_has_as_many_days_as_the_one_in_the_middle():
    assert last_complete_week({1: 7, 2: 6, 3: 7, 4: 6, 5: 1}) == 4
    assert last_complete_week({8: 3, 9: 5}) == 9
    assert last_complete_week({8: 5, 9: 3}) == 8
    with pytest.raises(InputError, match="no purchase of a recommendable product"):
        last_complete_week({})


def test_offsets_begin_at_the_first_hour_and_see_a_change_up_to_an_hour_after_the_last():
    """New York's clock went back on 2017-11-05 at 06:00 UTC."""
    change = datetime(2017, 11, 5, 6)
    before, after = -4 * 3600, -5 * 3600
    seconds = lambda moment: int((moment - datetime(1970, 1, 1)).total_seconds())  # noqa: E731
    first = datetime(2017, 11, 4, 9, 41, 7, 5)
    start = (seconds(datetime(2017, 11, 4, 9)), before)
    assert offsets("America/New_York", first, change) == [start, (seconds(change), after)]
    hour = timedelta(hours=1)
    assert offsets("America/New_York", first, change - hour) == [start, (seconds(change), after)]
    assert offsets("America/New_York", first, change - hour - timedelta(minutes=1)) == [start]
    assert offsets("UTC", first, change) == [(start[0], 0)]


@pytest.mark.parametrize(
    ("days", "window", "step"), [(5, 1, 1), (21, 4, 2), (139, 27, 13), (140, 28, 14), (900, 28, 14)]
)
def test_windows_have_four_weeks_or_as_many_days_as_a_young_shop_allows(days, window, step):
    made = cuts(last_day=1000, first_day=1001 - days, target_days=None, num_origins=3, origin_step=14)
    assert made["test"].days == made["finetune"].days == window
    assert made["train"][0].cut - made["train"][1].cut == step
    assert made["finetune"].cut >= 1000 - days


def test_of_a_shop_of_two_days_the_second_is_found_from_the_first_and_nothing_is_learned():
    made = cuts(last_day=1000, first_day=999, target_days=None, num_origins=3, origin_step=14)
    assert made["test"] == Window(999, 1000, 1000)
    assert all(window.cut < 999 for window in (*made["train"], made["finetune"]))
    assert made["launch"] == ()
    with pytest.raises(InputError, match=r"1 days of history, 2 are needed; bring more$"):
        cuts(last_day=1000, first_day=1000, target_days=None, num_origins=3, origin_step=14)
