"""Pacing on days that are drawn from what the pacer learned from, and on days that are not."""

import numpy as np
import pytest

from bench.abuse import pacing as abuse
from nightmarket.contracts import InputError
from nightmarket.delivery.pacing import Pacer, Profile, UsualRatios, hindsight

MEAN_COST = 0.5 + 0.05 * 0.5 * np.exp(3 + 0.8**2 / 2)
SHAPE = np.concatenate([np.zeros(7), np.linspace(1, 4, 14), np.full(3, 1.0)])


def day(rng, level):
    """Hours, values and costs of one day's arrivals, in order."""
    counts = rng.poisson(level * SHAPE / SHAPE.sum())
    hour = np.sort(np.repeat(np.arange(24), counts) + rng.random(counts.sum()))
    value = rng.lognormal(3, 0.8, hour.size)
    return hour, value, 0.5 + 0.05 * value * rng.random(hour.size)


def learned(rng, level=500, days=40):
    some = [day(rng, level) for _ in range(days)]
    counts = np.array([np.bincount(hour.astype(int), minlength=24) for hour, _, _ in some])
    hour, value, cost = (np.concatenate([part[k] for part in some]) for k in range(3))
    return Profile.fit(counts, hour, value, cost, np.arange(days) % 7 == 0)


def spent(profile, today, budget):
    pacer = Pacer(profile, budget)
    taken = np.array([pacer.offer(*arrival) for arrival in zip(*today, strict=True)], bool)
    assert pacer.left == pytest.approx(budget - today[2][taken].sum())
    return today[1][taken].sum(), budget - pacer.left


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_usual_days_earn_nearly_what_hindsight_would(share):
    rng = np.random.default_rng(1)
    profile = learned(rng)
    ratios, spends = [], []
    for _ in range(25):
        today = day(rng, 500)
        budget = share * 500 * MEAN_COST
        earned, used = spent(profile, today, budget)
        assert used <= budget
        ratios.append(earned / hindsight(today[1], today[2], budget))
        spends.append(used / budget)
    assert np.mean(ratios) > 0.95
    assert np.mean(spends) > 0.97


@pytest.mark.parametrize("level", [0, 150, 2000])
def test_odd_days_are_never_overspent(level):
    rng = np.random.default_rng(2)
    profile, budget = learned(rng), 60.0
    today = day(rng, level)
    assert spent(profile, today, budget)[1] <= budget


def test_a_day_busier_than_usual_is_noticed():
    rng = np.random.default_rng(3)
    profile = learned(rng)
    today = day(rng, 1000)
    earned, used = spent(profile, today, 80.0)
    assert earned > 0.8 * hindsight(today[1], today[2], 80.0)
    assert used > 0.97 * 80


def test_hindsight_is_the_fractional_knapsack():
    value, cost = np.array([10.0, 6.0, 5.0]), np.array([2.0, 1.0, 5.0])
    assert hindsight(value, cost, 2.0) == pytest.approx(6 + 5)
    assert hindsight(value, cost, 100.0) == pytest.approx(21)
    assert hindsight(value, cost, 0.5) == pytest.approx(3)
    assert hindsight(np.array([10.0, 6.0, 4.0]), np.array([2.0, 0.0, 0.0]), 0.0) == pytest.approx(10), "free"


@pytest.mark.parametrize(("value", "cost"), [(1.0, np.nan), (1.0, -0.5), (1.0, np.inf), (np.nan, 1.0), (-np.inf, 0.0)])
def test_what_is_no_amount_is_refused_and_leaves_the_budget_as_it_is(value, cost):
    profile = learned(np.random.default_rng(4), days=14)
    pacer = Pacer(profile, 50.0)
    with pytest.raises(InputError, match="an arrival: 1 of 1"):
        pacer.offer(12.0, value, cost)
    assert pacer.left == 50.0
    counts, ones = np.ones((2, 24)), np.ones(2)
    with pytest.raises(InputError, match="first in row 1"):
        Profile.fit(counts, ones, np.array([1.0, value]), np.array([1.0, cost]), np.array([True, False]))
    with pytest.raises(InputError, match="arrivals: 1 of 1"):
        hindsight(np.array([value]), np.array([cost]), 5.0)


@pytest.mark.parametrize("budget", [np.nan, -1.0, np.inf])
def test_a_budget_that_is_no_amount_is_refused(budget):
    with pytest.raises(InputError, match="the budget is"):
        Pacer(learned(np.random.default_rng(4), days=14), budget)


def test_what_is_free_is_always_sent_and_costs_nothing():
    rng = np.random.default_rng(6)
    pacer = Pacer(learned(rng), 20.0)
    assert all(pacer.offer(hour, 0.01, 0.0) for hour in np.linspace(0, 23.9, 200))
    assert pacer.left == 20.0
    broke = Pacer(learned(rng), 0.0)
    assert not broke.offer(12.0, 1e6, 0.01)
    assert broke.offer(12.0, 0.01, 0.0)
    assert not broke.offer(12.0, -1.0, 0.0), "worth less than nothing"
    nothing_paid = Profile.fit(np.ones((3, 24)), np.arange(72) % 24.0, np.ones(72), np.zeros(72), np.ones(3, bool))
    assert Pacer(nothing_paid, 1.0).offer(3.0, 5.0, 0.5), "who never cost anything says nothing of a price"


@pytest.mark.parametrize(
    "name",
    [
        "a shop that closes at 14 on this weekday",
        "a shop that closes at 14 today, as was said",
        "two hours of five times the arrivals, for the first time",
        "best hours late",
        "best hours late on this weekday",
        "five times the usual values today",
        "arrivals that halve at noon, for the first time",
    ],
)
def test_days_that_are_not_as_usual_earn_nine_tenths_of_hindsight(name):
    rng = np.random.default_rng(7)
    days = [abuse.earned(rng, abuse.KINDS[name], 300, 0.2) for _ in range(6)]
    assert np.mean([share for share, _ in days]) >= 0.9
    assert max(over for _, over in days) == 0


def test_a_day_is_not_known_to_close_before_it_opens():
    with pytest.raises(InputError, match="closes at 0"):
        Pacer(learned(np.random.default_rng(4), days=14), 1.0, closes=0)


def test_a_day_that_is_said_to_close_spends_what_is_left_before_it_does():
    profile = learned(np.random.default_rng(4))
    pacer = Pacer(profile, 60.0)
    before = pacer.threshold(12.0)
    pacer.close_at(14.0)
    assert pacer.threshold(12.0) < before / 1.5
    with pytest.raises(InputError, match="closes at 25"):
        pacer.close_at(25)


def test_what_costs_something_and_is_worth_nothing_is_never_served():
    pacer = Pacer(learned(np.random.default_rng(4)), 1e9)
    assert pacer.threshold(12.0) == 0.0
    assert not pacer.offer(12.0, 0.0, 1.0)
    assert pacer.offer(12.0, 0.01, 1.0)


def test_arrivals_that_are_not_those_of_the_counts_are_refused():
    ones = np.ones(47)
    with pytest.raises(InputError, match="make 48, but 47 are given"):
        Profile.fit(np.ones((2, 24)), ones, ones, ones, np.array([True, False]))


def test_days_without_an_arrival_do_not_lower_what_is_expected():
    counts = np.zeros((4, 24))
    counts[[0, 2], 9:11] = 50
    hour = np.tile(np.repeat([9.5, 10.5], 50), 2)
    profile = Profile.fit(counts, hour, hour * 0 + 2, hour * 0 + 1, np.zeros(4, bool))
    assert profile.arrivals.sum() == pytest.approx(100)


def test_a_mean_day_is_taken_as_far_as_its_arrivals_and_earlier_days_bear_out():
    steady = UsualRatios(np.zeros(24), np.zeros(24), spread=1.0, moves=0.2)
    assert steady.shift(0, 0.0) == 0
    # posterior mean of N(0, .2^2) after 25 that are .2 on average: half of it, for 1/25 is .2 squared
    assert steady.shift(25, 5.0) == pytest.approx(0.1, abs=0.01)
    assert steady.shift(25, 50.0) == pytest.approx(2.0, abs=0.05), "unlike all earlier days"


@pytest.mark.parametrize("hour", [24.0, -0.5, np.nan])
def test_an_hour_that_no_day_has_is_refused(hour):
    with pytest.raises(InputError, match="give an hour of the day"):
        Pacer(learned(np.random.default_rng(4), days=14), 9.0).offer(hour, 1.0, 1.0)


def test_a_profile_of_no_day_is_refused():
    none = np.zeros(0)
    with pytest.raises(InputError, match="no earlier day"):
        Profile.fit(np.zeros((0, 24)), none, none, none, np.zeros(0, bool))
