"""Candidate generators on a shop of a few customers and products, against lists and scores worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from nightmarket.histories.histories import Histories
from nightmarket.ranking.generators import (
    CandidateGenerator,
    affinity,
    candidates,
    column_of,
    ease_scores,
    history,
    level_shares,
    neighbour_scores,
    popularity_scores,
    rare_lately,
    rare_scores,
    sold_lately,
    unsold_generators,
)

NUM_ITEMS = 6
OWNED = {(0, 0): 1.0, (0, 1): 3.0, (0, 2): 2.0, (2, 4): 0.5}
"""{(customer, item): fresh baskets}; the second customer bought nothing."""


def level(entries, num_codes):
    """Statistics of (customer, code) pairs, sorted by key."""
    key = np.array(sorted(customer * num_codes + code for customer, code in entries), np.int64)
    customer, code = (key // num_codes).astype(np.int32), (key % num_codes).astype(np.int32)
    fresh = np.array([entries[pair] for pair in zip(customer.tolist(), code.tolist(), strict=True)], np.float32)
    return SimpleNamespace(key=key, num_codes=num_codes, customer=customer, code=code, fresh=fresh)


def people(owned=OWNED, num=3, not_recommendable=(), **levels):
    """Customers of a slice, with the products that they own."""
    recommendable = np.ones(NUM_ITEMS, bool)
    recommendable[list(not_recommendable)] = False
    catalogue = SimpleNamespace(num_items=NUM_ITEMS, recommendable=recommendable)
    levels = {"item": level(owned, NUM_ITEMS), **levels}
    return SimpleNamespace(
        num=num, levels=levels, statistics=SimpleNamespace(catalogue=catalogue, listed=recommendable)
    )


def generator(scores, items=range(NUM_ITEMS), num=2, name="made up"):
    values = np.array(scores, np.float32)
    return CandidateGenerator(name, num, np.array(items, np.int32), lambda customers: values.copy())


RISING = np.tile(np.arange(NUM_ITEMS, dtype=np.float32), (3, 1))


def proposed(customers, *generators, num_history=0):
    customer, item, _ = candidates(customers, list(generators), [history(customers, num_history)])
    return list(zip(customer.tolist(), item.tolist(), strict=True))


# what counts before a customer is known


def sold(**buyers):
    """Statistics of a shop of six products, of which 0 and 1 are of line 0, 2 and 3 of line 1, 4 and 5 of line 2."""
    spans = {span: np.array(buyers.get(span, np.zeros(6)), np.float32) for span in ("2w", "4w", "13w", "ever")}
    line, kind = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 0, 0, 1, 1, 1], np.int32)
    catalogue = SimpleNamespace(num_items=6, line=line, kind=kind, codes={"line": line, "kind": kind}.__getitem__)
    active, rare = np.array([0, 1, 2], np.int32), np.array([1, 2], np.int32)
    return SimpleNamespace(buyers=spans, rare=rare, active=active, catalogue=catalogue)


def test_recent_buyers_weigh_ten_times_and_a_hundred_times_as_much_as_older_ones():
    weight = sold_lately(sold(**{"4w": [3, 0, 0, 0, 0, 0], "13w": [3, 5, 0, 0, 0, 0], "ever": [9, 5, 7, 0, 0, 0]}))
    assert weight == pytest.approx([3 + 0.3 + 0.09, 0.5 + 0.05, 0.07, 0, 0, 0])


def test_a_rare_product_counts_where_somebody_bought_it_within_a_quarter():
    assert rare_lately(sold(**{"13w": [4, 1, 0, 9, 0, 0], "ever": [4, 1, 3, 9, 0, 0]})).tolist() == [1]


def test_what_nobody_bought_is_proposed_beside_what_sells_by_kind_line_and_as_rare():
    shop = sold(**{"4w": [3, 1, 2, 0, 0, 0], "13w": [3, 1, 2, 0, 0, 0], "ever": [3, 1, 2, 0, 0, 0]})
    unsold = np.array([3, 4], np.int32)
    kind, line, rare = unsold_generators(shop, unsold, 7)
    assert [(g.name, g.num, g.items.tolist()) for g in (kind, line, rare)] == [
        ("kind", 7, [0, 1, 2, 3, 4]), ("line", 7, [0, 1, 2, 3, 4]), ("rare", 7, [1, 2, 3, 4]),
    ]  # fmt: skip
    customers = SimpleNamespace(num=1, levels={"line": level({(0, 1): 1.0}, 3), "kind": level({(0, 1): 1.0}, 2)})
    by_rare = rare.score(customers)[0]
    assert by_rare[1] > by_rare[2] > by_rare[3] > by_rare[0], "line 1 before kind 1 before neither"


# what is proposed


def test_a_generator_proposes_its_best_products_that_the_customer_does_not_own():
    assert proposed(people(), generator(RISING)) == [(0, 4), (0, 5), (1, 4), (1, 5), (2, 3), (2, 5)]
    falling = generator(-RISING, num=3)
    assert proposed(people(), falling)[:3] == [(0, 3), (0, 4), (0, 5)], "0, 1 and 2 are better and owned"


def test_what_the_customer_owns_is_proposed_by_history_alone():
    owned = proposed(people(), generator(-RISING, num=6))
    assert not set(owned) & set(OWNED)
    assert len(owned) == 3 * NUM_ITEMS - len(OWNED)
    assert set(OWNED) <= set(proposed(people(), generator(-RISING, num=6), num_history=9))


def test_history_proposes_the_freshest_that_may_be_recommended():
    assert proposed(people(), num_history=2) == [(0, 1), (0, 2), (2, 4)]
    assert proposed(people(), num_history=1) == [(0, 1), (2, 4)]
    assert proposed(people(not_recommendable=[1]), num_history=1) == [(0, 2), (2, 4)]


def test_the_same_candidate_of_several_generators_stands_once_and_in_order():
    first, second = generator(RISING, num=1, name="first"), generator(RISING, num=2, name="second")
    assert proposed(people(), second, first) == [(0, 4), (0, 5), (1, 4), (1, 5), (2, 3), (2, 5)]


def test_a_generator_without_products_or_places_proposes_nothing_but_may_score():
    nothing, silent = generator(np.zeros((3, 0)), items=[], name="nothing"), generator(RISING, num=0, name="silent")
    customer, item, scores = candidates(people(), [nothing, silent], [history(people(), 1)])
    assert list(zip(customer.tolist(), item.tolist(), strict=True)) == [(0, 1), (2, 4)]
    assert np.isnan(scores["nothing"]).all()
    assert scores["silent"].tolist() == [1.0, 4.0]


def test_every_candidate_has_the_score_of_each_generator_that_knows_it_owned_or_not():
    scores = np.array([[10.0, 20, 30], [40, 50, 60], [70, 80, 90]])
    partial = generator(scores, items=[4, 1, 0], num=1, name="partial")
    customer, item, scores = candidates(people(), [generator(RISING, num=1), partial], [history(people(), 3)])
    told = dict(zip(zip(customer.tolist(), item.tolist(), strict=True), scores["partial"].tolist(), strict=True))
    assert told == pytest.approx(
        {(0, 0): 30.0, (0, 1): 20.0, (0, 2): np.nan, (0, 4): 10.0, (0, 5): np.nan, (1, 0): 60.0, (1, 5): np.nan,
         (2, 0): 90.0, (2, 4): 70.0, (2, 5): np.nan},
        nan_ok=True,
    )  # fmt: skip


def test_a_list_has_the_best_unowned_products_and_ends_in_padding():
    few = generator(np.array([[1.0, 3, 2]] * 3), items=[1, 4, 3])
    assert few.recommend(people(), 2).tolist() == [[4, 3], [4, 3], [3, 1]]
    assert few.recommend(people(), 4).tolist() == [[4, 3, -1, -1], [4, 3, 1, -1], [3, 1, -1, -1]]


def test_each_item_s_column_and_none_for_the_others():
    assert column_of(np.array([4, 0], np.int32), 6).tolist() == [1, -1, -1, -1, 0, -1]


# scores


def test_shares_of_a_customer_sum_to_one_and_nobody_without_baskets_has_any():
    shares = level_shares(level({(0, 0): 1.0, (0, 2): 3.0, (2, 1): 0.5}, 3), 3).toarray()
    assert shares == pytest.approx(np.array([[0.25, 0, 0.75], [0, 0, 0], [0, 1, 0]]))


LINES = {(0, 0): 1.0, (0, 1): 3.0, (1, 1): 2.0}


def shelf(**buyers):
    """Products 0 and 1 of line 0, 2 to 5 of line 1; kinds 0 and 1 in turn."""
    line, kind = np.array([0, 0, 1, 1, 1, 1], np.int32), np.array([0, 1] * 3, np.int32)
    codes = {"line": line, "kind": kind}
    catalogue = SimpleNamespace(line=line, kind=kind, codes=codes.__getitem__)
    counts = {name: np.array(values, np.float32) for name, values in buyers.items()}
    return SimpleNamespace(catalogue=catalogue, buyers=counts)


def test_affinity_is_the_customer_s_share_of_the_line_times_the_product_s_share_of_it():
    items, weight = np.array([0, 1, 3, 5], np.int32), np.array([1.0, 3, 4, 6], np.float32)
    customers = people(num=2, line=level(LINES, 2))
    scores = affinity(shelf(), "line", items, weight)(customers)
    assert scores == pytest.approx(np.array([[0.25 * 0.25, 0.25 * 0.75, 0.75 * 0.4, 0.75 * 0.6], [0, 0, 0.4, 0.6]]))
    whole = affinity(shelf(), "line", items, weight, divide=False)(customers)
    assert whole == pytest.approx(np.array([[0.25, 0.75, 3.0, 4.5], [0, 0, 4.0, 6.0]]))


def test_affinity_to_a_line_in_which_nothing_weighs_is_zero():
    score = affinity(shelf(), "line", np.array([0, 1], np.int32), np.zeros(2, np.float32))
    assert score(people(num=2, line=level(LINES, 2))).tolist() == [[0.0, 0.0]] * 2


def test_popularity_is_of_the_last_two_weeks_and_older_buyers_break_ties():
    buyers = shelf(**{"2w": [0, 5, 5, 0, 1, 0], "ever": [9, 5, 8, 1, 1, 0]})
    items = np.array([1, 2, 0, 5], np.int32)
    scores = popularity_scores(buyers, items)(SimpleNamespace(num=2))
    assert scores == pytest.approx(np.array([[5.0005, 5.0008, 0.0009, 0.0]] * 2))


def test_rare_products_score_by_line_and_a_little_by_kind_times_what_sold_lately():
    buyers = shelf(**{"2w": [2, 0, 0, 0, 1, 0], "4w": [2, 0, 1, 0, 1, 0], "13w": [2, 0, 1, 3, 1, 0],
                      "ever": [4, 0, 1, 3, 5, 9]})  # fmt: skip
    items = np.array([0, 3, 5], np.int32)
    customers = people(num=2, line=level(LINES, 2), kind=level({(0, 0): 1.0, (1, 0): 1.0, (1, 1): 4.0}, 2))
    weight = np.array([2 + 0.6 + 0.2 + 0.04 + 0.02, 0.3 + 0.03 + 0.02, 0.09 + 0.02])
    by_line = np.array([[0.25, 0.75, 0.75], [0.0, 1.0, 1.0]])
    by_kind = np.array([[1.0, 0.0, 0.0], [0.2, 0.8, 0.8]])
    assert rare_scores(buyers, items)(customers) == pytest.approx((by_line + 0.01 * by_kind + 1e-5) * weight)


# what other customers know


def histories(rows):
    """Lines (customer, item, day), one unit each, a basket each."""
    table = np.array(sorted(rows), np.int32).reshape(-1, 3)
    ones = np.ones(len(table), np.float32)
    number = np.arange(len(table), dtype=np.int32)
    return Histories(table[:, 0], table[:, 1], table[:, 2] // 7, table[:, 2], ones, ones, 0 * ones, number, 0 * number,
                     int(table[:, 0].max()) + 1, NUM_ITEMS)  # fmt: skip


TODAY = 400
BOUGHT = histories(
    [
        *((0, 0, 400), (0, 1, 280), (1, 0, 400), (1, 2, 400), (1, 2, 280)),
        *((2, 4, 390), (2, 5, 400), (3, 0, 160), (3, 3, 400)),
    ]
)


def known(rows=slice(0, 4)):
    statistics = SimpleNamespace(histories=BOUGHT, today=TODAY, last_day=TODAY)
    lines = BOUGHT.of(rows)
    lines = Histories(
        **{**vars(lines), "customer": lines.customer - rows.start, "num_customers": rows.stop - rows.start}
    )
    return statistics, SimpleNamespace(num=rows.stop - rows.start, rows=rows, lines=lines)


def logged_unit_rows():
    """log(1 + baskets halved for every 120 days), as unit vectors, the slow way."""
    counts = np.zeros((4, NUM_ITEMS))
    for customer, item, day in zip(BOUGHT.customer, BOUGHT.item, BOUGHT.day, strict=True):
        counts[customer, item] += 0.5 ** ((TODAY - day) / 120)
    logged = np.log1p(counts)
    return logged / np.linalg.norm(logged, axis=1, keepdims=True)


def test_the_nearest_customer_s_fresh_baskets_are_the_score_and_never_one_s_own():
    statistics, customers = known()
    items = np.array([0, 2, 3, 5], np.int32)
    scores = neighbour_scores(statistics, items, num=1)(customers)
    rows = logged_unit_rows()
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    for customer in (0, 1, 3):  # the third shares nothing with anybody
        assert scores[customer] == pytest.approx(rows[near[customer].argmax()][items])


def test_two_nearest_customers_are_averaged_and_a_slice_is_scored_as_the_whole():
    items = np.arange(NUM_ITEMS, dtype=np.int32)
    whole = neighbour_scores(known()[0], items, num=2)(known()[1])
    rows = logged_unit_rows()
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    assert whole[0] == pytest.approx(rows[np.argsort(-near[0])[:2]].mean(axis=0))
    statistics, later = known(slice(1, 3))
    assert neighbour_scores(statistics, items, num=2)(later)[0] == pytest.approx(whole[1])


def test_ease_scores_are_those_of_its_closed_form_on_log_counts():
    statistics, customers = known()
    items = np.array([1, 2, 5], np.int32)
    counts = np.zeros((4, NUM_ITEMS))
    np.add.at(counts, (BOUGHT.customer, BOUGHT.item), 1)
    x = np.log1p(counts)
    inverse = np.linalg.inv(x.T @ x + 300 * np.eye(NUM_ITEMS))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    assert ease_scores(statistics, items)(customers) == pytest.approx((x @ weights)[:, items], rel=1e-3, abs=1e-6)
