"""Units per week: the sums, the methods by hand, and intervals that hold on simulated series."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from bench.abuse import forecast as abuse
from nightmarket.demand.forecast import evaluate, forecast_units, horizon
from nightmarket.demand.methods import METHODS, seasonal_naive
from nightmarket.demand.series import CLASSES, Weekly, classes, closed_weeks, kind_paths, weekly
from nightmarket.histories.calendar import day_of, week_of
from nightmarket.histories.histories import Histories

FIRST = week_of(day_of(date(2024, 1, 1)))


def lines_of(units):
    """One line per item and day with `units[item][day]` pieces, from a Monday on."""
    item, day = np.nonzero(np.asarray(units))
    size = item.size
    days = (4 + 7 * FIRST + day).astype(np.int32)
    return Histories(
        customer=np.zeros(size, np.int32),
        item=item.astype(np.int32),
        week=((days - 4) // 7).astype(np.int32),
        day=days,
        quantity=np.asarray(units)[item, day].astype(np.float32),
        value=np.ones(size, np.float32),
        discount=np.zeros(size, np.float32),
        basket=np.arange(size, dtype=np.int32),
        channel=np.zeros(size, np.int32),
        num_customers=1,
        num_items=len(units),
    )


def history(units, start=None):
    units = np.atleast_2d(np.asarray(units, float))
    first = (units > 0).argmax(axis=1) if start is None else np.asarray(start)
    return Weekly(tuple(f"k{i}" for i in range(len(units))), units, first, FIRST)


def test_the_path_of_a_type_leaves_out_levels_that_repeat():
    products = pd.DataFrame({"department": ["a", "a", "a"], "category": ["b", "a", "b"], "type": ["c", "a", "b"]})
    assert kind_paths(products).tolist() == ["a > b > c", "a", "a > b"]


def test_partial_weeks_at_either_end_are_no_targets():
    units = np.zeros((3, 30), int)
    units[0, 5:] = 1  # Saturday of the first week on; two days of the fifth
    units[1, 7:14] = 2
    history_by_week = weekly(lines_of(units), np.array([0, 0, 1]), ["crisps", "never sold"])
    assert history_by_week.kinds == ("crisps",)
    assert (history_by_week.first_week, history_by_week.last_week) == (FIRST + 1, FIRST + 3)
    np.testing.assert_array_equal(history_by_week.units, [[21, 7, 7]])


def test_methods_by_hand():
    units = np.array([[4.0, 0, 2, 6], [0, 0, 0, 8]])
    start = np.array([0, 3])
    np.testing.assert_allclose(METHODS["naive"](units, start), [6, 8])
    np.testing.assert_allclose(METHODS["mean of 13 weeks"](units, start), [3, 8])
    # TSB: size 4 → 3.8 → 4.02; chance 1 → .9 → .91 → .919
    np.testing.assert_allclose(METHODS["TSB"](units, start), [4.02 * 0.919, 8])
    # Croston: gap 1 → 1.1 → 1.09
    np.testing.assert_allclose(METHODS["SBA"](units, start), [0.95 * 4.02 / 1.09, 0.95 * 8])
    np.testing.assert_array_equal(seasonal_naive(units, np.arange(4), np.arange(4, 7), 2), [[2, 6, 2], [0, 8, 0]])


@pytest.mark.parametrize("name", METHODS)
def test_a_level_series_is_forecast_as_it_is_and_weeks_before_the_first_sale_do_not_count(name):
    units = np.array([[5.0] * 20, [0.0] * 11 + [5.0] * 9])
    forecast = METHODS[name](units, np.array([0, 11]))
    factor = 0.95 if name == "SBA" else 1.0
    np.testing.assert_allclose(forecast, 5 * factor, rtol=0.15 if name == "IMAPA" else 1e-9)


def test_smoothing_agrees_with_statsforecast():
    models = pytest.importorskip("statsforecast.models")
    rng = np.random.default_rng(0)
    units = 50 + np.cumsum(rng.normal(0, 1, (20, 60)), axis=1) + rng.normal(0, 3, (20, 60))
    ours = METHODS["smoothing"](units, np.zeros(20, int))
    theirs = [models.SimpleExponentialSmoothingOptimized().forecast(row.copy(), h=1)["mean"][0] for row in units]
    np.testing.assert_allclose(ours, theirs, atol=2.0)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99


def test_classes_of_series():
    wild = [1, 40, 1, 1, 30, 1, 1, 50]
    rare = [3, 0, 0, 3, 0, 0, 3, 0]
    both = [1, 0, 0, 50, 0, 0, 1, 0]
    numbers = classes(history([[9, 10, 11, 9, 10, 11, 9, 10], wild, rare, both]))
    assert [CLASSES[i] for i in numbers] == ["smooth", "erratic", "intermittent", "lumpy"]


def simulated(seed=0, weeks=52):
    rng = np.random.default_rng(seed)
    level = rng.gamma(1.0, 8, (300, 1)) + 0.1
    drift = np.exp(np.cumsum(rng.normal(0, 0.05, (300, weeks)), axis=1))
    units = rng.poisson(level * drift).astype(float)
    return history(units[units.sum(axis=1) > 0])


def test_intervals_hold_about_as_often_as_they_say_and_the_forecast_beats_repeating():
    evaluation = evaluate(simulated(), seed=1)
    figures = evaluation.metrics["classes"]["all"]
    assert 0.77 <= figures["coverage80"]["value"] <= 0.9
    assert 0.93 <= figures["coverage95"]["value"] <= 0.99
    assert figures["ours"]["wape"] < figures["naive"]["wape"]
    assert figures["naive"]["ours_minus_it_wape"]["high"] < 0


def test_no_choice_looks_at_the_weeks_that_are_judged():
    original = simulated()
    changed = original.units.copy()
    changed[:, -4:] = changed[::-1, -4:]
    other = Weekly(original.kinds, changed, original.start, original.first_week)
    a, b = evaluate(original, seed=1), evaluate(other, seed=1)
    assert a.methods == b.methods
    assert a.metrics["classes"]["all"]["width95"] == b.metrics["classes"]["all"]["width95"]


def test_bounds_are_in_order_and_hold_the_forecast():
    past = simulated()
    units, bounds = forecast_units(past, evaluate(past, seed=1))
    assert (bounds["low95"] >= 0).all()
    for lower, upper in (("low95", "low80"), ("low80", None), (None, "high80"), ("high80", "high95")):
        assert ((bounds[lower] if lower else units) <= (bounds[upper] if upper else units) + 1e-9).all()


def test_twelve_weeks_are_enough_and_six_are_not():
    assert horizon(12) == 4
    short = evaluate(simulated(weeks=12), seed=1)
    assert short.metrics["calibration_origins"] >= 1
    assert evaluate(simulated(weeks=6), seed=1) is None
    assert horizon(7) == 2


def closed(first, stop, num_days=210):
    """Sales of two products on every day but first to stop - 1, about ten a day of each."""
    units = np.random.default_rng(4).poisson(10, (2, num_days))
    units[:, first:stop] = 0
    return lines_of(units)


def test_weeks_in_which_the_shop_was_closed_are_no_weeks_without_demand():
    lines = closed(115, 153)  # from Friday of the week 16 to Sunday of the week 21
    made = weekly(lines, np.array([0, 1]), ["crisps", "tea"])
    assert made.closed.tolist() == [FIRST + week for week in range(16, 22)]
    assert made.units.shape == (2, 24)
    assert made.units.min() > 30
    assert (made.first_week, made.last_week) == (FIRST, FIRST + 29)
    assert made.weeks.tolist() == [FIRST + week for week in range(30) if not 16 <= week < 22]
    assert made.until(16).closed.size == 0
    assert made.until(17).last_week == FIRST + 22


def test_a_shop_that_was_closed_is_forecast_as_well_as_one_that_was_not():
    errors = {}
    for stop in (115, 153):
        judged = evaluate(weekly(closed(115, stop), np.array([0, 1]), ["crisps", "tea"]), seed=1)
        errors[stop] = judged.metrics["classes"]["all"]
    assert errors[153]["ours"]["wape"] <= errors[153]["naive"]["wape"] * 1.05
    assert errors[153]["ours"]["wape"] < errors[115]["ours"]["wape"] + 0.02


def test_a_shop_that_seldom_sells_is_not_closed_in_between():
    days = np.arange(0, 210, 5)
    assert closed_weeks(days.astype(np.int32)).size == 0
    sundays = np.flatnonzero(np.arange(210) % 7 != 6)
    assert closed_weeks(sundays.astype(np.int32)).size == 0
    assert closed_weeks(np.array([3], np.int32)).size == 0


def test_the_week_a_year_before_is_found_beside_weeks_that_are_missing():
    weeks = np.array([0, 1, 2, 5, 6, 7])
    units = np.array([[1.0, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal(seasonal_naive(units, weeks, np.array([8, 9, 10]), 6), [[3, 3, 3]])
    np.testing.assert_array_equal(seasonal_naive(units, weeks, np.array([8, 9, 10]), 3), [[4, 5, 6]])


def test_after_a_step_that_no_whole_window_has_seen_last_weeks_units_are_taken():
    shop = abuse.shop(np.random.default_rng([11, 0]), *abuse.SHOPS["a third since three weeks"])
    whole = evaluate(shop, 0).metrics["classes"]["all"]
    assert whole["ours"]["wape"] < 1.1 * whole["naive"]["wape"]
    assert abuse.worse(shop) == 0
