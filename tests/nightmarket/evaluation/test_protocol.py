"""Time is cut in days; what a list must find is counted the same way by everybody."""

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.evaluation.protocol import Task, Window, Windows, cuts, launching, num_customers, targets
from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories


def history(rows: list[tuple[int, int, int]], num_customers: int = 3, num_items: int = 4) -> Histories:
    """Lines (customer, item, day), one unit each."""
    table = np.array(sorted(rows), np.int32).reshape(-1, 3)
    ones, zeros = np.ones(len(table), np.float32), np.zeros(len(table), np.int32)
    codes = {"customer": table[:, 0], "item": table[:, 1], "week": (table[:, 2] - 4) // 7, "day": table[:, 2]}
    money = {"quantity": ones, "value": ones, "discount": 0 * ones, "basket": zeros, "channel": zeros}
    return Histories(**codes, **money, num_customers=num_customers, num_items=num_items)


def test_windows_do_not_overlap_and_the_encoder_learns_before_the_ranker():
    made = cuts(last_day(52), last_day(0) + 1, 28, 3, 28)
    assert made["test"] == Window(last_day(48), last_day(48) + 1, last_day(52))
    assert [window.cut for window in made["train"]] == [last_day(44), last_day(40)]
    assert made["finetune"].last_target == made["train"][-1].cut


def test_launches_are_learned_further_back_but_never_without_history_nor_in_the_test_window():
    made = cuts(last_day(52), last_day(0) + 1, 28, 3, 14, 8)
    assert [window.cut for window in made["launch"]] == [last_day(week) for week in (44, 42, 40, 38, 36, 34, 32, 30)]
    assert max(window.last_target for window in made["launch"]) == made["test"].cut
    short = cuts(last_day(30), last_day(0) + 1, 28, 3, 14, 8)
    assert [window.cut for window in short["launch"]] == [last_day(week) for week in (22, 20, 18, 16, 14, 12)], (
        "three windows of history before each"
    )


def test_too_short_a_history_is_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"56 days of history, 140 are needed; .*target_days"):
        cuts(last_day(8), last_day(0) + 1, 28, 3, 28)


def test_a_window_need_not_be_a_number_of_weeks():
    made = cuts(1000, 900, 10, 3, 5)
    assert made["test"] == Window(990, 991, 1000)
    assert made["test"].days == 10
    assert [window.cut for window in made["train"]] == [980, 975, 970]
    assert made["finetune"] == Window(960, 961, 970)


def test_windows_come_back_from_json_and_those_in_weeks_are_refused_by_name():
    made = Windows(
        **cuts(1000, 900, 10, 3, 5, 2),
        deliver=Window.after(1001),
        first_day=900,
        last_day=1001,
        as_of="a",
        time_zone="b",
    )
    assert Windows.read(made.content()) == made
    assert made.deliver.days == 0
    old = made.content() | {"test": {"fit_until": 2498, "first_target": 2499, "last_target": 2502}}
    with pytest.raises(InputError, match="older version, in weeks; run the stage `prepare` again"):
        Windows.read(old)


def test_targets_of_each_task_by_hand():
    # Item 0 was bought before by customer 0 alone, item 1 by nobody, item 2 by customers 0 and 1.
    before = [(0, 0, 10), (0, 2, 10), (1, 2, 11)]
    after = [(0, 0, 12), (0, 1, 12), (1, 0, 15), (1, 1, 16), (2, 2, 15), (2, 3, 40)]
    wanted = targets(history(before + after), Window(11, 12, 16))
    assert wanted[Task.ALL].items.tolist() == [0, 1, 0, 1, 2]
    assert wanted[Task.ALL].indptr.tolist() == [0, 2, 4, 5]
    assert wanted[Task.NEW].items.tolist() == [1, 0, 1, 2]
    assert wanted[Task.RARE].items.tolist() == [0, 2], "new to the customer, and sold before"
    assert wanted[Task.RARE].customers.tolist() == [1, 2]
    assert wanted[Task.DEBUT].items.tolist() == [1, 1]
    assert num_customers(wanted) == {"all": 3, "new": 3, "rare": 2, "launch": 0, "debut": 2}


def test_a_launch_is_first_sold_in_the_target_days():
    first = np.array([5, 12, 16, 17, 13, 2147483647], np.int32)
    recommendable = np.array([True, True, True, True, False, True])
    assert launching(first, recommendable, Window(11, 12, 16)).tolist() == [1, 2]
    assert launching(first, recommendable, Window.after(11)).tolist() == []
