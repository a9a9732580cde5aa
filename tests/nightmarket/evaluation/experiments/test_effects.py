"""effects: differences, ratios and CUPED beside tea-tasting; the sequence beside its definition."""

import numpy as np
import pandas as pd
import pytest
import tea_tasting as tt
from scipy.stats import norm

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments import sequence
from nightmarket.evaluation.experiments.effects import Covariate, Metric, check_covariate, compare, too_few
from nightmarket.evaluation.experiments.readout import benjamini_hochberg, holm

START = np.datetime64("2026-03-01", "us")


@pytest.fixture(scope="module")
def customers():
    """2,000 customers whose spending before foretells spending after; clicks in clusters."""
    rng = np.random.default_rng(3)
    before = rng.gamma(2.0, 10.0, 2000)
    treated = rng.random(2000) < 0.4
    views = 1 + rng.poisson(5, 2000)
    clicks = rng.binomial(views, rng.beta(2, 8, 2000))
    spent = before * 0.8 + rng.gamma(1.5, 8.0, 2000) + treated * 2.0
    return pd.DataFrame(
        {"variant": treated.astype(int), "before": before, "spent": spent, "views": views, "clicks": clicks}
    )


def ours(customers, metric):
    treated = customers.variant.to_numpy() == 1
    return compare(metric, "treated", treated, ~treated, planned=2000)


def theirs(customers, metric):
    return tt.Experiment(found=metric).analyze(customers)["found"]


def same(comparison, oracle):
    assert comparison.effect == pytest.approx(oracle.effect_size, rel=1e-9)
    assert (comparison.control, comparison.treated) == pytest.approx((oracle.control, oracle.treatment), rel=1e-9)
    assert comparison.relative == pytest.approx(oracle.rel_effect_size, rel=1e-9)
    assert tuple(comparison.fixed) == pytest.approx(
        (oracle.effect_size_ci_lower, oracle.effect_size_ci_upper), rel=1e-6
    )
    assert comparison.p_fixed == pytest.approx(oracle.pvalue, rel=1e-6)


def column(customers, name):
    return customers[name].to_numpy(np.float64)


def before(customers):
    return Covariate("before", column(customers, "before"), np.full(len(customers), START))


def test_a_mean_is_that_of_tea_tasting(customers):
    same(ours(customers, Metric("spent", column(customers, "spent"))), theirs(customers, tt.Mean("spent", use_t=False)))


def test_cuped_is_that_of_tea_tasting_and_narrows_the_interval(customers):
    comparison = ours(customers, Metric("spent", column(customers, "spent"), covariate=before(customers)))
    same(comparison, theirs(customers, tt.Mean("spent", covariate="before", use_t=False)))
    assert comparison.variance_reduction == pytest.approx(
        np.corrcoef(customers.before, customers.spent)[0, 1] ** 2, abs=0.02
    )


def test_a_ratio_is_that_of_tea_tasting_clustered_by_customer(customers):
    metric = Metric("click-through", column(customers, "clicks"), column(customers, "views"))
    same(ours(customers, metric), theirs(customers, tt.RatioOfMeans("clicks", "views", use_t=False)))


def test_a_ratio_with_cuped_is_that_of_tea_tasting(customers):
    metric = Metric("click-through", column(customers, "clicks"), column(customers, "views"), before(customers))
    same(ours(customers, metric), theirs(customers, tt.RatioOfMeans("clicks", "views", "before", use_t=False)))


def test_clusters_widen_the_interval_of_a_ratio():
    """Clicks of one customer hang together; counting impressions as if they did not is too sure."""
    rng = np.random.default_rng(5)
    views = np.full(4000, 20.0)
    clicks = rng.binomial(20, np.where(rng.random(4000) < 0.5, 0.02, 0.3)).astype(float)
    arm = np.arange(4000) < 2000
    comparison = compare(Metric("ctr", clicks, views), "arm", arm, ~arm, planned=4000)
    share = clicks.sum() / views.sum()
    naive = np.sqrt(2 * share * (1 - share) / (2000 * 20))
    assert comparison.standard_error > 1.8 * naive


def test_a_covariate_measured_after_the_assignment_is_refused(customers):
    late = np.full(2000, START)
    late[1234] += np.timedelta64(1, "s")
    covariate = Covariate("spent since", column(customers, "before"), late)
    with pytest.raises(InputError, match=r"after the assignment for 1 of 2,000 customers, first in row 1234"):
        check_covariate(covariate, np.full(2000, START))
    check_covariate(before(customers), np.full(2000, START))
    with pytest.raises(InputError, match="1 of 2 values are not finite, first in row 1"):
        check_covariate(Covariate("x", np.array([1.0, np.nan]), np.full(2, START)), np.full(2, START))


def test_a_skewed_outcome_widens_the_interval_until_chance_alone_is_as_surprised_as_it_says():
    """A tenth is in the arm and has one small buyer of 40: nothing out of the ordinary, and Welch is sure of it."""
    rng = np.random.default_rng(11)
    values = np.zeros(4000)
    values[:40] = np.sort(rng.lognormal(3, 0.5, 40))
    arm = rng.random(4000) < 0.1
    arm[:40] = False
    arm[5] = True
    comparison = compare(Metric("spend", values), "arm", arm, ~arm, planned=4000, ends=True)
    welch = comparison.effect / comparison.standard_error
    more = np.array([values[rng.permutation(4000)[: arm.sum()]].sum() for _ in range(20_000)])
    chance = (more <= values[arm].sum()).mean()
    assert norm.cdf(welch) < 0.001 < 0.02 < chance, "Welch's is too sure"
    half = (comparison.sequence.high - comparison.sequence.low) / 2
    assert comparison.effect / half * sequence.critical(4000, 4000, ends=True) == pytest.approx(
        norm.ppf(chance), abs=0.1
    )
    assert (comparison.p_always <= 0.05) == (comparison.sequence.high < 0)


def test_few_customers_or_outcomes_are_not_judged():
    arm = np.arange(400) < 200
    outcome = np.zeros(400)
    assert too_few(Metric("x", outcome), arm, ~arm) == "0 customers have an outcome; at least 20 are needed"
    assert "99 customers" in too_few(Metric("x", outcome), np.arange(400) < 99, ~arm)
    outcome[::8] = 1
    assert too_few(Metric("x", outcome), arm, ~arm) is None
    assert "denominator" in too_few(Metric("x", outcome, np.where(arm, 0.0, 1.0)), arm, ~arm)
    assert "same outcome" in too_few(Metric("x", arm.astype(float)), arm, ~arm)


def test_holm_and_benjamini_hochberg_are_those_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(2).random(40) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert holm([]).size == benjamini_hochberg([]).size == 0
