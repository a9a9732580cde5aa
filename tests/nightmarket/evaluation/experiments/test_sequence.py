"""The bounds at all looks together, and the score that judges skewed outcomes, beside counting and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from nightmarket.evaluation.experiments.randomization import score
from nightmarket.evaluation.experiments.sequence import critical


@pytest.mark.parametrize("ends", [False, True])
def test_the_bounds_cover_an_effect_at_all_looks_together(ends):
    rng = np.random.default_rng(8)
    looks = np.arange(100, 10_001, 100)
    walk = np.cumsum(rng.normal(0.0, 1.0, (2000, looks.size)) * 10, axis=1)
    missed = np.abs(walk) / np.sqrt(looks) > critical(looks, 10_000, ends=ends)
    assert missed.any(axis=1).mean() <= 0.055
    fixed = np.abs(walk) / np.sqrt(looks) > 1.96
    assert fixed.any(axis=1).mean() > 0.25


def test_an_open_end_covers_far_beyond_the_planned_number():
    rng = np.random.default_rng(9)
    looks = np.arange(1, 201) * 1000
    walk = np.cumsum(rng.normal(0.0, 1.0, (2000, looks.size)) * np.sqrt(1000), axis=1)
    assert (np.abs(walk) / np.sqrt(looks) > critical(looks, 10_000)).any(axis=1).mean() <= 0.05
    assert critical(80_000, 10_000) < 3.5


def test_an_open_end_is_narrowest_about_the_planned_number():
    widths = {t: critical(1000 * t, 1000) for t in (0.3, 0.8, 1.0, 1.25, 3.0)}
    assert min(widths, key=widths.get) == 1.0


def test_the_score_is_that_of_counting_every_way_to_deal():
    """Twelve customers, each in the arm with a chance of one in four: 4,096 ways with their chances."""
    values = np.array([0.0] * 4 + [1.0, 1.5, 2.2, 2.9, 3.1, 4.5, 6.0, 9.7])
    ways = np.array(list(itertools.product([False, True], repeat=12)))
    chance = 0.25 ** ways.sum(axis=1) * 0.75 ** (~ways).sum(axis=1)
    sums = ways @ (values - values.mean())
    dealt = ways[ways.sum(axis=1) == 3]
    for way in dealt[[20, 100, 150, 200]]:
        at = (values - values.mean())[way].sum()
        above = chance[sums > at + 1e-9].sum() + chance[np.abs(sums - at) <= 1e-9].sum() / 2
        assert score(values, way) == pytest.approx(stats.norm.isf(above), abs=0.06)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_heavy_tail_in_a_small_arm_is_as_surprising_as_dealing_it_anew_says(share):
    rng = np.random.default_rng(4)
    values = np.where(rng.random(2000) < 0.05, rng.pareto(2.2, 2000) + 1, 0.0)
    num = round(share * 2000)
    sums = np.array([values[rng.permutation(2000)[:num]].sum() for _ in range(20_000)])
    for place in (0.01, 0.05, 0.5, 0.95, 0.99):
        nearest = np.argsort(np.abs(sums - np.quantile(sums, place)))[0]
        again = np.random.default_rng(4)
        again.random(2000), again.pareto(2.2, 2000)
        for _ in range(nearest + 1):
            order = again.permutation(2000)
        dealt = np.zeros(2000, bool)
        dealt[order[:num]] = True
        assert score(values, dealt) == pytest.approx(stats.norm.ppf(place), abs=0.12)


def test_the_score_of_equal_values_and_of_nothing_is_nothing():
    dealt = np.arange(10) < 3
    assert score(np.ones(10), dealt) == 0.0
    assert score(np.zeros(10), dealt) == 0.0


def test_the_score_does_not_ask_for_the_unit_and_turns_with_the_sign():
    rng = np.random.default_rng(5)
    values, dealt = rng.exponential(size=500), rng.random(500) < 0.2
    assert score(1e6 * values + 3, dealt) == pytest.approx(score(values, dealt))
    assert score(-values, dealt) == pytest.approx(-score(values, dealt))
    assert score(values, ~dealt) == pytest.approx(-score(values, dealt))
