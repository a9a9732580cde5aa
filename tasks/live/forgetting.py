"""A customer leaves the live site: its log, and what is kept beside it."""

import sqlite3
from collections.abc import Collection
from contextlib import closing

from nightmarket.contracts import InputError
from tasks.live import kept, log
from tasks.live.log import LiveLog

PATIENCE_S = 30.0


def forget(names: Collection[str]) -> int:
    """Remove a customer under any of their names, with their visits; how many rows. 0 where no site was served.

    Servers that run take nothing of them in any more once `pseudonyms.forget` has them on its list.

    Raises InputError where the log cannot be written.
    """
    if not log.path().exists() and not kept.waiting():
        return 0
    try:
        with closing(LiveLog(patience_s=PATIENCE_S)) as live:
            kept.write(live, lambda name: name not in names, wait=False)
            return live.forget(names)
    except sqlite3.Error as error:
        raise InputError(f"{log.path()}: the live site's log cannot be written ({error}); run this again") from None
