"""design: power, sample size and detectable effect, beside statsmodels and simulation."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import normal_power_het
from statsmodels.stats.proportion import power_proportions_2indep, samplesize_proportions_2indep_onetail

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.design import (
    ControlOutcome,
    Rule,
    expected_days,
    minimum_detectable_effect,
    power,
    sample_size,
)
from nightmarket.evaluation.experiments.sequence import critical

FIXED = Rule(always_valid=False)
RESPONSE = ControlOutcome(0.05, proportion=True)


@pytest.mark.parametrize(
    ("rate", "effect", "num"), [(0.05, 0.005, 140_000), (0.3, -0.03, 5_000), (0.01, 0.002, 60_000)]
)
def test_power_of_proportions_is_that_of_statsmodels(rate, effect, num):
    ours = power(ControlOutcome(rate, proportion=True), effect, num, FIXED)
    theirs = power_proportions_2indep(effect, rate, num / 2, ratio=1, alpha=0.05).power
    assert ours == pytest.approx(theirs, abs=0.002)  # theirs pools the variance under "no effect"


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_power_of_means_is_that_of_statsmodels_also_with_unequal_arms(share):
    num, effect, sd = 8_000, 1.5, 20.0
    rule = Rule(share=share, always_valid=False)
    # of two samples, per customer of the treated arm
    spread = math.sqrt(sd**2 + sd**2 * share / (1 - share))
    theirs = normal_power_het(effect, num * share, 0.05, std_null=spread, std_alternative=spread)
    assert power(ControlOutcome(30.0, sd), effect, num, rule) == pytest.approx(theirs, abs=1e-9)


def test_sample_size_of_proportions_is_that_of_statsmodels():
    ours = sample_size(RESPONSE, 0.005, 0.8, FIXED)
    theirs = 2 * samplesize_proportions_2indep_onetail(0.005, 0.05, 0.8, ratio=1, alpha=0.05, alternative="two-sided")
    assert ours == pytest.approx(theirs, rel=0.005)


@pytest.mark.parametrize("rule", [FIXED, Rule(), Rule(share=0.2, comparisons=6)])
@pytest.mark.parametrize("outcome", [RESPONSE, ControlOutcome(30.0, 55.0, variance_reduction=0.4)])
def test_size_effect_and_power_undo_one_another(outcome, rule):
    effect = 0.1 * outcome.mean
    num = sample_size(outcome, effect, 0.85, rule)
    assert power(outcome, effect, num, rule) == pytest.approx(0.85, abs=0.001)
    assert minimum_detectable_effect(outcome, num, 0.85, rule) == pytest.approx(effect, rel=0.001)


def test_cuped_needs_as_many_fewer_customers_as_it_takes_variance_away():
    plain, reduced = ControlOutcome(30.0, 55.0), ControlOutcome(30.0, 55.0, variance_reduction=0.4)
    assert sample_size(reduced, 1.0) == pytest.approx(0.6 * sample_size(plain, 1.0), abs=2)


def test_looking_every_night_costs_customers():
    fixed, always = sample_size(RESPONSE, 0.005, rule=FIXED), sample_size(RESPONSE, 0.005)
    assert always / fixed == pytest.approx(((2.755 + 0.8416) / (1.96 + 0.8416)) ** 2, rel=0.001)


def test_an_experiment_that_ends_as_planned_needs_few_more_than_a_single_look():
    fixed, ends = sample_size(RESPONSE, 0.005, rule=FIXED), sample_size(RESPONSE, 0.005, rule=Rule(ends=True))
    assert ends / fixed == pytest.approx(((2.2414 + 0.8416) / (1.96 + 0.8416)) ** 2, rel=0.001)


def test_stated_power_of_the_sequence_is_reached_by_simulation():
    num, rng = 20_000, np.random.default_rng(1)
    effect = minimum_detectable_effect(ControlOutcome(0.0, 1.0), num, 0.8)
    z = rng.normal(effect / math.sqrt(4 / num), 1, 20_000)
    assert (np.abs(z) > critical(num, num)).mean() == pytest.approx(0.8, abs=0.01)


def test_days_follow_the_arrivals():
    assert expected_days(1_000, 100) == 10
    assert expected_days(1_000, 100, traffic=0.5) == 20
    assert expected_days(1_000, [600, 300, 100, 50]) == 3
    assert expected_days(1_100, [600, 300, 100, 50]) == 5
    for arrivals in (0, [10, 0], [-1, 5], []):
        with pytest.raises(InputError, match="traffic"):
            expected_days(10, arrivals)


def test_what_no_test_can_find_is_refused():
    with pytest.raises(InputError, match="proportion"):
        ControlOutcome(1.0, proportion=True)
    with pytest.raises(InputError, match="standard deviation"):
        ControlOutcome(3.0)
    with pytest.raises(InputError, match="effect of 0"):
        sample_size(RESPONSE, 0.0)
    with pytest.raises(InputError, match="cannot change"):
        sample_size(RESPONSE, 0.96)
    with pytest.raises(InputError, match="no effect"):
        minimum_detectable_effect(ControlOutcome(0.999, proportion=True), 40)
