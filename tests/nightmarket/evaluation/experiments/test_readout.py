"""readout: what is said of an experiment, and what blocks it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.effects import Covariate, Metric
from nightmarket.evaluation.experiments.readout import Experiment, read_out, sample_ratio

HALF = {"control": 0.5, "v7": 0.5}
START = np.datetime64("2026-03-01", "us")


def dealt(counts):
    return np.repeat(np.array(list(counts), object), list(counts.values()))


def experiment(counts, metrics, shares=HALF, planned=40_000, **more):
    arm = dealt(counts)
    return Experiment("K1", arm, np.full(arm.size, START), tuple(metrics), "control", shares, planned, **more)


def exactly(counts, rates, name="response", **more):
    """A 0/1 metric with exactly these rates, the ones first."""
    parts = [np.arange(num) < round(num * rates[arm]) for arm, num in counts.items()]
    return Metric(name, np.concatenate(parts).astype(float), **more)


EVEN = {"control": 20_000, "v7": 20_000}


def test_a_split_that_is_off_blocks_the_verdict_whatever_the_metrics_say():
    counts = {"control": 504_000, "v7": 496_000}
    readout = read_out(experiment(counts, [exactly(counts, {"control": 0.05, "v7": 0.1})]))
    assert readout.verdict.word == "blocked"
    assert "504,000 (planned 500,000)" in readout.verdict.reason
    assert readout.comparisons == ()
    assert not readout.sample_ratio.passed
    # (4000^2 / 500000) * 2 = 64 with one degree of freedom
    assert readout.sample_ratio.p_value == pytest.approx(1.24e-15, rel=0.01)


def test_the_same_counts_are_right_where_they_were_planned():
    assert sample_ratio({"control": 504_000, "v7": 496_000}, {"control": 0.504, "v7": 0.496}).passed
    assert not sample_ratio({"control": 90, "v7": 10}, HALF).passed
    assert sample_ratio({"control": 90, "v7": 10}, {"control": 9, "v7": 1}).passed
    assert not sample_ratio({"control": 100}, HALF).passed  # an arm that nobody got
    with pytest.raises(InputError, match="first 'v8'"):
        sample_ratio({"control": 1, "v8": 1}, HALF)
    with pytest.raises(InputError, match="above 0"):
        sample_ratio({"control": 1}, {"control": 1, "v7": 0})


def test_a_clear_gain_ships():
    readout = read_out(experiment(EVEN, [exactly(EVEN, {"control": 0.05, "v7": 0.06})]))
    assert (readout.verdict.word, readout.verdict.arm) == ("ship", "v7")
    comparison = readout.comparisons[0]
    assert comparison.effect == pytest.approx(0.01)
    assert "+20.0%" in readout.verdict.reason
    assert comparison.sequence.low > 0
    assert comparison.sequence.low < comparison.fixed.low


def test_a_gain_that_only_the_fixed_interval_sees_goes_on_and_stops_at_the_end():
    made = experiment(EVEN, [exactly(EVEN, {"control": 0.05, "v7": 0.0555})])
    readout = read_out(made)
    assert readout.comparisons[0].fixed.low > 0 > readout.comparisons[0].sequence.low
    assert readout.verdict.word == "continue"
    ended = read_out(made, final=True).verdict
    assert ended.word == "stop"
    assert "no gain in response is shown" in ended.reason


def test_harm_stops_early():
    readout = read_out(experiment(EVEN, [exactly(EVEN, {"control": 0.06, "v7": 0.05})]))
    assert readout.verdict.word == "stop"
    assert "harms" in readout.verdict.reason


def test_an_arm_that_harms_another_metric_does_not_ship():
    good = exactly(EVEN, {"control": 0.05, "v7": 0.07})
    unsubscribed = exactly(EVEN, {"control": 0.01, "v7": 0.03}, "unsubscribed", better="lower")
    readout = read_out(experiment(EVEN, [good, unsubscribed]))
    assert readout.verdict.word == "stop"
    assert "unsubscribed" in readout.verdict.reason
    assert read_out(experiment(EVEN, [good])).verdict.word == "ship"


def test_more_questions_make_each_answer_harder():
    rates = {"control": 0.05, "v7": 0.0573}
    alone = read_out(experiment(EVEN, [exactly(EVEN, rates)]))
    idle = [exactly(EVEN, {"control": 0.3, "v7": 0.3}, f"idle {number}") for number in range(9)]
    among = read_out(experiment(EVEN, [exactly(EVEN, rates), *idle]))
    assert alone.verdict.word == "ship"
    assert among.verdict.word == "continue"
    assert among.comparisons[0].p_holm == pytest.approx(10 * alone.comparisons[0].p_always)


def test_the_better_of_two_arms_ships():
    counts = {"control": 20_000, "a": 20_000, "b": 20_000}
    rates = {"control": 0.05, "a": 0.06, "b": 0.065}
    readout = read_out(experiment(counts, [exactly(counts, rates)], dict.fromkeys(counts, 1.0), 60_000))
    assert (readout.verdict.word, readout.verdict.arm) == ("ship", "b")
    assert len(readout.comparisons) == 2


def test_incomplete_outcomes_are_not_read_but_their_customers_are_counted():
    counts = {"control": 1000, "v7": 1000}
    values = np.zeros(2000)
    values[:100] = 1
    complete = np.arange(2000) % 1000 < 50
    readout = read_out(experiment(counts, [Metric("response", values)], counted=complete))
    assert readout.sample_ratio.found == counts
    assert readout.verdict.word == "continue"
    assert "an arm has 50 customers" in readout.verdict.reason
    assert readout.not_judged == {"response, v7": "an arm has 50 customers; at least 100 are needed"}


def test_a_covariate_from_after_the_assignment_is_refused():
    arm = dealt(EVEN)
    late = Covariate("visits", np.ones(arm.size), np.full(arm.size, START + np.timedelta64(1, "D")))
    metric = exactly(EVEN, {"control": 0.05, "v7": 0.06}, covariate=late)
    with pytest.raises(InputError, match="covariate visits: measured after the assignment"):
        read_out(experiment(EVEN, [metric]))


def test_an_experiment_that_ends_compares_the_first_planned_customers_by_assignment_and_no_other():
    counts = {"control": 300, "v7": 300}
    made = experiment(counts, [], planned=400, ends=True)
    at = np.full(600, START) + np.arange(600)[::-1] * np.timedelta64(1, "s")  # the last rows came first
    value = np.arange(600) % 3 == 0
    metric = Metric("response", np.where(np.arange(600) < 200, 1e6, value))  # the 200 who came last are worth a fortune
    made = replace(made, metrics=(metric,), assigned_at=at)
    compared = read_out(made).comparisons[0]
    assert (compared.num_control, compared.num_arm) == (100, 300)
    assert compared.control == pytest.approx(1 / 3, abs=0.01)
    complete = np.arange(600) < 599
    compared = read_out(replace(made, counted=complete, planned=599)).comparisons[0]
    assert (compared.num_control, compared.num_arm) == (300, 299)
    assert read_out(replace(made, ends=False)).comparisons[0].num_control == 300


def test_a_plan_that_ends_finds_what_an_open_one_does_not_yet():
    rates = {"control": 0.05, "v7": 0.0556}
    open_end, ends = (read_out(experiment(EVEN, [exactly(EVEN, rates)], ends=ends)) for ends in (False, True))
    assert (open_end.verdict.word, ends.verdict.word) == ("continue", "ship")
    for result in (open_end.comparisons[0], ends.comparisons[0]):
        assert (result.p_always <= 0.05) == (result.sequence.low > 0)


def _broken(part):
    counts = {"control": 200, "v7": 200}
    arm, at = dealt(counts), np.full(400, START)
    spent, before, bad_at = np.ones(400), np.ones(400), at.copy()
    measured, customers = at.copy(), np.arange(400).astype(str).astype(object)
    if part == "outcome":
        spent[[7, 9]] = np.nan, np.inf
    if part == "denominator":
        before[5] = -1
    if part == "covariate":
        before = before[:399]
    if part == "measured":
        measured[3] = np.datetime64("NaT")
    if part == "dates":
        bad_at[[300, 301]] = np.datetime64("NaT")
    if part == "customers":
        customers[[11, 399]] = "10"
    known = None if part == "denominator" else Covariate("before", before, measured)
    metric = Metric("spent", spent, before if part == "denominator" else None, covariate=known)
    return Experiment("K1", arm, bad_at, (metric,), "control", HALF, 400, customers=customers)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("outcome", "outcome spent: 2 of 400 values are not finite, first in row 7; a customer without any has 0"),
        ("denominator", "denominator of spent: 1 of 400 are below 0, first in row 5"),
        ("covariate", "covariate before: 399 values for 400 customers; give one for each, in their order"),
        ("measured", "covariate before: measured_until: 1 of 400 dates are missing, first in row 3"),
        ("dates", "experiment K1: assigned_at: 2 of 400 dates are missing, first in row 300"),
        ("customers", "experiment K1: 2 of 400 rows repeat a customer, first row 11; give each customer one row"),
    ],
)
def test_numbers_and_dates_that_are_missing_and_customers_who_stand_there_twice_are_refused(part, said):
    with pytest.raises(InputError) as refused:
        read_out(_broken(part))
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_control_that_is_no_arm_is_refused():
    with pytest.raises(InputError, match="no arm 'control'"):
        read_out(experiment({"v6": 10, "v7": 10}, [], {"v6": 0.5, "v7": 0.5}))


def test_segments_are_shown_never_decide_and_small_ones_are_left_out():
    rng = np.random.default_rng(4)
    arm = dealt(EVEN)
    age = np.where(np.arange(40_000) % 2, "young", "old").astype(object)
    age[:19] = "rare"  # 19 in control, none in v7
    age[20_000:20_030] = "odd"  # 30 in v7, none in control
    age[100:200] = None
    value = (rng.random(40_000) < np.where((arm == "v7") & (age == "young"), 0.075, 0.06)).astype(float)
    readout = read_out(experiment(EVEN, [Metric("response", value)]), segments={"attr_age": age})
    assert {(segment.by, segment.level) for segment in readout.segments} == {("attr_age", "young"), ("attr_age", "old")}
    shown = {segment.level: segment for segment in readout.segments}
    assert shown["young"].p_adjusted < 0.001 < 0.05 < shown["old"].p_adjusted
    blind = read_out(experiment(EVEN, [Metric("response", value)]))
    assert readout.verdict == blind.verdict


def test_segments_of_a_null_are_rarely_called():
    """Ten groups, no effect: Benjamini–Hochberg calls any in about 5% of the experiments."""
    rng = np.random.default_rng(6)
    counts = {"control": 1000, "v7": 1000}
    group = np.char.add("g", rng.integers(0, 10, 2000).astype(str)).astype(object)
    called = 0
    for _ in range(100):
        metric = Metric("value", rng.normal(10, 3, 2000))
        readout = read_out(experiment(counts, [metric], planned=2000), segments={"g": group})
        called += any(segment.p_adjusted <= 0.05 for segment in readout.segments)
    assert called <= 12


def test_the_content_is_json():
    readout = read_out(experiment(EVEN, [exactly(EVEN, {"control": 0.05, "v7": 0.06})]), segments={"x": dealt(EVEN)})
    said = json.loads(json.dumps(readout.content(), allow_nan=False))
    assert said["verdict"]["word"] == "ship"
    assert said["comparisons"][0]["sequence"].keys() == {"low", "high"}
    assert said["segments"] == []
