"""Allocations of kinds that break solvers: ties, costs over eight orders of magnitude, budgets for six contacts, …

Small problems are compared with HiGHS' exact optimum, large ones with their bound, and their seconds with those of the
plain kind.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from bench.abuse.figures import Figure
from nightmarket.delivery.allocation import allocate, violations
from nightmarket.delivery.problem import Problem, evaluate

Drawn = tuple[NDArray, NDArray]
PLACES = 3


def _profit(rng: np.random.Generator, cost: NDArray) -> NDArray:
    return np.asarray(cost * 0.7 + rng.normal(0, 1, cost.shape))


def plain(rng: np.random.Generator, num: int, options: int) -> Drawn:
    """(profit, cost), each (num, options)."""
    cost = rng.gamma(2, 0.5, (num, options)) + 0.05
    return _profit(rng, cost), cost


def _ties(rng: np.random.Generator, num: int, options: int) -> Drawn:
    return np.full((num, options), 2.0), np.ones((num, options))


def _few_values(rng: np.random.Generator, num: int, options: int) -> Drawn:
    return rng.integers(1, 4, (num, options)).astype(float), rng.integers(1, 3, (num, options)).astype(float)


def _closed_ties(rng: np.random.Generator, num: int, options: int) -> Drawn:
    cost = np.ones((num, options))
    return np.where(rng.random((num, options)) < 0.3, 2.0, -np.inf), cost


def _one_ratio(rng: np.random.Generator, num: int, options: int) -> Drawn:
    cost = rng.gamma(2, 0.5, (num, options)) + 0.05
    return 2 * cost, cost


def _wide_costs(rng: np.random.Generator, num: int, options: int) -> Drawn:
    cost = 10 ** rng.uniform(-4, 4, (num, options))
    return cost * rng.lognormal(0, 0.5, (num, options)), cost


def _heavy_tails(rng: np.random.Generator, num: int, options: int) -> Drawn:
    cost = rng.gamma(2, 0.5, (num, options)) + 0.05
    return rng.pareto(1.1, (num, options)), cost


def _huge_customer(rng: np.random.Generator, num: int, options: int) -> Drawn:
    profit, cost = plain(rng, num, options)
    profit[num // 2] = 1e7
    return profit, cost


def _free_options(rng: np.random.Generator, num: int, options: int) -> Drawn:
    profit, cost = plain(rng, num, options)
    return profit, np.where(rng.random(cost.shape) < 0.3, 0.0, cost)


def _losses(rng: np.random.Generator, num: int, options: int) -> Drawn:
    profit, cost = plain(rng, num, options)
    return profit - 2.0, cost


def _twins(rng: np.random.Generator, num: int, options: int) -> Drawn:
    profit, cost = plain(rng, -(-num // 10), options)
    return np.repeat(profit, 10, axis=0)[:num], np.repeat(cost, 10, axis=0)[:num]


def _equal_costs(rng: np.random.Generator, num: int, options: int) -> Drawn:
    return rng.beta(1, 20, (num, 1)) * np.ones((num, options)), np.tile(
        0.02 + 0.02 * (np.arange(options) % 2), (num, 1)
    )


KINDS: dict[str, tuple[Callable[[np.random.Generator, int, int], Drawn], dict[str, float]]] = {
    "plain": (plain, {}),
    "ties": (_ties, {"caps": 9.0}),
    "ties of few values": (_few_values, {"caps": 0.4}),
    "ties, most closed": (_closed_ties, {"caps": 0.25}),
    "one ratio of profit to cost": (_one_ratio, {}),
    "costs from 1e-4 to 1e4": (_wide_costs, {"budget": 0.1}),
    "heavy tails": (_heavy_tails, {"budget": 0.1, "most": 2}),
    "a budget for six contacts": (plain, {"contacts": 6.5}),
    "one worth 10 million, six contacts": (_huge_customer, {"contacts": 6.5}),
    "free options": (_free_options, {"budget": 0.1, "most": 2}),
    "most lose money": (_losses, {}),
    "everybody ten times": (_twins, {"most": 3}),
    "one option": (plain, {"options": 1.0}),
    "equal costs and chances": (_equal_costs, {"caps": 0.3}),
}
"""kind: how profit and cost are drawn, and what differs: budget as a share of what would be spent without it or as the
number of usual contacts, caps as a share of what would be drawn, most contacts of a customer, options."""


def market(kind: str, num: int, seed: int, options: int = 20) -> Problem:
    """A problem of a kind: offers on three places, a budget and a capacity of each place."""
    draw, differs = KINDS[kind]
    rng = np.random.default_rng((seed, num, list(KINDS).index(kind)))
    options = int(differs.get("options", options))
    profit, cost = (values.astype(np.float32) for values in draw(rng, num, options))
    most = int(differs.get("most", 1))
    free = Problem(
        block=lambda rows: (profit[rows], cost[rows]),
        allowance=rng.integers(1, most + 1, num).astype(np.int8),
        offer=(np.arange(options) // PLACES).astype(np.int32),
        uses=np.arange(options) % PLACES == np.arange(PLACES)[:, None],
        capacity=np.full(PLACES, np.inf),
        budget=np.inf,
    )
    use = evaluate(free, np.zeros(1 + PLACES)).use
    budget = differs.get("budget", 0.5) * use[0]
    if "contacts" in differs:
        budget = differs["contacts"] * float(np.median(cost))
    caps = np.maximum(np.floor(differs.get("caps", 0.6) * max(use[1:].max(), 3)), 1.0)
    return replace(free, budget=budget, capacity=np.full(PLACES, caps))


def exact(problem: Problem) -> float:
    """The best plan by HiGHS' branch and bound, to a gap of 1e-5."""
    profit, cost = problem.block(slice(0, problem.num_customers))
    customer, option = np.nonzero(profit > 0)
    num = customer.size
    if not num:
        return 0.0
    every, ones = np.arange(num), np.ones(num)
    deal = customer * problem.offer.size + problem.offer[option]
    unit = float(np.median(cost[cost > 0]))
    rows = [
        sparse.csr_matrix(cost[customer, option].astype(np.float64)[None] / unit),
        sparse.csr_matrix(problem.uses[:, option].astype(np.float64)),
        sparse.csr_matrix((ones, (customer, every)), shape=(problem.num_customers, num)),
        sparse.csr_matrix((ones, (deal, every)), shape=(int(deal.max()) + 1, num)),
    ]
    high = [[problem.budget / unit], problem.capacity, problem.allowance, np.ones(int(deal.max()) + 1)]
    gain = profit[customer, option].astype(np.float64)
    solution = milp(
        -gain / np.median(gain),
        constraints=LinearConstraint(sparse.vstack(rows, format="csr"), ub=np.concatenate(high).astype(float)),
        integrality=1,
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-5, "node_limit": 2000},
    )
    return -float(solution.fun) * float(np.median(gain))


def figures(*, quick: bool) -> Iterator[Figure]:
    """Worst gap to the exact optimum, worst gap of the certificate and limits broken per kind; then seconds."""
    repeats, num = (2, 4_000) if quick else (30, 100_000)
    seconds = {}
    for kind in KINDS:
        gaps, broken, wrong = [], 0, 0
        for seed in range(repeats):
            small = market(kind, 30 + seed, seed, options=6)
            plan, best = allocate(small), exact(small)
            gaps.append(float(1 - plan.certificate.value / best) if best > 0 else 0.0)
            broken += violations(small, plan.picks)
            wrong += plan.certificate.bound < best * (1 - 2e-6)
        yield Figure("allocation", f"{kind}: worst gap to the optimum of {repeats} small ones, %", 100 * max(gaps), 0.1)
        large = market(kind, num, 0)
        start = time.process_time()
        plan = allocate(large)
        seconds[kind] = time.process_time() - start
        broken += violations(large, plan.picks)
        bound = 0.1 if quick else 0.01
        yield Figure("allocation", f"{kind}: gap to the bound at {num:,}, %", 100 * float(plan.certificate.gap), bound)
        yield Figure("allocation", f"{kind}: limits broken, or bounds below the optimum", float(broken + wrong), 0)
    if not quick:
        usual = max(seconds["plain"], 1.0)
        worst = max(seconds, key=lambda kind: seconds[kind])
        yield Figure("allocation", f"{worst}: times the seconds of the plain kind", seconds[worst] / usual, 2)
