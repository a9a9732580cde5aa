"""Topics that were planted come back; Chinese words are found; names tell topics apart."""

import numpy as np
import pytest
from scipy import sparse

from nightmarket.reviews import documents, topics
from nightmarket.reviews.documents import baskets, kinds, reviews
from nightmarket.reviews.topics import names, overview


def planted(num_topics, num_words=12, num_documents=800, shared=8, seed=0):
    """Documents of one topic each over words of its own, with words that all topics share."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, num_topics, num_documents)
    size = num_topics * num_words + shared
    counts = np.zeros((num_documents, size))
    for row, number in enumerate(topic):
        own = number * num_words + rng.choice(num_words, rng.integers(4, 8), p=_zipf(num_words))
        common = num_topics * num_words + rng.integers(0, shared, 2)
        np.add.at(counts[row], np.concatenate([own, common]), 1)
    return sparse.csr_matrix(counts.astype(np.float32)), topic


def _zipf(num):
    weight = 1 / np.arange(1, num + 1)
    return weight / weight.sum()


@pytest.mark.parametrize("num", [4, 8])
def test_as_many_topics_as_were_planted_are_found_and_told_apart(num):
    counts, topic = planted(num)
    fitted = topics.fit(counts, 17)
    assert fitted.num == num
    label = fitted.assign(counts)
    agree = sum(np.bincount(topic[label == k]).max() for k in range(num)) / topic.size
    assert agree > 0.97


def test_names_are_words_of_the_topic_and_not_those_that_all_share():
    counts, topic = planted(4)
    told = [f"word{i // 12}.{i}" if i < 48 else f"shared{i}" for i in range(56)]
    for number, name in enumerate(names(counts, topic.astype(np.int32), told, 4)):
        assert all(word.startswith(f"word{number}.") for word in name[:3])


def test_random_documents_give_no_stable_coherent_topics():
    rng = np.random.default_rng(1)
    counts = sparse.csr_matrix((rng.random((800, 60)) < 0.1).astype(np.float32))
    fitted = topics.fit(counts, 17, nums=(4, 8))
    assert max(candidate.coherence for candidate in fitted.candidates) < 0.05


def test_npmi_by_hand():
    together = sparse.csc_matrix(np.array([[1, 1], [1, 1], [0, 0], [0, 0]], np.float32))
    assert topics.npmi(together, np.array([0, 1])) == pytest.approx(1.0)
    apart = sparse.csc_matrix(np.array([[1, 0], [0, 1]], np.float32))
    assert topics.npmi(apart, np.array([0, 1])) == -1.0
    independent = sparse.csc_matrix(np.array([[1, 1], [1, 0], [0, 1], [0, 0]], np.float32))
    assert topics.npmi(independent, np.array([0, 1])) == pytest.approx(0.0)


def test_agreement_does_not_depend_on_the_order_of_topics():
    weights = np.eye(3, 7) + 0.1
    assert topics.agreement(weights, weights[[2, 0, 1]]) == pytest.approx(1.0)


def test_few_documents_give_none():
    assert topics.fit(planted(4, num_documents=150)[0], 17) is None


def sentences(num=400, seed=0):
    """Chinese sentences of known words between single letters, so that only frequency can tell what is a word."""
    rng = np.random.default_rng(seed)
    vocabulary = ["味道", "包装", "快递员", "性价比", "牛奶", "面包", "口感", "冰箱"]
    letters = list("天地山水火土木金石日月星云雨风雪花草树鸟鱼虫马牛羊")
    out = []
    for _ in range(num):
        parts = []
        for word in rng.choice(vocabulary, 4, replace=False):
            parts += [word, "".join(rng.choice(letters, rng.integers(1, 3)))]
        out.append("".join(parts))
    return vocabulary, out


def test_chinese_words_are_found_whole_and_nothing_else():
    vocabulary, texts = sentences()
    words = documents.find(texts)
    assert {word for word in words.chance if len(word) > 1} == set(vocabulary)
    assert "快递员" in words.split("快递员来")
    assert words.split("Fresh milk，牛奶 isn’t牛奶") == ["fresh", "milk", "牛奶", "isn't", "牛奶"]


def test_particles_neither_begin_nor_end_a_word():
    words = documents.find(["的书好看", "他的书很厚", "我的书旧了", "你的书呢", "新的书啊", "的书"] * 20)
    assert not [
        word for word in words.chance if len(word) > 1 and (word[0] in documents.EDGES or word[-1] in documents.EDGES)
    ]


def test_a_word_of_19_people_stands_in_no_document():
    texts = ["rare apple pear"] * 19 + ["apple plum"] * 60 + ["grape melon"] * 200
    corpus = reviews(texts, np.arange(len(texts)), np.zeros(len(texts), np.int32))
    assert "rare" not in corpus.words
    assert "apple" in corpus.words
    corpus = reviews(texts, np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int32))
    assert corpus.words == ()


def test_topics_are_numbered_by_size_and_small_ones_are_not_told():
    counts, topic = planted(4, num_documents=700)
    keep = (topic > 0) | (np.cumsum(topic == 0) <= 90)
    counts, topic = counts[keep], topic[keep]
    who = np.arange(topic.size)
    who[topic == 0] = np.arange((topic == 0).sum()) % 19  # many documents of few people
    from nightmarket.reviews.documents import Documents

    told = tuple(f"w{i}" for i in range(counts.shape[1]))
    day = np.full(topic.size, 18_000, np.int32)
    content, label = overview(Documents(counts, who, day, who, told), 17, 26)
    assert len(content["topics"]) == 3
    sizes = [row["num"] for row in content["topics"]]
    assert sizes == sorted(sizes, reverse=True)
    assert [int((label == k).sum()) for k in range(3)] == sizes
    assert (label[topic == 0] == -1).mean() > 0.9


def test_a_type_of_one_word_tells_what_it_belongs_to():
    import pandas as pd

    rows = [
        ("FOOD", "ICE CREAM", "PREMIUM"),
        ("FOOD", "SAUCE", "PREMIUM"),
        ("FOOD", "MILK", "FLUID MILK"),
        ("", "", ""),
    ]
    rows += [("F", "茶", "茶")]
    code, names = kinds(pd.DataFrame(rows, columns=["department", "category", "type"]))
    assert code.tolist() == [0, 1, 2, -1, 3]
    assert names == ["Premium (Ice cream)", "Premium (Sauce)", "Fluid milk", "茶"]


def test_a_basket_counts_a_type_once_and_needs_two():
    from nightmarket.histories.histories import Histories

    num = 60
    basket = np.repeat(np.arange(num), 3)
    item = np.tile([0, 0, 1], num)
    item[:3] = 0  # the first basket holds one type alone
    size = basket.size
    arrays = {"customer": basket, "item": item, "basket": basket, "week": np.zeros(size), "day": basket}
    arrays = {name: values.astype(np.int32) for name, values in arrays.items()} | {"channel": np.zeros(size, np.int32)}
    ones = np.ones(size, np.float32)
    lines = Histories(**arrays, quantity=ones, value=ones, discount=ones, num_customers=num, num_items=2)
    corpus = baskets(lines, np.array([0, 1]), ["milk", "bread"], 17)
    assert corpus.row.tolist() == list(range(1, num))
    assert corpus.counts.toarray().tolist() == [[1.0, 1.0]] * (num - 1)
    assert corpus.who.tolist() == corpus.day.tolist() == list(range(1, num))
