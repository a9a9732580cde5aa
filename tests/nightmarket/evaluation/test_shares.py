import numpy as np
import pytest

from nightmarket.evaluation.intervals import clustered, wilson


def test_wilson_agrees_with_a_worked_example():
    interval = wilson(0.9, 100)
    assert (interval.value, round(interval.low, 4), round(interval.high, 4)) == (0.9, 0.8256, 0.9448)
    assert wilson(0.0, 20).low == 0
    assert wilson(1.0, 20).high == pytest.approx(1)


def test_a_share_counts_people_not_their_repetitions():
    hit = np.arange(60) % 3 == 0
    apart = clustered(np.arange(60), hit)
    assert apart.low == pytest.approx(wilson(1 / 3, 60).low, rel=0.02)
    again = clustered(np.repeat(np.arange(60), 5), np.repeat(hit, 5))
    assert again.value == pytest.approx(1 / 3)
    assert again.low == pytest.approx(apart.low, rel=0.05)
