"""The allocation beside HiGHS' interior point, and how it grows to a million customers.

    python -m bench.allocate [--customers 100000] [--large 1000000] [--no-highs]

A made-up market of 20 options: four offers on five places (email in three slots, SMS in two), costs that grow with
what a response is worth, and nine limits: the budget, five capacities and the stock of three offers. A customer gets
one contact at most (K = 1) or two (K = 2). HiGHS solves the linear relaxation, whose optimum no plan can exceed, by
`scipy.optimize.linprog(method="highs-ipm")`, without the options that lose money, in the same run on the same arrays;
the seconds that it takes to write its matrix do not count. Each market of ours is planned in a process of its own, of
which the peak memory is taken.

Seconds are wall time on whatever else the machine does. The last line is one JSON object: `gap` (the largest share by
which a plan stays below HiGHS' optimum or below its own bound), `violations`, `speedup_100k` (the smaller of K = 1 and
K = 2), `seconds_1m`, `peak_gb_1m`, `growth`, and the figures behind them.
"""

import argparse
import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from bench.machine import machine
from nightmarket.delivery.allocation import allocate, violations
from nightmarket.delivery.problem import Problem, evaluate, solve

OFFERS, PLACES = 4, 5
CONTACT = np.array([0.02, 0.02, 0.02, 0.03, 0.03], np.float32)
"""Cost of a contact at each place, currency."""
WAIVED = np.array([0.2, 0.3, 0.4, 0.5], np.float32)
"""What each offer costs, as a share of what is bought with it."""
STEP = 50_000


def market(num: int, most: int, seed: int = 5) -> Problem:
    """`num` customers, `most` contacts each; profit and cost in float32, the limits as shares of what would be used
    without them."""
    options = OFFERS * PLACES
    offer, place = np.divmod(np.arange(options), PLACES)
    profit, cost = np.empty((num, options), np.float32), np.empty((num, options), np.float32)
    for start in range(0, num, STEP):
        rng = np.random.default_rng((seed, start))
        size = min(STEP, num - start)
        keen = rng.beta(1.2, 6, (size, 1))
        chance = keen * rng.gamma(3, 1 / 3, (size, OFFERS))[:, offer] * rng.uniform(0.7, 1, (size, PLACES))[:, place]
        chance = np.minimum(chance, 1)
        worth = rng.lognormal(1.5, 0.8, (size, OFFERS))[:, offer]
        spent = CONTACT[place] + chance * WAIVED[offer] * worth
        cost[start : start + size] = spent
        profit[start : start + size] = chance * worth * rng.uniform(0.2, 1.4, (size, OFFERS))[:, offer] - spent
    stock = offer == np.arange(OFFERS - 1)[:, None]
    free = Problem(
        block=lambda rows: (profit[rows], cost[rows]),
        allowance=np.full(num, most, np.int8),
        offer=offer.astype(np.int32),
        uses=np.concatenate([place == np.arange(PLACES)[:, None], stock]),
        capacity=np.full(PLACES + OFFERS - 1, np.inf),
        budget=np.inf,
    )
    return limited(free, np.random.default_rng(seed))


def limited(free: Problem, rng: np.random.Generator) -> Problem:
    """The problem with limits that bind together: each is less than what would be used without it."""
    tight = replace(free, budget=0.5 * evaluate(free, np.zeros(1 + free.capacity.size)).use[0])
    use = evaluate(tight, solve(tight)).use
    return replace(tight, capacity=np.floor(use[1:] * rng.uniform(0.7, 0.85, use.size - 1)))


def relaxation(problem: Problem) -> tuple[float, float]:
    """HiGHS' optimum of the linear relaxation, and its seconds, without those that it takes to write the matrix."""
    profit, cost = problem.block(slice(0, problem.num_customers))
    customer, option = np.nonzero(profit > 0)
    num, every = customer.size, np.arange(customer.size)
    ones = np.ones(num)
    deals = customer * OFFERS + problem.offer[option]
    rows = [
        sparse.csr_matrix(cost[customer, option].astype(np.float64)[None]),
        sparse.csr_matrix(problem.uses[:, option].astype(np.float64)),
        sparse.csr_matrix((ones, (customer, every)), shape=(problem.num_customers, num)),
    ]
    limits = [problem.limits, problem.allowance.astype(np.float64)]
    if problem.most > 1:  # an offer once; with one contact that says nothing more
        rows.append(sparse.csr_matrix((ones, (deals, every)), shape=(problem.num_customers * OFFERS, num)))
        limits.append(np.ones(problem.num_customers * OFFERS))
    matrix, right = sparse.vstack(rows, format="csc"), np.concatenate(limits)
    start = time.perf_counter()
    solution = linprog(-profit[customer, option].astype(np.float64), A_ub=matrix, b_ub=right, method="highs-ipm")
    seconds = time.perf_counter() - start
    if solution.status != 0:
        raise SystemExit(f"HiGHS: {solution.message}")
    return -float(solution.fun), seconds


def planned(num: int, most: int) -> dict[str, Any]:
    """One market planned: seconds, certificate, limits broken and binding, peak memory of the process so far."""
    problem = market(num, most)
    start, cpu = time.perf_counter(), time.process_time()
    plan = allocate(problem)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    profit, cost = problem.block(slice(0, min(num, STEP)))
    return {
        "customers": num,
        "most": most,
        "value": plan.certificate.value,
        "bound": plan.certificate.bound,
        "gap": plan.certificate.gap,
        "violations": violations(problem, plan.picks),
        "binding": int((plan.use >= 0.999 * problem.limits).sum()),
        "limits": int(problem.limits.size),
        "correlation": float(np.corrcoef(profit.ravel(), cost.ravel())[0, 1]),
        "contacts": int((plan.picks >= 0).sum()),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gb": _peak_gb(),
    }


def _peak_gb() -> float:
    """Peak memory of this process alone: `ru_maxrss` would count what the parent held when it was forked."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9


def apart(num: int, most: int) -> dict[str, Any]:
    """`planned` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(planned, (num, most))


def main() -> None:
    """Measure, and print as told above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--no-highs", action="store_true")
    args = parser.parse_args()
    small, large, best = [], [], []
    for most in (1, 2):
        small.append(apart(args.customers, most))
        print(json.dumps(small[-1]), flush=True)
        large.append(apart(args.large, most))
        print(json.dumps(large[-1]), flush=True)
        if not args.no_highs:
            optimum, seconds = relaxation(market(args.customers, most))
            best.append({"optimum": optimum, "seconds": seconds, "gap": 1 - small[-1]["value"] / optimum})
            print(json.dumps({"highs": best[-1]}), flush=True)
    every = [*small, *large]
    figures = {
        "gap": max(run["gap"] for run in [*every, *best]),
        "violations": sum(run["violations"] for run in every),
        "speedup_100k": min((h["seconds"] / s["seconds"] for h, s in zip(best, small, strict=False)), default=None),
        "seconds_1m": max(run["seconds"] for run in large),
        "peak_gb_1m": max(run["peak_gb"] for run in large),
        "growth": max(b["seconds"] / s["seconds"] for b, s in zip(large, small, strict=True)),
        "growth_cpu": max(b["cpu_seconds"] / s["cpu_seconds"] for b, s in zip(large, small, strict=True)),
        "binding": min(run["binding"] for run in every),
        "limits": every[0]["limits"],
        "highs": best,
        "runs": every,
        "load": os.getloadavg()[0],
        "machine": machine(),
        "seed": 5,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
