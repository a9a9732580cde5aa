"""Shop-local days and weeks, and the windows that cut time for training and evaluation."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from nightmarket.contracts import InputError

NEVER = 2147483647
"""The first week of a product that was never sold."""

_MONDAY = 4  # 1970-01-05, the Monday that week 0 starts on, in days since 1970-01-01


def week_of(day: date) -> int:
    """Whole weeks between Monday 1970-01-05 and the day."""
    return ((day - date(1970, 1, 1)).days - _MONDAY) // 7


def monday(week: int) -> date:
    """First day of a week."""
    return date(1970, 1, 1) + timedelta(days=_MONDAY + 7 * week)


def offsets(time_zone: str, first: datetime, last: datetime) -> list[tuple[int, int]]:
    """The zone's offsets between two UTC moments, as (valid from, seconds since 1970 UTC; offset, seconds).

    Engines disagree on time zones; a list of offsets is the same on each. Changes of the clock are found to the hour.
    """
    zone = ZoneInfo(time_zone)
    hour = timedelta(hours=1)
    moment = first.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
    found: list[tuple[int, int]] = []
    while moment <= last.replace(tzinfo=UTC) + hour:
        offset = moment.astimezone(zone).utcoffset() or timedelta()
        seconds = int(offset.total_seconds())
        if not found or found[-1][1] != seconds:
            found.append((int(moment.timestamp()), seconds))
        moment += hour
    return found


@dataclass(frozen=True)
class Window:
    """Fit on the weeks up to `fit_until`, judge on first_target..last_target, all included."""

    fit_until: int
    first_target: int
    last_target: int


def last_complete_week(trading_days: dict[int, int]) -> int:
    """The last week that has as many trading days as most weeks have.

    trading_days  week → number of days with events. A shop that closes on Sundays has six in a complete week.
    """
    if not trading_days:
        raise InputError("events: no purchase of a recommendable product; check prepare.exclude_* and the categories")
    counts = sorted(trading_days.values())
    usual = counts[len(counts) // 2]
    return max(week for week, days in trading_days.items() if days >= usual)


def windows(
    last_complete: int,
    first_week: int,
    target_weeks: int,
    num_origins: int,
    origin_step: int | None = None,
    num_launch: int = 0,
) -> dict[str, object]:
    """Where time is cut: one test window, `num_origins` - 1 before it that train the ranker, one for the encoder.

    With `origin_step` weeks, fewer than `target_weeks`, the ranker also trains at the origins between these: their
    targets overlap, and none lies later. The encoder learns before the ranker's first origin, so that the ranker never
    sees scores of a tower that knew its targets. Launches, of which a month has few that anybody buys, are learned at
    up to `num_launch` origins, further back, where three windows of history lie before them. Raises InputError when the
    history is too short.
    """
    need = target_weeks * (num_origins + 2)
    have = last_complete - first_week + 1
    if have < need:
        raise InputError(
            f"events: {have} weeks of history, {need} are needed; bring more or lower prepare.target_weeks "
            "or prepare.origins"
        )
    cuts = [last_complete - target_weeks * (i + 1) for i in range(num_origins + 1)]

    def window(cut: int) -> dict[str, int]:
        return asdict(Window(cut, cut + 1, cut + target_weeks))

    step = origin_step or target_weeks
    train = range(cuts[1], cuts[num_origins - 1] - 1, -step)
    launch = list(range(cuts[1], first_week + 3 * target_weeks - 2, -step))[:num_launch]
    return {
        "test": window(cuts[0]),
        "train": [window(cut) for cut in train],
        "launch": [window(cut) for cut in launch],
        "finetune": window(cuts[num_origins]),
    }
