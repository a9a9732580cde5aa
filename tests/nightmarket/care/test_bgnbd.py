"""BG/NBD: what it says equals its closed forms, and its fit recovers the parameters that made the customers."""

import numpy as np
import pytest
from scipy.special import hyp2f1

from nightmarket.care import bgnbd
from nightmarket.care.bgnbd import BgNbd
from nightmarket.care.records import PurchaseRecords

MODEL = BgNbd(0.243, 31.0, 0.793, 2.426)


def known(repeats, last, age):
    """Records of customers who spend nothing."""
    repeats, last, age = (np.asarray(values, float) for values in (repeats, last, age))
    zero = np.zeros(repeats.size)
    return PurchaseRecords(0, np.arange(repeats.size), repeats, last, age, zero, zero)


def simulated(model, num, days, rng):
    """Customers who buy and leave as the model says, watched for so many days from their first purchase."""
    rate = rng.gamma(model.r, 1 / model.alpha, num)
    leaves = rng.beta(model.a, model.b, num)
    repeats, last = np.zeros(num), np.zeros(num)
    for customer in range(num):
        at = 0.0
        while True:
            at += rng.exponential(1 / rate[customer])
            if at > days:
                break
            repeats[customer] += 1
            last[customer] = at
            if rng.random() < leaves[customer]:
                break
    return known(repeats, last, np.full(num, float(days)))


def test_expected_purchases_are_those_of_the_hypergeometric_form():
    rows = known([0, 1, 2, 10], [0, 12, 213, 266], [272, 272, 272, 272])
    x, t, (r, alpha, a, b) = rows.repeats, 273.0, MODEL
    series = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + rows.age + t))
    left = 1 - ((alpha + rows.age) / (alpha + rows.age + t)) ** (r + x) * series
    expected = (a + b + x - 1) / (a - 1) * left * MODEL.staying(rows)
    assert MODEL.purchases(rows, t) == pytest.approx(expected, rel=1e-4)


def test_the_chance_to_stay_is_worked_out_by_hand():
    model = BgNbd(1.0, 10.0, 1.0, 1.0)
    rows = known([0, 1], [0, 10], [30, 30])
    # odds of having left after one repeat purchase: a / (b + x - 1) * ((10 + 30) / (10 + 10)) ** 2 = 4
    assert model.staying(rows) == pytest.approx([1, 1 / 5])
    # who stays buys within 40 days with 1 - (40 / 80) ** (1 + x)
    assert model.chance(rows, 40) == pytest.approx([1 / 2, 3 / 4 / 5])


def test_draws_agree_with_what_is_expected():
    rows = known([0, 1, 4, 30], [0, 50, 200, 250], [100, 200, 210, 260])
    drawn = MODEL.draw(rows, 91, 40_000, np.random.default_rng(3))
    assert drawn.mean(axis=1) == pytest.approx(MODEL.purchases(rows, 91), rel=0.05)
    assert (drawn > 0).mean(axis=1) == pytest.approx(MODEL.chance(rows, 91), abs=0.01)


@pytest.mark.parametrize("model", [BgNbd(0.5, 20.0, 0.8, 2.5), BgNbd(2.0, 40.0, 1.5, 6.0)])
def test_the_fit_recovers_what_made_the_customers(model):
    rows = simulated(model, 6_000, 300, np.random.default_rng(5))
    fitted = bgnbd.fit(rows, 1)
    assert fitted.r / fitted.alpha == pytest.approx(model.r / model.alpha, rel=0.1)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(model.a / (model.a + model.b), rel=0.15)
    assert fitted.purchases(rows, 91).sum() == pytest.approx(model.purchases(rows, 91).sum(), rel=0.05)


def test_what_cannot_be_told_is_said():
    assert "20 are needed" in bgnbd.fit(known([1] * 19, [5] * 19, [9] * 19), 1)
    assert "second day" in bgnbd.fit(known([0] * 500, [0] * 500, range(500)), 1)


@pytest.mark.parametrize(
    "rows",
    [
        known([3] * 40, [90] * 40, [100] * 40),
        known([1] + [0] * 39, [1] + [0] * 39, [1] * 40),
        known(np.full(40, 5_000), np.full(40, 5_400), np.full(40, 5_400)),
        known([0, 5_000] * 20, [0, 9_000] * 20, [9_000] * 40),
        known([0] * 20 + [1] * 20, [0] * 40, [0] * 40),
    ],
    ids=["all alike", "one repeat", "daily for years", "never or daily", "all today"],
)
def test_odd_shops_have_finite_answers(rows):
    fitted = bgnbd.fit(rows, 1)
    for values in (fitted.staying(rows), fitted.chance(rows, 91)):
        assert ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(fitted.purchases(rows, 91)).all()
    assert (fitted.purchases(rows, 91) >= 0).all()
    assert np.isfinite(fitted.draw(rows, 91, 20, np.random.default_rng(1))).all()
