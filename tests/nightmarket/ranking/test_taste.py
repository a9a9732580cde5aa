"""Latent factors of purchases: a shop of two tastes, in which nobody buys a product twice."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking import taste
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.point_in_time import PointInTimeStatistics

CUT, CUSTOMERS, ITEMS = 100, 80, 40


def lines(customer, item, day) -> Histories:
    customer, item, day = (np.asarray(values, np.int32) for values in (customer, item, day))
    ones = np.ones(customer.size, np.float32)
    basket = np.arange(customer.size, dtype=np.int32)
    return Histories(customer, item, day // 7, day, ones, ones, 0 * ones, basket, 0 * basket, CUSTOMERS, ITEMS)


def statistics() -> PointInTimeStatistics:
    """Even customers buy five of the even items once each, odd ones five of the odd."""
    rng = np.random.default_rng(4)
    rows = [
        (customer, item, 60 + int(day))
        for customer in range(CUSTOMERS)
        for item, day in zip(
            rng.permutation(np.arange(customer % 2, ITEMS, 2))[:5], np.sort(rng.integers(0, 40, 5)), strict=True
        )
    ]
    index = np.arange(ITEMS)
    products = pd.DataFrame({"text_id": index, "recommendable": True, "brand": None})
    products = products.assign(department="d", category="c", type="t", maker="m")
    nothing = np.zeros(0, np.int32)
    promotions = Promotions(nothing, nothing, np.zeros(0, np.float32), np.zeros(0, np.float32))
    return PointInTimeStatistics(lines(*np.array(rows).T), catalogue(products), CUT, promotions)


def test_repeats_are_days_on_which_something_is_bought_again():
    twice_a_day = lines([0, 0, 0, 1], [5, 5, 5, 5], [60, 60, 61, 60])
    assert taste.repeats(twice_a_day) == pytest.approx(1 / 3)
    assert taste.repeats(lines([], [], [])) == 0


@pytest.mark.parametrize(("days", "num"), [(1, taste.NUM), (2, 0)])
def test_where_customers_buy_the_same_again_factors_propose_nothing(days, num):
    again = lines(np.repeat([0, 1, 2], days), np.repeat([5, 6, 7], days), np.tile(np.arange(60, 60 + days), 3))
    assert taste.candidates(again) == num


def test_products_of_the_customers_taste_come_first():
    made = statistics()
    learned = taste.latent(made)
    items = np.arange(ITEMS, dtype=np.int32)
    scores = taste.by_factors(made, learned, items)(made.customers(slice(10, 30)))
    even = np.arange(10, 30)[:, None] % 2 == items % 2
    owned = made.histories.matrix()[10:30].toarray() > 0
    ahead = [
        (scores[row, even[row] & ~owned[row]][:, None] > scores[row, ~even[row]]).mean() for row in range(len(scores))
    ]
    assert np.mean(ahead) > 0.7  # half by chance


@pytest.mark.parametrize("budget", [7, 0])
def test_they_are_a_generator_where_the_budget_has_a_place_for_them(budget):
    made = CandidateSet(statistics(), Budget(taste=budget), None, np.zeros(0, np.int32), 28)
    by_name = {generator.name: generator.num for generator in made.generators}
    assert by_name.get("factors", 0) == budget
    assert ("score_factors" in made.features) == bool(budget)
    assert made.factors is None  # those of looks, which the live site has


def test_nobody_bought_anything():
    empty = SimpleNamespace(
        histories=lines([], [], []), today=CUT + 1, terms=None, vectors=None, catalogue=statistics().catalogue
    )
    assert taste.latent(empty) is None
