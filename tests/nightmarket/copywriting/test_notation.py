"""Bounds, periods and money are read as people write them; each is held against the facts."""

import pytest

from tests.made_up.copy import chinese, english, offer
from tests.nightmarket.copywriting.test_guard import CUP, SPEND, TENTH, ZH, ZH_SPEND, rules


@pytest.mark.parametrize(
    "bound",
    [
        "Up to 20% off coffee until 14 Jan.",
        "Coffee from 20% off until 14 Jan.",
        "From just 20% off: coffee, until 14 Jan.",
        "At least 20% off coffee until 14 Jan.",
        "Save as much as 20% on coffee until 14 Jan.",
        "Roast coffee as low as $6, until 14 Jan.",
        "Coffee, starting at 20% off, until 14 Jan.",
        "Over 20% off coffee until 14 Jan.",
        "20% or more off coffee until 14 Jan.",
        "20%+ off coffee until 14 Jan.",
        "20% off coffee, only on 14 Jan.",
        "20% off coffee at most, until 14 Jan.",
        "Coffee: 20% off at the very least, until 14 Jan.",
        "You might save 20% on coffee until 14 Jan.",
    ],
)
def test_a_word_that_moves_a_bound_is_a_claim_of_its_own(bound, lexicon):
    assert rules(bound, english(TENTH), lexicon) & {"bound without a fact", "wrong date"}


@pytest.mark.parametrize(
    "bound",
    [
        "牛奶八折起，1月14日止。",
        "牛奶低至八折，1月14日止。",
        "牛奶最高优惠20%，1月14日止。",
        "牛奶至少八折，1月14日止。",
        "牛奶优惠不低于20%，1月14日止。",
        "牛奶八折左右，1月14日止。",
        "牛奶三到八折，1月14日止。",
        "牛奶八折，仅限1月14日。",
    ],
)
def test_a_chinese_word_that_moves_a_bound_is_a_claim_of_its_own(bound, lexicon):
    assert rules(bound, chinese(ZH), lexicon) & {"bound without a fact", "wrong date"}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Spend at least $40 on coffee and take $5 off until 14 Jan.", english(SPEND)),
        ("$5 off coffee orders from $40, until 14 Jan.", english(SPEND)),
        ("$5 off coffee on $40+, until 14 Jan.", english(SPEND)),
        ("牛奶满40元及以上减5元，1月14日止。", chinese(ZH_SPEND)),
    ],
)
def test_the_least_spend_has_a_bound(text, facts, lexicon):
    assert rules(text, facts, lexicon) == set()


@pytest.mark.parametrize(
    "period",
    [
        "now through Jan 14, 2018",
        "8–14 January",
        "Jan 8-14, 2018",
        "from Jan 8th to Jan 14th",
        "thru 1/14/18",
        "until midnight on Jan 14th",
        "ends Sunday, January 14, 11:59 pm",
        "ends Sun Jan 14",
    ],
)
def test_a_period_is_read_in_every_usual_notation(period, lexicon):
    assert rules(f"20% off coffee, {period}.", english(TENTH), lexicon) == set()


@pytest.mark.parametrize(
    "period",
    [
        "until noon on Jan 14",
        "until Jan 14, 5 pm",
        "Jan 14 through Jan 20",
        "thru 1/15",
        "until 14/1",
        "ends Saturday, Jan 14",
        "through the end of January",
        "ends this weekend, Jan 14",
    ],
)
def test_another_period_is_stopped_in_every_notation(period, lexicon):
    other_order = period == "until 14/1"  # can only be the fourteenth of January
    assert (rules(f"20% off coffee, {period}.", english(TENTH), lexicon) == set()) == other_order


@pytest.mark.parametrize(
    "period",
    [
        "2018年1月14日止",
        "1月8日—14日",
        "1.8-1.14",
        "截至１月１４日",
        "1月14日（周日）24:00截止",
        "即日起至1月14号",
        "一月十四日结束",
    ],
)
def test_a_chinese_period_is_read_in_every_usual_notation(period, lexicon):
    assert rules(f"牛奶八折，{period}。", chinese(ZH), lexicon) == set()


@pytest.mark.parametrize(
    "period", ["1月14日起", "1月14日中午12点止", "1月底结束", "1月14日（周六）止", "1月18日止", "本周末截止"]
)
def test_another_chinese_period_is_stopped(period, lexicon):
    assert rules(f"牛奶八折，{period}。", chinese(ZH), lexicon)


@pytest.mark.parametrize(
    "text", ["买牛奶满一百立减二十，1月14日止。", "牛奶满百减二十，1月14日止", "牛奶满￥100减￥20，1月14日止"]
)
def test_chinese_numerals_of_money_are_read(text, lexicon):
    terms = offer("threshold", scope="牛奶", amount=20.0, threshold=100.0)
    assert rules(text, chinese(terms), lexicon) == set()
    assert rules(text, chinese(offer("threshold", scope="牛奶", amount=20.0, threshold=120.0)), lexicon)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Buy a cup, get coffee, until 14 January.", english(CUP)),
        ("Free coffee with a cup until 14 January.", english(CUP)),
        ("买杯子送牛奶，1月14日止", chinese(offer("gift", scope="牛奶", gift="杯子"))),
    ],
)
def test_what_is_bought_and_what_is_given_do_not_change_places(text, facts, lexicon):
    assert rules(text, facts, lexicon)
