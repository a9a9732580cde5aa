"""The quick half of the intervals' abuse: every figure within its bound."""

import pytest

from bench.abuse import intervals


@pytest.mark.slow
def test_equal_models_of_few_customers_come_out_different_no_more_often_than_said():
    short = [figure for figure in intervals.figures(quick=True) if not figure.holds]
    assert not short
