"""Pacing on days that are drawn from what the pacer learned from, and on days that are not."""

import numpy as np
import pytest

from nightmarket.delivery.pacing import Pacer, Profile, hindsight

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
    value, cost = (np.concatenate([part[k] for part in some]) for k in (1, 2))
    return Profile.fit(counts, value, cost, np.arange(days) % 7 == 0)


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
        budget = share * 500 * profile.cost.mean()
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
