"""effect_index: clicks over impressions per strategy, with intervals over customers."""

import json

import numpy as np
import pytest

from nightmarket.evaluation.experiments.effect_index import effect_index, rate


def test_rates_are_those_of_the_sums():
    strategy = np.repeat(np.array(["coupon", "gift"], object), [40, 60])
    impressions = np.concatenate([np.full(40, 10.0), np.full(60, 5.0)])
    clicks = np.concatenate([np.tile([0.0, 2.0], 20), np.tile([0.0, 0.0, 1.0], 20)])
    responses = (clicks > 0).astype(float)
    coupon, gift = effect_index(strategy, impressions, clicks, responses)
    assert (coupon.name, coupon.customers, coupon.impressions, coupon.clicks) == ("coupon", 40, 400, 40)
    assert coupon.click_through.value == pytest.approx(40 / 400)
    assert coupon.conversion.value == pytest.approx(20 / 40)
    assert coupon.response.value == pytest.approx(20 / 400)
    # all strategies together: 60 clicks of 700 impressions
    assert coupon.index.value == pytest.approx(100 * 0.1 / (60 / 700))
    assert gift.index.value == pytest.approx(100 * (20 / 300) / (60 / 700))
    assert gift.click_through.interval.low < 20 / 300 < gift.click_through.interval.high
    json.dumps([row.content() for row in (coupon, gift)], allow_nan=False)


def test_without_clicks_the_index_is_of_responses_and_small_strategies_are_left_out():
    strategy = np.repeat(np.array(["mail", "tiny"], object), [20, 19])
    rows = effect_index(strategy, np.ones(39), np.zeros(39), (np.arange(39) < 5).astype(float))
    assert [row.name for row in rows] == ["mail"]
    assert rows[0].click_through is None
    assert rows[0].conversion is None
    assert rows[0].index.value == pytest.approx(100 * (5 / 20) / (5 / 39))


def test_intervals_cover_a_clustered_rate():
    """Customers differ in how often they see and how often they click; the interval holds in 95% of the samples."""
    rng = np.random.default_rng(2)
    covered = 0
    truth = 0.2  # mean of the beta, independent of the number of impressions
    for _ in range(400):
        shown = 1 + rng.poisson(4, 500)
        clicks = rng.binomial(shown, rng.beta(1, 4, 500))
        interval = rate(clicks.astype(float), shown.astype(float)).interval
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_rate_without_any_click_has_an_upper_bound():
    share = rate(np.zeros(300), np.ones(300))
    assert (share.value, share.interval.low, share.interval.high) == (0.0, 0.0, pytest.approx(0.01))
    assert rate(np.zeros(3), np.zeros(3)) is None
