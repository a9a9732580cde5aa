"""What stands beside products: votes worked out by hand, substitutes left out, likeness within a kind."""

import numpy as np
import pytest

from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.ranking.related import goes_with as module
from nightmarket.ranking.related.goes_with import goes_with
from nightmarket.ranking.related.neighbours import Beside, unit
from nightmarket.ranking.related.occasions import Occasions
from nightmarket.ranking.related.popular import popular_in
from nightmarket.ranking.related.similar import similar
from nightmarket.ranking.sessions.co_visits import CoVisits

TODAY = 1000


def shop_of(kinds, prices=None, **codes):
    kind = np.array(kinds, np.int32)
    own = np.arange(kind.size, dtype=np.int32)
    levels = {"department": kind * 0, "category": kind} | dict.fromkeys(
        ("line", "maker", "brand", "text", "group"), own
    )
    levels |= codes
    never = np.full(kind.size, NEVER, np.int32)
    price = np.full(kind.size, np.nan) if prices is None else np.array(prices)
    return Catalogue(
        **{name: np.asarray(values, np.int32) for name, values in levels.items()},
        kind=kind,
        size=np.full(kind.size, -1, np.int32),
        recommendable=np.ones(kind.size, bool),
        from_day=never,
        until_day=never,
        list_price=price.astype(np.float32),
    )


def bought_in(baskets, num_items, days=None):
    """Histories from (customer, products) per basket."""
    lines = sorted(
        (customer, (days or [TODAY - 1] * len(baskets))[basket], basket, item)
        for basket, (customer, items) in enumerate(baskets)
        for item in items
    )
    columns = [np.array(column, np.int32) for column in zip(*lines, strict=True)] or [np.zeros(0, np.int32)] * 4
    customer, day, basket, item = columns
    ones = np.ones(customer.size, np.float32)
    people = int(customer.max(initial=0)) + 1
    week, channel = day // 7, np.zeros_like(day)
    return Histories(customer, item, week, day, ones, ones, ones, basket, channel, people, num_items)


def lists(baskets, kinds, num=5, offered=None, taste=None, days=None):
    catalogue = shop_of(kinds)
    occasions = Occasions.of(bought_in(baskets, len(kinds), days), TODAY)
    offered = np.ones(len(kinds), bool) if offered is None else np.array(offered)
    return goes_with(occasions, catalogue, offered, TODAY, taste, num)


def test_a_purchase_has_one_vote_divided_among_what_was_bought_with_it(monkeypatch):
    monkeypatch.setattr(module, "PRIOR", 1e-9)
    monkeypatch.setattr(module, "HALF_LIFE", 1e9)
    beside = lists([(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 2, 3, 4])], [0, 1, 2, 3, 4])
    assert beside.item[0, :2].tolist() == [1, 2]
    assert beside.score[0, :2] == pytest.approx([(1 + 1 / 2) / 3, (1 / 2 + 1 / 3) / 3], rel=1e-4)


def test_a_product_that_was_sold_alone_is_known_by_its_kind():
    beside = lists([*((person, [0, 2]) for person in range(20)), (20, [1]), (21, [3, 4])], [0, 0, 1, 2, 3])
    assert beside.item[1, 0] == 2
    assert beside.score[1, 0] < beside.score[0, 0]


def test_taste_orders_what_only_the_kind_says():
    taste = unit(np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32))
    baskets = [(person, [0, 2]) for person in range(3)] + [(person, [0, 3]) for person in range(3, 6)]
    beside = lists([*baskets, (6, [1])], [0, 0, 1, 1], taste=taste)
    assert beside.item[1, 0] == 3


def test_who_takes_one_in_place_of_the_other_makes_them_no_pair():
    """Milk 0 and milk 1 are bought by the same people on different days but once; yoghurts 3 and 4 always together."""
    baskets = [(person, [person % 2 if day else 0, 2, 3, 4]) for person in range(6) for day in range(4)]
    baskets += [(0, [0, 1, 2])]
    beside = lists(baskets, [0, 0, 1, 2, 2])
    assert 1 not in beside.item[0].tolist()
    assert 4 in beside.item[3].tolist()


def test_old_votes_count_less_and_what_is_not_offered_is_in_no_list():
    baskets = [(0, [0, 1]), (1, [0, 1]), (2, [0, 2]), (3, [0, 3])]
    days = [TODAY - 1500, TODAY - 1500, TODAY - 1, TODAY - 1]
    beside = lists(baskets, [0, 1, 2, 3], offered=[True, True, True, False], days=days)
    assert beside.item[0, :2].tolist() == [2, 1]
    assert 3 not in beside.item


def test_single_purchases_of_a_month_are_one_occasion_where_no_basket_holds_two():
    lines = bought_in([(0, [0]), (0, [1]), (1, [1])], 2, [TODAY - 3, TODAY - 20, TODAY - 3])
    assert sorted(Occasions.of(lines, TODAY).sizes.tolist()) == [1, 2]
    later = bought_in([(0, [0]), (0, [1])], 2, [TODAY - 3, TODAY - 40])
    assert Occasions.of(later, TODAY).sizes.tolist() == [1, 1]


@pytest.mark.parametrize("baskets", [[], [(0, [0])]])
def test_a_shop_without_pairs_gives_lists_all_the_same(baskets):
    beside = lists(baskets, [0, 1])
    assert set(beside.item[0].tolist()) <= {1, -1}
    assert np.isfinite(beside.score).all()


def test_similar_products_are_of_the_kind_and_near_in_taste_and_price():
    catalogue = shop_of([0, 0, 0, 1], prices=[10, 11, 100, 10])
    taste = unit(np.array([[1, 0], [1, 0.1], [0, 1], [1, 0]], np.float32))
    near, demand = CoVisits.none(4), np.array([1, 1, 9, 9], np.float32)
    beside = similar(catalogue, np.ones(4, bool), near, demand, taste, None, 3)
    assert beside.item[0].tolist() == [1, 2, -1]
    assert beside.item[3].tolist() == [-1, -1, -1]


def test_a_list_holds_one_of_a_group_and_none_of_its_owners():
    item = np.array([[1, 2, 3, 4], [0, 4, -1, -1], [0, -1, -1, -1], [1, -1, -1, -1], [0, -1, -1, -1]], np.int32)
    beside = Beside(item, (item >= 0).astype(np.float32))
    kept = beside.one_of_group(np.array([0, 0, 1, 1, -1], np.int32))
    assert kept.item[0].tolist() == [2, 4, -1, -1]
    assert kept.item[1].tolist() == [4, -1, -1, -1]


def test_what_is_popular_is_counted_where_it_happened():
    place, item = np.array([0, 0, 0, 1, -1], np.int32), np.array([2, 2, 1, 0, 0], np.int32)
    strength = np.array([1, 1, 1.5, 1, 9], np.float32)
    popular = popular_in(place, item, strength, np.array([True, True, True]), 3, 2)
    assert popular.item.tolist() == [[2, 1], [0, -1], [-1, -1]]
    assert popular.score[0].tolist() == [2, 1.5]
