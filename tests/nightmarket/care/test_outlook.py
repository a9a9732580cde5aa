"""The outlook: honest on shops that BG/NBD describes, better where looks tell more, and cut in time."""

import numpy as np
import pytest

from nightmarket.care import accuracy, correction
from nightmarket.care.features import Looks
from nightmarket.care.outlook import care
from nightmarket.care.records import PurchaseDays
from nightmarket.care.standing import ACTIVE, FEW, GONE, LEAVING, SLACK, standing
from nightmarket.histories.histories import Histories

DAYS, HORIZON = 364, 91


def shop(num, seed, looking=False, price=10.0):
    """Customers with a rate of their own who may leave on any day; with `looking`, who still comes looks weekly."""
    rng = np.random.default_rng(seed)
    rate, began = rng.gamma(1.0, 1 / 30, num), rng.integers(0, 150, num)
    leaves = began + rng.exponential(200, num)
    day = np.arange(DAYS)
    here = (day >= began[:, None]) & (day < leaves[:, None])
    bought = here & (rng.random((num, DAYS)) < rate[:, None])
    bought[np.arange(num), began] = True
    customer, days = np.nonzero(bought)
    zero, ones = np.zeros(customer.size, np.int32), np.ones(customer.size, np.float32)
    value = (price * rng.gamma(4.0, 0.25, customer.size)).astype(np.float32)
    lines = Histories(
        customer.astype(np.int32), zero, (days // 7).astype(np.int32), days.astype(np.int32), ones, value, 0 * ones,
        zero, zero, num, 1,
    )  # fmt: skip
    if not looking:
        return PurchaseDays.of(lines), None
    who, when = np.nonzero(here & (rng.random((num, DAYS)) < 1 / 7))
    return PurchaseDays.of(lines), Looks(who, when, np.zeros(who.size, np.int64))


@pytest.fixture(scope="module")
def looked():
    days, looks = shop(1_500, 3, looking=True)
    return days, looks, care(days, looks, DAYS - 1, DAYS - 1, HORIZON, 17)


def test_looks_make_the_outlook_better_than_bgnbd_and_than_recency_and_frequency(looked):
    days, _, made = looked
    told = accuracy.judged(made.trial, days.priced, 17)
    for quantity in ("chance", "purchases"):
        assert made.ways[quantity] != "bgnbd"
        for other in ("bgnbd", "recency_frequency"):
            assert told[quantity][f"ours_minus_{other}"]["deviance"]["high"] < 0
    assert told["purchases"]["ours_minus_bgnbd"]["error"]["high"] < 0
    assert told["chance"]["ours"]["calibration_error"] < 0.05


def test_without_looks_it_is_not_clearly_worse_than_either_and_its_spans_hold():
    days, _ = shop(1_500, 4)
    made = care(days, None, DAYS - 1, DAYS - 1, HORIZON, 17)
    told = accuracy.judged(made.trial, days.priced, 17)
    for quantity in correction.QUANTITIES:
        for other in ("bgnbd", "recency_frequency"):
            assert told[quantity][f"ours_minus_{other}"]["deviance"]["low"] <= 0
    for quantity in ("purchases", "value"):
        assert told[quantity]["coverage80"]["high"] > 0.8
    for ends in made.outlook.spans.values():
        assert (ends[:, 0] <= ends[:, 1]).all()
        assert (ends[:, 0] >= 0).all()


def test_what_comes_after_the_end_changes_nothing():
    days, looks = shop(300, 8, looking=True)
    end = DAYS - 30
    early = days.lines.where(days.lines.day <= end)
    seen = Looks(*(getattr(looks, name)[looks.day <= end] for name in ("customer", "day", "carted")))
    whole = care(days, looks, end, end, 70, 17)
    cut = care(PurchaseDays.of(early), seen, end, end, 70, 17)
    assert whole.ways == cut.ways
    for quantity in correction.QUANTITIES:
        assert whole.outlook.expected[quantity] == pytest.approx(cut.outlook.expected[quantity])


def test_what_was_learned_of_short_windows_is_not_said_of_a_longer_span(looked):
    days, looks, _ = looked
    made = care(days, looks, DAYS - 1, DAYS - 1, HORIZON, 17, ahead=2 * HORIZON)
    assert set(made.ways.values()) == {"bgnbd"}
    assert made.outlook.expected["purchases"] == pytest.approx(made.outlook.reckoned.purchases)


def test_who_slackens_is_about_to_leave_and_who_never_came_often_is_not(looked):
    days, _, made = looked
    stood = standing(made.outlook, days.priced)
    known, expected = made.outlook.known, made.outlook.expected
    usual = made.outlook.reckoned.pace * HORIZON
    assert set(stood.name[known.repeats < 2]) == {FEW}
    assert (expected["purchases"][stood.name == LEAVING] < SLACK * usual[stood.name == LEAVING]).all()
    assert (expected["chance"][stood.name == GONE] < 0.1).all()
    assert stood.worth[stood.name == LEAVING].any()
    assert not stood.worth[stood.name != LEAVING].any()
    assert (stood.due > known.cut - known.idle).all()
    told = accuracy.leaving(made.trial, standing(made.trial.outlook, days.priced))
    assert told[LEAVING]["bought"]["high"] < told[ACTIVE]["bought"]["low"]
    due = accuracy.due_error(made.trial, standing(made.trial.outlook, days.priced), days)
    assert due["ours"] < due["same_gap"]


def test_without_prices_customers_are_compared_by_purchases():
    days, _ = shop(400, 5, price=0.0)
    made = care(days, None, DAYS - 1, DAYS - 1, HORIZON, 17)
    assert not days.priced
    assert "value" not in accuracy.judged(made.trial, days.priced, 17)
    assert np.isfinite(standing(made.outlook, days.priced).at_risk).all()


@pytest.mark.parametrize("num", [1, 12, 25])
def test_tiny_shops_have_an_answer_or_a_reason(num):
    days, _ = shop(num, 6)
    made = care(days, None, DAYS - 1, DAYS - 1, HORIZON, 17)
    if isinstance(made, str):
        assert "needed" in made or "second day" in made
        return
    assert set(made.ways.values()) == {"bgnbd"}
    assert np.isfinite(made.outlook.expected["value"]).all()
    assert made.trial is None or accuracy.judged(made.trial, days.priced, 17)
