import numpy as np
import pytest

from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.nearest import best_items, score
from nightmarket.retrieval.recency import AGES, age_bin
from nightmarket.retrieval.tower import INTENTS, Tower, TowerConfig, item_matrix


def test_items_of_one_text_come_by_popularity_then_by_row():
    text_id = np.array([0, 1, 0, 0, 1], np.int32)
    customers, texts = np.array([[1.0]], np.float32), np.array([[0.2], [0.9]], np.float32)
    popularity = np.array([1, 4, 7, 1, 4])
    best = best_items(customers, texts, text_id, np.ones(5, bool), popularity, np.array([0]), k=6)
    assert best[0].tolist() == [1, 4, 2, 0, 3, -1]


def test_what_was_bought_and_what_is_no_candidate_is_left_out():
    text_id = np.arange(4, dtype=np.int32)
    texts = np.array([[0.9], [0.8], [0.7], [0.6]], np.float32)
    exclude = (np.array([0, 1, 1]), np.array([0], np.int32))
    candidates = np.array([True, False, True, True])
    best = best_items(
        np.ones((2, 1), np.float32), texts, text_id, candidates, np.zeros(4), np.array([0, 1]), k=2, exclude=exclude
    )
    assert best.tolist() == [[2, 3], [0, 2]]


def test_it_is_the_whole_ranking_that_brute_force_gives():
    rng = np.random.default_rng(2)
    text_id = rng.integers(0, 40, 300).astype(np.int32)
    texts, customers = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(7, 5)).astype(np.float32)
    popularity, candidates = rng.integers(0, 9, 300), rng.random(300) < 0.7
    bought = [np.sort(rng.choice(300, 60, replace=False)).astype(np.int32) for _ in range(7)]
    exclude = (np.arange(8) * 60, np.concatenate(bought))
    best = best_items(customers, texts, text_id, candidates, popularity, np.arange(7), k=30, exclude=exclude)
    for c in range(7):
        allowed = np.setdiff1d(np.flatnonzero(candidates), bought[c])
        scores = (texts @ customers[c])[text_id[allowed]]
        order = np.lexsort((allowed, -popularity[allowed], text_id[allowed], -scores))
        assert best[c].tolist() == allowed[order][:30].tolist()


def test_no_candidates_give_empty_lists():
    best = best_items(
        np.ones((1, 1), np.float32),
        np.ones((1, 1), np.float32),
        np.zeros(1, np.int32),
        np.zeros(1, bool),
        np.zeros(1),
        np.array([0]),
        k=3,
    )
    assert best.tolist() == [[-1, -1, -1]]


def test_score_in_chunks_is_the_matrix_product():
    rng = np.random.default_rng(0)
    customers, items = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    chunks = list(score(customers, items, chunk=2))
    assert [start for start, _ in chunks] == [0, 2, 4]
    assert np.concatenate([values for _, values in chunks]) == pytest.approx(customers @ items.T, abs=1e-6)


def test_ages_fall_into_bins_that_hold_them():
    assert age_bin(np.array([0, 1, 4, 5, 6, 200])).tolist() == [0, 1, 4, 4, 5, len(AGES) - 1]
    assert AGES[4] == 4.5


def lines(customer, item, week, num_customers):
    ints = [np.array(a, np.int32) for a in (customer, item, week)]
    floats, zeros = np.ones(len(week), np.float32), np.zeros(len(week), np.int32)
    return Histories(
        *ints, ints[2] * 7 + 4, floats, floats, floats, zeros, zeros, num_customers=num_customers, num_items=4
    )


@pytest.fixture(scope="module")
def tower():
    return Tower(TowerConfig(text_dim=6, dim=5, hidden=7), seed=3)


def test_a_customer_vector_knows_nothing_of_later_weeks_and_has_unit_norm(tower):
    vectors = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    early = tower.customers(vectors, lines([0, 0, 1], [1, 2, 3], [3, 4, 4], 3), last_day(5))
    more = tower.customers(vectors, lines([0, 0, 0, 1], [1, 2, 0, 3], [3, 4, 6, 4], 3), last_day(5))
    assert np.array_equal(early, more)
    assert np.linalg.norm(early[:2], axis=1) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(early[2]).all()
    assert np.abs(early[0] - early[1]).max() > 1e-3


def test_rows_limit_the_customers_that_are_computed(tower):
    vectors = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    shop = lines([0, 0, 1], [1, 2, 3], [3, 4, 4], 3)
    some = tower.customers(vectors, shop, last_day(5), rows=np.array([1]))
    assert some[1] == pytest.approx(tower.customers(vectors, shop, last_day(5))[1], abs=1e-6)
    assert not some[[0, 2]].any()


def test_a_tower_comes_back_from_tensors_and_config(tower):
    tensors, config = tower.save()
    again = Tower.load(tensors, config)
    vectors = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    assert np.array_equal(again.items(vectors), tower.items(vectors))
    shop = lines([0, 0, 1], [1, 2, 3], [3, 4, 4], 2)
    for intent in INTENTS:
        assert np.array_equal(
            again.customers(vectors, shop, last_day(9), intent), tower.customers(vectors, shop, last_day(9), intent)
        )


@pytest.mark.parametrize("damage", ["missing", "nan", "shape"])
def test_a_damaged_tower_is_refused_by_the_name_of_its_tensor(tower, damage):
    tensors, config = tower.save()
    if damage == "missing":
        del tensors["item_linear.weight"]
    elif damage == "nan":
        tensors["item_linear.weight"][0, 0] = np.nan
    else:
        tensors["item_linear.weight"] = tensors["item_linear.weight"][:, :2]
    with pytest.raises(ValueError, match=r"item_linear\.weight"):
        Tower.load(tensors, config)


def test_items_of_one_text_share_a_vector():
    matrix = item_matrix(np.array([[1, 0], [0, 1]], np.float16), np.array([1, 0, 1], np.int32))
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[0, 1], [1, 0], [0, 1]]
