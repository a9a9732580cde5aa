"""File locks of the kernel's: it lets go of one when its last holder closed it or died, so nothing is left to clean up.

A file that is only read and appended to is locked itself; whatever else is kept apart has a lock file of its own.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from typing import IO


def take(file: int | IO[str]) -> None:
    """Wait until the open file is locked for this holder alone; closing it lets go."""
    fcntl.flock(file, fcntl.LOCK_EX)


def try_to_take(file: int | IO[str]) -> bool:
    """Lock the open file for this holder alone if nobody else has it; whether it is locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on file systems of a network
        return False
    return True


def attempts(
    file: int | IO[str], *, wait_s: float, look_every_s: float, say_every_s: float, say: Callable[[float], None]
) -> Iterator[float]:
    """Try until the file is locked; yields how many seconds to sleep before the next try.

    The caller sleeps, so that a thread and an event loop wait by the same rules. `say` gets the seconds waited so far,
    every `say_every_s`. Raises TimeoutError after `wait_s` seconds.
    """
    began, said = time.monotonic(), -say_every_s
    while not try_to_take(file):
        waited = time.monotonic() - began
        if waited >= wait_s:
            raise TimeoutError(f"{waited:.0f}")
        if waited - said >= say_every_s:
            said = waited
            say(waited)
        yield min(look_every_s, max(wait_s - waited, 0.01))
