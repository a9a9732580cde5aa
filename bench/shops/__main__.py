"""Write a made-up shop whose truth is known: tables as a retailer would bring them, and truth/ beside them.

    python -m bench.shops fashion FOLDER --seed 7 --customers 0.5 --products 2

`bench.shops.truth.load(FOLDER/truth).probabilities(cut, 28, customers)` says who buys what in the 28 days after a day.
`--plain` leaves out what the contract does not know: guests, searches and returns. The last line is one JSON object.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.machine import machine
from bench.shops.profiles import PROFILES
from bench.shops.tables import write_shop


def main(words: list[str] | None = None) -> int:
    """Make one shop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", choices=tuple(PROFILES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--customers", type=float, default=1.0, help="times as many customers as the profile has")
    parser.add_argument("--products", type=float, default=1.0, help="times as many products")
    parser.add_argument("--weeks", type=int, help="of events")
    parser.add_argument("--plain", action="store_true", help="views, carts and purchases of customers with an id alone")
    asked = parser.parse_args(words)
    profile = PROFILES[asked.profile].scaled(asked.customers, asked.products)
    profile = replace(profile, weeks=asked.weeks) if asked.weeks else profile
    started = time.perf_counter()
    tables = write_shop(asked.folder, profile, asked.seed)
    if asked.plain:
        events = tables["events"]
        known = pc.and_(
            events["customer_id"].is_valid(), pc.is_in(events["kind"], pa.array(["view", "cart", "purchase"]))
        )
        tables["events"] = events.filter(known).drop_columns(["query"])
        pq.write_table(tables["events"], asked.folder / "events.parquet")
    kinds = {row["values"]: row["counts"] for row in tables["events"]["kind"].value_counts().to_pylist()}
    run = {"profile": asked.profile, "seed": asked.seed, "rows": {name: t.num_rows for name, t in tables.items()}}
    run |= {"events": kinds, "seconds": round(time.perf_counter() - started, 1)}
    run["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(run | {"machine": machine(("numpy", "pyarrow"))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
