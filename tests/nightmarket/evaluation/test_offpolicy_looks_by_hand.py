"""What a log is looked at for, on logs so plain that the answer can be worked out on paper: rewards of one time, rows
that come again, actions that were never tried, propensities that were rounded."""

from dataclasses import replace

import numpy as np
import pytest

from nightmarket.evaluation.offpolicy.estimators import standard_error
from nightmarket.evaluation.offpolicy.evaluation import diagnose, rounded_to
from nightmarket.evaluation.offpolicy.logs import Log, weights
from nightmarket.evaluation.offpolicy.steadiness import (
    LAST,
    Change,
    _contrasts,
    _test,
    _without_context,
    change,
    repeated,
)
from nightmarket.evaluation.offpolicy.support import _lacking, _untried_there, untried


def plain_log(action, reward=None, propensity=0.5, context=None, num_actions=2, **more):
    """Each row its own customer's, in the order of time."""
    action = np.asarray(action)
    num = action.size
    return Log(
        np.zeros((num, 0)) if context is None else np.asarray(context, float),
        action,
        np.zeros(num) if reward is None else np.asarray(reward, float),
        np.broadcast_to(np.asarray(propensity, float), num).copy(),
        num_actions,
        **more,
    )


# courses and last parts


def test_contrasts_are_a_slope_a_bow_and_the_last_parts_each_from_nought_to_one():
    columns, parts = _contrasts(np.array([5.0, 1.0, 9.0, 7.0]))
    assert parts == (0.0, 0.0, *LAST)
    assert columns[:, 0].tolist() == [0.5, 0.25, 1.0, 0.75]
    assert columns[:, 1].tolist() == [0.0, 0.25, 1.0, 0.25]
    assert columns[:, 2:].T.tolist() == [[0, 0, 1, 0]] * 3 + [[0, 0, 1, 1]]


def test_moments_that_are_the_same_stand_at_one_place():
    columns, _ = _contrasts(np.array([3.0, 3, 3, 8]))
    assert columns[:, 0].tolist() == [0.75, 0.75, 0.75, 1.0]


def test_a_slope_is_a_sum_of_products_over_a_sum_of_squares_and_z_its_size_in_standard_errors():
    values, contrast = np.array([1.0, 2, 0, 4]), np.array([-1.0, 1, -2, 2])
    log = plain_log([0, 1, 0, 1])
    z, slope = _test(values, contrast, log)
    products = values * contrast
    assert slope == pytest.approx(9 / 10)
    assert z == pytest.approx(9 / (standard_error(products, log.unit) * 4))
    assert _test(-values, contrast, log) == (pytest.approx(z), pytest.approx(-9 / 10))


def test_without_a_contrast_or_without_a_spread_nothing_changes():
    log = plain_log([0, 1, 0, 1])
    assert _test(np.array([1.0, 2, 0, 4]), np.zeros(4), log) == (0.0, 0.0)
    assert _test(np.array([1.0, -1, 1, -1]), np.array([1.0, -1, 1, -1]), log) == (0.0, 0.0), "no doubt to measure by"


def test_what_context_tells_of_time_is_taken_from_it_action_by_action():
    rng = np.random.default_rng(1)
    action, known, free = np.arange(4000) % 2, rng.normal(size=4000), rng.normal(size=4000)
    told = np.where(action == 0, 3 * known, known**2)[:, None]
    log = plain_log(action, context=known[:, None])
    left = _without_context(np.hstack([told, told + free[:, None], free[:, None] + 5.0 * action[:, None]]), log)
    assert np.abs(left[:, 0]).max() < 0.1
    for column in (1, 2):
        assert np.corrcoef(left[:, column], free)[0, 1] > 0.99
        assert left[:, column].std() == pytest.approx(1, abs=0.1)
        assert [left[action == a, column].mean() for a in (0, 1)] == pytest.approx([0, 0], abs=1e-9)
    assert told[0, 0] == 3 * known[0], "what was given is left as it was"


def steady(num=8000, late=0.0, action_0=0.0):
    """Clicks of one in five; in the last tenth so many more, of action 0 so many more over time."""
    rng = np.random.default_rng(4)
    action, place = rng.integers(0, 2, num), np.arange(num) / num
    chance = 0.2 + np.where(place >= 0.9, late, 0.0) + np.where(action == 0, action_0 * place, 0.0)
    log = plain_log(action, rng.random(num) < chance)
    return log, np.full((num, 2), 0.2), log.reward - 0.2


def test_a_steady_log_shows_no_change_beyond_chance():
    seen = change(*steady())
    assert not seen.unsteady
    assert 3.5 < seen.limit < 4.5, "what 1 in 1,000 steady logs exceed, of some dozen looks"


def test_rewards_that_fall_away_at_the_end_are_seen_with_size_and_part():
    seen = change(*steady(late=-0.15))
    assert seen.unsteady
    assert seen.unfinished
    assert seen.part == 0.1
    assert seen.share == pytest.approx(-0.15 / 0.185, rel=0.15)
    assert "in the last 10% of the log: they may not be in yet" in seen.words()


def test_rewards_of_one_action_that_rise_are_that_action_s():
    seen = change(*steady(action_0=0.25))
    assert seen.unsteady
    assert (seen.action, seen.unfinished) == (0, False)
    assert seen.share > 0
    assert "rewards of action 0 change by +" in seen.words()


def test_too_few_rewards_are_looked_at_by_the_policy_s_value_alone():
    num = 400
    log = plain_log(np.arange(num) % 2, np.arange(num) % 20 == 0)  # 20 clicks
    seen = change(log, np.zeros((num, 2)), np.ones(num))
    assert (seen.z, seen.part, seen.action) == (0.0, 0.0, None)
    assert seen.limit == pytest.approx(3.2905, abs=1e-3), "one look"


@pytest.mark.parametrize(
    ("z", "share", "unsteady"), [(4.1, 0.05, True), (4.0, 0.5, False), (4.1, 0.049, False), (9.0, -0.05, True)]
)
def test_a_change_must_be_certain_and_large_enough(z, share, unsteady):
    assert Change(z, 4.0, share, 0.0, None).unsteady is unsteady


# rows that come again


def numbered(num, kinds):
    """Rows of so many kinds in turn, told apart by their reward; each its own customer's."""
    return plain_log(np.arange(num) % 2, np.arange(num) % kinds)


def test_a_log_that_comes_twice_is_half_repeated_as_a_block_and_row_by_row():
    once = np.random.default_rng(3).integers(0, 9, 30).astype(float)
    twice = plain_log(np.zeros(60, int), np.concatenate([once, once]))
    beside = plain_log(np.zeros(60, int), np.repeat(once, 2))
    assert repeated(twice) == repeated(beside) == 0.5
    assert repeated(plain_log(np.zeros(60, int), np.concatenate([once, once[::-1] + 0.5]))) == 0.0


def test_a_log_of_fewer_than_twenty_rows_may_repeat_itself_by_chance():
    assert repeated(plain_log(np.zeros(18, int), np.tile(np.arange(9.0), 2))) == 0.0
    assert repeated(plain_log(np.zeros(20, int), np.tile(np.arange(10.0), 2))) == 0.5


@pytest.mark.parametrize(("kinds", "times", "share"), [(14, 3, 2 / 3), (13, 3, 0.0), (15, 3, 2 / 3), (14, 1, 0.0)])
def test_kinds_that_all_come_so_many_times_are_copies_if_there_are_enough_kinds(kinds, times, share):
    shuffled = np.random.default_rng(0).permutation(np.repeat(np.arange(kinds, dtype=float), times))
    assert repeated(plain_log(np.zeros(shuffled.size, int), shuffled)) == pytest.approx(share)


def twins(agreeing, pairs=100, propensity=0.5):
    """Pairs of customers with one context; in so many of them the second did what the first did."""
    context = np.repeat(np.arange(pairs, dtype=float), 2)[:, None]
    action = np.zeros(2 * pairs, int)
    action[1::2] = np.arange(pairs) >= agreeing
    return plain_log(action, context=context, propensity=propensity)


def test_twins_that_agree_beyond_their_propensities_are_counted_beyond_chance():
    assert repeated(twins(90)) == pytest.approx((90 - 50) / 200), "z 8"
    assert repeated(twins(74)) == 0.0, "z 4.8"
    assert repeated(twins(76)) == pytest.approx(26 / 200), "z 5.2"
    assert repeated(twins(20)) == 0.0, "fewer than chance"
    assert repeated(twins(20, propensity=0.1)) == 0.0, "z 3.3"
    assert repeated(twins(30, propensity=0.1)) == pytest.approx(20 / 200), "z 6.7"


def test_one_customer_s_own_rows_are_no_twins_and_few_pairs_say_nothing():
    same = twins(90)
    assert repeated(replace(same, unit=np.repeat(np.arange(100), 2))) == 0.0
    assert repeated(twins(18, pairs=19)) == 0.0
    assert repeated(twins(40, pairs=41)) == pytest.approx((40 - 20.5) / 82)


# what was never tried


def test_what_a_policy_gives_to_an_action_that_nobody_was_given_is_untried():
    log = plain_log([0, 1] * 50, num_actions=3)
    assert untried(log, np.tile([0.5, 0.3, 0.2], (100, 1)), 0) == pytest.approx(0.2)
    assert untried(log, np.tile([0.5, 0.5, 0.0], (100, 1)), 0) == 0.0


def test_where_sets_are_known_what_lies_outside_them_is_untried():
    eligible = np.ones((100, 2), bool)
    eligible[:30, 1] = False
    action = np.where(eligible[:, 1], np.arange(100) % 2, 0)
    log = plain_log(action, propensity=np.where(eligible[:, 1], 0.5, 1.0), eligible=eligible)
    assert untried(log, np.tile([0.6, 0.4], (100, 1)), 0) == pytest.approx(0.3 * 0.4)


def test_what_weights_lack_is_counted_in_leaves_where_it_is_certain():
    leaf = np.repeat([0, 1, 2], 100)
    weight = np.concatenate([np.ones(100), np.zeros(100), np.full(100, 0.9)])
    wanted, nobody = np.ones(300), np.array([False, True, False])
    # leaf 1 lacks all 100 of 300; leaf 2 lacks ten, well within chance
    assert _lacking(leaf, weight, wanted, nobody) == pytest.approx(1 / 3)
    assert _lacking(leaf, np.ones(300), wanted, nobody) == 0.0
    assert _lacking(leaf, np.full(300, 2.0), wanted, nobody) == 0.0, "more than expected lacks nothing"


@pytest.mark.parametrize(
    ("lacking", "never", "counted"),
    [(28, True, False), (29, True, True), (29, False, False), (37, False, False), (38, False, True)],
)
def test_a_deviance_of_nine_is_certain_where_nobody_was_given_it_and_of_sixteen_elsewhere(lacking, never, counted):
    # weights of 1, so the scale is 1; of 100, with 72, 71, 63 and 62 seen, 2 (s log(s / 100) + 100 - s) is
    # 8.70, 9.37, 15.78 and 16.72
    leaf, wanted = np.repeat([0, 1], 100), np.ones(200)
    weight = np.concatenate([np.ones(100), (np.arange(100) >= lacking).astype(float)])
    share = _lacking(leaf, weight, wanted, np.array([False, never]))
    assert share == pytest.approx(lacking / 200 if counted else 0.0)


def test_where_weights_are_large_more_must_lack_to_be_certain():
    leaf, wanted = np.repeat([0, 1], 400), np.ones(800)
    even = np.concatenate([np.ones(400), np.repeat([0.0, 1.0], [80, 320])])
    # the same sums in weights of ten: the scale is 10, the root of the third moment over the first
    tens = np.concatenate([np.tile([10.0] + [0] * 9, 40), np.repeat([0.0, 10.0], [368, 32])])
    never = np.zeros(2, bool)
    assert _lacking(leaf, even, wanted, never) == pytest.approx(80 / 800)
    assert _lacking(leaf, tens, wanted, never) == 0.0


def test_a_region_in_which_an_action_was_never_taken_is_found_and_of_few_rows_nothing_is_said():
    num = 4000
    place = np.arange(num) % 100 / 100
    rng = np.random.default_rng(6)
    barred = place < 0.25
    action = np.where(barred, 0, rng.integers(0, 2, num))
    log = plain_log(action, propensity=np.where(barred, 1.0, 0.5), context=place[:, None])
    target = np.tile([0.5, 0.5], (num, 1))
    assert _untried_there(log, target, 0) == pytest.approx(0.125, abs=0.02)
    assert untried(log, target, 0) == _untried_there(log, target, 0)
    everywhere = plain_log(rng.integers(0, 2, num), context=place[:, None])
    assert _untried_there(everywhere, target, 0) == 0.0
    few = plain_log(action[:398], propensity=log.propensity[:398], context=place[:398, None])
    assert _untried_there(few, target[:398], 0) == 0.0
    only = plain_log(np.zeros(num, int), propensity=1.0, context=place[:, None])
    assert _untried_there(only, np.tile([1.0, 0.0], (num, 1)), 0) == 0.0


def test_a_region_is_found_on_two_hundred_rows_and_by_its_own_action_where_all_together_say_nothing():
    rng = np.random.default_rng(6)

    def barred_below(edge, num):
        place = np.arange(num) % 100 / 100
        barred = place < edge
        action = np.where(barred, 0, rng.integers(0, 2, num))
        return plain_log(action, propensity=np.where(barred, 1.0, 0.5), context=place[:, None])

    assert _untried_there(barred_below(0.6, 400), np.tile([0.5, 0.5], (400, 1)), 0) > 0.1
    seldom = np.tile([0.98, 0.02], (4000, 1))  # 20 of 1,000 there: nothing beside the others' 980
    assert _untried_there(barred_below(0.25, 4000), seldom, 0) == pytest.approx(0.005, abs=0.001)


def test_less_than_one_choice_may_be_lacking():
    leaf, wanted = np.repeat([0, 1], 100), np.full(200, 0.005)
    weight = np.concatenate([np.full(100, 0.005), np.zeros(100)])
    assert _lacking(leaf, weight, wanted, np.array([False, True])) == pytest.approx(0.5 / 200)


# propensities that were rounded


@pytest.mark.parametrize(
    ("unit", "num", "seen"), [(0.1, 9, 0.0), (0.01, 60, 0.01), (0.001, 300, 0.001), (0.0001, 900, 0.0)]
)
def test_propensities_are_multiples_of_the_largest_unit_that_fits_all(unit, num, seen):
    from nightmarket.evaluation.offpolicy import evaluation

    assert (num > evaluation._DESIGNED) is (unit < 0.1)
    assert rounded_to(unit * np.arange(1, num + 1)) == seen


def test_one_propensity_off_the_grid_and_nothing_was_rounded_to_it():
    grid = 0.01 * np.arange(1, 61)
    assert rounded_to(np.append(grid, 0.6004)) == 0.0
    assert rounded_to(np.append(grid, 0.604)) == 0.001
    assert rounded_to(np.append(grid, 0.61 + 1e-10)) == 0.01


def test_what_rounding_may_move_is_half_a_unit_over_each_propensity():
    propensity = 0.01 * (1 + np.arange(600) % 60)
    action = np.arange(600) % 2
    log = plain_log(action, propensity=propensity)
    target = np.tile([0.4, 0.6], (600, 1))
    w = weights(log, target)
    seen = diagnose(log, target, 0)
    assert seen.rounded_to == 0.01
    assert seen.rounding == pytest.approx((w * np.minimum(0.005 / propensity, 1)).sum() / w.sum())
