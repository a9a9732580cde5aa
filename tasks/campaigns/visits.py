"""How often each customer visits in each hour of the local day, and what that says of a contact's slot."""

from collections.abc import Sequence
from datetime import date, datetime

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.clock import midnight
from nightmarket.contracts.sources import SOURCE, zones
from nightmarket.delivery.timing import Preference, Slot, damping, slot_of_hour
from nightmarket.histories.calendar import offsets
from tasks.files import catalogue, storage

EVENTS = catalogue.CLEAN_EVENTS.path
HOURS = 24
_SQL = """
with local as (
  select customer_id, basket_id, cast(epoch(timestamp) as bigint) as utc,
         utc + {shift} as second
  from read_parquet(?) where timestamp >= ? and timestamp < ?)
select customer_id, (second % 86400) // 3600 as hour,
       count(distinct coalesce(basket_id, '') || (second // 3600)) as num,
       count(*) filter (second % 86400 = 0) as at_midnight, count(*) as events
from local group by all
"""


def visits(customers: pd.DataFrame, time_zone: str, until: date, since: date | None = None) -> NDArray[np.int32] | None:
    """(C, 24) visits before the local day `until`, from `since` on: distinct baskets, or hours where none is known.

    None where the hour is not on file: most events fall on midnight itself.
    """
    with duckdb.connect(config={"memory_limit": "2GB"}) as database:
        first, last = database.execute(
            "select min(timestamp), max(timestamp) from read_parquet(?)", [str(EVENTS)]
        ).fetchall()[0]
        begin = midnight(since, time_zone) if since else first
        rows = database.execute(
            _SQL.format(shift=_shift(time_zone, first, last)), [str(EVENTS), begin, midnight(until, time_zone)]
        ).df()
    if not len(rows) or rows["at_midnight"].sum() > 0.5 * rows["events"].sum():
        return None
    code = rows["customer_id"].map(customers.set_index("customer_id")["customer"])
    known = code.notna()
    out = np.zeros((len(customers), HOURS), np.int32)
    np.add.at(out, (code[known].astype(int), rows.loc[known, "hour"].astype(int)), rows.loc[known, "num"].astype(int))
    return out


def _shift(time_zone: str, first: datetime, last: datetime) -> str:
    """SQL for the seconds by which the clock where an event happened is ahead of UTC."""

    def of(zone: str) -> str:
        steps = offsets(zone, first, last)
        cases = " ".join(f"when utc >= {start} then {shift}" for start, shift in reversed(steps))
        return f"case {cases} else {steps[0][1]} end"

    several = zones(storage.read_json(EVENTS.with_name("snapshot.json")))
    parts = " ".join(f"when '{name}' then {of(zone)}" for name, zone in several.items())
    return f"case {SOURCE} {parts} end" if several else of(time_zone)


def slot_factors(
    customers: pd.DataFrame, time_zone: str, until: date, slots: Sequence[Slot], effect: float
) -> tuple[NDArray[np.float32], list[str]]:
    """(C, S) factor on the chance of a response in each slot, by the customer's own hours shrunk to everybody's; and
    a note where there are no hours.

    effect  share of responses lost at a time never visited
    """
    hours = visits(customers, time_zone, until)
    counts = np.zeros((len(customers), len(slots)), np.int64)
    if hours is None:
        return np.ones(counts.shape, np.float32), ["Events carry no time of day, so slots differ in capacity alone."]
    for hour, at in enumerate(slot_of_hour(slots)):
        if at >= 0:
            counts[:, at] += hours[:, hour]
    return damping(Preference.fit(counts).of(counts), effect), []
