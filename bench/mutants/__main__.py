"""`make mutants`: how many small faults the tests find, module by module, and those that they miss.

    python -m bench.mutants                      # 240 of them, drawn by a fixed seed
    python -m bench.mutants --num 1000 gate      # more, of the modules whose name holds "gate"

Ends with status 1 where fewer than nine in ten are found.
"""

import argparse
import math
import sys
import time
from collections import Counter

from bench.mutants.faults import Fault, faults
from bench.mutants.modules import EQUIVALENT, MODULES
from bench.mutants.run import path_of, side_by_side, under, warm, without_fault

LEAST_FOUND = 0.9
LEAST_OF_A_MODULE = 6
FOUND_BY_NO_TEST = (0, 5)
"""pytest's status where all passed, or none was there."""


def sample(num: int, seed: int, words: list[str]) -> dict[str, list[Fault]]:
    """About `num` faults, from each module as many as its share of all, a few at least."""
    every = {
        module: sorted(
            (f for f in faults(module, path_of(module).read_bytes()) if (module, f.name) not in EQUIVALENT),
            key=lambda fault: fault.rank(seed),
        )
        for module in MODULES
        if not words or any(word in module for word in words)
    }
    total = sum(map(len, every.values()))
    return {
        module: made[: max(LEAST_OF_A_MODULE, math.ceil(num * len(made) / total))] for module, made in every.items()
    }


def main() -> int:
    """Run the sample; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description="how many small faults the tests find")
    parser.add_argument("words", nargs="*", help="only modules whose name holds one of these")
    parser.add_argument("--num", type=int, default=240, help="faults to draw (240)")
    parser.add_argument("--seed", type=int, default=0, help="which faults are drawn (0)")
    parser.add_argument("--at-once", type=int, default=2, help="processes (2)")
    options = parser.parse_args()
    warm()
    start = time.monotonic()
    drawn = sample(options.num, options.seed, options.words)
    outcomes: Counter[bool] = Counter()
    for tests in dict.fromkeys(MODULES[module] for module in drawn):
        group = [module for module in drawn if MODULES[module] == tests]
        asked = without_fault(group, tests)
        some = [fault for module in group for fault in drawn[module]]
        chosen = [asked.about(fault) for fault in some]
        limits = [10.0 + 8 * sum(asked.seconds[test] for test in tests) for tests in chosen]
        jobs = [under(fault, tests) for fault, tests in zip(some, chosen, strict=True)]
        status = side_by_side(jobs, limits, options.at_once)
        for module in group:
            mine = [(f, s not in FOUND_BY_NO_TEST) for f, s in zip(some, status, strict=True) if f.module == module]
            outcomes.update(alive for _, alive in mine)
            print(f"{module}: {sum(ok for _, ok in mine)} of {len(mine)} found", flush=True)
            for fault, ok in mine:
                if not ok:
                    print(f"  missed, line {fault.line} {fault.name}", flush=True)
    total = outcomes.total()
    share = outcomes[True] / total
    print(f"{outcomes[True]} of {total} faults found ({share:.0%}), {time.monotonic() - start:.0f} s; "
          f"{len(EQUIVALENT)} that change nothing are left out")  # fmt: skip
    return int(share < LEAST_FOUND)


if __name__ == "__main__":
    sys.exit(main())
