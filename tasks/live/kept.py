"""Events that could not be written to the log: kept in files, on disk before they are acknowledged, and written later.

.nightmarket/live/kept/PID.jsonl   a row per line; a file belongs to the process that locks it
"""

import base64
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tasks.files import storage
from tasks.files.locks import take, try_to_take
from tasks.live.log import EventRow, ListRow, LiveLog

ROWS = 1000
"""That are written at a time."""


def folder() -> Path:
    """Where they are kept."""
    return storage.private("live", "kept", "x").parent


class KeptFile:
    """The file of this process."""

    def __init__(self, place: Path | None = None) -> None:
        self._folder = place or folder()
        self._file: IO[str] | None = None
        self.rows = 0

    def keep(self, events: Sequence[EventRow], lists: Sequence[ListRow] = ()) -> None:
        """On disk when this returns. Raises OSError where nothing may be acknowledged."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{os.getpid()}.jsonl"
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")
            take(self._file)
            storage.flush(self._folder)
        lines = [_line("event", row) for row in events] + [_line("list", row) for row in lists]
        place = self._file.tell()
        try:
            self._file.write("".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(place)
            self.close()
            raise
        self.rows += len(lines)

    def close(self) -> None:
        """Leave the file to whoever writes it to the log."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        self.rows = 0


def waiting(place: Path | None = None) -> bool:
    """Whether anything is kept."""
    return any((place or folder()).glob("*.jsonl"))


def write(log: LiveLog, allowed: Callable[[str], bool], place: Path | None = None, wait: bool = False) -> int:
    """Write what is kept to the log, each event once however often this is tried; how many rows.

    allowed  whether rows of a customer's name may be written: not of one who was forgotten meanwhile
    wait     for files that another process is writing; else they are its own matter

    Raises sqlite3.Error where the log still cannot be written; nothing is lost then.
    """
    num = 0
    for path in sorted((place or folder()).glob("*.jsonl")):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
            if wait:
                take(file)
            elif not try_to_take(file):
                continue
            for events, lists in _parts(file):
                mine = [row for row in events if row.customer is None or allowed(row.customer)]
                log.append(mine, [row for row in lists if row.customer is None or allowed(row.customer)])
                num += len(events) + len(lists)
            path.unlink(missing_ok=True)
    return num


def _line(kind: str, row: EventRow | ListRow) -> str:
    values = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in row]
    return json.dumps([kind, *values], ensure_ascii=False) + "\n"


def _parts(file: IO[str]) -> Iterator[tuple[list[EventRow], list[ListRow]]]:
    events: list[EventRow] = []
    lists: list[ListRow] = []
    for line in file:
        try:
            kind, *values = json.loads(line)
        except ValueError:
            continue  # half a line, of a process that was killed before it acknowledged anything
        if kind == "event":
            events.append(EventRow(base64.b64decode(values[0]), *values[1:]))
        else:
            lists.append(ListRow(*values))
        if len(events) + len(lists) >= ROWS:
            yield events, lists
            events, lists = [], []
    yield events, lists
