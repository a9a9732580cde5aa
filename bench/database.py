"""How long a snapshot of a Postgres takes: all of it, the night after with what is new, and a night without news.

    python -m bench.database --events 1e7

A server of its own on this machine holds made-up events of two years, 200,000 customers and 20,000 products, without an
index. The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import machine
from nightmarket.testing import postgres
from tasks import snapshot

TABLES = {"products": {"table": "products"}, "events": {"table": "events", "watermark": "at"}}
MAPPING = {"events": {"customer_id": "client", "product_id": "product", "timestamp": "at"}}
MADE = """
SELECT 'c' || (random() * 200000)::int AS client, 'p' || (random() * 19999)::int AS product,
       timestamp '2024-01-01' + random() * interval '730 days' + interval '{days} days' AS at,
       (ARRAY['view', 'view', 'view', 'cart', 'purchase'])[1 + (random() * 4)::int] AS kind,
       (random() * 100)::numeric(9, 2) AS value, 1 AS quantity
FROM generate_series(1, {rows})
"""


def measured(number: int) -> dict[str, Any]:
    """Seconds of the three snapshots, and the greatest memory of this process in GB."""
    import adbc_driver_postgresql.dbapi as adbc

    with postgres.postgres() as server, adbc.connect(server.url(), autocommit=True) as shop, shop.cursor() as cursor:
        os.environ["NIGHTMARKET_DATABASE"] = server.url()
        cursor.execute(f"CREATE TABLE events AS {MADE.format(rows=number, days=0)}")
        columns = "'p' || n AS product_id, 'Tea ' || n AS title, 'tea' AS category"
        cursor.execute(f"CREATE TABLE products AS SELECT {columns} FROM generate_series(0, 19999) AS n")
        seconds = {"whole": _snapshot()}
        day = MADE.replace("interval '730 days'", "interval '1 day'")
        cursor.execute(f"INSERT INTO events {day.format(rows=max(number // 700, 1), days=731)}")
        seconds |= {"what_is_new": _snapshot(), "no_news": _snapshot()}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "events": number,
        "seconds": {name: round(took, 1) for name, took in seconds.items()},
        "peak_gb": round(memory, 2),
    }


def _snapshot() -> float:
    began = time.perf_counter()
    snapshot.run(snapshot.Settings(source="sql", database={"tables": TABLES}, mapping=MAPPING))
    return time.perf_counter() - began


def main() -> int:
    """Exit code 0, or 2 where there is no Postgres."""
    parser = argparse.ArgumentParser(prog="python -m bench.database", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=float, default=1e6)
    number = int(parser.parse_args().events)
    if postgres.programs() is None:
        print("nightmarket: bench.database: there is no Postgres here; apt install postgresql", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="database-") as folder:
        os.chdir(folder)
        os.environ["NIGHTMARKET_HOME"] = str(Path(folder).resolve())
        print(json.dumps({"machine": machine(), **measured(number)}))
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
