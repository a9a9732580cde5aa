"""The quick half of the allocation's abuse: every figure within its bound."""

import pytest

from bench.abuse import allocation


@pytest.mark.slow
def test_plans_of_every_kind_are_as_good_as_the_exact_solver_s():
    short = [figure for figure in allocation.figures(quick=True) if not figure.holds]
    assert not short
