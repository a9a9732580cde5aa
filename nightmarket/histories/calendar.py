"""Shop-local days and weeks.

A day is a number: days since 1970-01-01. A week is a number too: whole weeks since Monday 1970-01-05, the week 0.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Int32s

Day = TypeVar("Day", int, Int32s)
NEVER = 2147483647
"""The day of the first sale of a product that was never sold."""

EPOCH = date(1970, 1, 1)
MONDAY = 4
"""The first day of week 0."""


def day_of(day: date) -> int:
    """The day's number."""
    return (day - EPOCH).days


def date_of(day: int) -> date:
    """The day with a number."""
    return EPOCH + timedelta(days=int(day))


def week_of(day: Day) -> Day:
    """The week that a day, or each of (N,) days, lies in."""
    return (day - MONDAY) // 7


def first_day(week: int) -> int:
    """The Monday of a week."""
    return MONDAY + 7 * week


def last_day(week: int) -> int:
    """The Sunday of a week."""
    return first_day(week) + 6


def monday(week: int) -> date:
    """The Monday of a week, as a date."""
    return date_of(first_day(week))


def last_whole_week(day: int) -> int:
    """The last week that has ended by the end of a day."""
    return week_of(day + 1) - 1


def weeks_before(days: Int32s, cut: int) -> Int32s:
    """(N,) whole weeks from days to the cut, a day: 0 for the seven days that end with it, 1 for the seven before."""
    return (np.int32(cut) - days) // 7


def weeks_ending(days: Int32s, cut: int) -> Int32s:
    """(N,) numbers of weeks of which one ends with the cut, a day; where that is a Sunday, those of the calendar."""
    return (days - np.int32((cut + 1) % 7)) // 7


def offsets(time_zone: str, first: datetime, last: datetime) -> list[tuple[int, int]]:
    """The zone's offsets between two UTC moments, as (valid from, seconds since 1970 UTC; offset, seconds).

    Engines disagree on time zones; a list of offsets is the same on each. Changes of the clock are found to the hour.
    """
    zone = ZoneInfo(time_zone)
    hour = timedelta(hours=1)
    moment = first.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
    changes: list[tuple[int, int]] = []
    while moment <= last.replace(tzinfo=UTC) + hour:
        offset = moment.astimezone(zone).utcoffset() or timedelta()
        seconds = int(offset.total_seconds())
        if not changes or changes[-1][1] != seconds:
            changes.append((int(moment.timestamp()), seconds))
        moment += hour
    return changes


def last_complete_week(trading_days: dict[int, int]) -> int:
    """The last week that has as many trading days as most weeks have.

    trading_days  week → number of days with events. A shop that closes on Sundays has six in a complete week.
    """
    if not trading_days:
        raise InputError("events: no purchase of a recommendable product; check prepare.exclude_* and the categories")
    counts = sorted(trading_days.values())
    usual = counts[len(counts) // 2]
    return max(week for week, days in trading_days.items() if days >= usual)
