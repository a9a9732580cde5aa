"""Names in the live site's log: customers who leave it, and those who are called otherwise under a new key."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from nightmarket.contracts import InputError
from tasks.live import kept, log
from tasks.live.log import LiveLog
from tasks.privacy.pseudonyms import Pseudonyms

PATIENCE_S = 30.0


def forget(names: Collection[str]) -> int:
    """Remove a customer under any of their names, with their visits; how many rows. 0 where no site was served.

    Servers that run take nothing of them in any more once `pseudonyms.forget` has them on its list.

    Raises InputError where the log cannot be written.
    """
    if not log.path().exists() and not kept.waiting():
        return 0
    with _writable() as live:
        kept.write(live, lambda name: name not in names)
        return live.forget(names)


def carry_over(keys: Sequence[bytes]) -> int:
    """Rename everybody who stands there under an older key; how many rows. Older names stay nowhere in the log.

    keys  oldest first, the present one last

    Raises InputError where the log cannot be written.
    """
    if not log.path().exists() and not kept.waiting():
        return 0
    later = [Pseudonyms(keys[since:]) for since in range(len(keys))]

    def present(name: str | None, generation: int) -> str | None:
        return name if name is None else later[generation].under_each_key(name)[-1]

    with _writable() as live:
        kept.write(live, lambda _: True)
        return live.rename(len(keys), present)


@contextmanager
def _writable() -> Iterator[LiveLog]:
    try:
        live = LiveLog(patience_s=PATIENCE_S)
        try:
            yield live
        finally:
            live.close()
    except sqlite3.Error as error:
        raise InputError(f"{log.path()}: the live site's log cannot be written ({error}); run this again") from None
