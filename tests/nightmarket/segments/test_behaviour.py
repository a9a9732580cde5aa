"""What a customer does, as figures worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.histories.histories import Histories
from nightmarket.segments.behaviour import assortment, behaviour, visits
from nightmarket.segments.grouping import group
from nightmarket.segments.partition import FeatureSpace
from nightmarket.segments.profiles import SegmentInput, week_before

MONDAY = 4 + 7 * 2500


def make_lines(rows, num_customers, num_items=3):
    """rows of (customer, item, day, quantity, value, discount, basket, channel)."""
    table = np.array(sorted(rows), dtype=np.float64).reshape(-1, 8).T
    c, i, d, q, v, r, b, ch = table
    return Histories(
        customer=c.astype(np.int32),
        item=i.astype(np.int32),
        week=((d - 4) // 7).astype(np.int32),
        day=d.astype(np.int32),
        quantity=q.astype(np.float32),
        value=v.astype(np.float32),
        discount=r.astype(np.float32),
        basket=b.astype(np.int32),
        channel=ch.astype(np.int32),
        num_customers=num_customers,
        num_items=num_items,
    )


PRODUCTS = pd.DataFrame(
    {"department": ["F", "F", "G"], "category": ["MILK", "MILK", "G"], "type": ["whole", "skim", "rope"]}
)
ROWS = [
    (0, 0, MONDAY, 1, 2.0, 0.0, 0, 0),
    (0, 2, MONDAY, 2, 6.0, 2.0, 0, 0),
    (0, 0, MONDAY + 70, 1, 4.0, 0.0, 1, 1),
    (1, 1, MONDAY + 70, 1, 5.0, 0.0, 2, 0),
]
NOBODY = visits(np.zeros(0, np.int32), np.zeros(0, np.int64))


def test_figures_of_two_customers_by_hand():
    lines = make_lines(ROWS, num_customers=3)
    features = behaviour(lines, NOBODY, assortment(PRODUCTS, lines), MONDAY + 76)
    weeks = 77 / 7
    assert features.loc[0, "recency"] == pytest.approx(np.log1p(6))
    assert features.loc[0, "visits"] == pytest.approx(np.log(2 / weeks))
    assert features.loc[0, "basket"] == pytest.approx(np.log(13 / 2))
    assert features.loc[0, "discount"] == pytest.approx(2 / 14)
    assert features.loc[0, "discounted"] == pytest.approx(1 / 3)
    assert features.loc[0, "channels"] == pytest.approx(np.log(2))
    assert features.loc[0, "main_channel"] == pytest.approx(1 / 2)
    # milk was sold at 2 and 4, usual price 3; rope at 3 alone
    assert features.loc[0, "price"] == pytest.approx((np.log(2 / 3) + np.log(4 / 3) + 0) / 3)
    assert features.loc[0, "share: F > MILK"] == pytest.approx(np.sqrt(6 / 12))
    assert features.loc[1, "visits"] == pytest.approx(np.log(1 / 4))  # a week counts as four
    assert features.loc[2].isna().all()


def test_day_parts_and_weekend_come_from_local_hours():
    hour = lambda day, h: day * 86_400 + h * 3600 + 60  # noqa: E731
    times = np.array([hour(MONDAY, 9), hour(MONDAY, 9) + 600, hour(MONDAY + 5, 23), hour(MONDAY + 6, 3)])
    seen = visits(np.zeros(4, np.int32), times)
    assert seen.customer.size == 3  # two lines within one hour are one visit
    lines = make_lines(ROWS, num_customers=2)
    features = behaviour(lines, seen, assortment(PRODUCTS, lines), MONDAY + 76)
    assert features.loc[0, "morning"] ** 2 == pytest.approx(1 / 3)
    assert features.loc[0, "night"] ** 2 == pytest.approx(2 / 3)
    assert features.loc[0, "weekend"] == pytest.approx(2 / 3)


def test_a_shop_that_records_days_only_has_no_day_parts():
    seen = visits(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int64) * 86_400)
    assert not seen.timed
    lines = make_lines(ROWS, num_customers=5)
    assert "night" not in behaviour(lines, seen, assortment(PRODUCTS, lines), MONDAY + 76)


def test_every_block_of_features_weighs_the_same_and_columns_that_do_not_vary_are_left_out():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 4)), columns=["recency", "visits", "kinds", "price"])
    frame["price"] = 1.0
    frame["share: A"], frame["share: B"], frame["share: C"] = rng.random((3, 400))
    space = FeatureSpace.fit(frame)
    assert "price" not in space.columns
    variance = pd.Series(space.transform(frame).var(axis=0), index=space.columns)
    assert variance[["recency", "visits"]].sum() == pytest.approx(1)
    assert variance["kinds"] == pytest.approx(1)
    assert variance[["share: A", "share: B", "share: C"]].sum() == pytest.approx(1)
    again = FeatureSpace.from_json(space.to_json())
    np.testing.assert_array_equal(again.transform(frame), space.transform(frame))


def test_one_wild_value_moves_nobody_else():
    frame = pd.DataFrame({"spend": np.linspace(0, 1, 101), "kinds": np.linspace(1, 2, 101)})
    wild = frame.copy()
    wild.loc[100, "spend"] = 1e9
    a, b = FeatureSpace.fit(frame).standard(frame)[:100, 0], FeatureSpace.fit(wild).standard(wild)[:100, 0]
    assert np.abs((a - a.mean()) - (b - b.mean())).max() < 0.05


def test_without_prices_categories_count_by_units_and_nothing_is_said_of_spend():
    lines = make_lines([(c, i, d, q, 0.0, 0.0, b, ch) for c, i, d, q, _, _, b, ch in ROWS], num_customers=3)
    features = behaviour(lines, NOBODY, assortment(PRODUCTS, lines), MONDAY + 76)
    assert features.loc[0, "share: F > MILK"] == pytest.approx(np.sqrt(2 / 4))
    assert (features.loc[:1, ["spend", "basket", "price", "discount"]] == 0).all(axis=None)
    assert np.isfinite(features.loc[:1].to_numpy()).all()


def test_a_shop_of_days_has_no_week_before():
    lines = make_lines([(c, 0, MONDAY + c % 2, 1, 2.0, 0.0, c, 0) for c in range(50)], num_customers=50)
    usual = assortment(PRODUCTS, lines)
    features = behaviour(lines, NOBODY, usual, MONDAY + 1)
    groups = group(features, 2, seed=1, num=2)
    assert week_before(groups, SegmentInput(features, lines, NOBODY, usual, None, None), seed=1) is None
