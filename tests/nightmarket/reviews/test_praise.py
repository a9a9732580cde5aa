"""Aspects clause by clause; praise only where it is measured."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.reviews.aspects import ASPECTS, PRAISE, by_aspect, by_product, mentions, outstanding, praised

PLACE = {aspect.key: place for place, aspect in enumerate(ASPECTS)}


def said(text):
    mentioned = mentions([text])
    return {ASPECTS[aspect].key: clause for aspect, clause in zip(mentioned.aspect, mentioned.clauses, strict=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The taste is great, but delivery was slow", {"taste": "The taste is great", "delivery": "delivery was slow"}),
        ("味道不错，但是快递太慢了", {"taste": "味道不错", "delivery": "快递太慢了"}),
        ("价格，真的太高", {"price": "价格 真的太高"}),
        ("Price and quality are fine", {"price": "Price quality are fine", "quality": "Price quality are fine"}),
        ("卫生间的灯坏了", {"quality": "卫生间的灯坏了"}),
        ("I love it", {}),
        ("Fresh. Really FRESH!", {"freshness": "Fresh, Really FRESH"}),
        ("a fitting end to a tasteless story", {"size": "a fitting end to a tasteless story"}),
    ],
)
def test_what_is_said_of_an_aspect_is_its_clause(text, expected):
    assert said(text) == expected


def test_every_aspect_is_heard_in_both_languages():
    assert len(PLACE) == len(ASPECTS)
    for aspect in ASPECTS:
        english = "looks great" if aspect.key == "look" else aspect.en.split(" and ")[0]
        assert aspect.key in said(f"x {english} was so"), aspect.key
        assert aspect.key in said(f"说{aspect.zh}起来如此"), aspect.key


def rows(product, aspect, people, positive, start=0):
    num = int(people)
    values = np.where(np.arange(num) < round(positive * num), 0.9, 0.1)
    return pd.DataFrame(
        {"product_id": product, "aspect": aspect, "who": np.arange(start, start + num), "positive": values}
    )


def test_praise_needs_20_people_and_more_than_the_shops_share():
    table = pd.concat(
        [
            rows("few", "taste", 19, 1.0),
            rows("good", "taste", 60, 0.95),
            rows("usual", "taste", 300, 0.6),
            rows("poor", "taste", 60, 0.2),
        ]
    )
    praise = praised(table)
    assert list(praise) == list(PRAISE)
    assert praise["product_id"].tolist() == ["good"]
    assert praise[["en", "zh", "num_mentions"]].iloc[0].tolist() == ["taste", "味道", 60]
    assert praise["low"].iloc[0] > 0.6


def test_better_than_a_bad_shop_is_no_praise():
    table = pd.concat([rows("less bad", "price", 200, 0.45), rows("bad", "price", 2000, 0.05)])
    assert praised(table).empty


def test_one_person_who_writes_often_is_one_person():
    table = rows("p", "taste", 60, 1.0).assign(who=lambda t: t["who"] % 15)
    assert praised(pd.concat([table, rows("q", "taste", 200, 0.5)])).empty
    assert by_aspect(table)["positive"].isna().all()


def test_among_many_products_alike_hardly_any_is_praised():
    rng = np.random.default_rng(0)
    num, people = 400, 40
    table = pd.DataFrame(
        {
            "product_id": np.repeat([f"p{i}" for i in range(num)], people),
            "aspect": "taste",
            "who": np.arange(num * people),
            "positive": (rng.random(num * people) < 0.7).astype(float),
        }
    )
    assert len(praised(table)) <= 2


def test_products_tell_figures_from_20_people_on():
    product = np.array(["a"] * 30 + ["b"] * 19 + ["c"] * 40)
    who = np.concatenate([np.arange(30), np.arange(19), np.arange(40)])
    positive = np.concatenate([np.repeat([1.0, 0.0], [21, 9]), np.ones(19), np.full(40, np.nan)])
    shares = by_product(product, who, positive).set_index("product_id")
    assert shares["num_reviews"].to_dict() == {"a": 30, "b": 19, "c": 40}
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(21, 30, method="wilson")
    assert shares.loc["a", ["positive", "low", "high"]].tolist() == pytest.approx([0.7, low, high], abs=1e-6)
    assert shares.loc[["b", "c"], "positive"].isna().all()


def test_products_stand_out_only_where_chance_does_not_say_as_much():
    rng = np.random.default_rng(5)
    product = np.repeat([f"p{i}" for i in range(200)], 40)
    positive = (rng.random(product.size) < 0.6).astype(float)
    who = np.arange(product.size)
    assert sum(map(len, outstanding(product, who, positive))) <= 2
    positive[product == "p7"], positive[product == "p9"] = 1.0, 0.0
    above, below = outstanding(product, who, positive)
    assert (above[0], below[0]) == ("p7", "p9")
    small = np.where(product == "p7", who % 19, who)  # the same praise by 19 people is no longer told
    assert "p7" not in outstanding(product, small, positive)[0]


def test_without_reviews_nothing_is_praised():
    empty = pd.DataFrame({"product_id": [], "aspect": [], "who": [], "positive": []})
    assert praised(empty).empty
    assert by_aspect(empty).empty
    assert outstanding(np.array([], object), np.array([], np.int64), np.array([])) == ([], [])
