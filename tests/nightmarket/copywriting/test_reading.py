"""Figures are read for what they state, in both languages."""

import pytest

from nightmarket.copywriting.reading import Amount, Day, read


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("$5 off", [(5, "waived", "$")]),
        ("save $2.50 today", [(2.5, "waived", "$")]),
        ("when you spend $1,200 or more", [(1200, "threshold", "$")]),
        ("over €40", [(40, "threshold", "€")]),
        ("orders from 40 dollars", [(40, "threshold", "dollar")]),
        ("now only $3.99", [(3.99, "price", "$")]),
        ("five dollars off", [(5, "waived", "dollar")]),
        ("99 cents", [(0.99, "price", "cent")]),
        ("满40元立减5元", [(40, "threshold", "元"), (5, "waived", "元")]),
        ("消费满九十九元可用", [(99, "threshold", "元")]),
        ("仅售29.9元", [(29.9, "price", "元")]),
        ("¥10优惠券", [(10, "waived", "¥")]),
        ("省二十块", [(20, "waived", "块")]),
        ("CHF 5 off", [(5, "waived", "chf")]),
    ],
)
def test_money_is_read_with_its_role(text, amounts):
    assert read(text).amounts == tuple(Amount(value, role, unit) for value, role, unit in amounts)


@pytest.mark.parametrize(
    ("text", "percents"),
    [
        ("20% off", [20]),
        ("20 percent less", [20]),
        ("twenty per cent off", [20]),
        ("8折", [20]),
        ("八五折", [15]),
        ("7.5折", [25]),
        ("半价", [50]),
        ("half price", [50]),
        ("a fifth off", [20]),
        ("优惠百分之二十", [20]),
    ],
)
def test_shares_of_the_price_are_what_is_waived(text, percents):
    assert read(text).percents == pytest.approx(percents)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("until 14 Jan", Day(0, 1, 14)),
        ("until January 14th, 2018", Day(2018, 1, 14)),
        ("until 14th of January", Day(0, 1, 14)),
        ("2018-01-14", Day(2018, 1, 14)),
        ("1月14日止", Day(0, 1, 14)),
        ("2018年1月14号", Day(2018, 1, 14)),
        ("一月十四日", Day(0, 1, 14)),
    ],
)
def test_dates_are_read(text, day):
    reading = read(text)
    assert reading.days == (day,)
    assert reading.others == ()


def test_weekdays_and_numbers_without_a_sense_are_told_apart():
    assert read("ends Sunday").weekdays == (6,)
    assert read("周日截止").weekdays == (6,)
    assert read("buy three, get more").others == ("three",)
    assert read("一起来，三件起").others == ("三",)
    assert read("one for you").others == ()
