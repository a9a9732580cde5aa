"""The live site: how fast, how large, how right, and what it is worth.

    python -m bench.live                                 the servers under load, on artifacts/bundle or a made-up shop
    python -m bench.live --kills 200 --champions 50 --frozen 60     what is lost, doubled or not answered then
    python -m bench.live --fuzz 100000                   requests that are wrong somewhere
    python -m bench.live --engine                        the engine alone, on artifacts/bundle or another one
    python -m bench.live --features 100000               features at request time against those of training
    python -m bench.live --worth fashion electronics     live answers against the lists of last night, in order of time

The last line is one JSON object.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from bench.domains.results import say
from bench.live import engine, faults, features, fuzz, servers, worth
from bench.machine import machine
from bench.shops.profiles import PROFILES


def main(words: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--engine", action="store_true", help="milliseconds of each step, memory, start")
    what.add_argument("--features", type=int, metavar="N", help="requests whose features are compared")
    what.add_argument("--worth", nargs="+", choices=tuple(PROFILES), metavar="SHOP")
    parser.add_argument("--bundle", type=Path, default=Path("artifacts/bundle"), help="what the engine answers from")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="of workers, and at times of all servers")
    parser.add_argument("--champions", type=int, default=0, metavar="N", help="changes of the champion")
    parser.add_argument(
        "--frozen", type=float, default=0, metavar="S", help="seconds in which the log cannot be written"
    )
    what.add_argument("--fuzz", type=int, metavar="N", help="requests that are wrong somewhere")
    parser.add_argument("--workers", type=int, default=2, help="of the servers")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load on the servers")
    parser.add_argument("--requests", type=int, default=1000, help="whose time is taken")
    parser.add_argument("--shop", choices=tuple(PROFILES), default="fashion", help="whose features are compared")
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--nights", type=int, default=3, help="whose next day judges, the last ones")
    parser.add_argument("--customers", type=float, default=1.0, help="times as many as the made-up profiles have")
    parser.add_argument("--products", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the JSON object here too")
    asked = parser.parse_args(words)
    started = time.perf_counter()
    content: dict[str, Any]
    if asked.engine:
        content, table = engine.measure(asked.bundle, asked.requests)
    elif asked.features:
        content, table = features.compare(asked.shop, asked.seeds[0], asked.features, asked.customers, asked.products)
    elif asked.fuzz:
        content, table = fuzz.measure(asked.bundle, asked.fuzz, asked.customers)
    elif asked.kills or asked.champions or asked.frozen:
        content, table = faults.measure(asked.bundle, asked.kills, asked.champions, asked.frozen, asked.customers)
    elif not asked.worth:
        content, table = servers.measure(asked.bundle, asked.workers, asked.seconds, asked.customers)
    else:
        content, table = worth.replay(asked.worth, asked.seeds, asked.nights, asked.customers, asked.products)
    content["run"] = {"seconds": round(time.perf_counter() - started), "machine": machine()}
    say(content, table, asked.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
