"""preference, sizes: who likes what within a kind is told from what their kinds are, and which size they take."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nightmarket.histories.catalogue import Catalogue, catalogue
from nightmarket.histories.interactions import GUEST, KINDS, Interactions
from nightmarket.ranking import preference
from nightmarket.ranking.sizes import SizeShares

VIEW, CART, PURCHASE, RETURN = (KINDS.index(kind) for kind in ("view", "cart", "purchase", "return"))
STYLES, KINDS_SOLD, MODELS, CUSTOMERS = 4, 5, 60, 300
TODAY = 100


def shop(kind, group=None, size=None) -> Catalogue:
    """Products of these kinds, groups and sizes."""
    num = len(kind)
    products = pd.DataFrame({"text_id": np.arange(num), "department": "all", "category": "all", "recommendable": True})
    products["type"] = [f"kind {code}" for code in kind]
    products["maker"] = products["brand"] = ""
    products["size"] = size if size is not None else None
    products["group"] = np.arange(num) if group is None else group
    return catalogue(products)


def done(customer, item, kind=VIEW, day=TODAY - 1, num_items=0) -> Interactions:
    """Events by customer, each customer's in one session."""
    customer, item = np.array(customer, np.int32), np.array(item, np.int32)
    order = np.argsort(customer, kind="stable")
    fill = np.broadcast_to(np.array(kind, np.int8), customer.shape)[order]
    days = np.full(customer.size, day, np.int32)
    people = int(customer.max(initial=-1)) + 1
    return Interactions(
        customer[order], item[order], days, days.astype(np.int64) * 86_400, fill, customer[order] + 1,
        people, max(num_items, int(item.max(initial=-1)) + 1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def world():
    """Customers who each like one of four styles and look at one or two of five kinds; a vector of eight numbers that
    shows kind and style and, louder than both, something that nobody minds."""
    rng = np.random.default_rng(5)
    kind, style = np.repeat(np.arange(KINDS_SOLD), MODELS), rng.integers(0, STYLES, KINDS_SOLD * MODELS)
    noise = rng.normal(size=(kind.size, 6))
    known = np.hstack([rng.normal(size=(KINDS_SOLD, 6))[kind] + rng.normal(size=(STYLES, 6))[style], 4 * noise])
    likes = rng.integers(0, STYLES, CUSTOMERS)
    customer, item = [], []
    for who in range(CUSTOMERS):
        of = np.flatnonzero(np.isin(kind, rng.integers(0, KINDS_SOLD, 2)) & (style == likes[who]))
        anything = rng.integers(0, kind.size, 6)
        for what in [*rng.choice(of, 6), *anything]:
            customer.append(who)
            item.append(what)
    return shop(kind), known.astype(np.float32), style, likes, done(customer, item, num_items=kind.size)


def test_the_style_is_found_in_kinds_that_a_customer_never_looked_at(world):
    goods, known, style, likes, events = world
    liked = preference.fit(events, TODAY, known, goods)
    scores = liked.customers(events, TODAY) @ liked.items.T
    own = style[None, :] == likes[:, None]
    seen = events.entries().toarray() > 0
    unmet = np.stack([~np.isin(goods.kind, goods.kind[row]) for row in seen])
    better = [scores[c][own[c] & unmet[c]].mean() > scores[c][~own[c] & unmet[c]].mean() for c in range(CUSTOMERS)
              if unmet[c].any()]  # fmt: skip
    assert np.mean(better) > 0.9


def test_what_nobody_minds_counts_for_nothing(world):
    goods, known, _, _, events = world
    liked = preference.fit(events, TODAY, known, goods)
    weight = liked.spread @ np.abs(np.linalg.lstsq(known, liked.items, rcond=None)[0].T)
    assert weight[:6].mean() > 5 * weight[6:].mean()


def test_a_customer_of_little_evidence_is_drawn_to_the_middle(world):
    goods, known, _, _, events = world
    liked = preference.fit(events, TODAY, known, goods)
    few = events.where(np.arange(len(events)) % 12 == 0)
    much, little = (np.linalg.norm(liked.customers(some, TODAY), axis=1).mean() for some in (events, few))
    assert 0 < little < 0.7 * much
    assert not liked.customers(events.where(events.customer < 0), TODAY).any()


def test_sizes_of_a_product_count_as_one(world):
    goods, known, _, _, events = world
    num = goods.num_items
    twice = shop(np.tile(goods.kind, 2), np.tile(goods.group, 2))
    spread = replace(events, item=events.item + num * (np.arange(len(events)) % 2).astype(np.int32), num_items=2 * num)
    once = preference.fit(events, TODAY, known, goods)
    both = preference.fit(spread, TODAY, np.tile(known, (2, 1)), twice)
    np.testing.assert_allclose(
        both.customers(spread, TODAY) @ both.items[:num].T, once.customers(events, TODAY) @ once.items.T, atol=1e-4
    )


def test_a_cart_shows_more_than_a_look_where_carts_follow_the_style(world):
    goods, known, style, likes, events = world
    rng = np.random.default_rng(6)
    who = np.repeat(np.arange(CUSTOMERS), 4)
    what = [rng.choice(np.flatnonzero(style == likes[c])) for c in who]
    carts = done(who, what, CART, num_items=goods.num_items)
    columns = {
        name: np.concatenate([getattr(events, name), getattr(carts, name)])
        for name in ("customer", "item", "day", "second", "kind", "session")
    }
    liked = preference.fit(replace(events, **columns), TODAY, known, goods)
    assert liked.signal[1] > 1.2 * liked.signal[0]


@pytest.mark.parametrize("customers", [[], [0], [0, 1, 2]])
def test_where_nobody_met_two_products_nothing_is_preferred(customers):
    goods = shop([0, 0, 1])
    events = done(customers, np.arange(len(customers)), num_items=3)
    assert preference.fit(events, TODAY, np.eye(3, dtype=np.float32), goods) is None


def test_guests_teach_and_one_kind_of_equal_products_says_nothing():
    goods = shop([0, 0, 0])
    events = done([GUEST] * 4, [0, 1, 0, 2], num_items=3)
    assert preference.fit(events, TODAY, np.zeros((3, 2), np.float32), goods) is None
    assert preference.fit(events, TODAY, np.zeros((3, 0), np.float32), goods) is None


def test_words_are_described_within_their_kind():
    goods = shop([0, 0, 1, 1])
    words = sparse.csr_matrix(np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], np.float32))
    known = preference.described(goods, words, None)
    np.testing.assert_allclose(known[0], known[2], atol=1e-5)  # the kinds' own words are gone
    assert np.abs(known[0] - known[1]).max() > 0.5


def test_a_customers_size_is_told_by_what_they_did_in_any_kind_that_comes_in_it():
    size = ["S", "M", "S", "M", "38", "40", None]
    goods = shop([0, 0, 1, 1, 2, 2, 3], size=size)
    events = done([0, 0, 0, 0, 1], [0, 0, 0, 1, 4], num_items=7)
    sizes = SizeShares.of(goods, events, TODAY)
    shares = sizes.shares(events, TODAY, np.arange(7, dtype=np.int32))
    assert shares[0, 2] > 0.6 > 0.4 > shares[0, 3]  # never looked at the second kind
    np.testing.assert_allclose(shares[0, 4:6], sizes.usual[4:6], atol=1e-6)
    np.testing.assert_allclose(shares[:, [0, 1]].sum(axis=1), 1, atol=1e-6)
    assert shares[0, 6] == 1
    assert np.isnan(sizes.of_pairs(events, TODAY, *np.array([[0], [6]], np.int32))[0])
    pairs = sizes.of_pairs(events, TODAY, np.array([0, 1], np.int32), np.array([2, 4], np.int32))
    np.testing.assert_allclose(pairs, [shares[0, 2], shares[1, 4]])


def test_what_came_back_is_not_the_customers_size():
    goods = shop([0, 0], size=["S", "M"])
    events = done([0, 0, 0], [0, 0, 1], [PURCHASE, RETURN, VIEW], num_items=2)
    shares = SizeShares.of(goods, events, TODAY).shares(events, TODAY, np.arange(2, dtype=np.int32))
    assert shares[0, 1] > shares[0, 0] > 0


def test_a_shop_without_sizes_has_none():
    assert SizeShares.of(shop([0, 1]), done([0], [1]), TODAY) is None
