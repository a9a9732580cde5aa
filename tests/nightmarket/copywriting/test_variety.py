"""Variety of texts, against values worked out by hand."""

import math

import pytest

from nightmarket.copywriting.variety import distinct, self_bleu, tokens


def test_a_text_is_cut_into_words_numbers_signs_and_characters():
    assert tokens("It's 20.5% off 牛奶!") == ["it's", "20.5", "%", "off", "牛", "奶", "!"]


def test_distinct_counts_each_gram_once():
    # 8 words, of which milk and tea stand twice: 6 distinct; pairs within texts alone: 6, of which "green tea" twice
    texts = ["green tea milk and", "milk green tea bread"]
    assert distinct(texts, 1) == pytest.approx(5 / 8)
    assert distinct(texts, 2) == pytest.approx(5 / 6)
    assert distinct(["tea"], 2) == 0.0
    assert distinct([], 1) == 0.0


def test_self_bleu_of_two_texts_that_differ_in_the_last_word():
    # Precisions 3/4, (2 + 1)/(3 + 1), (1 + 1)/(2 + 1), (0 + 1)/(1 + 1); lengths are equal, so no penalty.
    expected = (3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    assert self_bleu(["one two three four", "one two three five"]) == pytest.approx(expected)


def test_a_short_text_pays_the_brevity_penalty_and_repeats_count_once():
    # "a b" in "a b c d": all precisions 1 (none of three words), penalty exp(1 - 4/2).
    # "a b c d" in "a b": 2/4, (1 + 1)/(3 + 1), (0 + 1)/(2 + 1), (0 + 1)/(1 + 1), no penalty.
    short, long = math.exp(1 - 4 / 2), (1 / 2 * 1 / 2 * 1 / 3 * 1 / 2) ** (1 / 4)
    assert self_bleu(["a b", "a b c d"]) == pytest.approx((short + long) / 2)
    # "a a" in "a b": one of two is found, as the other text holds it once; "a b" likewise; no pair is shared.
    assert self_bleu(["a a", "a b"]) == pytest.approx((1 / 2 * 1 / 2) ** (1 / 4))


def test_self_bleu_is_one_for_copies_and_nothing_for_texts_without_a_common_word():
    assert self_bleu(["牛奶八折"] * 3) == pytest.approx(1.0)
    assert self_bleu(["green tea", "black coffee"]) == 0.0
    assert self_bleu(["alone"]) == 0.0
