"""The protocol of every offline comparison: where time is cut, which lists are asked for, and what they must find.

All times are shop-local days since 1970-01-01. A model may know everything up to and including the day `cut`; the
target days follow it. What is counted in weeks (features, ages) is counted backwards from the cut.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int32s, Int64s
from nightmarket.histories.histories import Histories

RARE_BUYERS = 10
"""A product with fewer buyers ever is rare."""
LAUNCH_DAYS = 28
"""A product that has been on sale for no more days is a launch."""
TARGET_DAYS = 28
"""That a window's targets span where nobody says otherwise and the history allows it."""


class Task(StrEnum):
    """Which products a list is made of."""

    ALL = "all"  # products on sale at the cut, sold before or not
    NEW = "new"  # those of them that the customer had not bought
    RARE = "rare"  # those of them that were sold, to fewer than RARE_BUYERS customers
    LAUNCH = "launch"  # products on sale for at most LAUNCH_DAYS or announced, sold or not
    DEBUT = "debut"  # products whose first sale lies in the target days, as if it were known which will sell


TASKS = tuple(Task)


@dataclass(frozen=True)
class Window:
    """Know the days up to `cut`, find what is bought on first_target..last_target, all included."""

    cut: int
    first_target: int
    last_target: int

    @classmethod
    def after(cls, cut: int, days: int = 0) -> Self:
        """The `days` after a cut; none where there is nothing to find, as on the night of a delivery."""
        return cls(cut, cut + 1, cut + days)

    @property
    def days(self) -> int:
        """Target days."""
        return self.last_target - self.first_target + 1


@dataclass(frozen=True)
class Windows:
    """Where time is cut.

    test      its purchases are found last
    train     what the ranker learns from, newest first
    launch    what the ranker of launches learns from
    finetune  what the text encoder is validated on; it learns from what lies before
    deliver   the night's own: without target days
    first_day, last_day  of the purchases
    target    what counts as a purchase, of histories.interactions.TARGETS
    """

    test: Window
    train: tuple[Window, ...]
    launch: tuple[Window, ...]
    finetune: Window
    deliver: Window
    first_day: int
    last_day: int
    as_of: str
    time_zone: str
    target: str = "purchase"

    def content(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of `content`. Raises InputError for windows in weeks, as older versions wrote them."""
        if "cut" not in content["test"]:
            raise InputError("windows.json: written by an older version, in weeks; run the stage `prepare` again")
        single = {name: Window(**content[name]) for name in ("test", "finetune", "deliver")}
        several = {name: tuple(Window(**window) for window in content[name]) for name in ("train", "launch")}
        return cls(**{**content, **single, **several})


def cuts(
    last_day: int, first_day: int, target_days: int | None, num_origins: int, origin_step: int, num_launch: int = 0
) -> dict[str, Any]:
    """The windows by name: one test window, `num_origins` - 1 before it that train the ranker, one for the encoder.

    With `origin_step` days, fewer than `target_days`, the ranker also trains at the cuts between these: their targets
    overlap, and none lies later. The encoder learns before the ranker's first cut, so that the ranker never sees
    scores of a tower that knew its targets. Launches, of which a month has few that anybody buys, are learned at up to
    `num_launch` cuts, further back, where three windows of history lie before them.

    target_days  None: TARGET_DAYS, or in a younger shop as many as there are days for, with steps in proportion; of
                 days that are too few for that the last is found, from those before it, and nothing is learned from

    Raises InputError when the history is too short.
    """
    have, num_windows = last_day - first_day + 1, num_origins + 2
    asked = target_days
    if target_days is None:
        target_days = min(TARGET_DAYS, max(have // num_windows, 1))
        origin_step = max(origin_step * target_days // TARGET_DAYS, 1)
    need = target_days * num_windows if asked else 2
    if have < need:
        lower = " or lower prepare.target_days or prepare.origins" if asked else ""
        raise InputError(f"events: {have} days of history, {need} are needed; bring more{lower}")
    before = [last_day - target_days * (i + 1) for i in range(num_origins + 1)]
    train = range(before[1], before[num_origins - 1] - 1, -origin_step)
    launch = range(before[1], first_day + 3 * target_days - 2, -origin_step)[:num_launch]
    return {
        "test": Window.after(before[0], target_days),
        "train": tuple(Window.after(cut, target_days) for cut in train),
        "launch": tuple(Window.after(cut, target_days) for cut in launch),
        "finetune": Window.after(before[num_origins], target_days),
    }


@dataclass(frozen=True)
class Targets:
    """Distinct products that each customer bought: those of customer c are items[indptr[c]:indptr[c+1]]."""

    indptr: Int64s
    items: Int32s

    @property
    def customers(self) -> Int64s:
        """Customers with a target, ascending."""
        return np.flatnonzero(np.diff(self.indptr) > 0)


def targets(histories: Histories, window: Window, launched: Int32s | None = None) -> dict[str, Targets]:
    """What the lists of each task must find in a window.

    launched  (Y,) the products of the task LAUNCH at its cut; without them the task has no targets
    """
    before = histories.until(window.cut).matrix()
    bought = histories.between(window.first_target, window.last_target)
    buyers = before.getnnz(axis=0)[bought.item]
    rare = bought.where((buyers > 0) & (buyers < RARE_BUYERS))
    return {
        Task.ALL: Targets(*bought.targets()),
        Task.NEW: Targets(*bought.targets(before)),
        Task.RARE: Targets(*rare.targets(before)),
        Task.LAUNCH: Targets(*bought.where(np.isin(bought.item, () if launched is None else launched)).targets()),
        Task.DEBUT: Targets(*bought.where(buyers == 0).targets()),
    }


def num_customers(wanted: Mapping[str, Targets]) -> dict[str, int]:
    """Customers with a target, per task."""
    return {str(task): int(of_task.customers.size) for task, of_task in wanted.items()}


def launching(first_days: Int32s, recommendable: Bools, window: Window) -> Int32s:
    """Products whose first sale, (I,) days, lies in the target days; none for a window without them."""
    inside = (first_days >= window.first_target) & (first_days <= window.last_target)
    return np.flatnonzero(inside & recommendable).astype(np.int32)
