"""The allocation against every plan there is, against an exact solver, and on the edges."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from nightmarket.contracts import InputError
from nightmarket.delivery.allocation import allocate, at_prices, totals, violations
from nightmarket.delivery.problem import NOTHING, Problem, choose, evaluate, solve


def problem(num, most, seed, tight=0.5, chunk=16_384):
    """3 offers x 2 places, with a budget and two capacities below what would be used without them."""
    rng = np.random.default_rng(seed)
    cost = rng.gamma(2, 0.5, (num, 6)).astype(np.float32) + np.float32(0.05)
    profit = (cost * 0.7 + rng.normal(0, 1, (num, 6)).astype(np.float32)).astype(np.float32)
    place = np.arange(6) % 2
    free = Problem(
        block=lambda rows: (profit[rows], cost[rows]),
        allowance=rng.integers(0, most + 1, num).astype(np.int8),
        offer=(np.arange(6) // 2).astype(np.int32),
        uses=place == np.arange(2)[:, None],
        capacity=np.full(2, np.inf),
        budget=np.inf,
        chunk=chunk,
    )
    use = evaluate(free, np.zeros(3)).use
    return replace(free, budget=tight * use[0], capacity=np.floor(tight * 1.2 * use[1:]))


def sets(market, customer):
    """Every set of options that a customer may get."""
    for size in range(int(market.allowance[customer]) + 1):
        for some in combinations(range(6), size):
            if len({int(market.offer[j]) for j in some}) == size:
                yield some


def exact(market):
    """The best plan by HiGHS' branch and bound."""
    profit, cost = market.block(slice(0, market.num_customers))
    num = market.num_customers
    rows, high = [cost.ravel()], [market.budget]
    for used, room in zip(market.uses, market.capacity, strict=True):
        rows.append(np.tile(used, num).astype(float))
        high.append(room)
    for customer in range(num):
        mine = np.zeros((num, 6))
        mine[customer] = 1
        rows.append(mine.ravel())
        high.append(market.allowance[customer])
        for offer in range(3):
            same = np.zeros((num, 6))
            same[customer, market.offer == offer] = 1
            rows.append(same.ravel())
            high.append(1)
    limits = LinearConstraint(np.array(rows), ub=np.array(high, float))
    solution = milp(-profit.ravel().astype(float), constraints=limits, integrality=1, bounds=Bounds(0, 1))
    return -solution.fun


def test_the_choice_of_one_customer_is_the_best_of_all_sets():
    rng = np.random.default_rng(3)
    market = problem(60, 3, 3)
    reduced = rng.normal(0, 1, (60, 6))
    picks, worth = choose(reduced.copy(), market.allowance, market.offer)
    for customer in range(60):
        best = max(sum(reduced[customer, j] for j in some) for some in sets(market, customer))
        assert worth[customer].sum() == pytest.approx(best)
        chosen = picks[customer][picks[customer] != NOTHING]
        assert sum(reduced[customer, chosen]) == pytest.approx(best)


def test_no_plan_of_a_tiny_market_is_better_than_the_bound():
    market = problem(4, 2, 8)
    profit, cost = market.block(slice(0, 4))
    best = 0.0
    for plan in product(*(list(sets(market, customer)) for customer in range(4))):
        pairs = [(customer, j) for customer, some in enumerate(plan) for j in some]
        use = market.uses @ np.bincount([j for _, j in pairs], minlength=6)
        if sum(cost[pair] for pair in pairs) <= market.budget and (use <= market.capacity).all():
            best = max(best, sum(float(profit[pair]) for pair in pairs))
    allocation = allocate(market)
    assert allocation.certificate.value == pytest.approx(best, rel=1e-6)
    assert allocation.certificate.bound >= best - 1e-6


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_plan_is_as_good_as_an_exact_solver_s_up_to_its_certificate(most):
    market = problem(60, most, 20 + most)
    allocation, best = allocate(market), exact(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.bound >= best - 1e-6
    assert allocation.certificate.value >= best * (1 - 0.01)
    assert allocation.certificate.value <= best + 1e-6


@pytest.mark.parametrize("most", [1, 2])
def test_at_size_the_gap_is_small_and_the_certificate_can_be_recomputed(most):
    market = problem(6000, most, 5, chunk=1000)
    allocation = allocate(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.gap < 3e-4
    value, use = totals(market, allocation.picks)
    assert value == pytest.approx(allocation.certificate.value)
    assert (use <= market.limits).all()
    assert np.allclose(use, allocation.use)
    assert evaluate(market, allocation.prices, exact=True).bound == pytest.approx(allocation.certificate.bound)
    # The bound is no accident of these prices: any others give a bound above the plan too.
    for factor in (0.0, 0.5, 2.0):
        assert evaluate(market, allocation.prices * factor, exact=True).bound >= value - 1e-6


def test_chunks_do_not_change_the_plan():
    whole, pieces = problem(3000, 2, 6), problem(3000, 2, 6, chunk=171)
    assert allocate(whole).certificate.value == pytest.approx(allocate(pieces).certificate.value, rel=1e-3)


def test_without_limits_everybody_gets_the_best():
    market = replace(problem(500, 2, 9), budget=np.inf, capacity=np.full(2, np.inf))
    allocation = allocate(market)
    assert (solve(market) == 0).all()
    assert allocation.certificate.gap == pytest.approx(0, abs=1e-9)
    assert (np.sort(allocation.picks) == np.sort(at_prices(market, np.zeros(3))[0])).all()


def test_an_empty_budget_gives_an_empty_plan_and_what_loses_money_is_not_sent():
    market = problem(300, 2, 10)
    assert (allocate(replace(market, budget=0.0)).picks == NOTHING).all()
    loss = replace(market, block=lambda rows: (-market.block(rows)[1], market.block(rows)[1]))
    allocation = allocate(loss)
    assert (allocation.picks == NOTHING).all()
    assert allocation.certificate.gap == 0


def test_a_place_without_capacity_is_not_used():
    market = replace(problem(300, 2, 11), capacity=np.array([0.0, 50.0]))
    allocation = allocate(market)
    assert allocation.use[1] == 0
    assert 0 < allocation.use[2] <= 50


def test_a_broken_plan_is_seen():
    market = problem(100, 1, 12)
    picks = np.zeros((100, 1), np.int16)
    assert violations(market, picks) > 0


def loose(profit, cost, budget, offer=None, capacity=1e6):
    """One contact each, an offer per option and capacities in nobody's way, unless given."""
    profit, cost = np.asarray(profit, np.float32), np.asarray(cost, np.float32)
    num, options = profit.shape
    return Problem(
        block=lambda rows: (profit[rows], cost[rows]),
        allowance=np.ones(num, np.int8),
        offer=np.arange(options, dtype=np.int32) if offer is None else np.asarray(offer, np.int32),
        uses=np.arange(options) % 2 == np.arange(2)[:, None],
        capacity=np.broadcast_to(np.float64(capacity), 2).copy(),
        budget=budget,
    )


def test_where_everybody_is_alike_the_whole_budget_is_spent():
    market = loose(np.full((50_000, 20), 2.0), np.ones((50_000, 20)), 18_500.0)
    allocation = allocate(market)
    assert (allocation.picks != NOTHING).sum() == 18_500
    assert allocation.certificate.value == 37_000
    assert allocation.certificate.gap < 1e-6


def test_equal_customers_who_may_not_get_everything_fill_every_place():
    profit = np.full((30_000, 2), 2.0)
    profit[:20_000, 1] = -np.inf  # two thirds may get the first option alone
    allocation = allocate(loose(profit, np.ones((30_000, 2)), 1e6, capacity=8_000))
    assert allocation.certificate.value == 32_000
    assert allocation.certificate.gap < 1e-6


def test_customers_of_few_different_values_spend_the_whole_budget():
    rng = np.random.default_rng(6)
    profit, cost = rng.integers(1, 4, (30_000, 6)), rng.integers(1, 3, (30_000, 6))
    market = loose(profit, cost, 12_000.0, capacity=7_000)
    allocation = allocate(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.gap < 1e-5


def test_one_customer_worth_more_than_all_others_is_never_left_out():
    rng = np.random.default_rng(7)
    cost = rng.gamma(2, 0.5, (4_000, 6)) + 0.05
    profit = 0.7 * cost + rng.normal(0, 1, cost.shape)
    profit[2_000] = 1e7
    market = loose(profit, cost, 5.8)
    allocation = allocate(market)
    assert allocation.picks[2_000, 0] != NOTHING
    assert allocation.certificate.gap < 1e-5


def test_costs_over_eight_orders_of_magnitude_are_planned_as_closely_as_others():
    rng = np.random.default_rng(4)
    cost = 10 ** rng.uniform(-4, 4, (20_000, 6))
    market = loose(cost * rng.lognormal(0, 0.5, cost.shape), cost, 0.05 * cost.sum(), capacity=6_000)
    allocation = allocate(market)
    assert violations(market, allocation.picks) == 0
    assert allocation.certificate.gap < 1e-4


def test_a_budget_for_six_contacts_is_proven_to_be_spent_best():
    rng = np.random.default_rng(5)
    cost = rng.uniform(1, 2, (40, 6))
    profit = rng.lognormal(0, 0.5, (40, 6))
    profit[7] = 1e7
    market = replace(loose(profit, cost, 9.0), offer=(np.arange(6) // 2).astype(np.int32))
    allocation, best = allocate(market), exact(market)
    assert allocation.certificate.value == pytest.approx(best, rel=1e-6)
    assert allocation.certificate.gap < 1e-4


def test_a_bound_counts_whole_contacts():
    market = loose(np.full((1000, 2), 2.0), np.ones((1000, 2)), 6.9)
    allocation = allocate(market)
    assert allocation.certificate.value == 12
    assert allocation.certificate.bound == pytest.approx(12, rel=1e-5)


def test_of_equal_plans_the_cheapest_is_sent():
    """The first option, twice as dear, brings no more; the second holds 300, and one customer in four pays most."""
    cost = np.tile([0.04, 0.02], (1000, 1))
    cost[::4, 0] = 0.08
    market = loose(np.full((1000, 2), 0.05), cost, 1e3, offer=[0, 0], capacity=[1000, 300])
    allocation = allocate(market)
    assert allocation.use[1:].tolist() == [700, 300]
    assert allocation.use[0] == pytest.approx(300 * 0.02 + 700 * 0.04, rel=1e-6)
    assert allocation.picks[::4, 0].tolist() == [1] * 250


def test_no_budget_still_pays_for_what_is_free():
    allocation = allocate(loose([[3.0, 5.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]], 0.0))
    assert allocation.picks.tolist() == [[0], [0]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_profit_that_is_no_number_is_refused_in_one_line(wrong):
    with pytest.raises(InputError, match=r"^allocation: 1 profits or costs .* first of customer number 2; "):
        allocate(loose([[1.0, 1], [1, 1], [1, wrong]], np.ones((3, 2)), 2.0))


def test_a_cost_below_zero_is_refused_unless_its_option_is_closed():
    cost = np.array([[1.0, 1], [-1, 1]])
    with pytest.raises(InputError, match="costs below 0, first of customer number 1; "):
        allocate(loose(np.ones((2, 2)), cost, 2.0))
    assert allocate(loose([[1.0, 1], [-np.inf, 1]], cost, 2.0)).certificate.value == 2
