"""The read-out of the universal control group: what the contacts bring, with intervals that cover the truth."""

from datetime import date

import numpy as np
import pytest

from nightmarket.evaluation.experiments.control_group import Members, Period, periods, read_out
from nightmarket.histories.calendar import NEVER, day_of
from nightmarket.histories.histories import Histories

SINCE = date(2026, 4, 1)
QUARTER = Period("2026 Q2", date(2026, 4, 1), date(2026, 7, 1))
NUM = 4000


def test_only_whole_quarters_and_years_are_read_that_began_after_the_group_did():
    assert [period.name for period in periods(date(2025, 11, 2), date(2027, 2, 3))] == [
        "2026 Q1", "2026 Q2", "2026 Q3", "2026 Q4", "2026",
    ]  # fmt: skip
    assert periods(date(2026, 1, 1), date(2026, 3, 31)) == [], "the 31st is not over"
    (first,) = periods(date(2026, 1, 1), date(2026, 4, 1))
    assert (first.first, first.after) == (date(2026, 1, 1), date(2026, 4, 1))


def bought(rng, rate, control, lift):
    """Lines of a year before the group and of a quarter in which the others buy `lift` more often."""
    level = rate * rng.gamma(2, 0.5, NUM)
    before = rng.poisson(4 * level)
    quarter = rng.poisson(level * np.where(control, 1.0, 1 + lift))
    began = day_of(SINCE)
    who = np.concatenate([np.repeat(np.arange(NUM), before), np.repeat(np.arange(NUM), quarter)])
    day = np.concatenate([began - 1 - rng.integers(0, 364, before.sum()), began + rng.integers(0, 91, quarter.sum())])
    order = np.lexsort((day, who))
    zeros = np.zeros(who.size, np.int32)
    value = (10 * rng.lognormal(0, 0.5, who.size)).astype(np.float32)
    return Histories(
        customer=who[order].astype(np.int32), item=zeros, week=zeros, day=day[order].astype(np.int32),
        quantity=np.ones(who.size, np.float32), value=value, discount=np.zeros(who.size, np.float32),
        basket=np.arange(who.size, dtype=np.int32), channel=zeros, num_customers=NUM, num_items=1,
    )  # fmt: skip


def everybody(control):
    return Members(control, np.zeros(NUM, np.int64), np.zeros(NUM, bool))


def test_intervals_cover_the_truth_and_an_effect_is_claimed():
    rng = np.random.default_rng(3)
    covered, claimed, truth = [], [], 2.0 * 0.25
    for _ in range(60):
        control = rng.random(NUM) < 0.1
        content = read_out(QUARTER, SINCE, everybody(control), bought(rng, 2.0, control, 0.25))
        figure = content["metrics"]["purchases"]
        covered.append(figure["low"] <= truth <= figure["high"])
        claimed.append("purchases per customer" in content["words"] and "the contacts raised it" in content["words"])
    assert np.mean(covered) >= 0.88
    assert np.mean(claimed) >= 0.9


def test_where_contacts_do_nothing_nothing_is_claimed():
    rng = np.random.default_rng(4)
    claims = 0
    for _ in range(100):
        control = rng.random(NUM) < 0.05
        content = read_out(QUARTER, SINCE, everybody(control), bought(rng, 0.3, control, 0.0))
        figure = content["metrics"]["value"]
        claims += figure["low"] * figure["high"] > 0
    assert claims <= 10


def test_customers_count_who_were_known_before_and_who_was_contacted_all_the_same_is_said():
    rng = np.random.default_rng(5)
    control = rng.random(NUM) < 0.5
    known = np.where(np.arange(NUM) < 1000, day_of(SINCE), 0)
    known[:10] = NEVER
    contacted = np.zeros(NUM, bool)
    contacted[1000:1500] = True
    content = read_out(QUARTER, SINCE, Members(control, known, contacted), bought(rng, 1.0, control, 0.2))
    assert content["num_control"] == int(control[1000:].sum())
    assert content["num_others"] == NUM - 1000 - content["num_control"]
    assert content["num_contacted"] == int(control[1000:1500].sum())
    assert f"{content['num_contacted']:,} of the control group were contacted" in content["words"]
    nobody = read_out(QUARTER, SINCE, Members(np.zeros(NUM, bool), known, contacted), bought(rng, 1.0, control, 0.2))
    assert nobody["metrics"]["value"] == {"why": "an arm has 0 customers; at least 100 are needed"}
    assert nobody["metrics"]["purchases"]["why"] == nobody["metrics"]["value"]["why"]
    assert pytest.approx(0.0) == nobody["num_contacted"]


def test_the_interval_is_that_of_one_look_where_nothing_was_bought_before():
    rng = np.random.default_rng(8)
    control = rng.random(NUM) < 0.5
    counts = rng.poisson(2.0, NUM)
    who = np.repeat(np.arange(NUM, dtype=np.int32), counts)
    zeros = np.zeros(who.size, np.int32)
    lines = Histories(
        customer=who, item=zeros, week=zeros, day=np.full(who.size, day_of(SINCE) + 3, np.int32),
        quantity=np.ones(who.size, np.float32), value=np.ones(who.size, np.float32),
        discount=np.zeros(who.size, np.float32), basket=np.arange(who.size, dtype=np.int32), channel=zeros,
        num_customers=NUM, num_items=1,
    )  # fmt: skip
    figure = read_out(QUARTER, SINCE, everybody(control), lines)["metrics"]["purchases"]
    groups = [counts[control], counts[~control]]
    error = np.sqrt(sum(group.var(ddof=1) / group.size for group in groups))
    assert figure["value"] == pytest.approx(groups[1].mean() - groups[0].mean())
    assert figure["high"] - figure["value"] == pytest.approx(1.96 * error, rel=0.03)
    assert figure["value"] - figure["low"] == pytest.approx(1.96 * error, rel=0.03)
