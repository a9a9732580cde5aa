"""A search by words: what it finds, worked out by hand, in both scripts and with letters missing."""

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.serving.live.word_index import WordIndex

TEXTS = ["Oat cereals 250 g", "Shampoo for dry hair", "儿童牛奶 250 G", "Cereals with milk", "Dry dog food"]
TEXT_OF = np.array([0, 1, 2, 3, 4, 1, 0], np.int32)
POPULARITY = np.array([1, 1, 1, 1, 1, 9, 3], np.float32)
INDEX = WordIndex.of(TEXTS, TEXT_OF, POPULARITY)


def found(query, index=INDEX, may=lambda items: items >= 0, num=10):
    return index.find(query, POPULARITY, may, num)[0].tolist()


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("oat", [6, 0]),  # of one text what is more in demand comes first
        ("cereal", [3, 6, 0]),  # a word says more in a short text
        ("shmapoo", [5, 1]),
        ("牛奶", [2]),
        ("SHAMPOO", [5, 1]),
        ("dry food", [4, 5, 1]),
        ("zzzz", []),
    ],
)
def test_words_find_the_texts_that_hold_them_or_words_spelt_nearly_so(query, items):
    assert sorted(found(query)) == sorted(items)
    assert found(query)[:1] == items[:1]


def test_what_may_not_be_shown_is_not_found_and_makes_room():
    assert found("cereal", may=lambda items: items != 3, num=1) == [6]
    scores = INDEX.find("dry food", POPULARITY, lambda items: items >= 0, 10)[1]
    assert (np.diff(scores) <= 0).all()


def test_an_index_is_the_same_from_its_arrays():
    again = WordIndex.from_tensors(INDEX.tensors())
    for query in ("cereal", "dry food", "牛奶 250"):
        assert found(query, again) == found(query)


def test_an_index_of_no_texts_finds_nothing_and_words_without_letters_are_refused():
    empty = WordIndex.of([], np.zeros(0, np.int32), np.zeros(0, np.float32))
    assert found("milk", empty) == []
    with pytest.raises(InputError, match="query: say what to look for"):
        found("?!")


def test_many_texts_give_the_best_first_however_few_of_them_may_be_shown():
    rng = np.random.default_rng(4)
    names = ["red", "green", "blue", "coat", "shirt", "boots", "linen", "wool"]
    texts = [" ".join(rng.choice(names, rng.integers(2, 6))) for _ in range(3000)]
    own, demand = np.arange(3000, dtype=np.int32), rng.random(3000).astype(np.float32)
    index = WordIndex.of(texts, own, demand)
    every = index.find("red wool boots", demand, lambda items: items >= 0, 3000)
    for some in (2, 7):
        items, scores = index.find("red wool boots", demand, lambda items, some=some: items % some == 0, 20)
        best = np.sort(every[1][every[0] % some == 0])[::-1][:20]
        assert scores == pytest.approx(best)
        assert (items % some == 0).all()
