"""The allocation's certificate, counts and limits on plans of three customers, worked out by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from nightmarket.delivery import allocation
from nightmarket.delivery.allocation import Certificate, allocate, at_prices, totals, trim, violations
from nightmarket.delivery.problem import Problem

PROFIT = np.array([[5.0, 4, 1, -1], [2.5, 6, 2, 2], [1, 1, 9, -2]], np.float32)
COST = np.array([[2.0, 1, 1, 1], [1, 3, 1, 1], [1, 1, 4, 1]], np.float32)
SMALL = Problem(
    block=lambda rows: (PROFIT[rows], COST[rows]),
    allowance=np.array([2, 1, 2], np.int8),
    offer=np.array([0, 0, 1, 2], np.int32),
    uses=np.array([[True, False, True, False], [False, True, False, True]]),
    capacity=np.array([2.0, 1.0]),
    budget=7.0,
    chunk=2,
)
"""Options 0 and 1 are one offer on two channels; 0 and 2 draw on the first capacity, 1 and 3 on the second."""


def plan(*rows):
    return np.array(rows, np.int16)


def test_the_gap_is_what_is_missing_to_the_bound_as_a_share_of_it():
    assert Certificate(90.0, 100.0).gap == pytest.approx(0.1)
    assert Certificate(100.0, 100.0).gap == 0.0
    assert Certificate(100.1, 100.0).gap == 0.0
    assert Certificate(0.0, 0.0).gap == 0.0
    assert Certificate(-0.1, 0.5).gap == pytest.approx(1.2)


def test_totals_sum_profit_cost_and_draws_over_chunks():
    value, use = totals(SMALL, plan([0, 2], [3, -1], [-1, -1]))
    assert value == 5 + 1 + 2
    assert use.tolist() == [2 + 1 + 1, 2, 1]
    assert totals(SMALL, np.full((3, 2), -1, np.int16))[0] == 0.0
    assert totals(SMALL, np.full((3, 2), -1, np.int16))[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("picks", "broken"),
    [
        (plan([0, 2], [3, -1], [-1, -1]), 0),
        (plan([-1, 0], [-1, -1], [-1, 2]), 0),
        (plan([0, 2], [2, -1], [-1, -1]), 1),  # three draws on the first capacity
        (plan([-1, 1], [3, -1], [-1, -1]), 1),  # two on the second
        (plan([-1, -1], [2, 3], [-1, -1]), 1),  # two contacts where one is allowed
        (plan([0, 1], [-1, -1], [-1, -1]), 1),  # the same offer twice
        (plan([-1, -1], [1, -1], [2, 3]), 2),  # budget and the second capacity
        (plan([0, 1], [2, 3], [2, 3]), 5),  # budget, both capacities, contacts, the same offer
        (plan([2, 0], [3, -1], [-1, -1]), 0),
    ],
)
def test_every_broken_limit_counts_once(picks, broken):
    assert violations(SMALL, picks) == broken


def test_three_contacts_with_one_offer_break_it_twice_and_a_limit_met_exactly_is_kept():
    wide = replace(SMALL, allowance=np.full(3, 3, np.int8), capacity=np.full(2, 9.0), budget=99.0)
    assert violations(wide, plan([0, 1, 0], [-1, -1, -1], [-1, -1, -1])) == 2
    exact = replace(SMALL, budget=3.0)
    assert violations(exact, plan([0, 2], [-1, -1], [-1, -1])) == 0
    assert violations(replace(exact, budget=3.0 * (1 - 1e-10)), plan([0, 2], [-1, -1], [-1, -1])) == 0, "rounding"
    assert violations(replace(exact, budget=2.999), plan([0, 2], [-1, -1], [-1, -1])) == 1


def test_what_overdraws_a_limit_is_taken_back_where_a_unit_of_it_is_worth_least():
    tight = replace(SMALL, budget=7.5, capacity=np.array([2.5, 1.0]))
    picks = plan([0, 2], [2, -1], [2, -1])
    # they cost 3, 1 and 4: half a unit too much. Of 2.5, 1, 2 and 2.25 a unit, customer 0's option 2 goes; three draws
    # on the first capacity are left, half a one too many, worth 5, 2 and 9: customer 1's goes
    left = trim(tight, picks, np.zeros(3))
    assert picks.tolist() == [[0, -1], [-1, -1], [2, -1]]
    assert left.tolist() == [1.5, 0.5, 1.0]


@pytest.mark.parametrize(
    ("given", "price", "kept"),
    [
        (
            ([0, -1], [2, 3], [-1, -1]),
            0.0,
            [[0, -1], [3, -1], [-1, -1]],
        ),  # 5 against 2; what is left moves to the front
        (([2, -1], [0, -1], [-1, -1]), 0.0, [[-1, -1], [0, -1], [-1, -1]]),  # 1 against 2.5
        (([0, -1], [-1, -1], [2, -1]), 2.0, [[-1, -1], [-1, -1], [2, -1]]),  # 5 - 4 and 9 - 8: the first of equals
        (([0, -1], [-1, -1], [2, -1]), 2.1, [[0, -1], [-1, -1], [-1, -1]]),  # .8 against .6
    ],
)
def test_prices_count_in_what_is_taken_back(given, price, kept):
    dear = replace(SMALL, capacity=np.array([1.5, 9.0]), budget=99.0)
    picks = plan(*given)
    trim(dear, picks, np.array([price, 0.0, 0.0]))
    assert picks.tolist() == kept


def test_of_two_contacts_the_one_goes_that_earns_less_for_a_unit_not_less_in_all():
    picks = plan([0, -1], [-1, -1], [2, -1])  # 5 for 2, and 9 for 4
    trim(replace(SMALL, budget=5.5), picks, np.zeros(3))
    assert picks.tolist() == [[0, -1], [-1, -1], [-1, -1]]


def test_what_is_worth_nothing_after_the_prices_is_a_close_call():
    picks, close = at_prices(SMALL, np.array([2.5, 0.0, 0.0]))
    assert picks[1].tolist() == [0, -1]  # 2.5 for 1
    assert close[1].tolist() == [True, False]
    assert not close[0].any(), "4 - 2.5 is clear"


def test_what_keeps_the_limits_is_left_as_it_is_and_the_rest_of_them_told():
    picks = plan([-1, 0], [-1, -1], [-1, 2])
    assert trim(SMALL, picks, np.zeros(3)).tolist() == [1.0, 0.0, 1.0]
    assert picks.tolist() == [[-1, 0], [-1, -1], [-1, 2]]


SETS = [(-1, -1), (0, -1), (1, -1), (2, -1), (3, -1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize("budget", [3.0, 7.0, 99.0])
def test_the_best_of_all_plans_lies_between_the_plan_s_value_and_its_bound(budget):
    market = replace(SMALL, budget=budget)
    every = (plan(*picks) for picks in product(SETS, repeat=3))
    best = max(totals(market, picks)[0] for picks in every if not violations(market, picks))
    allocation = allocate(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.value == totals(market, allocation.picks)[0]
    assert allocation.use == pytest.approx(totals(market, allocation.picks)[1])
    assert 0.95 * best <= allocation.certificate.value <= best <= allocation.certificate.bound
    assert (allocation.prices >= 0).all()


def test_without_prices_everybody_gets_what_earns_most_and_prices_change_it():
    free, _ = at_prices(SMALL, np.zeros(3))
    assert [sorted(row) for row in free.tolist()] == [[0, 2], [-1, 1], [0, 2]] or free[2].tolist() in ([2, 1], [2, 0])
    dear, _ = at_prices(SMALL, np.array([0.0, 100.0, 0.0]))
    assert [sorted(row) for row in dear.tolist()] == [[-1, 1], [-1, 1], [-1, 1]]


@pytest.mark.parametrize(
    "change",
    [{"budget": 0.0}, {"allowance": np.zeros(3, np.int8)}, {"capacity": np.zeros(2)}, {"capacity": np.full(2, 0.5)}],
    ids=["no budget", "no contacts", "no capacity", "half a contact"],
)
def test_where_nothing_may_be_sent_the_plan_is_empty_and_proven_best(change):
    allocation = allocate(replace(SMALL, **change))
    assert (allocation.picks == -1).all()
    assert allocation.picks.shape[0] == 3
    assert (allocation.certificate.value, allocation.certificate.bound, allocation.certificate.gap) == (0.0, 0.0, 0.0)
    assert allocation.use.tolist() == [0.0, 0.0, 0.0]
    assert allocation.prices.tolist() == [0.0, 0.0, 0.0]


def test_a_small_budget_and_a_single_contact_are_still_spent():
    allocation = allocate(replace(SMALL, budget=1.0))
    assert allocation.certificate.value == 4.0, "option 1 of the first customer earns most of what costs 1"
    single = allocate(replace(SMALL, allowance=np.array([0, 0, 1], np.int8)))
    assert single.certificate.value == 9.0


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_customers_of_one_contact_beside_those_of_two_get_one_however_they_are_chunked(chunk):
    """A chunk may hold nobody with as many contacts as others have."""
    market = replace(SMALL, allowance=np.array([1, 1, 2], np.int8), chunk=chunk, budget=99.0, capacity=np.full(2, 9.0))
    free, _ = at_prices(market, np.zeros(3))
    assert [sorted(row) for row in free.tolist()] == [[-1, 0], [-1, 1], [0, 2]]
    allocation = allocate(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.value == 5 + 6 + 10


def test_the_core_grows_until_the_gap_is_small_and_no_further(monkeypatch):
    asked = []
    original = allocation.closest

    def watched(problem, prices, core, undecided):
        if core not in asked:
            asked.append(core)
        return original(problem, prices, core, undecided)

    monkeypatch.setattr(allocation, "closest", watched)
    monkeypatch.setattr(allocation, "EXACT", 0)
    rng = np.random.default_rng(0)
    cost = rng.gamma(2, 0.5, (400, 4)).astype(np.float32) + np.float32(0.05)
    profit = (cost * 0.7 + rng.normal(0, 1, (400, 4))).astype(np.float32)
    market = replace(
        SMALL, block=lambda rows: (profit[rows], cost[rows]), allowance=np.full(400, 2, np.int8),
        capacity=np.array([150.0, 90.0]), budget=120.0, chunk=100,
    )  # fmt: skip
    small = allocate(market, core=4)
    assert asked == [4 * 4**step for step in range(len(asked))]
    assert small.certificate.gap <= allocation.ENOUGH or asked[-1] >= 400 * 4
    asked.clear()
    monkeypatch.setattr(allocation, "ENOUGH", 1.0)
    allocate(market, core=64)
    assert asked == [64], "any plan is good enough"
    asked.clear()
    monkeypatch.setattr(allocation, "ENOUGH", -1.0)
    monkeypatch.setattr(allocation, "LARGEST", 256)
    best = allocate(market, core=16)
    assert asked == [16, 64, 256], "none is, so the largest core ends it"
    assert violations(market, best.picks) == 0
    assert best.certificate.value >= 0.99 * small.certificate.value
