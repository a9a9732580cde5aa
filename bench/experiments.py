"""What the experiments' read-out promises, simulated: false alarms at a hundred looks, power, and what is refused.

    python -m bench.experiments [--tests 2000] [--seed 17]

Every simulated experiment is looked at a hundred times, at equal steps up to its planned end. "Open end" and "planned
end" are the rules of the verdicts without their care for skewed outcomes (`python -m bench.abuse --only experiments`
tries that), "fixed" the ordinary 95% interval, all with the same estimates. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from bench.machine import machine
from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments import sequence
from nightmarket.evaluation.experiments.design import ControlOutcome, Rule, power
from nightmarket.evaluation.experiments.effects import MIN_CUSTOMERS, MIN_NONZERO, Covariate, Metric, compare
from nightmarket.evaluation.experiments.readout import LEVEL, Experiment, read_out

LOOKS = 100
ALPHA = 0.05
PER_ARM = 70_000
BLOCK = 50
Draw = Callable[[np.random.Generator, tuple[int, ...], bool], NDArray[np.float64]]


def rates(
    rng: np.random.Generator, num_tests: int, per_arm: int, chance: tuple[float, float], share: float = 0.5
) -> dict[str, float]:
    """Two proportions; `share` of the customers is in the treated arm."""
    sizes = [round(2 * per_arm * part / LOOKS) for part in (1 - share, share)]
    looks = np.arange(1, LOOKS + 1)
    counts = [
        np.cumsum(rng.binomial(size, p, (num_tests, LOOKS)), axis=1) for size, p in zip(sizes, chance, strict=True)
    ]
    means = [count / (size * looks) for count, size in zip(counts, sizes, strict=True)]
    squares = [mean * (1 - mean) / (size * looks - 1) for mean, size in zip(means, sizes, strict=True)]
    allowed = (counts[0] + counts[1] >= MIN_NONZERO) & (min(sizes) * looks >= MIN_CUSTOMERS)
    return evaluated(means[1] - means[0], squares[0] + squares[1], sum(sizes) * looks, 2 * per_arm, allowed)


def values(
    rng: np.random.Generator, num_tests: int, per_arm: int, draw: Draw, *, cuped: bool = False
) -> dict[str, float]:
    """Two means of drawn values; with CUPED, `draw` yields (..., 2): before and after."""
    step = per_arm // LOOKS
    parts = []
    for _ in range(0, num_tests, BLOCK):
        shape = (BLOCK, LOOKS, step)
        moments = [_moments(draw(rng, shape, treated), cuped) for treated in (False, True)]
        parts.append(_from_moments(moments, step, per_arm, cuped))
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def _moments(drawn: NDArray[np.float64], cuped: bool) -> dict[str, NDArray[np.float64]]:
    """Sums up to each look (T, LOOKS)."""
    y, x = (drawn[..., 1], drawn[..., 0]) if cuped else (drawn, np.zeros_like(drawn))
    products = {"y": y, "x": x, "yy": y * y, "xx": x * x, "xy": x * y, "some": y != 0}
    return {name: np.cumsum(product.sum(axis=-1), axis=1) for name, product in products.items()}


def _from_moments(
    moments: list[dict[str, NDArray[np.float64]]], step: int, per_arm: int, cuped: bool
) -> dict[str, float]:
    num = step * np.arange(1, LOOKS + 1)
    both = {name: moments[0][name] + moments[1][name] for name in moments[0]}
    spread = both["xx"] - both["x"] ** 2 / (2 * num)
    theta = (both["xy"] - both["x"] * both["y"] / (2 * num)) / np.where(spread > 0, spread, 1) if cuped else 0.0
    means, squares = [], []
    for arm in moments:
        mean = (arm["y"] - theta * arm["x"]) / num
        second = arm["yy"] - 2 * theta * arm["xy"] + theta**2 * arm["xx"]
        means.append(mean)
        squares.append(np.maximum(second - num * mean**2, 1e-300) / (num - 1) / num)
    allowed = (both["some"] >= MIN_NONZERO) & (num >= MIN_CUSTOMERS)
    return evaluated(means[1] - means[0], squares[0] + squares[1], 2 * num, 2 * per_arm, allowed)


def evaluated(
    effect: NDArray[np.float64], square: NDArray[np.float64], num: NDArray[np.int64], planned: int,
    allowed: NDArray[np.bool_],
) -> dict[str, float]:  # fmt: skip
    """Shares of the simulated tests (T, LOOKS) in which each rule called a difference."""
    z = np.abs(effect) / np.sqrt(np.where(square > 0, square, np.inf))
    over = (z >= sequence.critical(num, planned, ALPHA)) & allowed
    ends = (z >= sequence.critical(num, planned, ALPHA, ends=True)) & allowed
    fixed = (z >= norm.isf(ALPHA / 2)) & allowed
    rejected = over.any(axis=1)
    first = np.where(rejected, over.argmax(axis=1) + 1, LOOKS)
    return {
        "sequence": float(rejected.mean()),
        "ends": float(ends.any(axis=1).mean()),
        "sequence_end": float(over[:, -1].mean()),
        "fixed_once": float(fixed[:, -1].mean()),
        "fixed_peeked": float(fixed.any(axis=1).mean()),
        "share_of_customers": float(first.mean() / LOOKS),
    }


def baskets(rng: np.random.Generator, shape: tuple[int, ...], treated: bool) -> NDArray[np.float64]:
    """Spend: three of four buy nothing, the rest log-normally (skewness about 8)."""
    return np.where(rng.random(shape) < 0.25, rng.lognormal(3.0, 1.0, shape), 0.0)


def loyal(gain: float) -> Draw:
    """Spend before and after, correlated .7, the second with a gain where treated."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], treated: bool) -> NDArray[np.float64]:
        before = rng.standard_normal(shape)
        after = 10 + 0.7 * before + np.sqrt(1 - 0.49) * rng.standard_normal(shape) + gain * treated
        return np.stack([before, after], axis=-1)

    return draw


def _after(draw: Draw) -> Draw:
    return lambda rng, shape, treated: draw(rng, shape, treated)[..., 1]


def incomplete(rng: np.random.Generator, num_tests: int, per_arm: int) -> dict[str, float]:
    """Everybody assigned on the first day and read while purchases still come in: what `counted` forbids."""
    bought = [np.cumsum(rng.poisson(0.002 * per_arm, (num_tests, LOOKS)), axis=1) for _ in range(2)]
    effect = (bought[1] - bought[0]) / per_arm
    square = (bought[0] + bought[1]) / per_arm**2  # Poisson: the variance is the mean
    num = np.full(LOOKS, 2 * per_arm)
    return evaluated(effect, square, num, 2 * per_arm, bought[0] + bought[1] >= MIN_NONZERO)


def split_alarms(rng: np.random.Generator, num_tests: int) -> float:
    """How often the sample ratio check, repeated at a hundred looks, stops a sound experiment."""
    step = 2 * PER_ARM // LOOKS
    treated = np.cumsum(rng.binomial(step, 0.5, (num_tests, LOOKS)), axis=1)
    num = step * np.arange(1, LOOKS + 1)
    statistic = (2 * treated - num) ** 2 / num
    return float((chi2.sf(statistic, 1) < LEVEL).any(axis=1).mean())


def refusals() -> dict[str, Any]:
    """The two that must be refused, through the whole read-out."""
    start = np.datetime64("2026-03-01", "us")
    arm = np.repeat(np.array(["control", "treated"], object), [504_000, 496_000])
    responded = np.concatenate([np.arange(504_000) < 25_200, np.arange(496_000) < 29_760]).astype(float)
    halves = {"control": 0.5, "treated": 0.5}
    at = np.full(arm.size, start)
    plain = Experiment("split", arm, at, (Metric("response", responded),), "control", halves, 1_000_000)
    started = time.perf_counter()
    blocked = read_out(plain).verdict
    seconds = time.perf_counter() - started
    late = Covariate("visits since", responded, at + np.timedelta64(1, "h"))
    try:
        made = Metric("response", responded, covariate=late)
        read_out(Experiment("late", arm, at, (made,), "control", halves, 1_000_000))
        refused = ""
    except InputError as error:
        refused = str(error)
    print(f"blocked: {blocked.reason}\nrefused: {refused}")
    return {"split_blocked": blocked.word == "blocked", "late_covariate_refused": bool(refused), "read_out_s": seconds}


def same_as_library(rng: np.random.Generator) -> bool:
    """The fast sums above against `compare` on the same customers."""
    drawn = [loyal(0.1)(rng, (1, LOOKS, 20), treated) for treated in (False, True)]
    fast = _from_moments([_moments(values, True) for values in drawn], 20, 2000, True)
    flat = np.concatenate([values.reshape(-1, 2) for values in drawn])
    arm = np.arange(4000) >= 2000
    known = Covariate("before", flat[:, 0], np.full(4000, np.datetime64("2026-03-01", "us")))
    slow = compare(Metric("spend", flat[:, 1], covariate=known), "treated", arm, ~arm, planned=4000)
    return bool((slow.p_always <= ALPHA) == bool(fast["sequence_end"])) and bool(
        (slow.p_fixed <= ALPHA) == bool(fast["fixed_once"])
    )


def main() -> None:
    """Simulate, print a table, and say it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=17)
    args = parser.parse_args()
    num, started = args.tests, time.perf_counter()
    rng = np.random.default_rng(args.seed)
    scenes: dict[str, Callable[[], dict[str, float]]] = {
        "null, 5%, 70,000 per arm": lambda: rates(rng, num, PER_ARM, (0.05, 0.05)),
        "null, 1%, 4,000 per arm": lambda: rates(rng, num, 4000, (0.01, 0.01)),
        "null, 5%, 10% treated": lambda: rates(rng, num, 10_000, (0.05, 0.05), 0.1),
        "null, spend, 2,000 per arm": lambda: values(rng, num, 2000, baskets),
        "null, CUPED, 2,000 per arm": lambda: values(rng, num, 2000, loyal(0.0), cuped=True),
        "null, read before complete": lambda: incomplete(rng, num, 2000),
        "lift 5% to 5.5%, 70,000 per arm": lambda: rates(rng, num, PER_ARM, (0.05, 0.055)),
        "gain .1 sd, 2,000 per arm": lambda: values(rng, num, 2000, _after(loyal(0.1))),
        "gain .1 sd, CUPED": lambda: values(rng, num, 2000, loyal(0.1), cuped=True),
    }
    print("| | open end, 100 looks | planned end, 100 looks | fixed, one look | fixed, 100 looks | customers used |")
    print("|---|---|---|---|---|---|")
    by_scene: dict[str, dict[str, float]] = {}
    for name, scene in scenes.items():
        row = by_scene[name] = scene()
        shares = [f"{row[key]:.1%}" for key in ("sequence", "ends", "fixed_once", "fixed_peeked", "share_of_customers")]
        print(f"| {name} | {' | '.join(shares)} |", flush=True)
    response, rise = ControlOutcome(0.05, proportion=True), 0.005
    told = {
        "tests": num,
        "looks": LOOKS,
        "null_rejected_peeked": by_scene["null, 5%, 70,000 per arm"]["sequence"],
        "null_rejected_worst": max(row["sequence"] for name, row in by_scene.items() if name.startswith("null")),
        "lift_found_peeked": by_scene["lift 5% to 5.5%, 70,000 per arm"]["sequence"],
        "lift_found_fixed": by_scene["lift 5% to 5.5%, 70,000 per arm"]["fixed_once"],
        "lift_power_stated": power(response, rise, 2 * PER_ARM),
        "lift_power_stated_fixed": power(response, rise, 2 * PER_ARM, Rule(always_valid=False)),
        "split_alarms_peeked": split_alarms(rng, num),
        "same_as_library": same_as_library(rng),
        **refusals(),
        "scenes": by_scene,
        "seconds": time.perf_counter() - started,
        "machine": machine(),
        "seed": args.seed,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    sys.exit(main())
