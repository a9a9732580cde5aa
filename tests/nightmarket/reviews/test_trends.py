"""Trends: planted ones are found, noise of customers and of weeks is not taken for one."""

from datetime import date

import numpy as np
import pytest

from nightmarket.reviews import trends

MONDAY = (date(2024, 1, 1) - date(1970, 1, 1)).days


def documents(rng, slope, num_people=150, num_weeks=20, shock=0.0, topics=1):
    """Weekly documents of people with habits of their own; `shock` moves a whole week."""
    habit = rng.normal(0, 1, (num_people, topics))
    weekly = rng.normal(0, shock, (num_weeks, topics))
    person = np.repeat(np.arange(num_people), num_weeks)
    week = np.tile(np.arange(num_weeks), num_people)
    logit = -1 + habit[person] + weekly[week] + slope * (week[:, None] / num_weeks - 0.5)
    hit = rng.random(logit.shape) < 1 / (1 + np.exp(-logit))
    return person.astype(np.int64), (MONDAY + 7 * week + 2).astype(np.int32), hit


@pytest.mark.parametrize("shock", [0.0, 0.5])
def test_without_a_trend_the_interval_holds_zero_as_often_as_it_says(shock):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        who, day, hit = documents(rng, 0.0, num_people=60, shock=shock)
        when = trends.periods(day, who, 26)
        interval, p = trends.change(when.place[when.code[when.code >= 0]], who[when.code >= 0], hit[when.code >= 0, 0])
        held += interval.low <= 0 <= interval.high
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high)
    assert held >= 180


def test_a_planted_rise_is_told_and_the_others_are_not():
    rng = np.random.default_rng(1)
    who, day, hit = documents(rng, 3.0, num_people=300)
    topic = np.where(hit[:, 0], 0, rng.integers(1, 6, who.size)).astype(np.int32)
    topic[rng.random(who.size) < 0.2] = -1
    when = trends.periods(day, who, 26)
    told = trends.trends(when, who, topic, range(6))
    assert told[0]["verdict"] == "rising"
    assert told[0]["change"]["low"] > 0
    assert len(told[0]["points"]) == len(when.starts)
    for trend in told:
        assert (trend["verdict"] == "no change") == (trend["adjusted_p"] > 0.05)
        assert all(point["low"] <= point["value"] <= point["high"] for point in trend["points"])


def test_of_many_topics_without_a_trend_a_false_word_is_rare():
    rng = np.random.default_rng(2)
    nights = 0
    for _ in range(60):
        who, day, hit = documents(rng, 0.0, num_people=60, topics=12)
        topic = hit.argmax(1).astype(np.int32)
        told = trends.trends(trends.periods(day, who, 26), who, topic, range(12))
        nights += any(trend["verdict"] != "no change" for trend in told)
    assert nights <= 9


def test_weeks_are_complete_and_few_documents_are_counted_by_months():
    day = np.arange(MONDAY + 3, MONDAY + 3 + 100, dtype=np.int32)
    who, days = np.tile(np.arange(25), 100), np.repeat(day, 25)
    when = trends.periods(days, who, 26)
    assert when.by == "week"
    assert when.starts[0] == date(2024, 1, 8)
    assert trends.span(when)[1] == date(2024, 4, 7)  # a Sunday; the week after is not over
    assert trends.periods(days, who, 9).starts[0] == date(2024, 2, 5)
    sparse = np.repeat(np.arange(MONDAY, MONDAY + 300, 10, dtype=np.int32), 8)
    months = trends.periods(sparse, np.arange(sparse.size), 26)
    assert months.by == "month"
    assert months.starts[0] == date(2024, 1, 1)
    assert trends.span(months) == (date(2024, 1, 1), date(2024, 9, 30))
    assert trends.periods(days[:500], who[:500], 26) is None
    assert trends.periods(days[:0], who[:0], 26) is None


def test_a_week_of_19_people_is_left_out():
    day = np.repeat(np.arange(MONDAY, MONDAY + 7 * 12, dtype=np.int32), 25)
    who = np.tile(np.arange(25), 7 * 12)
    third = (day - MONDAY) // 7 == 3
    who[third] %= 19
    when = trends.periods(day, who, 26)
    assert date(2024, 1, 22) not in when.starts
    assert len(when.starts) == 11
    assert (when.code[third] == -1).all()
    assert np.diff(when.place).max() == 2
