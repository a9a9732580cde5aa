"""Latent factors: shops of two tastes whose right order is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.interactions import GUEST, KINDS, Interactions
from nightmarket.ranking import factors

VIEW, PURCHASE, RETURN = (KINDS.index(kind) for kind in ("view", "purchase", "return"))
TODAY, NUM_CUSTOMERS, NUM_ITEMS = 100, 120, 42
NOBODY_SAW = (40, 41)
WORDS = [item % 2 + 2 * (item // 2 % 2) for item in range(NUM_ITEMS)]
"""Each item has one of four words; words 0 and 2 are of the first taste, 1 and 3 of the second: items 40 and 41, which
nobody saw, have words 0 and 1."""


def events(customer, item, kind=VIEW, session=None) -> Interactions:
    customer, item = np.asarray(customer, np.int32), np.asarray(item, np.int32)
    day = np.full(customer.size, 95, np.int32)
    kinds = np.broadcast_to(np.asarray(kind, np.int8), customer.shape)
    sessions = np.arange(customer.size, dtype=np.int32) if session is None else np.asarray(session, np.int32)
    return Interactions(customer, item, day, day * 86_400, kinds, sessions, NUM_CUSTOMERS, NUM_ITEMS)


@pytest.fixture(scope="module")
def looks() -> Interactions:
    """Even customers look at six items of the even words, odd ones at six of the odd; never at the last two items."""
    rng = np.random.default_rng(3)
    rows = [
        (customer, item)
        for customer in range(NUM_CUSTOMERS)
        for item in rng.permutation(np.arange(customer % 2, NUM_ITEMS - 2, 2))[:6]
    ]
    return events(*np.array(rows).T)


@pytest.fixture(scope="module")
def words() -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(NUM_ITEMS, np.float32), (range(NUM_ITEMS), WORDS)))


def scores(learned: factors.Factors, done: Interactions) -> np.ndarray:
    return learned.customers(factors.strengths(done, TODAY, done.customer, NUM_CUSTOMERS)) @ learned.items.T


def test_what_nobody_saw_goes_to_those_who_like_its_word_also_under_its_other_name(looks, words):
    only_other_name = looks.where(np.isin(looks.item, np.flatnonzero(np.array(WORDS) >= 2)))
    made = scores(factors.fit(looks, TODAY, words), only_other_name)
    met = np.isin(np.arange(NUM_CUSTOMERS), only_other_name.customer)
    first, second = made[met, NOBODY_SAW[0]], made[met, NOBODY_SAW[1]]
    assert ((first > second) == (np.flatnonzero(met) % 2 == 0)).mean() > 0.95


def test_what_a_customer_has_not_seen_of_their_taste_stands_above_the_other_taste(looks, words):
    made = scores(factors.fit(looks, TODAY, words), looks)[:, : NUM_ITEMS - 2]
    seen = np.zeros(made.shape, bool)
    seen[looks.customer, looks.item] = True
    same = np.arange(NUM_CUSTOMERS)[:, None] % 2 == np.arange(NUM_ITEMS - 2) % 2
    better = np.searchsorted(np.sort(made[~same]), made[same & ~seen]).mean() / (~same).sum()
    assert better > 0.85  # the chance that one stands above the other


def test_guests_sessions_teach_like_customers(looks, words):
    as_guests = replace(looks, customer=np.full(len(looks), GUEST, np.int32), session=looks.customer)
    named, guests = (factors.fit(of, TODAY, words) for of in (looks, as_guests))
    assert guests.items == pytest.approx(named.items, abs=1e-5)


def test_a_return_takes_back_what_its_purchase_said_and_nothing_more():
    done = events([0, 0, 1], [3, 3, 4], [PURCHASE, RETURN, RETURN])
    assert factors.strengths(done, TODAY, done.customer, NUM_CUSTOMERS).nnz == 0


def test_where_nobody_did_anything_there_are_no_factors(words):
    assert factors.fit(events([], []), TODAY, words) is None


def test_a_solved_row_is_the_minimum_of_its_loss():
    rng = np.random.default_rng(5)
    other = rng.standard_normal((7, 4)).astype(np.float32)
    weights = np.array([0.0, 2.0, 0.0, 0.5, 0.0, 0.0, 1.0])
    unseen, ridge, prior = 0.1, 0.3, rng.standard_normal((1, 4)).astype(np.float32)
    gram = (other.T @ other * unseen).astype(np.float32)
    row = factors.solved(sparse.csr_matrix(weights), other, gram, unseen, np.array([ridge], np.float32), prior)[0]

    def loss(x: np.ndarray) -> float:
        fit = weights * (1 - other @ x) ** 2 - 2 * unseen * (weights > 0) * (other @ x)
        return float(fit.sum() + unseen * ((other @ x) ** 2).sum() + ridge * ((x - prior[0]) ** 2).sum())

    least = loss(row.astype(np.float64))
    assert all(loss(row + step) > least for step in 0.01 * rng.standard_normal((50, 4)))


def test_a_row_of_nothing_keeps_its_prior():
    prior = np.ones((2, 4), np.float32)
    solved = factors.solved(sparse.csr_matrix((2, 7)), np.ones((7, 4)), np.eye(4), 0.1, np.ones(2), prior)
    assert solved.tolist() == prior.tolist()


def test_the_meaning_of_attributes_is_ridge_regression():
    rng = np.random.default_rng(7)
    known = sparse.random(40, 12, 0.3, format="csr", rng=rng, dtype=np.float32)
    own, evidence = rng.standard_normal((40, 3)).astype(np.float32), rng.random(40).astype(np.float32)
    dense = known.toarray()
    exact = np.linalg.solve(dense.T @ (evidence[:, None] * dense) + np.eye(12), dense.T @ (evidence[:, None] * own))
    assert factors.regression(known, own, evidence, np.zeros((12, 3), np.float32)) == pytest.approx(exact, abs=1e-4)


def test_where_words_say_nothing_the_shops_own_vectors_tell_whom_a_new_product_is_for(looks):
    same = dict.fromkeys(("department", "category", "type", "brand", "maker"), "wear")
    days = {"from_day": NEVER, "until_day": NEVER}
    goods = catalogue(pd.DataFrame({"text_id": range(NUM_ITEMS), "recommendable": True} | same | days))
    rng = np.random.default_rng(8)
    vectors = rng.normal(size=(2, 6))[np.arange(NUM_ITEMS) % 2] + 0.2 * rng.normal(size=(NUM_ITEMS, 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    even = np.arange(NUM_CUSTOMERS) % 2 == 0
    right = []
    for given in (vectors, None):
        made = scores(factors.fit(looks, TODAY, factors.attributes(goods, None, given)), looks)
        right.append(((made[:, NOBODY_SAW[0]] > made[:, NOBODY_SAW[1]]) == even).mean())
    assert right[0] > 0.95
    assert right[1] < 0.6
