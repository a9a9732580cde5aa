"""Sizes of one model, named by the shop or read from titles."""

import pandas as pd
import pytest

from nightmarket.histories.variants import groups


def grouped(*rows: dict) -> list[int]:
    return groups(pd.DataFrame(list(rows))).tolist()


@pytest.mark.parametrize(
    "titles",
    [
        ("Shirt Rome M", "Shirt Rome - L", "Shirt Rome (XL)", "shirt  rome 2xl"),
        ("Sneaker, EU 42", "Sneaker, EU 42.5", "Sneaker - 43"),
        ("Jeans - 32/34", "Jeans - 33/34"),
        ("运动鞋 42码", "运动鞋 43码"),
        ("连衣裙M", "连衣裙L"),
        ("Kleid Gr. 38", "Kleid Größe 40", "Kleid | 42"),
        ("Robe taille S", "Robe taille M"),
    ],
)
def test_titles_that_differ_by_a_size_are_one_product(titles):
    assert set(grouped(*({"title": title, "brand": "a", "price": 10.0} for title in titles))) == {0}


@pytest.mark.parametrize(
    "titles",
    [
        ("iPhone 14", "iPhone 15"),
        ("Star Wars 45", "Star Wars 46"),
        ("Levis 501", "Levis 502"),
        ("Tea 20 bags", "Tea 40 bags"),
        ("Milk 1 l", "Cream 1 l"),
        ("M", "L"),
        ("Tee", "Tee"),
        (None, None),
    ],
)
def test_other_numbers_and_equal_titles_are_products_of_their_own(titles):
    assert grouped(*({"title": title, "brand": "a", "price": 3.0} for title in titles)) == [-1, -1]


def test_what_costs_otherwise_or_is_of_another_brand_or_category_is_another_product():
    tee = {"title": "Tee M", "brand": "a", "category": "tops", "price": 10.0}
    others = ({"title": "Tee L"} | other for other in ({"price": 12.0}, {"brand": "b"}, {"category": "kids"}))
    assert grouped(tee, *(tee | other for other in others)) == [-1, -1, -1, -1]


def test_a_column_of_sizes_tells_equal_titles_apart_and_packages_are_no_sizes():
    shoes = [{"title": "Sneaker", "size": size} for size in ("41", "42", "EU 43", "One size")]
    packs = [{"title": "Pizza", "size": size} for size in ("12 OZ", "22 OZ", "1 l")]
    at_end = [{"title": f"Boot Oslo {size}", "size": size} for size in ("38", "39")]
    assert grouped(*shoes, *packs, *at_end) == [0, 0, 0, 0, -1, -1, -1, 1, 1]


def test_the_shops_own_parent_comes_first():
    rows = [
        {"title": f"Tee {size}", "group_id": group}
        for size, group in zip("SMLSM", ["p", "q", "p", None, None], strict=True)
    ]
    assert grouped(*rows) == [0, 1, 0, 2, 2]
    assert grouped({"title": None, "group_id": None}) == [-1]
    assert groups(pd.DataFrame({"price": [1.0, 2.0]})).tolist() == [-1, -1]
