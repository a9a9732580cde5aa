"""Shop-local time and UTC. Tables hold UTC without zone; days begin at midnight in the shop's zone."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc


def midnight(day: date, time_zone: str) -> datetime:
    """The UTC moment, without zone, at which the local day begins."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC).replace(tzinfo=None)


def local_day(moment: datetime, time_zone: str) -> date:
    """The local day that holds a UTC moment (without zone)."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(time_zone)).date()


def local_to_utc(times: pa.Array, time_zone: str) -> pa.Array:
    """Local times without zone, timestamp[us], as UTC without zone.

    An hour that happens twice is taken the first time; one that does not exist becomes the next moment that does.
    """
    zoned = pc.assume_timezone(times, time_zone, ambiguous="earliest", nonexistent="latest")
    return naive_utc(zoned)


def naive_utc(times: pa.Array) -> pa.Array:
    """Times of any zone and unit as timestamp[us] in UTC without zone; finer units are cut."""
    return pc.local_timestamp(times.cast(pa.timestamp("us", "UTC"), safe=False))
