"""Days of contacts: at most one a day, so many in any seven days, capacity, an even load."""

from itertools import combinations

import numpy as np
import pytest

from nightmarket.delivery.timing import fits, room, schedule


def allowed(before, some, per_week):
    """Every seven days that hold a new contact hold no more than the cap; earlier contacts alone are as they are."""
    every = [*before, *some]
    return all(
        sum(first <= day < first + 7 for day in every) <= per_week
        for first in range(-12, max(some, default=-13) + 1)
        if any(first <= day < first + 7 for day in some)
    )


@pytest.mark.parametrize("before", [(), (-1,), (-6,), (-3, -1)])
@pytest.mark.parametrize(("num_days", "per_week"), [(5, 1), (9, 2), (10, 1)])
def test_room_is_the_most_contacts_that_any_choice_of_days_allows(before, num_days, per_week):
    sizes = [
        size
        for size in range(num_days + 1)
        if any(allowed(before, some, per_week) for some in combinations(range(num_days), size))
    ]
    assert room(before, num_days, per_week) == max(sizes)


def test_nobody_is_contacted_twice_a_day():
    assert not fits((3,), 3, 7)
    assert fits((3,), 4, 7)


def test_contacts_of_one_customer_spread_and_the_load_is_even():
    customer = np.repeat(np.arange(70), 2)
    cell = np.tile([0, 1], 70)
    days = schedule(customer, cell, np.array([10.0, 10.0]), 7, 2, {})
    assert (days >= 0).all()
    for where in (0, 1):
        assert (np.bincount(days[cell == where], minlength=7) == 10).all()
    assert all(days[customer == who][0] != days[customer == who][1] for who in range(70))


def test_a_full_place_leaves_a_contact_out():
    days = schedule(np.arange(5), np.zeros(5, int), np.array([1.0]), 3, 1, {})
    assert sorted(days.tolist()) == [-1, -1, 0, 1, 2]


def test_earlier_contacts_count():
    days = schedule(np.zeros(1, int), np.zeros(1, int), np.array([np.inf]), 10, 1, {0: (-2,)})
    assert days[0] >= 5


def test_the_first_contact_leaves_room_for_the_second():
    customer, cell = np.array([0, 1, 1]), np.zeros(3, int)
    days = schedule(customer, cell, np.array([5.0]), 8, 1, {})
    assert sorted(days[1:].tolist()) == [0, 7]
