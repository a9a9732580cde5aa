"""Every decision that was once wrong under abuse, tried again: one line a figure, beside what it must be.

    python -m bench.abuse [--quick] [--only allocation experiments]

Each module of this package beside `figures` simulates one kind of decision and yields its figures. Exits with 1 when a
figure falls short. `--quick`: fewer repeats and smaller shops, as the tests run it. The last line is one JSON object.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Iterator

import bench.abuse
from bench.abuse.figures import Figure
from bench.machine import machine

KINDS = sorted(
    module.name for module in pkgutil.iter_modules(bench.abuse.__path__) if module.name not in ("__main__", "figures")
)


def figures(only: list[str], *, quick: bool) -> Iterator[Figure]:
    """The figures of the named kinds, as they are ready."""
    for kind in only:
        yield from importlib.import_module(f"bench.abuse.{kind}").figures(quick=quick)


def main(arguments: list[str] | None = None) -> int:
    """Print every figure; 1 if one falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    asked = parser.parse_args(arguments)
    done, start = [], time.perf_counter()
    for figure in figures(asked.only, quick=asked.quick):
        done.append(figure)
        bound = f"{'<=' if figure.most else '>='} {figure.bound:<8.4g} {'ok' if figure.holds else 'FALLS SHORT'}"
        seconds = time.perf_counter() - start
        print(f"{figure.where:<14} {figure.what:<88} {figure.value:>10.4g} {bound}  {seconds:.0f} s", flush=True)
    short = [figure for figure in done if not figure.holds]
    rows = [
        {"where": figure.where, "what": figure.what, "value": figure.value, "holds": figure.holds} for figure in done
    ]
    print(json.dumps({"figures": rows, "short": len(short), "machine": machine()}))
    return 1 if short or not done else 0


if __name__ == "__main__":
    sys.exit(main())
