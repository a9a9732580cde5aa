"""Shop-local time and UTC. Tables hold UTC without zone; days begin at midnight in the shop's zone."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

DAYS_TO_1970 = date(1970, 1, 1).toordinal()


def midnight(day: date, time_zone: str) -> datetime:
    """The UTC moment, without zone, at which the local day begins."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC).replace(tzinfo=None)


def local_day(moment: datetime, time_zone: str) -> date:
    """The local day that holds a UTC moment (without zone)."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(time_zone)).date()


class ClockChanges(NamedTuple):
    """Local times that a change of the clocks makes two of, and that it makes none of; bool, null for no time."""

    twice: pa.Array
    skipped: pa.Array


def clock_changes(times: pa.Array, time_zone: str) -> ClockChanges:
    """Which local times, timestamp[us] without zone, the zone's clocks show twice, and which they never show."""
    first = naive_utc(pc.assume_timezone(times, time_zone, ambiguous="earliest", nonexistent="latest"))
    last = naive_utc(pc.assume_timezone(times, time_zone, ambiguous="latest", nonexistent="earliest"))
    return ClockChanges(pc.less(first, last), pc.less(last, first))


def local_to_utc(times: pa.Array, time_zone: str) -> pa.Array:
    """Local times without zone, timestamp[us], as UTC without zone.

    An hour that happens twice is taken the first time. One that does not exist is read off a clock that nobody has set
    yet: where 2:00 is followed by 3:00, 2:30 is 3:30, so that such times keep their order.
    """
    zoned = naive_utc(pc.assume_timezone(times, time_zone, ambiguous="earliest", nonexistent="latest"))
    near = near_changes(times, time_zone)
    if not pc.any(near).as_py():
        return zoned
    skipped = clock_changes(times.filter(near), time_zone).skipped
    rows = times.filter(near).filter(skipped)
    if not len(rows):
        return zoned
    before = pc.assume_timezone(rows, time_zone, nonexistent="earliest")
    unset = pc.subtract(rows, pc.subtract(pc.local_timestamp(before), naive_utc(before)))
    return pc.replace_with_mask(zoned, pc.replace_with_mask(near, near, skipped), unset)


def near_changes(times: pa.Array, time_zone: str) -> pa.Array:
    """Where a local time lies on a day on which the clocks change, or on the day after; bool, never null."""
    years = pc.year(times).unique().drop_null().to_pylist()
    days = sorted({day for year in years for day in _days_of_change(time_zone, year)})
    if not days:
        return pa.repeat(pa.scalar(False), len(times))
    return pc.is_in(times.cast(pa.date32(), safe=False).cast(pa.int32()), value_set=pa.array(days, pa.int32()))


@lru_cache(maxsize=4096)
def _days_of_change(time_zone: str, year: int) -> tuple[int, ...]:
    """Days of a year, since 1970-01-01, on which the clocks change, each with the day after."""
    if not 1 < year < 9999:
        return ()
    zone = ZoneInfo(time_zone)
    days = [datetime(year, 1, 1, tzinfo=zone) + timedelta(days=number) for number in range(-1, 367)]
    changed = [now for now, then in pairwise(days) if now.utcoffset() != then.utcoffset()]
    return tuple(day.toordinal() - DAYS_TO_1970 + step for day in changed for step in (0, 1))


def naive_utc(times: pa.Array) -> pa.Array:
    """Times of any zone and unit as timestamp[us] in UTC without zone; finer units are cut."""
    return pc.local_timestamp(times.cast(pa.timestamp("us", "UTC"), safe=False))
