"""Rows that are what they say and still are no customer's doing: copies of an export, machines, clocks never set."""

from pathlib import Path

import duckdb
import numpy as np

from nightmarket.contracts.refusals import Positions
from nightmarket.contracts.suites import EXPORTED_TWICE, LONG_BEFORE, NO_PERSON
from nightmarket.intake import oddities


def odd_rows(path: Path, columns: list[str]) -> dict[str, Positions]:
    """Per reason, rows of the events at `path` with these columns; sorted. None where there is nothing odd."""
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        database.execute(
            "create temp view events as select *, file_row_number as row "
            f"from read_parquet('{str(path).replace(chr(39), chr(39) * 2)}', file_row_number = true)"
        )
        rows = {
            LONG_BEFORE: _long_before(database),
            NO_PERSON: _no_person(database),
            EXPORTED_TWICE: _exported_twice(database, columns),
        }
    return {reason: positions for reason, positions in rows.items() if len(positions)}


def _long_before(database: duckdb.DuckDBPyConnection) -> Positions:
    days = database.execute(
        "select epoch_ms(timestamp) // 86400000 as day, count(*) as num from events "
        "where timestamp is not null group by all order by all"
    ).fetchnumpy()
    first = oddities.begin(np.asarray(days["day"], np.int64), np.asarray(days["num"], np.int64))
    if first is None:
        return np.empty(0, np.int64)
    return _rows(database, "epoch_ms(timestamp) < ?", [first * 86_400_000])


def _no_person(database: duckdb.DuckDBPyConnection) -> Positions:
    people = database.execute(
        "with days as (select customer_id, epoch_ms(timestamp) // 86400000 as day, count(*) as num, "
        "count(distinct epoch_ms(timestamp) // 3600000) as hours "
        "from events where customer_id is not null group by all) "
        "select customer_id, sum(num)::bigint as num, max(num) as busiest, max(if(num >= 100, hours, 0)) as hours "
        "from days group by all order by customer_id"
    ).fetchnumpy()
    machine = oddities.machines(*(np.asarray(people[name], np.int64) for name in ("num", "busiest", "hours")))
    names = [str(name) for name in np.asarray(people["customer_id"])[machine]]
    return _rows(database, "list_contains(?, customer_id)", [names]) if names else np.empty(0, np.int64)


def _exported_twice(database: duckdb.DuckDBPyConnection, columns: list[str]) -> Positions:
    """Rows that say exactly what an earlier one says are looked at alone; there are few."""
    whole = ", ".join(f'"{name}"' for name in columns)
    database.execute(f"create temp table hashes as select row, hash({whole}) as content from events")
    copies = database.execute(
        "select row, content, epoch_ms(timestamp) // 86400000 as day, "
        "(customer_id is not null or basket_id is not null)::tinyint as named "
        "from hashes join events using (row) semi join "
        "(select content from hashes group by content having count(*) > 1) using (content) order by row"
    ).fetchnumpy()
    if not len(copies["row"]):
        return np.empty(0, np.int64)
    days = database.execute(
        "select epoch_ms(timestamp) // 86400000 as day, count(distinct content) as num "
        "from hashes join events using (row) where timestamp is not null group by all"
    ).fetchnumpy()
    repeats = oddities.Repeats.of(
        np.asarray(copies["row"], np.int64),
        np.unique(copies["content"], return_inverse=True)[1].astype(np.int64),
        np.ma.filled(copies["day"], -1).astype(np.int64),
        np.asarray(copies["named"], bool),
    )
    distinct = dict(zip(np.asarray(days["day"], np.int64).tolist(), days["num"].tolist(), strict=True))
    return np.sort(repeats.row[repeats.in_blocks() | repeats.on_doubled_days(distinct)])


def _rows(database: duckdb.DuckDBPyConnection, where: str, values: list[object]) -> Positions:
    rows = database.execute(f"select row from events where {where} order by row", values).fetchnumpy()["row"]
    return np.asarray(rows, np.int64)
