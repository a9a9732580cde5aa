"""Rates, words and values of a group."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from nightmarket.histories.histories import Histories
from nightmarket.segments.answers import answers, rate, reached, strategy
from nightmarket.segments.naming import names, traits
from nightmarket.segments.portraits import more_often, rfm
from nightmarket.segments.worth import group_worth, worth

T = pd.Timestamp


def test_with_one_pair_per_customer_the_interval_is_wilsons():
    answered = np.arange(50) < 12
    low, high = proportion_confint(12, 50, method="wilson")
    assert rate(np.arange(50), answered) == pytest.approx({"rate": 0.24, "low": low, "high": high}, rel=0.02)


def test_the_same_people_asked_four_times_are_no_more_people():
    once = rate(np.arange(50), np.arange(50) < 12)
    often = rate(np.tile(np.arange(50), 4), np.tile(np.arange(50) < 12, 4))
    assert often["low"] == pytest.approx(once["low"], abs=0.005)
    assert often["high"] == pytest.approx(once["high"], abs=0.005)


def test_the_interval_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        chance = np.repeat(rng.beta(1, 4, 80), 3)
        share = rate(np.repeat(np.arange(80), 3), rng.random(240) < chance)
        hits += share["low"] <= 0.2 <= share["high"]
    assert 0.92 <= hits / 400 <= 0.98


def test_only_campaigns_seen_whole_count_and_only_answers_of_those_reached():
    campaigns = pd.DataFrame(
        {"campaign_id": ["a", "b", "c"], "kind": ["x", "x", "y"], "start": [T("2020-01-05")] * 2 + [T("2019-12-01")]}
    ).assign(end=[T("2020-01-20"), T("2020-03-01"), T("2020-01-20")])
    exposures = pd.DataFrame({"customer_id": ["1", "2", "2", "1", "1"], "campaign_id": ["a", "a", "a", "b", "c"]})
    responses = pd.DataFrame({"customer_id": ["1", "1", "3"], "campaign_id": ["a", "a", "a"]})
    pairs, left_out = reached(exposures, responses, campaigns, T("2020-01-01"), T("2020-02-01"))
    assert left_out == 2
    assert dict(zip(pairs.customer_id, pairs.answered, strict=True)) == {"1": True, "2": False}


def of_kind(kind, num, hits):
    return pd.DataFrame(
        {
            "customer_id": [f"{kind}{i}" for i in range(num)],
            "campaign_id": kind,
            "kind": kind,
            "answered": np.arange(num) < hits,
        }
    )


def test_a_kind_that_reached_19_people_is_not_reported():
    assert [row["kind"] for row in answers(pd.concat([of_kind("x", 20, 1), of_kind("y", 19, 9)]))] == ["x"]


def test_a_strategy_is_stated_only_where_intervals_part():
    clear = strategy(answers(pd.concat([of_kind("x", 200, 80), of_kind("y", 200, 20)])), {})
    assert clear["kind"] == "x"
    assert clear["en"].startswith("They answered x (40.0%")
    level = strategy(answers(pd.concat([of_kind("x", 40, 16), of_kind("y", 40, 14)])), {})
    assert level["kind"] is None
    assert "No measured difference" in level["en"]
    assert "没有可测差异" in level["zh"]
    assert "nothing is known" in strategy([], {})["en"]
    assert "incremental" not in clear["en"]


def test_a_group_is_named_by_what_marks_it():
    frame = pd.DataFrame(
        {"spend": np.r_[np.full(30, 5.0), np.zeros(70)], "share: F > 牛奶": np.r_[np.zeros(70), np.ones(30)]}
    )
    marks = [
        traits(frame, np.arange(100) < 30),
        traits(frame, np.arange(100) >= 70),
        traits(frame, np.arange(100) >= 0),
    ]
    words = names(marks)
    assert words[0]["en"].startswith("high spend")
    assert words[1] == {"en": "much 牛奶, low spend", "zh": "偏好牛奶、低消费"}
    assert words[2] == {"en": "like the average", "zh": "与平均相近"}
    assert len({w["en"] for w in names([marks[0], marks[0]])}) == 2


def weekly_buyers(num=120, weeks=48, seed=0):
    rng = np.random.default_rng(seed)
    level = rng.gamma(2, 10, num)
    spent = rng.poisson(level[:, None] * np.ones(weeks)).astype(np.float32)
    customer, week = np.nonzero(spent)
    size, zero = customer.size, np.zeros(customer.size, np.int32)
    lines = Histories(
        customer=customer.astype(np.int32),
        item=zero,
        week=week.astype(np.int32),
        day=(week * 7 + 4).astype(np.int32),
        quantity=np.ones(size, np.float32),
        value=spent[customer, week],
        discount=np.zeros(size, np.float32),
        basket=np.arange(size, dtype=np.int32),
        channel=zero,
        num_customers=num,
        num_items=1,
    )
    return lines, level


def test_spend_that_only_fluctuates_is_predicted_better_than_by_repeating_it():
    lines, level = weekly_buyers()
    forecast = worth(lines, 0, 47, seed=1)
    assert forecast.weeks == 13
    assert forecast.paired.high < 0
    np.testing.assert_allclose(forecast.value.mean(), 13 * level.mean(), rtol=0.03)


def test_the_interval_of_a_groups_value_holds_what_is_to_come():
    hits = 0
    for seed in range(20):
        lines, level = weekly_buyers(seed=seed, num=60)
        low, high = group_worth(worth(lines, 0, 47, seed=1), np.ones(60, bool))[1:]
        hits += low < 13 * level.mean() < high
    assert hits >= 15


def test_a_history_too_short_to_judge_gives_no_value():
    lines, _ = weekly_buyers(weeks=14)
    assert worth(lines, 0, 13, seed=1) is None
    assert worth(lines, 0, 15, seed=1).weeks == 4


def test_a_shop_that_tells_no_prices_gives_no_value():
    lines, _ = weekly_buyers()
    assert worth(dataclasses.replace(lines, value=np.zeros_like(lines.value)), 0, 47, seed=1) is None


def test_more_often_covers_the_lift_and_finds_nothing_where_there_is_nothing():
    rng = np.random.default_rng(4)
    member = np.arange(400) < 160
    covered = false = 0
    for _ in range(200):
        total = rng.integers(1, 30, 400).astype(float)
        mean = np.where(member, 0.3, 0.2)
        chance = rng.beta(8 * mean, 8 * (1 - mean))
        counts = np.column_stack([rng.binomial(total.astype(int), chance), rng.binomial(total.astype(int), 0.1)])
        by_topic = {row["topic"]: row for row in more_often(counts, total, member, questions=1)}
        covered += 0 in by_topic and by_topic[0]["low"] < 1.5 < by_topic[0]["high"]
        false += 1 in by_topic
    assert covered >= 180
    assert false <= 14


def test_a_topic_of_19_people_of_the_group_is_not_told():
    member = np.arange(400) < 200
    for people in (19, 20):
        counts = np.zeros((400, 1))
        counts[:people] = 10
        counts[300] = 1
        told = more_often(counts, np.full(400, 10.0), member, questions=1)
        assert [row["people"] for row in told] == [20] * (people == 20)


def test_weeks_in_which_the_shop_was_closed_are_in_no_rate_and_no_forecast():
    whole, _ = weekly_buyers()
    after = whole.week >= 30  # the shop closes for five weeks
    later = dataclasses.replace(whole, week=whole.week + 5 * after, day=(whole.day + 35 * after).astype(np.int32))
    closed = np.arange(30, 35)
    days = np.concatenate([np.arange(7 * week + 4, 7 * week + 11) for week in closed])
    forecast, usual = worth(later, 0, 52, 1, closed), worth(whole, 0, 47, 1)
    np.testing.assert_allclose(forecast.value, usual.value)
    everybody = np.ones(whole.num_customers, bool)
    rates = [rfm(whole, everybody, int(whole.day.max())), rfm(later, everybody, int(later.day.max()), days)]
    assert rates[0] == rates[1]
    assert rfm(later, everybody, int(later.day.max()))["spend_per_week"] < rates[0]["spend_per_week"]
