"""A Prefect server of ours that is started again when it dies or hangs: the same port, the same database."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.engine.server import access, server
from flows.engine.server.patience import Patience

Say = Callable[[str], None]


def on_stderr(line: str) -> None:
    """A line for whoever looks at the terminal."""
    print(f"nightmarket: {line}", file=sys.stderr, flush=True)


class KeptServer:
    """A server and the thread that looks after it, until `stop`. Nothing in here raises for a server that will not run.

    A database that is damaged or whose disk is full keeps a server from starting; it is tried again, ever more seldom,
    and meanwhile there is none.
    """

    def __init__(self, home: Path, port: int | None = None, *, ui: bool = False, say: Say = on_stderr) -> None:
        self.server = server.PrefectServer(home, port, ui=ui, start=False)
        self.url = self.server.url
        self.starts = 0
        self._say, self._patience, self._over = say, Patience.of_environment(), threading.Event()
        self._start()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when it answers; InputError with the server's last line when it does not come up."""
        self.server.wait(self._patience.start)

    def give_it_time(self) -> bool:
        """Wait until it answers, but no longer than its usual start takes; whether it does."""
        deadline = time.monotonic() + self._patience.begin
        while not (up := server.answers(self.url)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return up

    def stop(self) -> None:
        """End it, and keep it no longer."""
        self._over.set()
        self._thread.join()
        self.server.stop()

    def _start(self) -> None:
        self.starts += 1
        with contextlib.suppress(OSError):  # no room for a log: looked after like one that ended
            self.server.start()

    def _keep(self) -> None:
        up, since, failures = False, time.monotonic(), 0
        while not self._over.wait(self._patience.look_every):
            if server.alive(self.url, self._patience.answer):
                up, since, failures = True, time.monotonic(), 0
                continue
            silent_s = time.monotonic() - since
            ended = self.server.ended()
            if not ended and silent_s < (self._patience.silence if up else self._patience.start):
                continue
            why = "ended by itself" if ended else f"has not answered for {silent_s:.0f} s"
            pause_s = min(self._patience.again * 2**failures, self._patience.again_at_most)
            self._say(f"the local Prefect server {why} ({self.server.last_line()}); started again in {pause_s:g} s")
            self.server.kill()
            if self._over.wait(pause_s):
                return
            self._start()
            up, since, failures = False, time.monotonic(), failures + 1


@contextlib.contextmanager
def some_server(home: Path) -> Iterator[KeptServer | None]:
    """PREFECT_API_URL set: the user's, else that of `make ui` here, else a server for this run alone, which is yielded.

    None of them need answer yet, or at all.
    """
    server.past_proxies()
    os.environ.update({key: os.environ.get(key, value) for key, value in server.settings(home).items()})
    given, noted = os.environ.get("PREFECT_API_URL"), server.noted(home)
    if not given or given == noted:  # the password never goes to a server that somebody else started
        os.environ.update(access.of_client(home))
    own = None if given or noted else KeptServer(home)
    os.environ["PREFECT_API_URL"] = given or noted or own.url  # type: ignore[union-attr]
    try:
        yield own
    finally:
        if own:
            own.stop()
