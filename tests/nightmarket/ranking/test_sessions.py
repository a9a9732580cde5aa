"""Answers to visitors: small shops whose right answer is worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import GUEST, KINDS, Interactions
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking import factors
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.sessions import co_visits, learning, orders
from nightmarket.ranking.sessions.answers import answer
from nightmarket.ranking.sessions.co_visits import HALF_LIFE, SHRINK
from nightmarket.ranking.sessions.features import FEATURES, NAMES, Asked, folded
from nightmarket.ranking.sessions.learning import learn
from nightmarket.ranking.sessions.orders import SessionOrder, SessionOrders
from nightmarket.ranking.sessions.reasons import SENTENCES, ShownNames, reasons
from nightmarket.ranking.sessions.shop import SessionShop, as_events, build, remembered
from nightmarket.ranking.sessions.visits import DAY, Visit

VIEW, CART, PURCHASE, RETURN = (KINDS.index(kind) for kind in ("view", "cart", "purchase", "return"))
CUT = 100
NUM_ITEMS = 12
SHOES, HATS = 0, 1
TITLES = [f"{'shoe' if item % 2 == SHOES else 'hat'} {item}" for item in range(NUM_ITEMS)]
"""Even items are shoes, odd ones hats; the shop ended item 8 today, and item 10 comes on sale tomorrow."""
PLAIN = SessionOrders.plain()


def events(rows: list[tuple[int, int, int, int, int]], num_customers: int = 4) -> Interactions:
    """Of (customer, item, day, kind, session) in order; events of a session lie a minute apart."""
    customer, item, day, kind, session = np.array(rows, np.int32).reshape(-1, 5).T
    second = day.astype(np.int64) * DAY + 60 * np.arange(day.size)
    return Interactions(customer, item, day, second, kind.astype(np.int8), session, num_customers, NUM_ITEMS)


def statistics(made: Interactions, cut: int = CUT) -> PointInTimeStatistics:
    bought = made.kinds(PURCHASE)
    ones, zeros = np.ones(len(bought), np.float32), np.zeros(len(bought), np.int32)
    lines = Histories(
        bought.customer, bought.item, bought.day // 7, bought.day, ones, ones, 0 * ones, bought.session, zeros,
        made.num_customers, NUM_ITEMS,
    )  # fmt: skip
    products = pd.DataFrame({"text_id": range(NUM_ITEMS), "recommendable": True, "brand": "b", "maker": "m"})
    products[["department", "category"]] = "wear"
    products["type"] = ["shoe", "hat"] * (NUM_ITEMS // 2)
    products["from_day"] = [0] * 10 + [CUT + 2, 0]
    products["until_day"] = [NEVER] * 8 + [CUT + 1] + [NEVER] * 3
    products["list_price"] = 10.0
    none = np.zeros(0, np.int32)
    promotions = Promotions(none, none, np.zeros(0, np.float32), np.zeros(0, np.float32))
    return PointInTimeStatistics(lines.until(cut), catalogue(products), cut, promotions, made.until(cut))


def asks(*did: tuple[int, int], ago: int = 0, **context) -> Visit:
    """A visit of the day after the cut: (item, kind) a minute apart, the last of them now or some days ago."""
    now = (CUT + 1) * DAY + 40_000
    second = now - ago * DAY - 60 * np.arange(len(did))[::-1]
    item, kind = np.array(did, np.int32).reshape(-1, 2).T
    return Visit(item, kind.astype(np.int8), second.astype(np.int64), now, CUT + 1, **context)


def after(first: Visit, then: Visit) -> Visit:
    """One visitor's earlier visit, and this one."""
    joined = {name: np.concatenate([getattr(first, name), getattr(then, name)]) for name in ("item", "kind", "second")}
    return replace(then, **joined)


ROWS = [
    (GUEST, 0, 100, VIEW, 0),
    (GUEST, 2, 100, VIEW, 0),
    (GUEST, 4, 100, VIEW, 0),
    (GUEST, 8, 100, VIEW, 1),
    (GUEST, 0, 100, VIEW, 1),
    (0, 0, 70, VIEW, 2),
    (0, 2, 70, CART, 2),
    (1, 1, 95, PURCHASE, 3),
    (1, 3, 99, VIEW, 4),
    (2, 5, 100, VIEW, 5),
    (2, 5, 100, VIEW, 6),
]


@pytest.fixture(scope="module")
def shop() -> SessionShop:
    return build(statistics(events(ROWS)), None)


def value(near: co_visits.CoVisits, item: int, other: int) -> float:
    return float(near.sums(np.array([item], np.int32), np.ones(1, np.float32), np.array([other], np.int32))[0])


def test_what_is_met_together_is_counted_by_nearness_and_age_over_how_often_the_first_was_met(shop):
    new, old = 0.5 ** (1 / HALF_LIFE), 0.5 ** (31 / HALF_LIFE)
    often = 2 * new + old  # item 0: twice yesterday, once a month ago
    assert value(shop.near, 0, 2) == pytest.approx((new + old) / (often + SHRINK), rel=1e-3)
    assert value(shop.near, 0, 4) == pytest.approx(new / np.sqrt(2) / (often + SHRINK), rel=1e-3)
    assert value(shop.near, 4, 0) == pytest.approx(new / np.sqrt(2) / (new + SHRINK), rel=1e-3)
    assert value(shop.near, 0, 5) == value(shop.near, 5, 5) == 0


def test_what_leads_to_a_cart_and_what_follows_a_purchase_have_a_direction(shop):
    old, bought = 0.5 ** (31 / HALF_LIFE), 0.5 ** (6 / HALF_LIFE)
    often = 2 * 0.5 ** (1 / HALF_LIFE) + old
    assert value(shop.leads, 0, 2) == pytest.approx(old / (often + SHRINK), rel=1e-3)
    assert value(shop.leads, 2, 0) == 0
    assert value(shop.follows, 1, 3) == pytest.approx(bought / (bought + SHRINK), rel=1e-3)
    assert value(shop.follows, 3, 1) == 0


def test_each_item_keeps_its_strongest_neighbours_and_equal_ones_by_number(monkeypatch):
    monkeypatch.setattr(co_visits, "NEIGHBOURS", 2)
    near = co_visits.in_session(events([(0, 1, 100, VIEW, 0), (0, 9, 100, VIEW, 0), (0, 4, 100, VIEW, 0),
                                        (1, 9, 100, VIEW, 1), (1, 6, 100, VIEW, 1)]), CUT + 1)  # fmt: skip
    assert near.item[near.indptr[9] : near.indptr[10]].tolist() == [1, 4]
    assert near.item[near.indptr[1] : near.indptr[2]].tolist() == [9, 4]


def test_pairs_are_the_same_when_they_are_counted_in_small_blocks(monkeypatch):
    rng = np.random.default_rng(5)
    who, what = np.sort(rng.integers(0, 4, 200)), rng.integers(0, NUM_ITEMS, 200)
    made = events(
        [(int(customer), int(item), 100, VIEW, int(customer)) for customer, item in zip(who, what, strict=True)]
    )
    whole = co_visits.in_session(made, CUT + 1)
    monkeypatch.setattr(co_visits, "BLOCK", 7)
    parts = co_visits.in_session(made, CUT + 1)
    for name in ("indptr", "item", "value"):
        assert getattr(whole, name).tolist() == getattr(parts, name).tolist()


def test_a_visit_ends_with_half_an_hour_without_an_event():
    assert asks((0, VIEW), (2, VIEW)).session.tolist() == [True, True]
    assert after(asks((5, VIEW), ago=1), asks((0, VIEW))).session.tolist() == [False, True]
    assert asks((0, VIEW), ago=1).session.tolist() == [False]
    assert asks().session.tolist() == []


def test_an_answer_holds_what_goes_with_what_was_met_and_nothing_that_was_met_itself(shop):
    assert answer(shop, PLAIN, asks((0, VIEW)), 2).items.tolist() == [2, 4]
    assert answer(shop, PLAIN, asks((0, VIEW), (2, VIEW)), 1).items.tolist() == [4]
    assert 0 in answer(shop, PLAIN, asks((0, VIEW)), 12, again=True).items


@pytest.mark.parametrize("visit", [asks(), asks((0, VIEW)), after(asks((8, VIEW), ago=1), asks((2, CART)))])
def test_an_answer_never_holds_what_has_ended_is_announced_or_cannot_be_had_just_now(shop, visit):
    kept = answer(shop, PLAIN, replace(visit, may=lambda items: items != 4), 12).items
    assert kept.size
    assert not np.isin([4, 8, 10], kept).any()


def test_what_came_back_is_not_shown_again_unless_it_was_bought_again(shop):
    back = asks((4, PURCHASE), (4, RETURN), ago=3)
    assert 4 not in answer(shop, PLAIN, after(back, asks((0, VIEW))), 12).items
    again = after(after(back, asks((4, PURCHASE), ago=1)), asks((0, VIEW)))
    assert 4 in answer(shop, PLAIN, again, 12).items


def test_a_page_of_a_category_is_answered_with_its_products_alone_and_the_popular_first(shop):
    hats = np.arange(1, NUM_ITEMS, 2, dtype=np.int32)

    def is_hat(items):
        return items % 2 == HATS

    by_nothing = answer(shop, PLAIN, asks(page=hats, may=is_hat), 12).items
    assert by_nothing.tolist()[:3] == [1, 5, 3]  # a purchase, two looks, one look of the day before
    assert set(by_nothing.tolist()) == set(hats.tolist())
    assert set(answer(shop, PLAIN, asks((0, VIEW), page=hats, may=is_hat), 12).items.tolist()) <= set(hats.tolist())


def test_before_anything_was_done_in_the_visit_the_list_of_the_night_comes_first(shop):
    listed = np.array([11, 8, 7], np.int32)  # item 8 has ended since
    assert answer(shop, PLAIN, asks(listed=listed), 2).items.tolist() == [11, 7]
    assert answer(shop, PLAIN, asks((0, VIEW), listed=listed), 1).items.tolist() == [2]


def test_each_feature_is_what_it_says(shop):
    visit = after(asks((2, CART), ago=3), asks((0, VIEW), (1, VIEW)))
    items = np.array([1, 2, 4], np.int32)
    row = dict(zip(NAMES, Asked(shop, visit).features(items)[1].tolist(), strict=True))
    assert set(row) == set(FEATURES)
    assert row["events_now"] == 2
    assert row["events_past"] == row["seen_num"] == row["carted_past"] == 1
    assert row["seen_ago"] == 3
    assert row["kind_now"] == pytest.approx(0.8 / 1.8)  # the look at a shoe came before that at a hat
    assert row["kind_past"] == row["text_past"] == 1
    assert row["text_now"] == 0
    assert row["price_now"] == row["price_past"] == 0
    assert row["days_on_sale"] == CUT + 1
    assert row["score_near_last"] == row["score_met"] == 0
    assert row["score_near"] == pytest.approx(0.8 * value(shop.near, 0, 2), rel=1e-3)
    assert np.isnan(row["score_taste"])


def test_a_visitor_has_the_factors_that_the_night_gives_a_customer(monkeypatch):
    made = events([(c, (c % 2 + 2 * i) % NUM_ITEMS, 100, VIEW, c) for c in range(4) for i in range(4)])
    known = statistics(made)
    learned = factors.fit(made, CUT + 1, factors.attributes(known.catalogue, None))
    done = factors.strengths(made, CUT + 1, made.customer, 4)
    items, strength = done.indices[done.indptr[2] : done.indptr[3]], done.data[done.indptr[2] : done.indptr[3]]
    own = folded(learned, items, strength / np.float32(0.2))
    assert own == pytest.approx(learned.customers(done)[2], abs=1e-4)


def test_baskets_stand_for_visits_where_nothing_else_is_recorded():
    made = statistics(events([(1, 0, 99, PURCHASE, 7), (0, 4, 100, PURCHASE, 3), (0, 2, 100, PURCHASE, 3)]))
    lines = as_events(made.histories)
    assert lines.customer.tolist() == [0, 0, 1]
    assert lines.session.tolist() == [0, 0, 1]
    alone = build(replace(made, interactions=None), None)
    assert answer(alone, PLAIN, asks((4, PURCHASE)), 1).items.tolist() == [2]


def test_the_last_events_of_each_customer_are_remembered_and_no_guest():
    past = remembered(events(ROWS), most=1)
    assert [past.of(customer)[0].tolist() for customer in (-1, 0, 1, 2, 3)] == [[], [2], [3], [5], []]


def test_an_answer_is_the_same_from_the_file(shop):
    made = statistics(events(ROWS))
    with_factors = build(made, factors.fit(made.events, CUT + 1, factors.attributes(made.catalogue, None)))
    for known in (shop, with_factors):
        again = SessionShop.of(known.tensors(), known.catalogue)
        visit = after(asks((1, PURCHASE), ago=2), asks((0, VIEW)))
        told, items = Asked(known, visit).features(np.arange(NUM_ITEMS)), Asked(again, visit).candidates()
        assert items.tolist() == Asked(known, visit).candidates().tolist()
        assert Asked(again, visit).features(np.arange(NUM_ITEMS)) == pytest.approx(told, abs=2e-3, nan_ok=True)


def test_reasons_are_true_and_name_what_the_visitor_did(shop):
    names = ShownNames(TITLES, ["shoe", "hat"] * (NUM_ITEMS // 2))
    visit = after(asks((1, PURCHASE), (7, CART), (9, VIEW), ago=2), asks((0, VIEW)))
    items = np.array([2, 3, 7, 9, 6, 11], np.int32)
    assert reasons(Asked(shop, visit), items, names) == [
        "seen in one visit with shoe 0, which you just looked at",
        "goes with hat 1, which you bought 2 days ago",
        "left in your cart, last seen 2 days ago",
        "you looked at it 2 days ago",
        "shoe, like what you are looking at",
        "one of those most in demand lately",
    ]
    assert reasons(Asked(shop, asks(listed=items[:1])), items[:1], names) == ["on your list of the night"]
    assert SENTENCES["en"].keys() == SENTENCES["zh"].keys()


def regulars(num_days: int) -> Interactions:
    """Each of 40 customers looks at something on every day, then at one of two items of their own."""
    rng = np.random.default_rng(3)
    rows = []
    for customer in range(40):
        own = 2 + rng.permutation(6)[:2]
        for day in range(CUT + 1 - num_days, CUT + 1):
            first, then = rng.choice([0, 1, 9, 11]), rng.choice(own)
            rows += [(customer, item, day, VIEW, customer * num_days + day) for item in (int(first), int(then))]
    return events(rows, num_customers=40)


def learned(made: Interactions, since: int) -> SessionOrder:
    return learn(build(statistics(made, since), None), made, 500, 17).next


def test_an_order_is_learned_where_no_score_alone_tells_what_comes_next():
    made = regulars(24)
    order = learned(made, CUT - 12)
    assert order.order == orders.FOREST
    assert order.difference.low > 0
    known = build(statistics(made), None)
    for customer in range(5):
        item, kind, second = known.past.of(customer)
        own = set(item.tolist()) - {0, 1, 9, 11}
        visit = after(Visit(item, kind, second, 0, 0), asks((9, VIEW)))
        assert set(answer(known, SessionOrders(order, order), visit, 2).items.tolist()) == own


def test_what_is_taken_is_often_what_was_met_and_has_an_order_of_its_own():
    made = regulars(24)
    carts = replace(made, kind=np.where(np.arange(len(made)) % 2 == 1, CART, VIEW).astype(np.int8))
    looked = np.repeat(np.arange(len(made)) // 2 * 2 + 1, 2)[
        : len(made)
    ]  # each visit: the junk, its own item, its cart
    rows = np.sort(np.concatenate([np.arange(len(made)), looked[::2]]))
    twice = carts.where(np.isin(np.arange(len(made)), rows))
    visits = Interactions(
        *(np.asarray(getattr(twice, name))[rows] for name in ("customer", "item", "day", "second", "kind", "session")),
        made.num_customers,
        NUM_ITEMS,
    )
    second = np.flatnonzero(np.diff(rows, prepend=-1) == 0) - 1
    visits.kind[second] = VIEW
    orders = learn(build(statistics(visits, CUT - 12), None), visits, 800, 17)
    known = build(statistics(visits), None)
    visit = asks((9, VIEW), (4, VIEW))
    assert answer(known, orders, visit, 1, again=True).items.tolist() == [4]
    assert 4 not in answer(known, orders, visit, 5).items


def test_too_few_visits_leave_what_goes_with_what():
    order = learned(regulars(24), CUT - 1)
    assert (order.order, order.forest, order.num_visits < learning.MIN_VISITS) == ("score_near", None, True)


def test_a_forest_that_a_single_score_beats_orders_nothing(monkeypatch):
    upright = SessionOrder._by_forest
    wrong = staticmethod(lambda forest, rows: -upright(forest, rows))
    monkeypatch.setattr(SessionOrder, "_by_forest", wrong)
    order = learned(regulars(24), CUT - 12)
    assert order.order == order.rival
    assert order.rival.startswith("score_")
    assert order.difference.value < 0


def test_an_order_is_the_same_from_its_file():
    order = learned(regulars(24), CUT - 12)
    again = SessionOrder.of(order.content(), order.forest.text)
    rows = np.random.default_rng(0).random((300, len(NAMES))).astype(np.float32)
    assert again.score(rows).tolist() == order.score(rows).tolist()
    assert again.content() == order.content()


def test_what_happens_after_a_question_does_not_change_it():
    made = regulars(24)
    known = build(statistics(made, CUT - 12), None)
    told = learning.cuts(made, CUT - 12, np.random.default_rng(0), 50)
    assert len(told) == 50
    bounds = np.searchsorted(made.customer, np.arange(41))
    for cut in told:
        assert made.day[cut.first] > CUT - 12
        assert np.unique(made.session[cut.first : cut.end]).size == 1
        visit = learning.visit_at(known, made, cut, bounds)
        later = made.item.copy()
        later[cut.told :] = 11
        other = learning.visit_at(known, replace(made, item=later), cut, bounds)
        assert visit.item.tolist() == other.item.tolist()
        assert visit.item[visit.session].tolist() == made.item[cut.first : cut.told].tolist()
