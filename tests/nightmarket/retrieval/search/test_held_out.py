"""The texts do not tell what the queries ask for."""

import numpy as np
import pandas as pd

from nightmarket.encoding.terms import words
from nightmarket.retrieval.search.quality import held_out

ROWS = [
    ("Kids cereal, 14.5 OZ", "GROCERY > COLD CEREAL > KIDS CEREAL", "National", None),
    ("Kids cereal, 14.5 OZ", "GROCERY > COLD CEREAL > KIDS CEREAL", "National", None),
    ("Granola", "GROCERY > COLD CEREAL > GRANOLA", "Private", "crunchy cereals with berries"),
    ("Berry", "PRODUCE > BERRIES > BERRIES", None, None),
    ("Scarf", "CLOTHES", None, None),
    ("儿童牙膏 草莓味", "个护 > 口腔护理 > 儿童牙膏", "某牌", "儿童专用"),
]
PRODUCTS = pd.DataFrame(ROWS, columns=["title", "category", "brand", "description"])


def asked(level, dropped, **more):
    questions = held_out(PRODUCTS, level, dropped, least=1, **more)
    indptr, items = questions.relevant
    answers = {query: items[indptr[at] : indptr[at + 1]].tolist() for at, query in enumerate(questions.queries)}
    return answers, [questions.texts[row] for row in questions.text_id]


def test_a_type_is_held_out_of_title_and_path():
    answers, texts = asked("type", "name")
    assert answers["kids cereal"] == [0, 1]
    assert answers["儿童牙膏"] == [5]
    assert texts[0] == "14.5 OZ, COLD CEREAL, GROCERY, National"
    assert texts[5] == "草莓味, 口腔护理, 个护, 某牌, 儿童专用"


def test_no_word_of_the_name_is_left_in_singular_or_plural():
    answers, texts = asked("category", "words")
    assert answers["cold cereal"] == [0, 1, 2]
    assert texts[2] == "Granola, GROCERY, Private, crunchy with berries"
    assert texts[3] == "PRODUCE"
    for query, items in answers.items():
        for item in items:
            assert not set(words(query)) & set(words(texts[item]))


def test_with_nothing_held_out_the_texts_are_those_that_are_encoded_every_night():
    from nightmarket.histories.texts import product_texts

    _, texts = asked("type", "nothing")
    assert texts == product_texts(PRODUCTS).tolist()


def test_a_path_of_one_level_is_type_and_category_at_once():
    assert asked("category", "name")[0]["clothes"] == asked("type", "name")[0]["clothes"] == [4]
    assert asked("type", "name")[1][4] == "Scarf"


def test_products_that_cannot_be_found_are_no_answer_and_rare_names_no_question():
    allowed = np.array([True, False, True, True, True, True])
    assert asked("type", "name", allowed=allowed)[0]["kids cereal"] == [0]
    assert held_out(PRODUCTS, "type", "name", least=2).queries == ["kids cereal"]


def test_the_choice_half_is_about_half_and_depends_on_the_query_alone():
    names = [f"name {at}" for at in range(200)]
    table = pd.DataFrame({"title": names, "category": [f"A > {name}" for name in names]})
    whole = held_out(table, "type", "name", least=1)
    part = held_out(table.iloc[:100], "type", "name", least=1)
    assert 0.35 < whole.chosen_on.mean() < 0.65
    on = dict(zip(whole.queries, whole.chosen_on, strict=True))
    assert [on[query] for query in part.queries] == part.chosen_on.tolist()
