"""What looks, carts and texts propose and say: small shops whose right answer is worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nightmarket.encoding.terms import tfidf
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import GUEST, KINDS, LOOKED, Interactions
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking import behaviour
from nightmarket.ranking.behaviour_features import BEHAVIOUR, BehaviourTable
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.explanations.explaining import explain
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.preference import described
from nightmarket.ranking.touches import visit_shares

VIEW, CART, PURCHASE = (KINDS.index(kind) for kind in ("view", "cart", "purchase"))
CUT = 100
TITLES = ["red wool scarf", "crimson scarf of wool", "blue jeans", "denim trousers", "new red wool scarf", "old hat"]


def statistics(rows: list[tuple[int, int, int, int, int]], num_customers: int) -> PointInTimeStatistics:
    """Of events (customer, item, day, kind, session), sorted; item 4 is announced for tomorrow, nobody has met item 5,
    and the shop names no day for it."""
    customer, item, day, kind, session = np.array(rows, np.int32).T
    events = Interactions(
        customer, item, day, day.astype(np.int64) * 86_400, kind.astype(np.int8), session, num_customers, len(TITLES)
    )
    bought = events.kinds(PURCHASE)
    ones = np.ones(len(bought), np.float32)
    lines = Histories(
        bought.customer,
        bought.item,
        bought.day // 7,
        bought.day,
        ones,
        10 * ones,
        0 * ones,
        np.arange(len(bought), dtype=np.int32),
        np.zeros(len(bought), np.int32),
        num_customers,
        len(TITLES),
    )
    products = pd.DataFrame({"text_id": range(len(TITLES)), "recommendable": True, "brand": "b", "maker": "m"})
    products[["department", "category"]] = "wear"
    products["type"] = ["scarf", "scarf", "jeans", "jeans", "scarf", "hat"]
    products["from_day"] = [NEVER, NEVER, NEVER, NEVER, CUT + 1, NEVER]
    products["until_day"] = NEVER
    products["list_price"] = [10.0, 20.0, 40.0, 40.0, 10.0, 10.0]
    none = np.zeros(0, np.int32)
    promotions = Promotions(none, none, np.zeros(0, np.float32), np.zeros(0, np.float32))
    terms, goods = tfidf(TITLES), catalogue(products)
    return PointInTimeStatistics(lines, goods, CUT, promotions, events, terms, described=described(goods, terms, None))


ROWS = [
    (GUEST, 2, 99, VIEW, 0),
    (GUEST, 3, 99, VIEW, 0),
    (0, 0, 99, VIEW, 1),
    (0, 0, 99, CART, 1),
    (1, 0, 98, VIEW, 2),
    (1, 1, 98, VIEW, 2),
    (1, 1, 98, PURCHASE, 2),
    (2, 2, 97, VIEW, 3),
]


def test_ease_is_the_closed_form_of_its_paper():
    counts = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 1.0]], np.float32)
    inverse = np.linalg.inv(counts.T @ counts + 0.5 * np.eye(3))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert behaviour.ease_weights(sparse.csr_matrix(counts), 0.5) == pytest.approx(expected, abs=1e-5)


def test_guests_teach_what_goes_together():
    near = behaviour.co_visits(statistics(ROWS, 3).events, CUT + 1, LOOKED)
    assert near[2, 3] > 0  # a guest's session alone says it
    assert near[0, 1] > 0
    assert near[2, 0] == near[0, 0] == 0


def test_what_was_looked_at_is_proposed_and_a_launch_by_its_words_alone():
    made = statistics(ROWS, 3)
    assert made.listed.tolist() == [True, True, True, True, False, True]
    assert replace(made, coming_days=1).listed.all()
    assert made.launched(28).tolist() == [0, 1, 2, 3, 4, 5]  # all were first seen in the last four weeks, or never
    assert made.launched(0).tolist() == [0, 1, 2, 3, 5]
    customers = made.customers(slice(0, 3))
    assert sorted((behaviour.seen(customers, 9) % len(TITLES)).tolist()) == [0, 0, 1, 2]
    scores = behaviour.content(made, np.array([2, 4], np.int32))(customers)
    assert scores[0, 1] > 0.3 > scores[0, 0]
    assert scores[2, 0] == pytest.approx(1.0)


def test_what_looks_like_what_was_looked_at_is_proposed_by_the_shops_own_vectors():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 1], [0.8, 0.6], [0, 0]], np.float32)
    made = replace(statistics(ROWS, 3), terms=None, vectors=vectors)
    scores = behaviour.pictured(made, np.arange(6, dtype=np.int32))(made.customers(slice(0, 3)))
    assert scores[0] == pytest.approx([1, 0, 0.6, 0, 0.8, 0])  # the customer looked at item 0 alone
    names = {of.name for of in CandidateSet(made, Budget(), None, np.zeros(0, np.int32), 28).generators}
    assert "pictured" in names
    assert "content" not in names
    (young,) = list(CandidateSet(made, Budget(), None, np.zeros(0, np.int32), 28).young())
    assert 4 in young.item  # announced: its picture is known


def test_the_candidate_set_holds_every_generator_and_every_feature_and_lists_nothing_announced():
    candidate_set = CandidateSet(statistics(ROWS, 3), Budget(), None, np.zeros(0, np.int32), 28)
    (batch,) = list(candidate_set.batches())
    assert set(batch.item.tolist()) == {0, 1, 2, 3, 5}
    assert set(BEHAVIOUR) < set(candidate_set.features)
    (young,) = list(candidate_set.young())
    assert 4 in young.item  # announced: its words are known


def test_features_say_what_was_done_and_how_long_ago():
    made = statistics(ROWS, 3)
    pairs = np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32)
    columns = BehaviourTable(made).columns(made.customers(slice(0, 3)), *pairs)
    half_lives = 2 ** (-2 / 14), 2 ** (-3 / 14)
    assert columns["item_looked"].tolist() == pytest.approx([half_lives[0], 0.0, half_lives[1]])
    assert columns["item_carted"].tolist() == pytest.approx([half_lives[0], 0.0, 0.0])
    assert columns["waiting"].tolist() == [1.0, 0.0, 0.0]
    assert columns["kind_looked"].tolist() == pytest.approx([half_lives[0], half_lives[0], 2 * half_lives[1]])
    assert np.isnan(columns["item_seen_ago"][1])
    assert columns["item_seen_ago"][[0, 2]].tolist() == [2.0, 3.0]
    assert columns["price_to_looked"][1] == pytest.approx(np.log(2.0))


def test_a_visit_is_about_what_most_was_done_with_in_it():
    rows = [(0, 0, 98, VIEW, 0), (0, 2, 98, VIEW, 0), (0, 3, 98, CART, 0), (0, 5, 99, VIEW, 1), (2, 5, 99, VIEW, 2)]
    made = statistics(rows, 3)
    usual = np.full(3, 1 / 3, np.float32)
    shares = visit_shares(made.events, made.catalogue.kind, usual, CUT + 1, 1.0)
    weights = np.array([0, 2**-3, 2**-2])  # no visit is about scarves, one about jeans, the last about the hat
    np.testing.assert_allclose(shares[0], (weights + 1 / 3) / (weights.sum() + 1), atol=1e-6)
    np.testing.assert_allclose(shares[1], usual, atol=1e-6)  # who was never there does as all do


def test_what_draws_is_told_by_the_time_that_it_was_on_sale():
    made = statistics([(0, 0, 10, VIEW, 0), (0, 1, 99, VIEW, 1), (1, 2, 99, VIEW, 2)], 2)
    old, young = made.draw[0], made.draw[1]
    assert old < 0.5  # a look three months ago
    assert young > 1.5  # one on its second day
    assert made.draw[4] == pytest.approx(1.0)  # announced: as what is usual
    assert (replace(made, interactions=None).draw == 1).all()


def test_sizes_of_a_product_draw_together_and_are_met_together():
    made = statistics([(0, 0, 99, VIEW, 0), (0, 2, 99, VIEW, 0), (1, 1, 99, VIEW, 1)], 2)
    goods = replace(made.catalogue, group=np.array([0, 0, 1, 2, 3, 4], np.int32))
    grouped = replace(made, catalogue=goods)
    assert grouped.draw[0] == grouped.draw[1]
    items = np.arange(6, dtype=np.int32)
    near = behaviour.co_visited(grouped, items, LOOKED, 7.0)(grouped.customers(slice(0, 2)))
    assert near[1, 2] > 0  # who looked at the one size is near what goes with the other
    assert behaviour.co_visited(made, items, LOOKED, 7.0)(made.customers(slice(0, 2)))[1, 2] == 0


def test_nothing_after_the_cut_changes_a_feature():
    later = [*ROWS[:4], (0, 1, CUT + 1, VIEW, 1), *ROWS[4:]]
    known, made = statistics(ROWS, 3), statistics(later, 3)
    assert made.events is not None
    cut = replace(made, histories=made.histories.until(CUT), interactions=made.events.until(CUT))
    assert known.preference is not None
    pairs = np.array([0, 0, 1, 2], np.int32), np.array([0, 1, 1, 3], np.int32)
    before, after = (BehaviourTable(s).columns(s.customers(slice(0, 3)), *pairs) for s in (known, cut))
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)


def test_a_reason_names_what_was_left_in_the_cart_and_what_was_looked_at():
    made = statistics(ROWS, 3)
    candidate_set = CandidateSet(made, Budget(), None, np.zeros(0, np.int32), 28)
    (batch,) = list(candidate_set.batches())
    facts = Facts(made, pd.DataFrame({"title": TITLES, "type": ["scarf", "scarf", "jeans", "jeans", "scarf", "hat"]}))
    names = candidate_set.features
    families = ("cart", "looked", "looked_like")

    def reasons(customer: int, item: int, family: str) -> str:
        (row,) = np.flatnonzero((batch.customer == customer) & (batch.item == item))
        moved = np.zeros((1, len(names)), np.float32)
        moved[0, names.index({"cart": "waiting", "looked": "visits", "looked_like": "score_content"}[family])] = 1.0
        pair = batch.customer[[row]], batch.item[[row]]
        return explain(batch.features[[row]], names, moved, *pair, facts, "en").texts[0]

    assert [reasons(0, 0, family) for family in families] == [
        "left in your cart, last seen 2 days ago",
        "you looked at it 2 days ago",
        "new: nobody has bought it yet",
    ]
    assert reasons(0, 1, "looked_like") == "like red wool scarf, which you looked at in 1 visit"
    assert reasons(0, 1, "looked") == "a guess from all that you bought"


def test_what_has_ended_is_in_no_list_and_what_ends_later_is():
    made = statistics(ROWS, 3)
    ended = made.catalogue.until_day.copy()
    ended[[0, 1, 4]] = CUT, CUT + 1, CUT
    shop = replace(made, catalogue=replace(made.catalogue, until_day=ended))
    assert shop.listed.tolist() == [False, True, True, True, False, True]
    assert shop.launched(28).tolist() == [1, 2, 3, 5]
    (batch,) = list(CandidateSet(shop, Budget(), None, np.zeros(0, np.int32), 28).batches())
    assert set(batch.item.tolist()) == {1, 2, 3, 5}
