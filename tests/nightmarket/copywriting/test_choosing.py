"""The nearest message is first, and what says the same again is last."""

import numpy as np

from nightmarket.copywriting.composing import best_distinct, whole

MESSAGES = [
    {"push": "20% off coffee, until 14 Jan"},
    {"push": "20% off coffee, until 14 Jan."},
    {"push": "Save a fifth on your next cup: ends Sunday"},
    {"push": "Something for your shelf"},
]


def near(*values):
    return np.array(values, dtype=np.float32)


def test_the_nearest_is_first_and_its_double_comes_after_what_is_new():
    # scaled nearness 1, .95, .5, 0; the double's likeness is .95: .6 x .95 - .4 x .95 = .19 < .6 x .5 = .3
    assert best_distinct(MESSAGES, near(0.9, 0.88, 0.7, 0.5), 4) == [0, 2, 1, 3]
    assert best_distinct(MESSAGES, near(0.9, 0.88, 0.7, 0.5), 2) == [0, 2]


def test_with_all_weight_on_nearness_only_that_counts():
    assert best_distinct(MESSAGES, near(0.1, 0.4, 0.3, 0.2), 4, weight=1.0) == [1, 2, 3, 0]


def test_only_order_and_spread_of_the_nearness_count():
    values = near(0.9, 0.88, 0.7, 0.5)
    assert best_distinct(MESSAGES, values, 4) == best_distinct(MESSAGES, values * 10 - 3, 4)


def test_messages_that_are_equally_near_are_told_apart_by_their_words():
    assert best_distinct(MESSAGES[:3], near(0.5, 0.5, 0.5), 3) == [0, 2, 1]


def test_no_more_than_there_are_and_none_of_none():
    assert sorted(best_distinct(MESSAGES[:2], near(0.1, 0.2), 9)) == [0, 1]
    assert best_distinct([], near(), 3) == []
    assert best_distinct([{"push": ""}], near(0.3), 3) == [0]


def test_a_message_is_compared_with_all_its_texts():
    assert whole({"subject": "Coffee", "body": "20% off"}) == "Coffee\n20% off"
