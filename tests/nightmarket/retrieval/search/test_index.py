"""One question, by words, by meaning and by both; filters and their errors."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.contracts import InputError
from nightmarket.retrieval.search.filters import Filters
from nightmarket.retrieval.search.index import Index, ItemsByText

TEXTS = ["儿童无乳糖牛奶", "全脂牛奶", "oat milk, GROCERY", "dog toy"]
VECTORS = np.eye(4, dtype=np.float16)
SHELF = ItemsByText.of(np.array([0, 1, 2, 2, 3]), np.array([1, 9, 2, 5, 3]), 4)
PRODUCTS = pd.DataFrame(
    {
        "brand": ["Alpha", "Beta", None, "alpha", "Gamma Foods"],
        "department": ["GROCERY"] * 4 + ["TOYS"],
        "category": ["MILK", "MILK", "MILK", "TEA", "TOYS"],
        "type": ["OAT", "WHOLE", "OAT", "GREEN", "DOGS"],
        "price": np.array([1.0, 2.0, np.nan, 4.0, 9.0], np.float32),
        "recommendable": [True, True, True, True, False],
    }
)
LAST = np.array([10, 5, -1, 10, 10])


def test_words_meaning_and_both_answer_with_reasons():
    index = Index.of(TEXTS, VECTORS)
    [first, *_] = index.find("儿童 牛奶", None, SHELF, 3, "words")
    assert (first.text, first.words, first.similarity) == (0, ["儿童", "牛奶"], None)
    vector = np.array([0, 0.6, 0.8, 0], np.float32)
    meant = index.find("zebra", vector, SHELF, 2, "meaning")
    assert [(hit.text, round(hit.similarity, 3)) for hit in meant] == [(2, 0.8), (1, 0.6)]
    assert meant[0].items.tolist() == [3, 2]
    assert [hit.text for hit in index.find("全脂牛奶", vector, SHELF, 2)] == [1, 0]  # 1/61 + 1/62, 1/62 + 1/63; 2: 1/61


def test_a_search_without_words_or_vectors_is_refused():
    index = Index.of(TEXTS)
    with pytest.raises(InputError, match="no letter and no digit"):
        index.find(" ?! ", None, SHELF, 3, "words")
    with pytest.raises(InputError, match="choose words"):
        index.find("milk", None, SHELF, 3, "meaning")


def test_what_no_product_bears_is_not_found():
    shelf = ItemsByText.of(np.array([0, 1, 2, 2, 3]), np.zeros(5), 4, np.array([False, True, False, False, False]))
    assert [hit.text for hit in Index.of(TEXTS).find("牛奶 milk", None, shelf, 9, "words")] == [1]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, [0, 1, 2, 3]),
        ({"brands": ("ALPHA",)}, [0, 3]),
        ({"brands": ("alpha", "beta")}, [0, 1, 3]),
        ({"category": "milk"}, [0, 1, 2]),
        ({"category": "Grocery > milk > oat"}, [0, 2]),
        ({"category": "milk>whole"}, [1]),
        ({"min_price": 2.0}, [1, 3]),
        ({"max_price": 2.0}, [0, 1]),
        ({"sold_weeks": 5}, [0, 3]),
        ({"sold_weeks": 6}, [0, 1, 3]),
        ({"category": "toys"}, []),
    ],
)
def test_a_filter_lets_through_what_it_says(given, passed):
    assert np.flatnonzero(Filters(**given).allowed(PRODUCTS, LAST, 10)).tolist() == passed


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"brands": ("alpa",)}, "brand: the catalogue has no 'alpa'; near it: alpha"),
        ({"brands": ("foods",)}, "near it: gamma foods"),
        ({"brands": ("xyzzy",)}, "has no 'xyzzy'$"),
        ({"category": "mlik"}, "category: the catalogue has no 'mlik'; near it: milk"),
        ({"category": "tea > milk"}, "category: the catalogue has no 'tea > milk'"),
        ({"min_price": 3.0, "max_price": 2.0}, "max_price: 2 is below min_price, 3"),
    ],
)
def test_a_filter_that_nothing_can_pass_is_named_with_what_is_near(given, line):
    with pytest.raises(InputError, match=line):
        Filters(**given).allowed(PRODUCTS, LAST, 10)
