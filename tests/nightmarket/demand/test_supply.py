"""Stock: chances and quantities that hold on made-up shops, and sums by hand."""

import numpy as np
import pytest

from bench.abuse import supply as abuse
from nightmarket.demand.forecast import evaluate
from nightmarket.demand.series import Weekly
from nightmarket.demand.supply import coming, covered, on_hand, unit_costs


def shop(seed, num=300, weeks=44):
    """Weekly units of Poisson types whose weeks are all busier or quieter together, as a type's own luck lasts."""
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(2.5, 0.8, num)
    return rng.poisson(rate[:, None] * rng.gamma(20, 1 / 20, (num, weeks)))


def known(units):
    return Weekly(tuple(f"k{i}" for i in range(len(units))), units.astype(float), (units > 0).argmax(axis=1), 2800)


@pytest.mark.parametrize("weeks", [1, 3])
@pytest.mark.parametrize("service", [0.8, 0.95])
def test_the_quantity_is_enough_at_least_as_often_as_it_says(weeks, service):
    enough = []
    for seed in range(3):
        units = shop(seed)
        history = known(units[:, :-4])
        quantity = coming(history, evaluate(history, 0)).covering(weeks, service)
        enough.append((units[:, -4 : units.shape[1] - 4 + weeks].sum(axis=1) <= quantity).mean())
    # whole units of what sells a few a week are more than the share asks for
    assert service - 0.02 <= np.mean(enough) <= service + 0.09


def test_what_was_measured_on_held_out_weeks_is_what_the_next_weeks_show():
    units = shop(7)
    history = known(units)
    told = covered(history, evaluate(history, 0), 2, 0.9, 0)
    assert 0.87 <= told["coverage"]["value"] <= 0.98
    assert told["units"] > told["sold"] > 0


def test_as_many_types_run_out_as_the_chances_say():
    gaps = []
    for seed in range(3):
        units = shop(20 + seed)
        history = known(units[:, :-4])
        stock = np.round(2.2 * history.units[:, -13:].mean(axis=1))
        chance = coming(history, evaluate(history, 0)).runs_out(stock)
        assert (np.diff(chance, axis=1) >= 0).all()
        ran_out = units[:, -4:].cumsum(axis=1) > stock[:, None]
        gaps.append(chance.mean(axis=0) - ran_out.mean(axis=0))
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.05


def test_nothing_in_stock_is_out_almost_surely_and_plenty_almost_never():
    history = known(shop(3))
    sums = coming(history, evaluate(history, 0))
    assert (sums.runs_out(np.zeros(300))[:, -1] > 0.9).mean() > 0.95
    assert sums.runs_out(np.full(300, 1e9)).max() < 0.05
    assert np.isnan(sums.runs_out(np.full(300, np.nan))).all()


@pytest.mark.parametrize("kind", abuse.KINDS)
def test_shops_of_each_kind_are_covered(kind):
    assert abuse.tried(kind, 0)[0] >= 0.9


def test_stock_of_a_type_by_hand():
    kind = np.array([0, 0, 1, 1, 2, 3])
    stock = np.array([4.0, -2.0, 3.0, np.nan, np.nan, 5.0])
    sold = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 0.0])
    np.testing.assert_array_equal(on_hand(kind, 5, stock, sold), [4, np.nan, np.nan, 5, np.nan])
    sold[3] = 0  # nobody bought it lately: that its stock is not known does not matter
    np.testing.assert_array_equal(on_hand(kind, 5, stock, sold), [4, 3, np.nan, 5, np.nan])
    assert np.isnan(on_hand(kind, 5, np.array([1.0, 0, 1, 1, 0, np.nan]), sold)).all()  # in stock or sold out


def test_a_types_cost_is_that_of_what_sells():
    cost = unit_costs(np.array([0, 0, 1, 2]), 3, np.array([2.0, 5.0, np.nan, 4.0]), np.array([3.0, 1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(cost, [2.75, np.nan, np.nan])
