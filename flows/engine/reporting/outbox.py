"""What a run has to say to Prefect, in order, sent by a thread of its own: the run waits for no server.

What cannot be sent is kept and tried again. What is left when the run ends lies in .nightmarket/unsent, and the next
run sends it.
"""

import collections
import contextlib
import contextvars
import dataclasses
import functools
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from flows.engine.server.patience import Patience
from tasks.files import storage

LOGS = "/logs/"
LOGS_AT_ONCE = 200
GATHER_S = 1.0
"""Log lines wait so long for others, so that a stage that says much does not send each alone."""
CLOSE_S = 2.0
UNSENT = "unsent"
KEPT_RUNS = 20
"""Runs whose messages are kept at most; and as often is it tried to send them."""


@dataclasses.dataclass(frozen=True)
class Message:
    """One POST to Prefect's API; the same twice does no harm.

    stands_for      an id that we made up: the id in the answer takes its place in all that follows
    unless_ended    path of a flow run; nothing is sent where that has ended
    """

    path: str
    body: Any
    stands_for: str = ""
    unless_ended: str = ""


class AwayError(Exception):
    """Prefect does not answer, or not now."""


class RefusedError(Exception):
    """Prefect does not take this message, and would not the next time."""


Send = Callable[[Message], Any]
"""Returns the answer's JSON; raises AwayError or RefusedError."""
Connect = Callable[[], contextlib.AbstractContextManager[Send]]


class Outbox:
    """The messages of one run, and the thread that sends them.

    connect    entered in that thread
    mention    called there with a line for people: Prefect is silent, it is back, it refuses
    known      called there with an id that was made up and the one that Prefect gave
    """

    def __init__(
        self, connect: Connect, mention: Callable[[str], None], known: Callable[[str, str], None], patience: Patience
    ) -> None:
        self._connect, self._mention, self._known, self._patience = connect, mention, known, patience
        self._waiting: collections.deque[Message] = collections.deque()
        self._changed = threading.Condition()
        self._ids: dict[str, str] = {}
        self._hurry = self._closed = self._mentioned = self._refused = False
        self._silent_since: float | None = None
        context = contextvars.copy_context()  # Prefect's settings, where they were changed for this run
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="outbox", daemon=True)
        self._thread.start()

    def put(self, *messages: Message) -> None:
        """Have them sent after all that was put before."""
        with self._changed:
            self._waiting.extend(messages)
            self._changed.notify_all()

    def id_of(self, made_up: str) -> str:
        """The id that Prefect knows it by, as soon as it does."""
        return self._ids.get(made_up, made_up)

    def flush(self, silence_s: float) -> bool:
        """Wait until everything is sent; False when Prefect has been silent for that long."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while self._waiting:
                if self._silent_s() > silence_s:
                    return False
                self._changed.wait(0.2)
        return True

    def close(self, wait_s: float = CLOSE_S) -> list[Message]:
        """Send no more; what was not sent, with the ids that Prefect knows."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(wait_s)  # it may be in a request that is about to be answered
        with self._changed:
            return [self._with_ids(message) for message in self._waiting]

    def _silent_s(self) -> float:
        return time.monotonic() - self._silent_since if self._silent_since is not None else 0.0

    def _work(self) -> None:
        pause_s = 0.0
        with self._connect() as send:
            while batch := self._next(pause_s):
                try:
                    answer = send(_joined(batch))
                except AwayError:
                    pause_s = min(2 * pause_s + 0.1, self._patience.retry_at_most)
                    self._silent()
                    continue
                except RefusedError as error:
                    answer = None
                    self._refuse(error)
                pause_s = 0.0
                self._sent(batch, answer)

    def _sent(self, batch: list[Message], answer: Any) -> None:
        if batch[0].stands_for and isinstance(answer, dict):
            self._ids[batch[0].stands_for] = str(answer["id"])
            self._known(batch[0].stands_for, str(answer["id"]))
        self._silent_since = None
        if self._mentioned:
            self._mentioned = False
            self._mention("Prefect's server answers again")
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
            self._changed.notify_all()

    def _silent(self) -> None:
        self._silent_since = self._silent_since or time.monotonic()
        if not self._mentioned and self._silent_s() > self._patience.mention:
            self._mentioned = True
            self._mention("Prefect's server does not answer; the run goes on, and tells it everything when it does")

    def _next(self, pause_s: float) -> list[Message]:
        """The messages that go with the next request, after a pause; none when the outbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause_s)
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._closed and self._waiting[0].path == LOGS:
                self._changed.wait_for(lambda: self._closed or self._hurry or self._waiting[-1].path != LOGS, GATHER_S)
            if self._closed:
                return []
            logs = 0
            while logs < min(len(self._waiting), LOGS_AT_ONCE) and self._waiting[logs].path == LOGS:
                logs += 1
            return [self._with_ids(self._waiting[number]) for number in range(max(logs, 1))]

    def _with_ids(self, message: Message) -> Message:
        text = json.dumps(dataclasses.asdict(message), default=str)
        for made_up, known in self._ids.items():
            text = text.replace(made_up, known)
        return Message(**json.loads(text, parse_constant=lambda _: None))  # an interval of no data is no number

    def _refuse(self, error: RefusedError) -> None:
        if not self._refused:
            self._refused = True
            self._mention(f"Prefect's server does not take what this run reports ({error}); the run goes on")


def _joined(batch: list[Message]) -> Message:
    """One message of several log lines."""
    return batch[0] if len(batch) == 1 else Message(LOGS, [line for message in batch for line in message.body])


@contextlib.contextmanager
def api(patience: Patience) -> Iterator[Send]:
    """The API that Prefect's settings name, over Prefect's own client."""
    import httpx
    from prefect import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    def send(message: Message) -> Any:
        try:
            if message.unless_ended:
                seen = client.request("GET", message.unless_ended)  # type: ignore[arg-type]
                if seen.json()["state_type"] in ENDED:
                    return None
            answer = client.request("POST", message.path, json=message.body)  # type: ignore[arg-type]
            return answer.json() if answer.content else None
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            if code >= 500 or code in (408, 429):
                raise AwayError from None
            raise RefusedError(f"{message.path}: {code}") from None
        except Exception:  # whatever comes out of a network and two libraries must not end this thread
            raise AwayError from None

    settings = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1})  # of this thread: we try again ourselves
    with settings, get_client(sync_client=True, httpx_settings={"timeout": patience.request}) as client:
        yield send


ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def keep(home: Path, name: str, server: str, messages: Iterable[Message], tries: int = 0) -> None:
    """Leave what could not be sent for the next run that talks to the same server."""
    folder = home / ".nightmarket" / UNSENT
    with contextlib.suppress(OSError):  # a full disk costs the report and nothing else
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        left = {"server": server, "tries": tries, "messages": [dataclasses.asdict(message) for message in messages]}
        storage.write_json(left, folder / f"{name}.json")
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-KEPT_RUNS]:
            path.unlink(missing_ok=True)


def discard(home: Path) -> None:
    """Forget what could not be sent: it may name customers, as Prefect's own tables may."""
    shutil.rmtree(home / ".nightmarket" / UNSENT, ignore_errors=True)


@contextlib.contextmanager
def catching_up(home: Path, server: str, patience: Patience) -> Iterator[None]:
    """While the block runs, send what earlier runs could not; what is left after it stays. Under the run lock."""
    begun: list[tuple[Path, int, Outbox]] = []
    for path in sorted((home / ".nightmarket" / UNSENT).glob("*.json")):
        try:
            left = json.loads(path.read_text(encoding="utf-8"))
            messages = [Message(**message) for message in left["messages"]]
            if left["server"] == server:
                box = Outbox(functools.partial(api, patience), lambda *_: None, lambda *_: None, patience)
                begun.append((path, left["tries"], box))
                box.put(*messages)
        except (OSError, ValueError, KeyError, TypeError):
            logging.getLogger(__name__).debug("%s cannot be read", path)
            path.unlink(missing_ok=True)
    try:
        yield
    finally:
        for path, tries, outbox in begun:
            outbox.flush(patience.retry_at_most)
            left_over = outbox.close(0)
            path.unlink(missing_ok=True)
            if left_over and tries < KEPT_RUNS:
                keep(home, path.stem, server, left_over, tries + 1)
