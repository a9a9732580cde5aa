"""Price and discount: a planted response comes back, noise gives none, and the placebo tells one from the other."""

import numpy as np
import pytest

from bench.abuse import prices as abuse
from nightmarket.demand.effects import clustered, within
from nightmarket.demand.panels import Panel, families, panel
from nightmarket.demand.response import response, words
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions


def market(elasticity=-1.5, discount=2.0, anticipated=0.0, num=120, weeks=40, seed=0):
    """Products with own levels and weeks with own demand; prices follow demand of the week. `anticipated`: units of
    a week move with next week's price."""
    rng = np.random.default_rng(seed)
    season = rng.normal(0, 0.5, weeks)
    price = rng.normal(0, 1, (num, 1)) + 0.3 * season + rng.normal(0, 0.15, (num, weeks))
    off = np.where(rng.random((num, weeks)) < 0.2, rng.uniform(0.05, 0.4, (num, weeks)), 0.0)
    units = rng.normal(2, 1, (num, 1)) + season + elasticity * price + discount * off
    units[:, :-1] += anticipated * price[:, 1:]
    units += rng.normal(0, 0.3, (num, weeks))
    product, week = np.divmod(np.arange(num * weeks), weeks)
    return Panel(product, week, units.ravel(), price.ravel(), off.ravel())


def test_a_planted_response_comes_back_within_its_interval():
    responses = response(market(), np.arange(120) // 20, [f"k{i}" for i in range(6)])
    for name, truth in (("price", -1.5), ("discount", 2.0)):
        figure = responses.pooled[name]
        assert figure["low"] < truth < figure["high"]
        assert figure["high"] - figure["low"] < 0.3
    placebo = responses.placebo["price"]
    assert placebo["low"] < 0 < placebo["high"]
    told = words(responses)
    assert "shows nothing" in told["en"]
    assert "incremental" not in told["en"] + told["zh"]
    assert "causal" not in told["en"]


def test_the_placebo_shows_a_response_to_a_price_that_nobody_saw():
    responses = response(market(anticipated=-0.5), np.zeros(120, int), ["k"])
    assert responses.placebo["price"]["high"] < 0
    assert set(responses.pooled) == {"discount"}
    assert responses.refused["price"]["value"] < -1
    assert responses.kinds["price"].isna().all()
    assert "No response to price is given" in words(responses)["en"]
    assert "不给出对价格的反应" in words(responses)["zh"]


def test_a_placebo_that_shows_little_is_told_and_leaves_the_figure():
    responses = response(market(anticipated=-0.1), np.zeros(120, int), ["k"])
    assert responses.placebo["price"]["high"] < 0
    assert "do not set a price by this figure alone" in words(responses)["en"]


def test_types_that_differ_keep_their_difference_and_small_ones_take_the_mean():
    mild, strong = market(-0.5, num=60), market(-2.5, num=60, seed=1)
    both = Panel(
        np.r_[mild.product, strong.product + 60],
        np.r_[mild.week, strong.week],
        np.r_[mild.units, strong.units],
        np.r_[mild.price, strong.price],
        np.r_[mild.discount, strong.discount],
    )
    kind = np.r_[np.zeros(55, int), np.full(5, 2), np.ones(60, int)]
    table = response(both, kind, ["mild", "strong", "few"]).kinds.set_index("kind")
    assert table.loc["mild", "price"] == pytest.approx(-0.5, abs=0.3)
    assert table.loc["strong", "price"] == pytest.approx(-2.5, abs=0.3)
    assert np.isnan(table.loc["few", "price_measured"])
    assert table.loc["few", "price_low"] < -2 < -1 < table.loc["few", "price_high"]


def test_fixed_effects_agree_with_dummies():
    rows = market(num=12, weeks=11)
    keep = np.random.default_rng(1).random(rows.units.size) < 0.8
    rows = rows.where(keep)
    left = within(np.stack([rows.units, rows.price, rows.discount], axis=1), rows.product, rows.week)
    fit = clustered(left[:, 0], left[:, 1:], rows.product)
    sm = pytest.importorskip("statsmodels.api")
    dummies = np.hstack([np.eye(12)[rows.product], np.eye(11)[rows.week][:, 1:]])
    design = np.column_stack([rows.price, rows.discount, dummies])
    theirs = sm.OLS(rows.units, design).fit(
        cov_type="cluster", cov_kwds={"groups": rows.product, "use_correction": False}
    )
    np.testing.assert_allclose(fit.value, theirs.params[:2], rtol=1e-5)
    assert (np.sqrt(np.diag(fit.covariance)) > theirs.bse[:2]).all(), "few clusters make the usual errors too small"


def test_the_errors_are_those_of_leaving_out_each_cluster():
    rng = np.random.default_rng(2)
    x, cluster = rng.normal(size=(90, 2)), np.repeat(np.arange(9), 10)
    y = x @ [1.0, -2.0] + rng.normal(size=9)[cluster]
    fit = clustered(y, x, cluster)
    apart = [np.linalg.lstsq(x[cluster != i], y[cluster != i], rcond=None)[0] - fit.value for i in range(9)]
    np.testing.assert_allclose(fit.covariance, np.transpose(apart) @ apart * 9 / 8, rtol=1e-8)
    assert (fit.degrees > 5).all()
    assert (fit.degrees <= 8).all()
    with pytest.raises(ValueError, match="no variation"):
        clustered(y, x, np.minimum(cluster, 3))


def test_the_interval_covers():
    estimates = [response(market(num=30, weeks=15, seed=seed), np.zeros(30, int), ["k"]).pooled for seed in range(60)]
    given = [figures["price"] for figures in estimates if "price" in figures]
    assert len(given) >= 57, "a clean figure is refused once in a hundred times"
    assert np.mean([figure["low"] <= -1.5 <= figure["high"] for figure in given]) >= 0.87


def test_the_panel_takes_shelf_price_and_discount_share_of_steady_products():
    weeks = np.repeat(np.arange(12), 2)
    steady = np.column_stack([np.zeros(24), weeks])
    rare = np.array([[1, 0], [1, 11]])
    item, week = np.vstack([steady, rare]).astype(np.int32).T
    size = item.size
    lines = Histories(
        customer=np.zeros(size, np.int32),
        item=item,
        week=week,
        day=week * 7 + 4,
        quantity=np.full(size, 6, np.float32),
        value=np.where(week == 3, 9, 12).astype(np.float32),
        discount=np.where(week == 3, 3, 0).astype(np.float32),
        basket=np.arange(size, dtype=np.int32),
        channel=np.zeros(size, np.int32),
        num_customers=1,
        num_items=2,
    )
    shown = Promotions(np.array([0, 0]), np.array([3, 5]), np.float32([1, 0]), np.float32([0.5, 1]))
    rows = panel(lines, 0, 11, shown)
    assert set(rows.product) == {0}
    assert rows.shown[[3, 4, 5]].tolist() == [[1.0, 0.5], [0.0, 0.0], [0.0, 1.0]]
    assert panel(lines, 0, 11).shown is None
    np.testing.assert_allclose(rows.units, np.log(12.5))
    np.testing.assert_allclose(rows.price, np.log(2))
    np.testing.assert_allclose(rows.discount, np.where(np.arange(12) == 3, 0.25, 0))


def test_prices_that_never_changed_give_no_figure():
    rows = market()
    flat = Panel(rows.product, rows.week, rows.units, np.zeros_like(rows.price), np.zeros_like(rows.price))
    assert response(flat, np.zeros(120, int), ["k"]) is None


def test_a_price_that_only_rounds_gives_no_figure_and_the_discount_keeps_its_own():
    rows = market()
    rounded = np.log(2 + 0.002 * np.random.default_rng(0).standard_normal(rows.price.size))
    units = rows.units + 1.5 * rows.price  # nothing moves with the price that is told
    responses = response(Panel(rows.product, rows.week, units, rounded, rows.discount), np.zeros(120, int), ["k"])
    assert set(responses.pooled) == {"discount"}
    assert responses.pooled["discount"]["low"] < 2 < responses.pooled["discount"]["high"]
    assert responses.kinds["price"].isna().all()
    assert "price" not in words(responses)["en"]


def test_products_whose_prices_change_together_are_one_family_and_slow_ones_that_only_look_alike_are_not():
    rng = np.random.default_rng(3)
    brand = rng.normal(0, 0.1, (4, 30))[np.arange(12) % 4]
    slow = np.cumsum(rng.normal(0, 0.05, (12, 30)), axis=1)
    moves = np.column_stack([np.vstack([brand, slow]).ravel(), np.zeros(24 * 30)])
    product, week = np.divmod(np.arange(24 * 30), 30)
    rows = Panel(product, week, *np.zeros((3, product.size)))
    family = families(rows, np.zeros(24, int), moves).reshape(24, 30)[:, 0]
    assert len(set(family[:12])) == 4
    assert (family[:4] == family[4:8]).all()
    assert len(set(family[12:])) == 12
    apart = families(rows, np.arange(24) % 12, moves).reshape(24, 30)[:, 0]
    assert len(set(apart)) == 24, "products of other types are none"


@pytest.mark.parametrize("name", ["products of a few brands", "counts of 4 to 100 a week", "displays on record"])
def test_intervals_hold_where_prices_were_set_by_other_hands(name):
    assert np.mean([abuse.covered(abuse.SHOPS[name], seed) for seed in range(12)]) >= 0.8


def test_discounts_timed_to_demand_and_slow_sellers_have_no_figure():
    timed, slow = abuse.SHOPS["discounts timed to demand"], abuse.SHOPS["two a week"]
    assert not any("discount" in abuse.measured(timed, seed) for seed in range(4))
    assert not any(abuse.measured(slow, seed) for seed in range(4))
