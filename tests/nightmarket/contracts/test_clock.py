from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from nightmarket.contracts.clock import local_day, local_to_utc, midnight, naive_utc

BERLIN = "Europe/Berlin"


def test_a_day_begins_at_local_midnight_in_summer_and_winter():
    assert midnight(date(2024, 1, 1), BERLIN) == datetime(2023, 12, 31, 23)
    assert midnight(date(2024, 7, 1), BERLIN) == datetime(2024, 6, 30, 22)
    assert midnight(date(2024, 1, 1), "Asia/Shanghai") == datetime(2023, 12, 31, 16)


def test_a_moment_belongs_to_the_local_day():
    assert local_day(datetime(2018, 1, 1, 4, 1), "America/New_York") == date(2017, 12, 31)
    assert local_day(datetime(2018, 1, 1, 5, 0), "America/New_York") == date(2018, 1, 1)


def test_an_hour_that_happens_twice_is_taken_first_and_one_that_never_was_moves_on():
    times = pa.array([datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 2, 30), None], pa.timestamp("us"))
    utc = [datetime(2024, 10, 27, 0, 30), datetime(2024, 3, 31, 1, 30), None]
    assert local_to_utc(times, BERLIN).to_pylist() == utc


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia"])
def test_every_local_time_of_a_year_is_read_as_python_reads_it(zone):
    times = [datetime(2011, 1, 1) + timedelta(minutes=15 * number) for number in range(366 * 96)]
    utc = [moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for moment in times]
    assert local_to_utc(pa.array(times, pa.timestamp("us")), zone).to_pylist() == utc


def test_times_of_another_zone_and_unit_become_utc_microseconds():
    times = pa.array([1_000_000_000_123_456_789], pa.timestamp("ns", "Asia/Shanghai"))
    assert naive_utc(times).to_pylist() == [datetime(2001, 9, 9, 1, 46, 40, 123456)]
    assert naive_utc(times).type == pa.timestamp("us")
