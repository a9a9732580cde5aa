"""How a process of ours starts and ends: without looking for garbage among what its imports made.

An import makes objects by the hundred thousand, all of which stay. Python's collector goes through them again and again
while they are made, and takes them down one by one at the end: with torch that was two fifths of a stage's start.
"""

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn

NEW_OBJECTS = 10_000
"""As many are made before the youngest are looked through; Python's own number is 700."""


def collect_seldom() -> None:
    """For a process that does its work and ends; before its large imports."""
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def leave(code: int) -> NoReturn:
    """End this process as Python does, its threads first and then what is registered for the end, but take nothing
    down.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more: Python's own way to say so
        sys.exit(code)
    os._exit(code)
