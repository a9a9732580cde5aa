"""BM25 by hand, and words of English and Chinese."""

import math

import numpy as np
import pytest

from nightmarket.encoding.terms import pieces, words
from nightmarket.retrieval.search.lexical import BM25, whole

SHELF = [
    "儿童无乳糖牛奶 250ml",
    "全脂牛奶 1L",
    "儿童牙膏 草莓味",
    "无糖可乐",
    "婴儿湿巾",
]


def best(index, query):
    scores = index.scores([query])[0]
    return [row for row in np.argsort(-scores, kind="stable").tolist() if np.isfinite(scores[row])]


def test_a_score_is_the_formula_worked_out_by_hand():
    index = BM25.of(["oat milk", "oat oat bread roll", "tea"], whole)
    mean = (2 + 4 + 1) / 3
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [
        idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / mean)),
        idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / mean)),
    ]
    scores = index.scores(["OAT"])[0]
    assert scores[:2] == pytest.approx(expected, rel=1e-6)
    assert scores[2] == -np.inf


def test_a_term_twice_in_the_query_counts_twice_and_an_unknown_one_not_at_all():
    index = BM25.of(["oat milk", "tea"], whole)
    once, twice, more = index.scores(["oat", "oat oat", "oat zebra"])
    assert twice[0] == pytest.approx(2 * once[0])
    assert more[0] == once[0]


def test_words_are_folded_numbers_kept_and_chinese_given_as_characters_and_pairs():
    assert words("Ｍilk, 14.5 OZ don't") == ["milk", "14.5", "oz", "don", "t"]
    assert words("牛奶250ml") == ["牛", "奶", "牛奶", "250", "ml"]
    assert words("?! —") == []


@pytest.mark.parametrize(
    ("query", "first"),
    [("儿童无乳糖牛奶", 0), ("全脂 牛奶", 1), ("给孩子用的儿童牙膏", 2), ("无糖 可乐", 3), ("湿巾", 4)],
)
@pytest.mark.parametrize("terms", [whole, pieces])
def test_chinese_questions_find_their_product_first(query, first, terms):
    assert best(BM25.of(SHELF, terms), query)[0] == first


def test_pairs_of_characters_tell_words_apart_that_share_characters():
    scores = BM25.of(["奶牛 玩具", "牛奶"], whole).scores(["牛奶"])[0]
    assert scores[1] > scores[0]


def test_pieces_find_another_form_of_a_word_and_whole_words_do_not():
    shelf = ["Kids cereals", "Tomato soup"]
    assert best(BM25.of(shelf, whole), "cereal") == []
    assert best(BM25.of(shelf, pieces), "cereal") == [0]


def test_no_texts_and_empty_texts_are_no_error():
    assert BM25.of([], pieces).scores(["milk"]).shape == (1, 0)
    assert (BM25.of(["", "?"], pieces).scores(["milk", ""]) == -np.inf).all()


def test_the_same_texts_give_the_same_bytes():
    first, other = (BM25.of(SHELF, pieces).scores(["儿童 250ml"]) for _ in range(2))
    assert first.tobytes() == other.tobytes()
