"""Bootstrap intervals against the distribution that they must have."""

import numpy as np
import pytest
from scipy import stats

from nightmarket.evaluation import intervals
from nightmarket.evaluation.intervals import Z, bootstrap, clustered, paired, wilson


def test_the_ends_are_the_2_5_and_the_97_5_percent_points_of_the_resampled_mean():
    """The mean of n draws from evenly spaced values is nearly normal, with a standard error that is known exactly.
    20,000 resamples place each end to .02 standard errors; the ends of 94% would lie .08 off, those of 90% .32.
    Fifty customers have 49 degrees of freedom: Student's interval."""
    values = np.linspace(-1.0, 1.0, 50)
    error = values.std(ddof=1) / np.sqrt(values.size)
    value, low, high = bootstrap(values, seed=1, num=20_000)
    assert value == pytest.approx(0.0, abs=1e-12)
    assert low / error == pytest.approx(stats.t.ppf(0.025, 49), abs=0.05)
    assert high / error == pytest.approx(stats.t.ppf(0.975, 49), abs=0.05)


def test_tied_customers_leave_few_degrees_of_freedom():
    """Of 50 differences 6 are not 0: kurtosis 50/6 where they are +1 or -1, so 2 * 50 / (50/6 - 1) = 13.6 of them."""
    values = np.zeros(50)
    values[:6] = [1, -1, 1, -1, 1, -1]
    assert intervals._widening(values) == pytest.approx(stats.t.ppf(0.975, 100 / (50 / 6 - 1)) / Z * np.sqrt(50 / 49))
    thousand = np.random.default_rng(3).normal(size=2000)
    assert intervals._widening(thousand) == pytest.approx(1.0, abs=0.003), "many customers: the percentiles themselves"


def test_an_interval_ends_where_the_values_do():
    """One customer in twenty gains: percentiles of 0 to .15, widened below 0, where no mean of such values lies."""
    value, low, high = bootstrap(np.repeat([1.0, 0.0], [1, 19]), 1)
    assert (value, low) == (0.05, 0.0)
    assert high > np.quantile(np.random.default_rng(0).binomial(20, 0.05, 1000) / 20, 0.975)


def test_a_thousand_resamples_unless_told_otherwise():
    values, others = np.random.default_rng(0).random((2, 30))
    assert bootstrap(values, 4) == bootstrap(values, 4, 1000) != bootstrap(values, 4, 1001)
    assert paired(values, others, 4) == bootstrap(values - others, 4, 1000)


def test_resamples_made_in_blocks_are_the_same_resamples(monkeypatch):
    values = np.random.default_rng(1).random(6)
    whole = bootstrap(values, 9, num=100)
    for kept in (1, 6, 13, 40, 599):
        intervals._kept_resamples.cache_clear()
        monkeypatch.setattr(intervals, "_KEPT", kept)
        assert bootstrap(values, 9, num=100) == pytest.approx(whole)


def test_each_resample_draws_as_many_customers_as_there_are():
    drawn = np.concatenate(list(intervals._blocks(7, 3, 50)))
    assert drawn.shape == (50, 7)
    assert (drawn.sum(axis=1) == 7).all()


def test_a_seed_is_a_seed_and_another_one_gives_other_ends():
    values = np.random.default_rng(2).random(40)
    assert bootstrap(values, 1) != bootstrap(values, 2)


def test_customers_who_all_agree_may_hide_three_in_n_who_have_nothing():
    assert bootstrap(np.array([0.3, np.nan]), 0) == (0.3, 0.0, 0.3), "one customer shows no difference"
    assert bootstrap(np.full(10, -0.5), 0) == pytest.approx((-0.5, -0.5, -0.35))
    assert bootstrap(np.zeros(7), 0) == (0.0, 0.0, 0.0)


def test_nobody_has_no_figure():
    assert np.isnan(bootstrap(np.full(3, np.nan), 0)).all()
    assert bootstrap(np.zeros(0), 0).content() == {"value": None, "low": None, "high": None}
    assert bootstrap(np.zeros(2), 0).content() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_paired_difference_has_the_sign_of_ours_less_theirs_and_skips_whom_either_does_not_concern():
    ours, theirs = np.array([0.5, np.nan, 0.7, 0.9]), np.array([0.1, 0.2, np.nan, 0.1])
    difference = paired(ours, theirs, 0)
    assert difference.value == pytest.approx((0.4 + 0.8) / 2)
    assert difference.low == pytest.approx(0.4), "no further than the customers' own"
    assert difference.high == pytest.approx(0.8)


# shares


@pytest.mark.parametrize(("hits", "num"), [(0, 7), (1, 9), (5, 12), (90, 100), (7, 7)])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_wilson_s_interval_is_scipy_s_of_the_same_name(hits, num, level):
    theirs = stats.binomtest(hits, num).proportion_ci(level, method="wilson")
    interval = wilson(hits / num, num) if level == 0.95 else wilson(hits / num, num, stats.norm.ppf(0.9))
    assert interval == pytest.approx((hits / num, theirs.low, theirs.high), abs=1e-6)


def test_a_share_over_people_has_the_linearised_variance_of_a_ratio():
    """Three people with 4, 2 and 6 observations, of which 4, 0 and 1 hit: p = 5/12, deviations 2.333, -.833, -1.5."""
    who = np.repeat([7, 3, 9], [4, 2, 6])
    hit = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0], bool)
    p = 5 / 12
    deviations = np.array([4 - 4 * p, 0 - 2 * p, 1 - 6 * p])
    variance = (deviations**2).sum() * 3 / 2 / 12**2
    effective = p * (1 - p) / variance
    assert effective < 12
    assert clustered(who, hit) == pytest.approx(wilson(p, effective))
    assert clustered(who, hit, z=1.0) == pytest.approx(wilson(p, effective, 1.0))


def test_even_people_count_as_no_more_than_their_observations_and_one_person_as_one():
    even = clustered(np.repeat(np.arange(5), 2), np.tile([True, False], 5))
    assert even == pytest.approx(wilson(0.5, 10)), "no spread over people is no more than independence"
    assert clustered(np.zeros(8, int), np.arange(8) < 4) == pytest.approx(wilson(0.5, 8))
    both = clustered(np.repeat([0, 1], 50), np.arange(100) < 50)
    assert both == pytest.approx(wilson(0.5, 1.0)), "two people who always differ are one observation at the least"


def test_a_share_of_nothing_or_of_all_rests_on_the_number_of_people():
    who = np.repeat(np.arange(4), 10)
    assert clustered(who, np.zeros(40, bool)) == pytest.approx(wilson(0.0, 4))
    assert clustered(who, np.ones(40, bool)) == pytest.approx(wilson(1.0, 4))
