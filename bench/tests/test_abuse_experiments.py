"""The quick half of the experiments' abuse: every figure within its bound."""

import pytest

from bench.abuse import experiments


@pytest.mark.slow
def test_few_buyers_and_heavy_tails_make_no_false_claims_and_looking_leaves_most_of_the_power():
    short = [figure for figure in experiments.figures(quick=True) if not figure.holds]
    assert not short


def test_the_bench_s_sums_are_those_of_the_read_out():
    assert all(experiments.same_as_library(seed) for seed in range(8))
