"""The Prefect server while a run uses it: when it is gone, the run ends with one line instead of waiting for it.

Prefect's client tries again for many minutes, and a run that nobody can see or stop helps nobody. What had finished
is in DVC's cache, so the next run picks up there.
"""

import contextlib
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

LOOK_EVERY_S = 5.0
ANSWER_S = 5.0
PATIENCE_S = 40.0
"""A server that is started anew takes less."""
GONE = 1


@contextlib.contextmanager
def server(flow: str) -> Iterator[None]:
    """End this process, its stage and all, when the server has not answered for `PATIENCE_S`."""
    from prefect.settings import PREFECT_API_URL

    url, over = PREFECT_API_URL.value(), threading.Event()
    if not url:
        yield
        return
    threading.Thread(target=_watch, args=(flow, url, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(flow: str, url: str, over: threading.Event) -> None:
    answered = time.monotonic()
    while not over.wait(LOOK_EVERY_S):
        if _answers(url):
            answered = time.monotonic()
        elif time.monotonic() - answered > PATIENCE_S:
            print(
                f"nightmarket: {flow}: the Prefect server has not answered for {PATIENCE_S:.0f} s, so the run ends "
                "here; what had finished is in the cache and the champion goes on serving; start the server and run "
                "it again",
                file=sys.stderr,
                flush=True,
            )
            os._exit(GONE)  # the guard ends the stage; waiting for Prefect's own end would wait for the server


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=ANSWER_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
