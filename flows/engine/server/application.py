"""Prefect's server as we start it: its event loop never waits for a connection that waits for the loop.

`create_app` stands in for Prefect's own, on SQLite. There the loop's thread could stand still for a minute: the garbage
collector, which runs in whichever thread allocates, finalises a cursor of connection B and waits for B; B waits inside
SQLite for the write lock of connection A; A cannot commit, because its coroutine waits for the loop. Here garbage is
collected in a thread that nobody waits for, and SQLite gives up after seconds, so that the client tries again.
"""

import datetime
import functools
import gc
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

COLLECT_EVERY_S = 3.0
YOUNG, OLD = 1, 2
"""Generations of garbage: what was made recently, a matter of milliseconds; everything, a fifth of a second."""
FULL_EVERY = 20
BUSY_MS = 5000
"""How long a statement waits for another's write lock; Prefect's own 60 s outlast every patience."""


def create_app() -> "FastAPI":
    """Prefect's application, for `uvicorn --factory`."""
    gc.disable()
    from prefect.server.api.server import create_app as create_prefect

    be_brief()
    be_calm()
    app = create_prefect()
    collect_elsewhere()
    return app


def collect_elsewhere(every_s: float = COLLECT_EVERY_S) -> None:
    """From now on this process collects garbage in a thread of its own alone."""
    gc.disable()
    gc.freeze()  # what the application itself consists of stays; a look through it holds the interpreter up

    def collect() -> None:
        for number in itertools.count(1):
            time.sleep(every_s)
            gc.collect(OLD if number % FULL_EVERY == 0 else YOUNG)

    threading.Thread(target=collect, name="garbage", daemon=True).start()


def be_calm() -> None:
    """Have Prefect's services see what is due every second; at its four times a second, a server that idles takes half
    as much again.
    """
    from docket import Worker
    from prefect.server.api import background_workers

    second = datetime.timedelta(seconds=1)
    calm = functools.partial(Worker, minimum_check_interval=second, scheduling_resolution=second)
    setattr(background_workers, "Worker", calm)  # noqa: B010 - mypy knows no such name there


def be_brief() -> None:
    """Have connections to Prefect's database wait `BUSY_MS` and no more; the write-ahead log is Prefect's choice."""
    from prefect.server.database import dependencies
    from prefect.server.database.configurations import AioSqliteConfiguration
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    class BriefSqlite(AioSqliteConfiguration):
        def setup_sqlite(self, conn: Any, record: Any) -> None:
            super().setup_sqlite(conn, record)
            cursor = conn.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            cursor.close()

    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url and url.startswith("sqlite"):
        dependencies.MODELS_DEPENDENCIES["database_config"] = BriefSqlite(connection_url=url)
