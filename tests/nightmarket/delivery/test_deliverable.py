"""What may be delivered to whom tonight."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from nightmarket.delivery.deliverable import Deliverable
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories

CUT, TODAY = 100, date(2025, 6, 1)


def lines(*rows, num_items):
    """Purchase lines of (customer, item, day, returned) of four customers."""
    customer, item, day, returned = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    ones, codes = np.ones(len(rows), np.float32), np.arange(len(rows), dtype=np.int32)
    return Histories(customer, item, day // 7, day, ones, ones, ones, codes, 0 * codes, 4, num_items, returned)


def goods(customers=None, history=((0, 0, 1, NEVER),), **columns):
    """Of products with these columns."""
    num = len(next(iter(columns.values())))
    fixed = {"text_id": range(num), "recommendable": True, "department": "a", "category": "b", "type": "c"}
    products = pd.DataFrame({"item": range(num), **fixed, "maker": "m", "brand": "n"} | columns)
    people = pd.DataFrame({"customer": range(4), **(customers or {})})
    return Deliverable.of(products, people, catalogue(products), lines(*history, num_items=num), CUT, TODAY)


def may(made, items):
    """(4, I) who may be offered what."""
    who, what = np.meshgrid(np.arange(4, dtype=np.int32), np.arange(items, dtype=np.int32), indexing="ij")
    return made.may(who.ravel(), what.ravel()).reshape(4, items)


def test_out_of_stock_ended_and_left_out_products_are_offered_to_nobody_and_announced_ones_are():
    made = goods(
        stock=[5, 0, -1, np.nan, 0, 3, 3],
        from_day=[NEVER, 1, 1, 1, CUT + 5, 1, 1],
        until_day=[NEVER, NEVER, NEVER, NEVER, NEVER, CUT + 1, NEVER],
        recommendable=[True] * 6 + [False],
    )
    assert made.on_sale.tolist() == [True, False, False, True, True, False, False]
    assert (may(made, 7) == made.on_sale).all()
    assert made.for_anybody().tolist() == made.on_sale.tolist()


def test_what_has_an_age_is_offered_from_that_age_on_and_from_18_to_nobody_of_unknown_age():
    # 18 at the earliest, 17 perhaps, 12 at the most, unknown
    made = goods({"birth_year": [2006, 2007, 2012, np.nan]}, min_age=[np.nan, 16, 18])
    assert may(made, 3).tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, True, False],
    ]
    assert made.for_anybody().tolist() == [True, True, False]


def test_a_product_is_offered_in_the_markets_in_which_it_is_sold():
    made = goods({"market": ["DE", "at ", "FR", None]}, markets=["DE, AT", "de", None])
    assert may(made, 3).tolist() == [
        [True, True, True],
        [True, False, True],
        [False, False, True],
        [False, False, True],
    ]
    assert may(goods(markets=["DE, AT", "de", None]), 3).all()  # where no customer has a market it decides nothing


def test_what_came_back_is_not_offered_again_unless_some_of_it_was_kept():
    history = ((0, 0, 10, 20), (0, 1, 10, 20), (0, 1, 30, NEVER), (1, 0, 10, CUT + 1), (2, 2, 10, 20), (2, 2, 40, 50))
    made = goods(history=history, price=[1.0] * 3)
    assert np.argwhere(~may(made, 3)).tolist() == [[0, 0], [2, 2]]


def test_a_list_holds_one_of_a_group_in_the_size_that_the_customer_buys_and_else_the_best():
    columns = {"size": ["M", "L", "M", "L", "M"], "group_id": ["g", "g", None, None, "h"]}
    made = goods(
        history=((0, 3, 1, NEVER), (0, 3, 2, NEVER), (0, 2, 3, NEVER), (1, 2, 1, NEVER), (2, 3, 1, 5)), **columns
    )
    customer = np.repeat(np.arange(3, dtype=np.int32), 5)
    item, score = np.tile(np.arange(5, dtype=np.int32), 3), np.tile([9.0, 1, 2, 3, 4], 3)
    keep, best = made.first_of_groups(customer, item, score)
    # the first customer wears L; the second M; the third gave L back, so the best is theirs
    assert item[keep].tolist() == [1, 2, 3, 4, 0, 2, 3, 4, 0, 2, 3, 4]
    assert best[keep].tolist() == [9, 2, 3, 4] * 3
    assert made.most_of_a_group == 2


def test_an_offer_may_be_made_to_those_who_may_have_one_of_its_products():
    made = goods({"birth_year": [1980, 2015, np.nan, 1990]}, min_age=[18, 18, 0], stock=[1, 1, 0])
    assert made.offered(np.array([0, 1, 2])).tolist() == [True, False, False, True]
    assert not made.offered(np.array([2])).any()


@pytest.mark.parametrize("seed", range(5))
def test_groups_agree_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    num = 30
    group, size = rng.integers(-1, 6, num), rng.choice(["S", "M", "L"], num)
    history = [
        (int(c), int(i), 1, NEVER) for c, i in zip(rng.integers(0, 4, 40), rng.integers(0, num, 40), strict=True)
    ]
    made = goods(
        history=history,
        size=size,
        group_id=[f"g{g}" if g >= 0 else None for g in group],
        type=rng.choice(["x", "y"], num),
    )
    pairs = np.unique(np.stack([rng.integers(0, 4, 90), rng.integers(0, num, 90)]), axis=1).astype(np.int32)
    order = rng.permutation(pairs.shape[1])
    customer, item = pairs[:, order]
    score = rng.random(customer.size)
    keep, best = made.first_of_groups(customer, item, score)
    own = made.sizes
    for who in range(4):
        for name in range(6):
            rows = np.flatnonzero((customer == who) & (group[item] == name))
            if rows.size:
                wanted = max(
                    rows,
                    key=lambda r, w=who: (
                        own.in_kind[w, own.cell[item[r]]],
                        own.overall[w, own.size[item[r]]],
                        score[r],
                    ),
                )
                assert rows[keep[rows]].tolist() == [wanted]
                assert best[wanted] == score[rows].max()
    assert keep[group[item] < 0].all()


def test_names_of_markets_may_be_codes_or_words_in_any_notation():
    made = goods(
        {"market": ["United Kingdom", "de", "AT", "us"]},
        markets=["DE AT", '["de", "united kingdom"]', "United Kingdom;US", "de|at"],
    )
    assert may(made, 4).tolist() == [
        [False, True, True, False],
        [True, True, False, True],
        [True, False, False, True],
        [False, False, True, False],
    ]
