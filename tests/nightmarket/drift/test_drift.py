"""Distances against figures worked out by hand and scipy's; nights that never look ahead; a limit that holds."""

import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from bench.abuse import drift as abuse
from nightmarket.drift import summaries
from nightmarket.drift.daily import vectors
from nightmarket.drift.nights import MIN_NIGHTS, REFERENCE_DAYS, max_t, nights
from nightmarket.drift.summaries import Summary, comparable, every_distance


def test_the_stability_index_by_hand_and_zero_for_the_same_shares():
    current, reference = np.array([[30.0, 70.0], [500.0, 500.0]]), np.array([[60.0, 40.0], [500.0, 500.0]])
    p, q = np.array([30.5, 70.5]) / 101, np.array([60.5, 40.5]) / 101
    by_hand = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert summaries.stability_index(current, reference) == pytest.approx([by_hand, 0.0])


def test_earth_mover_of_bins_that_hold_one_value_each_is_scipys():
    rng = np.random.default_rng(3)
    here, there = rng.integers(0, 4, 60), rng.integers(1, 5, 80)
    counts = [np.bincount(part, minlength=5)[None].astype(float) for part in (here, there)]
    sums = [count * np.arange(5) for count in counts]
    distances = summaries.earth_mover(counts[0], sums[0], counts[1], sums[1], 2.0)
    assert distances[0] == pytest.approx(wasserstein_distance(here, there) / 2.0)


def test_a_value_far_outside_the_bins_counts_with_its_size():
    reference, sums = np.array([[50.0, 50.0]]), np.array([[50.0, 100.0]])
    distances = summaries.earth_mover(np.array([[50.0, 50.0]]), np.array([[50.0, 10_000.0]]), reference, sums, 1.0)
    assert distances[0] == pytest.approx(0.5 * (200 - 2))


def test_the_discrepancy_is_unbiased_and_grows_with_a_shift():
    rng = np.random.default_rng(5)

    def features(middle):
        angles = rng.normal(middle, 1, (400, 64))
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / 8

    def squared(a, b):
        sums, num = (a.sum(axis=0)[None], b.sum(axis=0)[None]), np.array([400.0])
        return summaries.mean_discrepancy(*sums, num, num)[0] ** 2

    same = [squared(features(0), features(0)) for _ in range(30)]
    assert np.median(same) < 0.001
    assert min(squared(features(1.0), features(0)) for _ in range(5)) > 20 * max(same)


def test_no_past_night_sees_a_day_after_the_training_window_and_each_is_as_far_from_its_reference_as_a_fresh_model():
    past = nights(num_days=250, trained=220, gap=21)
    assert past.stop[-1] == 250
    assert past.reference[-1] == 220
    assert past.stop[:-1].max() == 220
    assert (past.stop[:-1] - 7 - past.reference[:-1] == 21).all()
    assert past.reference.min() == REFERENCE_DAYS
    here, there = past.sums(np.arange(250)[:, None])
    assert here[-1, 0] == sum(range(243, 250))
    assert there[-1, 0] == sum(range(220 - REFERENCE_DAYS, 220))


def test_usual_is_the_median_of_the_same_weekday():
    daily = np.tile([10, 20, 30, 40, 50, 60, 0], 40).astype(float)
    days, usual = nights(num_days=280, trained=251, gap=21).weekdays(daily)
    assert (days == usual).all()


def test_a_short_training_window_tests_nothing():
    few = nights(num_days=250, trained=REFERENCE_DAYS + 21 + 7 + MIN_NIGHTS - 2, gap=21)
    assert not few.testable
    assert len(nights(num_days=60, trained=20, gap=21)) == 0


def settled(rng, num_days=330, rows=3000):
    """A stationary week with a slow wave over the weeks, which rows cannot explain: (D, 5) counts."""
    wave = np.zeros(num_days)
    for day in range(1, num_days):
        wave[day] = 0.9 * wave[day - 1] + 0.05 * rng.normal()
    season = 0.3 * np.sin(2 * np.pi * np.arange(num_days) / 7)
    shares = np.exp(np.outer(wave, rng.normal(size=5)) + np.outer(season, rng.normal(size=5)))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.array([rng.multinomial(rows, share) for share in shares]).astype(float)


def test_stationary_nights_alarm_rarely_where_shuffled_rows_would_alarm_every_night():
    rng = np.random.default_rng(11)
    alarms, by_rows = [], []
    for _ in range(60):
        columns = [settled(rng) for _ in range(4)]
        summaries = [
            Summary("events", f"c{i}", "category", daily, labels=tuple("abcde")) for i, daily in enumerate(columns)
        ]
        when = nights(num_days=330, trained=302, gap=21)
        names, distance = every_distance(summaries, when)
        verdict = max_t(comparable(names, distance), 0.03)
        alarms.append(bool(verdict.drifted.any()))
        here, there = when.sums(columns[0])
        # what shuffling rows comes to: the index times the rows is chi-squared with K - 1 degrees of freedom
        scaled = distance[0, -1] / (1 / here[-1].sum() + 1 / there[-1].sum())
        by_rows.append(scaled > 9.49)
    assert np.mean(alarms) <= 0.12  # 3% accepted; 60 nights
    assert np.mean(by_rows) > 0.8


def test_one_column_that_moves_is_found_among_many_that_do_not():
    rng = np.random.default_rng(12)
    columns = [settled(rng) for _ in range(8)]
    columns[3][-7:, 2] = 0
    summaries = [
        Summary("events", f"c{i}", "category", daily, labels=tuple("abcde")) for i, daily in enumerate(columns)
    ]
    names, distance = every_distance(summaries, nights(num_days=330, trained=302, gap=21))
    verdict = max_t(comparable(names, distance), 0.03)
    assert np.flatnonzero(verdict.drifted).tolist() == [3]
    assert verdict.p == pytest.approx(1 / verdict.largest.size)


def test_a_column_without_usual_nights_is_left_out_and_does_not_hide_the_others():
    rng = np.random.default_rng(13)
    columns = [settled(rng) for _ in range(3)]
    columns[0] = rng.multinomial(3000, [0.2] * 5, 330).astype(float)
    columns[0][288:295, :] = [3000, 0, 0, 0, 0]  # a week of another shop, which lies in no reference
    columns[1][-7:, 2] = 0
    summaries = [
        Summary("events", f"c{i}", "category", daily, labels=tuple("abcde")) for i, daily in enumerate(columns)
    ]
    names, distance = every_distance(summaries, nights(num_days=330, trained=302, gap=21))
    verdict = max_t(comparable(names, distance), 0.03)
    assert verdict.unsettled.tolist() == [True, False, False]
    assert verdict.drifted[1]


def test_texts_of_another_kind_are_far_and_their_sums_hold_no_text():
    rng = np.random.default_rng(14)
    centre = rng.normal(size=(2, 48))
    made = centre[np.repeat([0, 1], 100)] + 0.7 * rng.normal(size=(200, 48))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    text, day = rng.integers(0, 100, 330 * 30), np.repeat(np.arange(330), 30)
    text[day >= 323] += 100
    summary = vectors("texts", text, day, np.ones(text.size), made.astype(np.float16), 330, 17)
    distances = summary.distances(nights(num_days=330, trained=302, gap=21))
    assert distances["mmd"][-1] > 5 * np.nanmax(distances["mmd"][:-1])
    assert distances["means"][-1] > 5 * np.nanmax(distances["means"][:-1])
    assert summary.means.shape == (330, 32)
    assert summary.counts[0, 0] == 30
    assert vectors("texts", text[:0], day[:0], day[:0], made, 330, 17) is None


def test_half_the_rows_are_missed_at_once_in_a_shop_with_a_weekly_season():
    rng = np.random.default_rng(15)
    rows = 1000 * np.tile([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9], 48)[:330] * np.exp(0.08 * rng.normal(size=330))
    rows[-1] /= 2
    summaries = [Summary("events", "rows", "volume", rows[:, None])]
    names, distance = every_distance(summaries, nights(num_days=330, trained=302, gap=21))
    verdict = max_t(comparable(names, distance), 0.03)
    assert {statistic for (_, statistic), drifted in zip(names, verdict.drifted, strict=True) if drifted} == {"day"}


def test_nearly_every_shop_alarms_on_no_more_nights_than_it_accepts_however_much_neighbours_are_alike():
    rng = np.random.default_rng(16)
    rates = []
    for _ in range(20):
        steps = rng.normal(size=(4, 700))
        for night in range(1, 700):  # each night is much like the one before
            steps[:, night] = 0.9 * steps[:, night - 1] + (1 - 0.9**2) ** 0.5 * steps[:, night]
        nights_of = [max_t(3 * steps[:, end - 200 : end], 0.05).drifted.any() for end in range(200, 700, 10)]
        rates.append(float(np.mean(nights_of)))
    assert np.mean(np.array(rates) > 0.05) <= 0.2
    assert np.mean(rates) <= 0.04


def test_a_night_far_off_is_found_whatever_the_past_was_like():
    rng = np.random.default_rng(17)
    values = rng.normal(size=(4, 150))
    values[2, -1] = 12
    assert np.flatnonzero(max_t(values, 0.05).drifted).tolist() == [2]


def test_a_shop_in_which_nothing_changes_hardly_alarms_and_half_its_rows_are_missed():
    shop = abuse.stationary(311, abuse.PAST + 60)
    assert abuse.alarms(shop, 60) <= 0.05
    for change in abuse.CHANGES.values():
        assert abuse.found(change(shop))
