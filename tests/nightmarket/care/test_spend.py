"""Gamma-gamma: a customer's spend lies between their own mean and everybody's."""

import numpy as np
import pytest

from nightmarket.care import spend
from nightmarket.care.spend import Spend


def test_one_purchase_and_everybody_weigh_alike_here():
    model = Spend(2.0, 3.0, 10.0, 0.0)  # everybody: 2 * 10 / (3 - 1) = 10; own weight: 2 x / (2 x + 2)
    num, mean = np.array([0.0, 1.0, 3.0]), np.array([0.0, 20.0, 20.0])
    assert model.expected(num, mean) == pytest.approx([10, 15, 17.5])


def test_the_fit_recovers_means_and_draws_agree_with_them():
    rng = np.random.default_rng(7)
    truth = Spend(3.0, 5.0, 80.0, 0.0)
    rate = rng.gamma(truth.q, 1 / truth.gamma, 5_000)
    num = rng.integers(1, 6, 5_000).astype(float)
    mean = rng.gamma(truth.p * num) / rate / num
    fitted = spend.fit(num, mean)
    assert fitted.expected(num, mean) == pytest.approx(truth.expected(num, mean), rel=0.1)
    drawn = fitted.draw(num[:4], mean[:4], np.full((4, 40_000), 2.0), rng)
    assert drawn.mean(axis=1) == pytest.approx(2 * fitted.expected(num[:4], mean[:4]), rel=0.05)


def test_another_currency_changes_nothing_but_the_unit():
    rng = np.random.default_rng(7)
    num, mean = rng.integers(1, 9, 300).astype(float), rng.gamma(2.0, 10.0, 300)
    cents = spend.fit(num, 1e6 * mean).expected(num, 1e6 * mean)
    assert cents == pytest.approx(1e6 * spend.fit(num, mean).expected(num, mean), rel=1e-3)


def test_too_few_who_paid_have_a_shrunken_mean():
    num, mean = np.array([2.0, 0.0]), np.array([30.0, 0.0])
    fitted = spend.fit(num, mean)
    assert fitted.expected(num, mean) == pytest.approx([30, 30])
    assert spend.fit(np.zeros(3), np.zeros(3)).expected(np.zeros(3), np.zeros(3)) == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("mean", [np.full(50, 9.99), np.append(np.full(49, 1.0), 1e12)], ids=["same", "one huge"])
def test_odd_prices_have_finite_answers(mean):
    num = np.full(50, 3.0)
    fitted = spend.fit(num, mean)
    expected = fitted.expected(num, mean)
    assert np.isfinite(expected).all()
    assert (expected > 0).all()
    assert np.isfinite(fitted.draw(num, mean, np.ones((50, 9)), np.random.default_rng(1))).all()
