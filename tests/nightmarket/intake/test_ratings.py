"""Stars are numbers however they are written."""

import pyarrow as pa
import pytest

from nightmarket.intake import numbers, ratings


@pytest.mark.parametrize(("written", "stars"), [
    ("4/5", "4"), ("8/10", "4"), ("★★★★☆", "4"), ("⭐⭐⭐", "3"), ("☆☆☆☆☆", "0"),
    ("4.5 out of 5 stars", "4.5"),
    ("4,0 von 5 Sternen", "4"), ("3 sur 5", "3"),
    ("5つ星のうち4.0", "4.0"), ("1 star", "1"), ("5 stars", "5"), ("4星", "4"),
    ("４／５", "4"), ("4.5", "4.5"), ("7", "7"), ("7/5", "7/5"), ("a/b", "a/b"), (None, None),
])  # fmt: skip
def test_stars_are_numbers(written, stars):
    assert ratings.stars(pa.array([written], pa.string())).to_pylist() == [stars]


@pytest.mark.parametrize(("written", "number"), [
    ("١٬٢٣٤٫٥٠", "1234.50"), ("१२.५", "12.5"), ("๑๒.๕๐ บาท", "12.50"), ("12.50 ر.س", "12.50"),
    ("NT$1,200.50", "1200.50"),
])  # fmt: skip
def test_digits_and_money_of_other_scripts_are_numbers(written, number):
    assert numbers.plain(pa.array([written]), numbers.POINT).to_pylist() == [number]
