"""Which products come first: by score, then by what sells most, and never one that may not be found."""

import numpy as np
import pytest

from nightmarket.retrieval.search.index import ItemsByText, fused, similarity
from nightmarket.retrieval.search.quality import search_quality

TEXT_ID = np.array([0, 0, 1, 2, 2, 2])
SOLD = np.array([1, 5, 3, 3, 9, 3])


def test_items_of_one_text_stand_together_and_ties_go_to_what_sells_most():
    shelf = ItemsByText.of(TEXT_ID, SOLD, 3)
    best = shelf.best(np.array([[0.5, 0.5, 0.9], [-np.inf, 0.1, -np.inf]]), 5)
    assert best.tolist() == [[4, 3, 5, 1, 2], [2, -1, -1, -1, -1]]
    assert shelf.best_texts(np.array([0.5, 0.5, 0.5]), 2).tolist() == [2, 0]
    assert shelf.items(0).tolist() == [1, 0]


def test_only_allowed_items_are_found():
    shelf = ItemsByText.of(TEXT_ID, SOLD, 3, np.array([True, False, False, True, False, True]))
    assert shelf.stocked.tolist() == [True, False, True]
    assert shelf.best(np.array([[0.5, 0.9, 0.1]]), 3).tolist() == [[0, 3, 5]]
    assert ItemsByText.of(TEXT_ID, SOLD, 3, np.zeros(6, bool)).best(np.ones((1, 3)), 2).tolist() == [[-1, -1]]


def test_the_best_items_are_those_of_a_full_sort():
    rng = np.random.default_rng(5)
    text_id, sold = rng.integers(0, 40, 300), rng.integers(0, 4, 300)
    scores = rng.integers(0, 6, (20, 40)) / 5  # many ties
    best = ItemsByText.of(text_id, sold, 40).best(scores, 25)
    for row, of_texts in zip(best, scores, strict=True):
        assert row.tolist() == np.lexsort((np.arange(300), -sold, -of_texts[text_id]))[:25].tolist()


def test_quality_of_vectors_is_that_of_hand_counted_places():
    texts = np.eye(3, dtype=np.float32)
    queries = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]], np.float32)
    relevant = (np.array([0, 2, 2]), np.array([2, 0], np.int32))
    quality = search_quality(texts, queries, relevant, TEXT_ID, SOLD)  # 4 3 5 | 2 | 1 0
    assert quality["mrr@10"][0] == 1 / 4
    ideal = 1 + 1 / np.log2(3)
    assert quality["ndcg@10"][0] == pytest.approx((1 / np.log2(5) + 1 / np.log2(7)) / ideal)
    assert np.isnan(quality["ndcg@10"][1])


def test_fusion_sums_reciprocal_ranks_and_ties_share_the_best():
    first = np.array([[3.0, 2.0, 2.0, -np.inf]])
    other = np.array([[-np.inf, 0.9, 0.1, -np.inf]])
    assert fused([first, other])[0].tolist() == pytest.approx([1 / 61, 1 / 62 + 1 / 61, 1 / 62 + 1 / 62, -np.inf])
    assert fused([first], depth=1)[0].tolist() == [1 / 61, -np.inf, -np.inf, -np.inf]


def test_similarity_of_half_precision_vectors_in_blocks_is_the_whole_product(monkeypatch):
    monkeypatch.setattr("nightmarket.retrieval.search.index._BLOCK", 7)
    texts = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float16)
    queries = np.ones((2, 5), np.float32)
    assert np.allclose(similarity(queries, texts), queries @ texts.astype(np.float32).T, atol=1e-6)
