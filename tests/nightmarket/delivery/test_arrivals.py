"""How busy a day is: what its hours say of the hours to come."""

import numpy as np
import pytest

from nightmarket.delivery.arrivals import DayLevels

EVEN = np.full(24, 20.0)


def after(by_hour, shape=40.0, expected=EVEN, hour=None):
    """Mean level of the rest of this hour and of the hours after it, once these many arrived in each hour."""
    levels = DayLevels(expected, shape, 1.0)
    for at, num in enumerate(by_hour):
        for part in (np.arange(num) + 0.5) / max(num, 1):
            levels.arrived(at + part)
    chance, now, later = levels.scenarios(len(by_hour) if hour is None else hour)
    assert chance.sum() == pytest.approx(1)
    return float(chance @ now), float(chance @ later)


def test_an_even_day_is_shrunk_to_what_was_expected():
    # gamma(40, 40) after 120 arrivals where 100 were expected: 160 over 140
    assert after([24] * 5)[1] == pytest.approx(160 / 140, abs=0.02)


def test_a_burst_of_one_hour_says_nothing_of_the_next():
    assert after([20, 20, 20, 200, 20])[1] == pytest.approx(1, abs=0.1)


def test_a_burst_lasts_as_long_as_its_hour():
    levels = DayLevels(EVEN, 40.0, 1.0)
    for at in np.linspace(9, 9.2, 40):
        levels.arrived(at)
    chance, now, later = levels.scenarios(9.2)
    assert chance @ now > 5
    assert np.average(np.log(later), weights=chance) < np.average(np.log(now), weights=chance)


def test_a_change_that_lasts_is_believed_after_some_hours():
    for new in (4, 60):
        assert after([20] * 6 + [new] * 4)[1] == pytest.approx(new / 20, rel=0.15)


def test_arrivals_in_hours_in_which_nobody_was_expected_do_not_upset_the_level():
    expected = np.where(np.arange(24) < 8, 0.0, 20.0)
    assert after([0] * 6 + [5, 5] + [20] * 2, expected=expected)[1] == pytest.approx(1, abs=0.15)


def test_a_day_without_anybody_expected_has_an_answer():
    assert np.isfinite(after([1, 0], expected=np.zeros(24))).all()
