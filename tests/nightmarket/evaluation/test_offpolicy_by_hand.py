"""Off-policy estimates, checks and verdicts on logs so plain that the truth can be worked out on paper."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge

from nightmarket.contracts import InputError
from nightmarket.evaluation.offpolicy.estimators import (
    cross_fitted,
    direct,
    doubly_robust,
    effective_clicks,
    folds,
    gamma_interval,
    importance,
    predicted,
    scaled,
    self_normalised,
    standard_error,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.evaluation import Diagnostics, _guess, _z, diagnose, evaluate, propensity_test
from nightmarket.evaluation.offpolicy.logs import Log, check_target, weights

Z = stats.norm.ppf(0.975)


def plain_log(action, reward, propensity=0.5, num_actions=2, context=None, **more):
    """A log without context, each row its own customer."""
    action = np.asarray(action)
    whole = np.broadcast_to(np.asarray(propensity, float), action.shape).copy()
    context = np.zeros((action.size, 0)) if context is None else context
    return Log(context, action, np.asarray(reward, float), whole, num_actions, **more)


def always(action, num_rows, num_actions=2):
    return np.eye(num_actions)[np.full(num_rows, action)]


def coin(clicks_of_0, clicks_of_1, num=4000):
    """Action 0 and 1 in turn, each with probability one half, and so many clicks of each, at any time."""
    rng = np.random.default_rng(0)
    action = np.arange(num) % 2
    reward = np.zeros(num)
    for number, clicks in enumerate((clicks_of_0, clicks_of_1)):
        reward[rng.choice(np.flatnonzero(action == number), clicks, replace=False)] = 1.0
    return plain_log(action, reward)


# standard errors and intervals


def test_the_standard_error_of_independent_rows_is_the_textbook_one():
    values = np.array([1.0, 2, 4, 7, 7])
    assert standard_error(values, np.arange(5)) == pytest.approx(values.std(ddof=1) / math.sqrt(5))


def test_the_standard_error_by_customer_sums_what_hangs_together():
    # mean 3; the two customers' deviations add up to -3 and +3; sqrt(18 * 2 / 1) / 4
    assert standard_error(np.array([1.0, 2, 3, 6]), np.array([8, 8, 2, 2])) == pytest.approx(1.5)
    assert standard_error(np.array([1.0, 3]), np.array([4, 4])) == 0.0


def test_an_interval_reaches_1_96_standard_errors_to_both_sides():
    log = replace(coin(400, 1000), reward=coin(400, 1000).reward - 0.25)  # negative rewards: never gamma's
    estimate = importance(log, always(1, 4000))
    reach = Z * standard_error(2.0 * log.action * log.reward, log.unit)
    assert (estimate.low, estimate.high) == pytest.approx((estimate.value - reach, estimate.value + reach), abs=1e-8)


def test_effective_clicks_are_clicks_where_weights_are_equal_and_fewer_where_they_are_not():
    assert effective_clicks(np.full(5, 0.3), np.array([1.0, 0, 1, 1, 0])) == pytest.approx(3)
    assert effective_clicks(np.array([1.0, 3, 5]), np.array([1.0, 2, 0])) == pytest.approx(7**2 / (1 + 36))
    assert effective_clicks(np.ones(3), np.zeros(3)) == 0.0


# IPS and its gamma interval


def test_seven_clicks_of_the_policy_that_logged_have_garwood_s_interval():
    log = plain_log(np.zeros(50, int), np.arange(50) < 7, propensity=1.0, num_actions=1)
    estimate = importance(log, np.ones((50, 1)))
    exact = stats.chi2.ppf(0.025, 14) / 2 / 50, stats.chi2.ppf(0.975, 16) / 2 / 50
    assert estimate.value == pytest.approx(7 / 50)
    assert (estimate.low, estimate.high) == pytest.approx(exact)


def test_the_gamma_interval_of_unequal_weights_matches_mean_and_variance():
    """Fay & Feuer: a gamma variable with the mean and variance of the weighted count; above, one more of the
    largest."""
    log = plain_log([0, 1, 1, 0, 1], [1.0, 1, 0, 2, 1], propensity=[0.5, 0.25, 0.1, 0.8, 0.5])
    target = np.array([[0.5, 0.5], [0.5, 0.5], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    terms = np.array([1.0, 2, 0, 0.75 * 2, 1.8]) / 5
    estimate = importance(log, target)
    y, v = terms.sum(), (terms**2).sum()
    low = stats.gamma.ppf(0.025, y**2 / v, scale=v / y)
    largest = 3.0 * 2.0 / 5  # the largest weight, of the row without a click, times the largest reward
    y, v = y + largest, v + largest**2
    high = stats.gamma.ppf(0.975, y**2 / v, scale=v / y)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((terms.sum(), low, high))
    assert estimate.interval.startswith("gamma")


def test_without_a_click_the_interval_starts_at_zero_and_ends_where_one_more_could_lie():
    assert gamma_interval(np.zeros(4), 1.0) == pytest.approx((0.0, stats.chi2.ppf(0.975, 2) / 2))
    assert gamma_interval(np.zeros(4), 0.0) == (0.0, 0.0)


@pytest.mark.parametrize(("clicks", "kind"), [(99, "gamma"), (100, "normal"), (120, "normal")])
def test_from_100_effective_clicks_on_the_interval_is_normal(clicks, kind):
    assert importance(coin(5, clicks), always(1, 4000)).interval.startswith(kind)


def test_negative_rewards_never_have_a_gamma_interval_and_rewards_of_zero_may():
    log = coin(3, 20)
    assert importance(log, always(1, 4000)).interval.startswith("gamma")
    assert importance(replace(log, reward=log.reward - 0.001), always(1, 4000)).interval.startswith("normal")


# SNIPS


def test_snips_of_a_reward_that_is_always_the_same_is_that_reward_without_doubt():
    """Whatever the weights: the linearised variance is about the weighted mean, so nothing is left."""
    rng = np.random.default_rng(0)
    log = plain_log(rng.integers(0, 2, 40), np.full(40, 3.0), propensity=rng.uniform(0.2, 0.9, 40))
    estimate = self_normalised(log, np.full((40, 2), 0.5))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((3.0, 3.0, 3.0))


def test_snips_moves_with_the_reward_and_its_interval_keeps_its_width():
    rng = np.random.default_rng(1)
    log = plain_log(rng.integers(0, 2, 60), rng.random(60), propensity=rng.uniform(0.2, 0.9, 60))
    target = np.full((60, 2), 0.5)
    here, there = self_normalised(log, target), self_normalised(replace(log, reward=log.reward + 5), target)
    assert there.value - here.value == pytest.approx(5)
    assert there.high - there.low == pytest.approx(here.high - here.low)


def test_the_interval_of_snips_is_that_of_the_ratio_by_the_delta_method():
    log = plain_log([0, 1, 0, 1], [1.0, 0, 2, 1], propensity=[0.5, 0.5, 0.8, 0.2])
    target = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.6, 0.4]])
    w, r = np.array([1.6, 0.4, 0.5, 2.0]), log.reward
    value = (w * r).sum() / w.sum()
    error = math.sqrt(np.sum((w * (r - value)) ** 2) * 4 / 3) / w.sum()
    estimate = self_normalised(log, target)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (value, value - Z * error, value + Z * error), abs=1e-6
    )


def test_the_interval_of_snips_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        seen = rng.random(300)  # the context; the log leans to action 1 where it is high, the policy does not
        propensity = np.where(rng.random(300) < 0.3 + 0.4 * seen, 1, 0)
        chance = np.where(propensity == 1, 0.3 + 0.4 * seen, 0.7 - 0.4 * seen)
        log = plain_log(propensity, 10 + propensity + seen, propensity=chance)
        estimate = self_normalised(log, np.full((300, 2), 0.5))
        covered += estimate.low <= 11.0 <= estimate.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_policy_without_any_weight_on_the_log_has_no_interval():
    log = plain_log([0, 0], [1.0, 0.0])
    estimate = self_normalised(log, always(1, 2))
    assert (estimate.value, estimate.low, estimate.high) == (0.0, None, None)
    diagnosed = diagnose(log, always(1, 2), 0)
    assert (diagnosed.ess, diagnosed.largest_share, diagnosed.mean_weight) == (0.0, 1.0, 0.0)


# DM, DR and switch-DR


def test_doubly_robust_terms_and_interval_by_hand():
    log = plain_log([0, 1, 1], [1.0, 0, 1], propensity=[0.5, 0.2, 0.8])
    target = np.array([[0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    q = np.array([[0.5, 0.1], [0.3, 0.2], [0.4, 0.9]])
    model = np.array([0.34, 0.25, 0.8])
    score = model + np.array([1.2 * 0.5, 2.5 * -0.2, 1.0 * 0.1])
    estimate = doubly_robust(log, target, q)
    reach = Z * score.std(ddof=1) / math.sqrt(3)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (score.mean(), score.mean() - reach, score.mean() + reach), abs=1e-6
    )
    assert direct(log, target, q).value == pytest.approx(model.mean())
    switched = switch_doubly_robust(log, target, q, tau=1.2)
    assert switched.value == pytest.approx((score.sum() + 0.5) / 3)  # the row of weight 2.5 goes without correction
    assert switched.low is None
    assert switch_doubly_robust(log, target, q, tau=2.5) == replace(estimate, name="switch-DR")


@pytest.mark.parametrize(("propensity", "known"), [(0.05, True), (0.04, False)])
def test_a_weight_of_ten_is_trusted_and_more_is_not(propensity, known):
    log = plain_log([0, 1], [1.0, 1.0], propensity=[propensity, 0.5])
    estimate = switch_doubly_robust(log, np.full((2, 2), 0.5), np.zeros((2, 2)))
    assert (estimate.low is not None) == known
    assert estimate.value == pytest.approx((10 + 1) / 2 if known else 1 / 2)


# expected rewards


def test_an_action_with_ten_rows_is_half_its_own_half_what_all_share():
    """Without context: the mean of all, and for an action with n rows n / (n + 10) of its distance to that."""
    action = np.repeat([0, 1, 2], [10, 30, 0])
    reward = np.repeat([1.0, 0.2], [10, 30])
    q = predicted(np.zeros((40, 0)), action, reward, np.zeros((2, 0)), 3)
    base = (10 + 6) / 40
    assert q == pytest.approx(np.array([[base + 0.5 * (1 - base), base + 0.75 * (0.2 - base), base]] * 2))


def test_expected_rewards_are_a_shared_ridge_regression_and_one_per_action_on_the_rest():
    rng = np.random.default_rng(3)
    context, asked, action = rng.normal(3, 2, (60, 2)), rng.normal(3, 2, (4, 2)), rng.integers(0, 3, 60)
    reward = context[:, 0] * (action == 1) + rng.random(60)
    unit = lambda x: (x - context.mean(axis=0)) / context.std(axis=0)  # noqa: E731
    shared = Ridge(alpha=10.0, fit_intercept=False).fit(unit(context), reward - reward.mean())
    rest = reward - reward.mean() - shared.predict(unit(context))
    q = predicted(context, action, reward, asked, 3)
    for number in range(3):
        rows = action == number
        ones = lambda x: np.column_stack([np.ones(len(x)), unit(x)])  # noqa: E731
        own = Ridge(alpha=10.0, fit_intercept=False).fit(ones(context[rows]), rest[rows])
        assert q[:, number] == pytest.approx(reward.mean() + shared.predict(unit(asked)) + own.predict(ones(asked)))


def test_a_column_that_never_changes_says_nothing():
    context = np.column_stack([np.full(3, 7.0), [1.0, 2, 3], np.full(3, 1e6 / 3)])
    known, asked = scaled(context, np.array([[9.0, 4.0, 1.0]]))
    assert known[:, [0, 2]].tolist() == [[0.0, 0.0]] * 3
    assert known[:, 1] == pytest.approx(np.array([-1, 0, 1]) / np.sqrt(2 / 3))
    assert asked[0] == pytest.approx([0.0, 2 / np.sqrt(2 / 3), 0.0])


def test_folds_are_five_of_one_size_and_a_customer_lies_in_one():
    unit = np.repeat(np.arange(50) * 3, 2)
    fold = folds(unit, 0)
    assert np.bincount(fold).tolist() == [20] * 5
    assert (fold[::2] == fold[1::2]).all()
    assert (fold != folds(unit, 1)).any()


def test_no_row_has_a_say_in_its_own_expected_reward_and_every_other_fold_has():
    rng = np.random.default_rng(4)
    log = plain_log(rng.integers(0, 2, 50), rng.random(50))
    fold, before = folds(log.unit, 7), cross_fitted(log, 7)
    changed = log.reward.copy()
    changed[fold == 2] += 100.0
    after = cross_fitted(replace(log, reward=changed), 7)
    assert (after[fold == 2] == before[fold == 2]).all()
    assert (np.abs(after - before)[fold != 2] > 1).all()
    others = log.where(fold != 2)
    nothing = np.zeros((1, 0))
    assert before[fold == 2][0] == pytest.approx(predicted(others.context, others.action, others.reward, nothing, 2)[0])


def test_two_folds_can_be_asked_for_and_one_customer_alone_is_predicted_from_themselves():
    log = plain_log([0, 1, 0, 1], [1.0, 0, 1, 0])
    halves = folds(log.unit, 0, 2)
    assert cross_fitted(log, 0, 2)[halves == 0][0] == pytest.approx(
        predicted(log.context[halves == 1], log.action[halves == 1], log.reward[halves == 1], np.zeros((1, 0)), 2)[0]
    )
    alone = replace(log, unit=np.zeros(4, int))
    assert cross_fitted(alone, 0) == pytest.approx(predicted(log.context, log.action, log.reward, log.context, 2))


# checks of a log


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"action": np.array([0, -1, 1])}, "log: 1 values of action are not 0 to 1, the first in row 1"),
        ({"action": np.array([0, 1, 2])}, "log: 1 values of action are not 0 to 1, the first in row 2"),
        ({"propensity": np.array([0.0, 0.5, 1.01])}, "2 values of propensity do not lie in .0, 1., the first in row 0"),
        ({"context": np.zeros(3)}, "log: context has 1 axes"),
        ({"context": np.array([[0.0], [0.0], [np.inf]])}, "1 values of context are not finite, the first in row 2"),
        ({"row": np.array([5, 5, 5])}, "log: 2 numbers of rows repeat"),
        ({"unit": np.zeros(2)}, "log: unit has 2 rows, action has 3"),
        ({"action": np.zeros(0, int)}, "the log is empty"),
    ],
)  # fmt: skip
def test_a_log_that_does_not_fit_says_what_and_where(change, words):
    whole = {"context": np.zeros((3, 1)), "action": np.array([0, 1, 0]), "reward": np.ones(3),
             "propensity": np.array([0.5, 1.0, 0.5]), "num_actions": 2}  # fmt: skip
    assert len(Log(**whole)) == 3, "a propensity of 1 is one"
    with pytest.raises(InputError, match=words):
        Log(**(whole | change))


def test_rows_keep_their_numbers_units_and_values_when_some_are_taken():
    log = plain_log([0, 1, 1], [1.0, 2, 3], propensity=[0.1, 0.2, 0.3], unit=np.array([7, 8, 7]))
    some = log.where(np.array([True, False, True]))
    assert some.row.tolist() == [0, 2]
    assert some.unit.tolist() == [7, 7]
    assert some.reward.tolist() == [1.0, 3.0]
    assert log.row.tolist() == [0, 1, 2]


def test_halves_have_half_the_customers_each_and_one_customer_cannot_be_split():
    log = plain_log(np.zeros(10, int), np.zeros(10), unit=np.repeat(np.arange(5), 2))
    first, second = log.halves(3)
    assert (np.unique(first.unit).size, np.unique(second.unit).size) == (2, 3)
    assert sorted([*first.row, *second.row]) == list(range(10))
    assert len(plain_log([0, 0], [0, 0]).halves(0)[0]) == 1
    with pytest.raises(InputError, match="one unit alone"):
        replace(log, unit=np.zeros(10, int)).halves(0)


@pytest.mark.parametrize(
    ("row", "fine"),
    [([0.4, 0.6 + 5e-7], True), ([0.4, 0.6 - 5e-7], True), ([0.4, 0.6 + 3e-6], False), ([0.4, 0.59], False),
     ([0.0, 1.0], True), ([-0.1, 1.1], False), ([np.nan, 1.0], False)],
)  # fmt: skip
def test_a_policy_is_a_distribution_to_a_millionth(row, fine):
    log = plain_log([0, 1], [1.0, 0.0])
    target = np.array([[0.5, 0.5], row])
    if fine:
        check_target(log, target)
    else:
        with pytest.raises(InputError, match=r"1 values of the policy's probabilities are no distribution, .* row 1"):
            check_target(log, target)
    with pytest.raises(InputError, match=r"are \(2, 3\), the log is \(2, 2\)"):
        check_target(log, np.ones((2, 3)) / 3)


def test_a_weight_is_the_target_s_over_the_logged_probability_of_what_was_logged():
    log = plain_log([0, 1, 1], [1.0, 0, 0], propensity=[0.5, 0.25, 1.0])
    assert weights(log, np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])) == pytest.approx([0.4, 2.0, 0.1])


# diagnostics


def test_diagnostics_by_hand():
    log = plain_log([0, 1, 0, 1], [1.0, 0, 2, -1], propensity=[0.5, 0.4, 0.5, 0.4], num_actions=4)
    target = np.array([[0.5, 0.2, 0.3, 0.0], [0.1, 0.8, 0.0, 0.1], [1.0, 0, 0, 0], [0.6, 0.4, 0.0, 0.0]])
    diagnostics = diagnose(log, target, 0)
    w = np.array([1.0, 2, 2, 1])
    assert diagnostics.num_rows == 4
    assert diagnostics.clicks == 3
    assert diagnostics.mean_weight == pytest.approx(1.5)
    assert diagnostics.ess == pytest.approx(36 / 10)
    assert diagnostics.effective_clicks == pytest.approx((w * log.reward).sum() ** 2 / ((w * log.reward) ** 2).sum())
    assert diagnostics.largest_share == pytest.approx(2 / 6)
    assert diagnostics.untried == pytest.approx((0.3 + 0.1) / 4)


FINE = Diagnostics(9000, 1.0, 500.0, 25.0, 50, 0.10, 0.01, 4.0, 4.0)


def test_at_the_limits_nothing_speaks_against_a_verdict():
    assert FINE.refusals() == ()
    assert replace(FINE, mean_weight=1.0999).refusals() == ()
    assert replace(FINE, mean_weight=0.9001).refusals() == ()


@pytest.mark.parametrize(
    ("change", "check", "limit", "words"),
    [
        ({"propensity_z": 4.01}, "propensities", 4.0, "4.0 standard errors (more than 4.0)"),
        ({"mean_weight": 1.1001}, "mean weight", 0.1, "the weights' mean is 1.100, not within 0.1 of 1"),
        ({"mean_weight": 0.8999}, "mean weight", 0.1, "the weights' mean is 0.900, not within 0.1 of 1"),
        ({"ess": 499.9}, "ess", 500.0, "500 effective rows (fewer than 500)"),
        ({"effective_clicks": 24.9}, "effective clicks", 25.0, "24.9 effective clicks (fewer than 25)"),
        ({"clicks": 49}, "clicks", 50.0, "49 clicks in the log (fewer than 50)"),
        ({"largest_share": 0.11}, "one row", 0.1, "one row carries 11% of the weight (more than 10%)"),
        ({"untried": 0.011}, "untried", 0.01,
         "1.1% of the policy's choices are actions that the log never took (more than 1%)"),
    ],
)  # fmt: skip
def test_a_step_beyond_a_limit_is_a_refusal_with_figure_and_limit(change, check, limit, words):
    [refusal] = replace(FINE, **change).refusals()
    assert (refusal.check, refusal.limit) == (check, limit)
    assert refusal.figure == next(iter(change.values()))
    assert refusal.words.endswith(words)


def test_the_distance_of_two_sums_is_the_root_of_a_poisson_deviance():
    seen, expected = np.array([2.0, 0, 3, 1]), np.array([1.0, 1, 1, 1])
    log = plain_log([0, 0, 0, 0], [0, 0, 0, 0])
    scale = (seen - expected).var(ddof=1) * 4 / 6  # the variance of the sum, per unit of the sum
    assert _z(seen, expected, log) == pytest.approx(math.sqrt(2 * (6 * math.log(6 / 4) - 2) / scale))
    nothing = np.zeros(4)
    assert _z(nothing, np.array([1.0, 2, 1, 1]), log) == pytest.approx(math.sqrt(2 * 5))


def test_sums_without_any_spread_are_equal_or_infinitely_far_apart():
    log = plain_log([0, 0], [0, 0])
    assert _z(np.array([1.0, 2.0]), np.array([1.0, 2.0]), log) == 0.0
    assert _z(np.array([1.5, 2.5]), np.array([1.0, 2.0]), log) == np.inf
    assert _z(np.array([0.5, 1.5]), np.array([1.0, 2.0]), log) == np.inf


@pytest.mark.parametrize(("taken", "tests"), [(19, 2), (21, 3), (500, 3)])
def test_actions_expected_twenty_times_are_tested_alone_and_the_limit_grows_with_the_tests(taken, tests):
    action = (np.random.default_rng(0).permutation(1000) < taken).astype(int)
    chance = np.where(action == 1, taken / 1000, 1 - taken / 1000)
    z, limit = propensity_test(plain_log(action, np.zeros(1000), propensity=chance), 0)
    assert limit == pytest.approx(stats.norm.isf(0.0001 / 2 / tests))
    assert z < 1


def test_a_single_action_is_one_test():
    limit = propensity_test(plain_log(np.zeros(100, int), np.zeros(100), propensity=1.0, num_actions=1), 0)[1]
    assert limit == pytest.approx(stats.norm.isf(0.0001 / 2))


@pytest.mark.parametrize("action", [0, 1])
def test_an_action_whose_propensities_are_written_down_too_low_or_too_high_is_found(action):
    """The sum of guess over propensity must be the number of rows; here it is a quarter more for one action."""
    taken = np.arange(2000) % 2
    chance = np.where(taken == action, 0.4, 0.5)
    z, limit = propensity_test(plain_log(taken, np.zeros(2000), propensity=chance), 0)
    assert z > limit


def test_the_guess_of_a_propensity_is_a_ridge_regression_on_the_other_folds():
    rng = np.random.default_rng(5)
    context = rng.normal(2, 3, (100, 2))
    action = (context[:, 0] + rng.normal(0, 2, 100) > 2).astype(int)
    log = plain_log(action, np.zeros(100), context=context)
    fold, guess = folds(log.unit, 1), _guess(log, 1)
    for number in range(5):
        out = fold == number
        mean, spread = context[~out].mean(axis=0), context[~out].std(axis=0)
        model = Ridge(alpha=0.001 * (~out).sum()).fit((context[~out] - mean) / spread, action[~out])
        theirs = model.predict((context[out] - mean) / spread)
        assert guess[out, 1] == pytest.approx(np.clip(theirs, 0.001, 1.0))
        assert guess[out, 0] == pytest.approx(np.clip(1 - theirs, 0.001, 1.0))


def test_an_action_that_no_other_fold_took_is_guessed_at_a_thousandth():
    log = plain_log([1] + [0] * 9, np.zeros(10))
    guess = _guess(log, 0)
    assert guess[0].tolist() == [1.0, 0.001]
    one_unit = replace(log, unit=np.zeros(10, int))
    assert _guess(one_unit, 0)[0] == pytest.approx([0.9, 0.1])


# the verdict


def test_a_policy_that_earns_more_is_certified_with_the_gain_in_words():
    evaluation = evaluate(coin(400, 1200), always(1, 4000), 0)
    assert evaluation.verdict == "certified better"
    assert evaluation.of("IPS").value == pytest.approx(0.6)
    assert evaluation.of("SNIPS").value == pytest.approx(0.6)
    assert evaluation.logging.value == pytest.approx(0.4)
    assert evaluation.difference.value == pytest.approx(0.2, abs=1e-3)
    assert evaluation.words.startswith("Certified better than the policy that logged: +0.2 [+0.18")
    assert not evaluation.model_errs
    with pytest.raises(KeyError):
        evaluation.of("IPW")


def test_the_difference_to_the_log_is_taken_row_by_row():
    log, target, q = coin(400, 1200), always(1, 4000), np.full((4000, 2), 0.4)
    evaluation = evaluate(log, target, 0, q=q)
    gain = q[:, 1] + 2.0 * log.action * (log.reward - 0.4) - log.reward
    reach = Z * gain.std(ddof=1) / math.sqrt(4000)
    assert (evaluation.difference.low, evaluation.difference.high) == pytest.approx(
        (gain.mean() - reach, gain.mean() + reach)
    )
    logged = Z * log.reward.std(ddof=1) / math.sqrt(4000)
    assert (evaluation.logging.low, evaluation.logging.high) == pytest.approx((0.4 - logged, 0.4 + logged))


@pytest.mark.parametrize("policy", [always(0, 4000), np.full((4000, 2), 0.5)], ids=["worse", "the same"])
def test_a_policy_that_earns_no_more_is_not_certified(policy):
    evaluation = evaluate(coin(400, 1200), policy, 0)
    assert (evaluation.verdict, evaluation.refusals) == ("not certified", ())
    assert evaluation.words.startswith("Not certified: the difference to the policy that logged may be zero or less")


@pytest.mark.parametrize(("clicks", "verdict"), [((38, 62), "not certified"), ((20, 80), "certified better")])
def test_with_few_clicks_the_gamma_interval_of_ips_must_lie_above_the_logged_mean(clicks, verdict):
    """38 and 62 clicks: DR's difference is 2.4 standard errors above 0, but 62 clicks could be 47.5, .0238 a row of the
    policy's, where the log earned .025. 80 clicks could be 63.4: .0317."""
    evaluation = evaluate(coin(*clicks), always(1, 4000), 0)
    assert evaluation.difference.low > 0
    assert evaluation.of("IPS").low == pytest.approx(stats.chi2.ppf(0.025, 2 * clicks[1]) / 4000, rel=1e-6)
    assert evaluation.verdict == verdict


def test_with_many_clicks_the_normal_interval_decides():
    evaluation = evaluate(coin(180, 230), always(1, 4000), 0)
    assert evaluation.diagnostics.effective_clicks == pytest.approx(230)
    assert evaluation.of("IPS").low < evaluation.logging.value
    assert evaluation.verdict == "certified better"


@pytest.mark.parametrize(("z", "errs"), [(2.7, True), (-2.7, True), (2.5, False), (-2.5, False)])
def test_the_reward_model_errs_where_dm_and_dr_are_more_than_2_576_standard_errors_apart(z, errs):
    num = 1000
    log = plain_log(np.arange(num) % 2, (-1.0) ** (np.arange(num) // 2) + z / math.sqrt(num - 1))
    evaluation = evaluate(log, np.full((num, 2), 0.5), 0, q=np.zeros((num, 2)))
    assert evaluation.model_errs == errs
    assert ("do not use DM" in evaluation.words) == errs


def test_rows_that_chose_the_policy_are_counted_against_it():
    log = coin(400, 1200)
    evaluation = evaluate(log, always(1, 4000), 0, chosen_on=np.array([1, 5, 5, 9000]))
    assert evaluation.verdict == "refused"
    [refusal] = evaluation.refusals
    assert (refusal.check, refusal.figure, refusal.limit) == ("same data", 2.0, 0.0)
    assert evaluation.words.startswith("No verdict, collect more exploration: 2 of 4,000 rows also chose the policy")
    assert evaluate(log, always(1, 4000), 0, chosen_on=np.array([9000])).verdict == "certified better"


def test_expected_rewards_that_do_not_fit_are_refused():
    log = coin(400, 1200)
    for q in (np.zeros((4000, 3)), np.where(np.arange(8000) == 7, np.nan, 0.0).reshape(4000, 2)):
        with pytest.raises(InputError, match="expected rewards are"):
            evaluate(log, always(1, 4000), 0, q=q)
