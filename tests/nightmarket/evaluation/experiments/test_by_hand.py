"""Designs, sequences, effects, indexes and sample ratios against formulas written down a second time."""

import math

import numpy as np
import pytest
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.design import (
    ControlOutcome,
    Rule,
    expected_days,
    minimum_detectable_effect,
    power,
    sample_size,
)
from nightmarket.evaluation.experiments.effect_index import effect_index, rate
from nightmarket.evaluation.experiments.effects import Covariate, Metric, compare, too_few
from nightmarket.evaluation.experiments.ledger import LedgerRow, Lift, trust
from nightmarket.evaluation.experiments.randomization import score
from nightmarket.evaluation.experiments.readout import (
    Experiment,
    SampleRatio,
    blocked,
    read_out,
    sample_ratio,
)
from nightmarket.evaluation.experiments.sequence import critical, p_value

FIXED = Rule(always_valid=False)

# the sequence


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_an_open_end_is_judged_by_the_narrower_of_two_lines_that_share_alpha(alpha):
    near, far = math.log(2 / (0.9 * alpha)), math.log(2 / (0.1 * alpha))
    for t in (0.1, 0.7, 1.0, 3.0, 20.0):
        lines = [math.sqrt(near / 2) * (1 + t), math.sqrt(far / 2) * (math.sqrt(8) + t / math.sqrt(8))]
        assert critical(1000 * t, 1000, alpha) == pytest.approx(min(lines) / math.sqrt(t))
    assert critical(500, 500, alpha) == pytest.approx(math.sqrt(2 * near))


@pytest.mark.parametrize(("alpha", "reach"), [(0.05, 2.2414), (0.01, 2.8070), (0.2, 1.6449)])
def test_a_planned_end_has_the_bound_that_a_brownian_motion_leaves_with_a_chance_of_alpha(alpha, reach):
    """By reflection four times the chance of the end beyond it, but for motions that leave on both sides."""
    assert critical(1000, 1000, alpha, ends=True) == pytest.approx(reach, abs=0.002)
    assert critical(250, 1000, alpha, ends=True) == pytest.approx(2 * critical(1000, 1000, alpha, ends=True))
    assert critical(1100, 1000, alpha, ends=True) == critical(1000, 1000, alpha, ends=True)
    assert critical(9, 9, 0.2, comparisons=4, ends=True) == pytest.approx(critical(9, 9, 0.05, ends=True))


def test_the_p_value_is_alpha_exactly_at_the_edge_and_several_sequences_have_a_wider_one():
    for ends in (False, True):
        for num in (50, 1000, 4000):
            assert p_value(critical(num, 1000, ends=ends), num, 1000, ends=ends) == pytest.approx(0.05)
            wider = critical(num, 1000, comparisons=4, ends=ends)
            assert p_value(-wider, num, 1000, ends=ends) == pytest.approx(0.0125)
        assert p_value(0.1, 300, 1000, ends=ends) == pytest.approx(1.0, abs=1e-5)


# the design


def test_the_number_of_customers_is_the_textbook_formula_rounded_up():
    reach = stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    assert sample_size(ControlOutcome(10.0, sd=4.0), 0.5, rule=FIXED) == math.ceil(4 * (reach * 4 / 0.5) ** 2)
    uneven = Rule(share=0.2, comparisons=3, always_valid=False)
    reach = stats.norm.isf(0.05 / 3 / 2) + stats.norm.ppf(0.9)
    variance = 0.12 * 0.88 / 0.2 + 0.1 * 0.9 / 0.8
    wanted = sample_size(ControlOutcome(0.1, proportion=True), 0.02, wanted=0.9, rule=uneven)
    assert wanted == math.ceil((reach / 0.02) ** 2 * variance)


def test_power_counts_both_sides_and_no_effect_is_found_as_often_as_the_level_says():
    outcome = ControlOutcome(10.0, sd=4.0)
    assert power(outcome, 0.0, 100, FIXED) == pytest.approx(0.05)
    z = 0.5 / (4 * math.sqrt(4 / 800))
    edge = stats.norm.isf(0.025)
    assert power(outcome, 0.5, 800, FIXED) == pytest.approx(stats.norm.sf(edge - z) + stats.norm.cdf(-edge - z))


def test_the_smallest_effect_found_is_the_one_with_the_wanted_power():
    for outcome in (ControlOutcome(10.0, sd=4.0), ControlOutcome(0.1, proportion=True), ControlOutcome(5, sd=1e-3)):
        effect = minimum_detectable_effect(outcome, 2000)
        assert power(outcome, effect, 2000) == pytest.approx(0.8)
    assert minimum_detectable_effect(ControlOutcome(10.0, sd=4.0), 4) > 0
    with pytest.raises(InputError, match="3 customers cannot be compared"):
        minimum_detectable_effect(ControlOutcome(10.0, sd=4.0), 3)


@pytest.mark.parametrize(
    ("num", "arrivals", "traffic", "days"),
    [(100, 10, 1.0, 10), (101, 10, 1.0, 11), (100, 10, 0.5, 20), (75, [50, 10], 1.0, 4), (80, [50, 10], 1.0, 4),
     (81, [50, 10], 1.0, 5), (50, [50, 10], 1.0, 1), (51, [50, 10], 1.0, 2), (20, [0, 10], 1.0, 3),
     (5, [0.5], 1.0, 10)],
)  # fmt: skip
def test_days_until_the_customers_are_in(num, arrivals, traffic, days):
    assert expected_days(num, arrivals, traffic) == days


@pytest.mark.parametrize(("arrivals", "traffic"), [([], 1.0), ([5, -1, 5], 1.0), ([5, 0], 1.0), (10, 0.0), (0, 1.0)])
def test_traffic_that_never_ends_a_test_is_refused(arrivals, traffic):
    with pytest.raises(InputError, match="expected traffic"):
        expected_days(100, arrivals, traffic)


def test_figures_that_no_outcome_has_are_refused():
    for given in ({"mean": 1.0, "sd": 0.0}, {"mean": 1.0}, {"mean": 0.0, "proportion": True},
                  {"mean": 1.0, "proportion": True}, {"mean": 1.0, "sd": 1.0, "variance_reduction": 1.0},
                  {"mean": 1.0, "sd": 1.0, "variance_reduction": -0.1}):  # fmt: skip
        with pytest.raises(InputError):
            ControlOutcome(**given)
    high, low = ControlOutcome(0.9, proportion=True), ControlOutcome(0.1, proportion=True)
    for outcome, effect in ((high, 0.2), (high, 0.1), (low, -0.1), (low, -0.2), (low, 0.0)):
        with pytest.raises(InputError):
            sample_size(outcome, effect)
    assert sample_size(high, -0.2) > 0
    assert sample_size(low, 0.2) > 0


# the effect


def arms(num=200):
    control = np.arange(num) < num // 2
    return ~control, control


def test_a_comparison_is_welch_s_with_both_intervals_around_the_effect():
    rng = np.random.default_rng(0)
    treated, control = arms()
    values = rng.gamma(2, 3, 200) + 0.8 * treated
    comparison = compare(Metric("spend", values), "new", treated, control, planned=150)
    a, b = values[treated], values[control]
    error = math.sqrt(a.var(ddof=1) / 100 + b.var(ddof=1) / 100)
    assert (comparison.num_arm, comparison.num_control) == (100, 100)
    assert (comparison.control, comparison.treated) == pytest.approx((b.mean(), a.mean()))
    assert comparison.effect == pytest.approx(a.mean() - b.mean())
    assert comparison.relative == pytest.approx(comparison.effect / b.mean())
    assert comparison.standard_error == pytest.approx(error)
    half = stats.norm.isf(0.025) * error
    assert comparison.fixed == pytest.approx((comparison.effect - half, comparison.effect + half))
    z = comparison.effect / error
    careful = min(abs(z), abs(score(values, treated)))
    assert careful == pytest.approx(z, rel=0.02), "arms of one size: dealing says what Welch says"
    half = critical(200, 150) * comparison.effect / careful
    assert comparison.sequence == pytest.approx((comparison.effect - half, comparison.effect + half))
    assert comparison.p_fixed == pytest.approx(2 * stats.norm.sf(abs(comparison.effect / error)))
    assert comparison.p_always == pytest.approx(p_value(careful, 200, 150))
    assert comparison.variance_reduction == 0.0
    assert comparison.gain == comparison.effect
    fewer = compare(Metric("returns", values, better="lower"), "new", treated, control, planned=150)
    assert fewer.gain == -comparison.effect


def test_cuped_takes_away_what_the_covariate_explains():
    rng = np.random.default_rng(1)
    treated, control = arms()
    before = rng.normal(10, 3, 200)
    values = 2 * before + rng.normal(0, 1, 200) + treated
    covariate = Covariate("before", before, np.zeros(200, "datetime64[D]"))
    comparison = compare(Metric("spend", values, covariate=covariate), "new", treated, control, planned=200)
    theta = np.cov(values, before, bias=True)[0, 1] / before.var()
    left = values - theta * (before - before.mean())
    assert comparison.effect == pytest.approx(left[treated].mean() - left[control].mean())
    error = math.sqrt(left[treated].var(ddof=1) / 100 + left[control].var(ddof=1) / 100)
    assert comparison.standard_error == pytest.approx(error)
    plain = compare(Metric("spend", values), "new", treated, control, planned=200)
    assert comparison.variance_reduction == pytest.approx(1 - error**2 / plain.standard_error**2)
    same = Covariate("same", np.full(200, 7.0), np.zeros(200, "datetime64[D]"))
    assert compare(Metric("spend", values, covariate=same), "new", treated, control, planned=200) == plain


def test_arms_that_do_not_vary_have_no_error_and_no_p_value():
    treated, control = arms(4)
    flat = compare(Metric("flat", treated.astype(float)), "new", treated, control, planned=4)
    assert (flat.standard_error, flat.p_fixed, flat.p_always, flat.relative) == (0.0, 1.0, 1.0, None)
    single = compare(
        Metric("one", np.array([1.0, 3.0])), "new", np.array([False, True]), np.array([True, False]), planned=2
    )
    assert single.standard_error == 0.0


def test_from_a_hundred_customers_an_arm_and_twenty_outcomes_on_there_is_a_comparison():
    treated, control = arms(200)
    twenty = np.zeros(200)
    twenty[90:110] = 1.0
    assert too_few(Metric("m", twenty), treated, control) is None
    twenty[90] = 0.0
    assert too_few(Metric("m", twenty), treated, control) == "19 customers have an outcome; at least 20 are needed"
    short = treated.copy()
    short[150] = False
    assert too_few(Metric("m", np.arange(200.0)), short, control).startswith("an arm has 99 customers")
    assert too_few(Metric("m", np.ones(200)), treated, control) == "every customer of an arm has the same outcome"
    assert too_few(Metric("m", np.where(treated, np.arange(200), 1.0)), treated, control) is None
    for empty in (treated, control):
        shown = np.where(empty, 0.0, 0.25)
        assert too_few(Metric("m", np.ones(200), shown), treated, control) == "an arm has a denominator of 0"
    assert too_few(Metric("m", np.ones(200), np.full(200, 0.001)), treated, control) is None


# the effect index


def test_a_rate_has_its_interval_on_the_logarithm_s_scale():
    clicks, shown = np.array([1.0, 0, 2, 1]), np.array([4.0, 3, 5, 8])
    click_rate = rate(clicks, shown)
    values = 0.2 + (clicks - 0.2 * shown) / 5
    spread = stats.norm.isf(0.025) * values.std(ddof=1) / 2 / 0.2
    assert click_rate.value == pytest.approx(0.2)
    assert click_rate.interval == pytest.approx((0.2 * math.exp(-spread), 0.2 * math.exp(spread)))
    two = rate(clicks[1:3], shown[1:3])
    assert two.interval is not None


def test_a_rate_of_zero_reaches_to_the_rule_of_three_and_one_customer_has_no_interval():
    assert rate(np.zeros(4), np.array([1.0, 2, 0, 5])).content() == {"value": 0.0, "low": 0.0, "high": 1.0}
    assert rate(np.array([1.0]), np.array([1.0])).content() == {"value": 1.0, "low": None, "high": None}
    assert rate(np.zeros(2), np.zeros(2)) is None


def test_the_index_is_a_hundred_times_the_rate_over_that_of_all_and_its_interval_with_it():
    rng = np.random.default_rng(2)
    strategy = np.array(["x"] * 20 + ["y"] * 30 + ["few"] * 19, object)
    shown = rng.integers(1, 9, 69).astype(float)
    clicks, answers = rng.binomial(shown.astype(int), 0.3).astype(float), (rng.random(69) < 0.4).astype(float)
    indices = effect_index(strategy, shown, clicks, answers)
    assert [row.name for row in indices] == ["x", "y"], "a strategy of 19 customers is not told"
    overall = clicks.sum() / shown.sum()
    for row in indices:
        rows = strategy == row.name
        assert (row.customers, row.impressions) == (rows.sum(), shown[rows].sum())
        assert (row.clicks, row.responses) == (clicks[rows].sum(), answers[rows].sum())
        assert row.click_through == rate(clicks[rows], shown[rows])
        assert row.conversion == rate(answers[rows], clicks[rows])
        assert row.response == rate(answers[rows], shown[rows])
        assert row.index.value == pytest.approx(100 * row.click_through.value / overall)
        assert row.index.interval == pytest.approx([100 * end / overall for end in row.click_through.interval])
    silent = effect_index(strategy, shown, np.zeros(69), answers)[0]
    assert (silent.click_through, silent.conversion) == (None, None)
    assert silent.index.value == pytest.approx(100 * silent.response.value / (answers.sum() / shown.sum()))
    assert effect_index(strategy, shown, np.zeros(69), np.zeros(69))[0].index is None
    assert effect_index(strategy, np.zeros(69), np.zeros(69), answers)[0].index is None


# the sample ratio


def test_the_sample_ratio_is_pearson_s_chi_square():
    ratio = sample_ratio({"a": 60, "c": 25}, {"a": 2.0, "b": 1.0, "c": 1.0})
    assert ratio.expected == {"a": 42.5, "b": 21.25, "c": 21.25}
    assert ratio.p_value == pytest.approx(stats.chisquare([60, 0, 25], [42.5, 21.25, 21.25]).pvalue)
    assert sample_ratio({}, {"a": 1, "b": 1}) == ({"a": 0, "b": 0}, {"a": 0.0, "b": 0.0}, 1.0)
    for shares in ({"a": 0.0, "b": 1.0}, {"a": -0.5, "b": 1.5}):
        with pytest.raises(InputError, match="is not above 0"):
            sample_ratio({"a": 1, "b": 1}, shares)


def test_a_ratio_is_broken_below_one_in_a_thousand():
    assert SampleRatio({}, {}, 0.001).passed
    assert not SampleRatio({}, {}, 0.00099).passed


def experiment(counts, mixed=0):
    arm = np.repeat(list(counts), list(counts.values())).astype(object)
    return Experiment(
        "test", arm, np.zeros(arm.size, "datetime64[D]"), (), "a", {"a": 0.5, "b": 0.5}, 1000, mixed=mixed
    )


def test_a_broken_split_blocks_everything_and_says_how_unlikely_it_is():
    readout = read_out(experiment({"a": 400, "b": 600}))
    assert (readout.name, readout.control, readout.verdict.word) == ("test", "a", "blocked")
    likely = sample_ratio({"a": 400, "b": 600}, {"a": 1, "b": 1}).p_value
    assert f"a 400 (planned 500), b 600 (planned 500), p = {likely:.1e};" in readout.verdict.reason
    assert "p < 1e-300" in read_out(experiment({"a": 10, "b": 4000})).verdict.reason


def test_more_than_one_in_a_hundred_with_two_arms_block_it_and_one_in_a_hundred_does_not():
    fine = read_out(experiment({"a": 495, "b": 495}, mixed=10))
    assert fine.verdict.word == "continue"
    readout = read_out(experiment({"a": 495, "b": 495}, mixed=11))
    assert (readout.name, readout.control, readout.verdict.word) == ("test", "a", "blocked")
    assert readout.verdict.reason.startswith("11 customers were shown more than one arm")


def test_what_could_not_be_read_has_the_same_content_with_its_reason():
    content = blocked("spring", "no plan fits")
    assert content["name"] == "spring"
    assert content["control"] == ""
    assert content["verdict"] == {"word": "blocked", "reason": "no plan fits", "arm": ""}
    assert (content["sample_ratio"], content["mixed"], content["complete"], content["final"]) == (None, 0, 0, False)


def test_the_planned_customers_of_an_arm_are_its_part_with_control_s():
    """Shares 2 : 3 : 5, in any unit: of 1,000 planned, 500 are of the arm b and of control."""
    rng = np.random.default_rng(3)
    arm = np.repeat(["a", "b", "c"], [200, 300, 500]).astype(object)
    values = rng.normal(5, 1, 1000)
    made = Experiment("test", arm, np.zeros(1000, "datetime64[D]"), (Metric("m", values),), "a",
                      {"a": 4, "b": 6, "c": 10}, 1000)  # fmt: skip
    readout = read_out(made)
    for result, planned in zip(readout.comparisons, (500, 700), strict=True):
        expected = compare(made.metrics[0], result.arm, arm == result.arm, arm == "a", planned=planned)
        assert result.sequence == pytest.approx(expected.sequence)


# how far estimates can be trusted


def test_trust_is_the_paired_gap_and_fieller_s_ratio():
    promised, arrived = np.array([0.10, 0.14, 0.12, 0.2]), np.array([0.06, 0.05, 0.08, 0.1])
    rows = [
        LedgerRow(f"v{n}", offline=Lift(p), ab=Lift(a)) for n, (p, a) in enumerate(zip(promised, arrived, strict=True))
    ]
    trusted = trust([*rows, LedgerRow("v9", offline=Lift(9.0)), LedgerRow("v8", ab=Lift(9.0))], "offline")
    gap, edge = promised - arrived, stats.t.ppf(0.975, 3)
    half = edge * gap.std(ddof=1) / 2
    assert trusted.num_rows == 4
    assert trusted.bias == pytest.approx((gap.mean(), gap.mean() - half, gap.mean() + half))
    assert trusted.ratio.value == pytest.approx(arrived.mean() / promised.mean())
    for end in (trusted.ratio.low, trusted.ratio.high):  # Fieller: where the mean of y - ratio x is its reach from zero
        left = arrived - end * promised
        assert abs(left.mean()) == pytest.approx(edge * left.std(ddof=1) / 2)
    wild = [LedgerRow("v", offline=Lift(p), ab=Lift(0.1)) for p in (-0.3, 0.1, 0.25)]
    assert trust(wild, "offline").ratio is None
    assert trust(rows[:2], "offline").bias is None
