"""The application of one worker: `create()` for uvicorn, `openapi()` for the reference."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from apps.api import figures, routes
from apps.api.access import OPEN, Door, Keyring, LogLines, RequestRates
from apps.api.direct import Direct
from apps.api.engine import Engine, Recommender, Turnstile, known_until, zone_of
from apps.api.problems import MEDIA_TYPE, ProblemError, is_json, of_validation
from apps.api.questions import Site
from apps.api.writer import GroupCommit
from tasks.files import storage
from tasks.live import keys
from tasks.live.keys import ApiKey
from tasks.live.log import LiveLog
from tasks.live.products import ProductRow
from tasks.live.visitors import Visitors
from tasks.pipeline import settings
from tasks.pipeline.settings import Serve
from tasks.privacy import redaction
from tasks.privacy.pseudonyms import digest, forgotten

LOG = logging.getLogger("nightmarket.api")
LOOK_EVERY_S = 1.0
ONE_OFF = "NIGHTMARKET_ONE_OFF_KEY"
"""The hash of a key that lives as long as the servers."""
BUNDLE = Path("artifacts/bundle")
ABOUT = (
    "What a shop asks while its visitors wait. Every address but the committed few needs a key with the right scope, "
    "as `Authorization: Bearer KEY`. What is no success is `application/problem+json` (RFC 9457), whose `type` "
    "programs read."
)


def create() -> ASGIApp:
    """For uvicorn: settings from params.yaml, the bundle of artifacts/bundle."""
    logging_of_worker()
    given = settings.serve()
    return application(given, Engine(BUNDLE, open_bundle, bundle_of))


def open_bundle(folder: Path) -> Recommender:
    """For `Engine`."""
    from nightmarket.serving.live import LiveRecommender

    return LiveRecommender.open(folder)


def bundle_of(folder: Path) -> str:
    """For `Engine`."""
    from nightmarket.serving.live import LiveRecommender

    return LiveRecommender.bundle_of(folder)


def application(
    given: Serve,
    engine: Engine,
    visitors: Visitors | None = None,
    add: Callable[[FastAPI], None] | None = None,
    open_too: frozenset[str] = frozenset(),
) -> ASGIApp:
    """The whole stack around one engine.

    visitors  in place of the installation's own
    add       adds routes of a page over it, of which those in `open_too` need no key
    """
    os.umask(0o077)
    app = bare()
    if add is not None:
        add(app)
    visitors = visitors or Visitors(f"{given.shop}:" if given.shop else "")
    keyring = Keyring(_one_off())
    engine.put = _put
    app.state.settings, app.state.keyring, app.state.visitors, app.state.engine = given, keyring, visitors, engine
    inner: ASGIApp = Door(
        Direct(app),
        keyring,
        RequestRates(storage.private("live", "rates", "x").parent),
        given.most_bytes,
        OPEN | open_too,
    )
    if given.origins:
        inner = CORSMiddleware(
            inner, allow_origins=given.origins, allow_methods=["GET", "POST", "PUT"],
            allow_headers=["authorization", "content-type"], expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )  # fmt: skip
    return inner


def bare() -> FastAPI:
    """Routes and errors, without anything that they need."""
    app = FastAPI(title="nightmarket", version="1", description=ABOUT, docs_url=None, redoc_url=None, lifespan=_life)
    for router in (routes.events, routes.reading, routes.customers, routes.stock, routes.products, routes.offers):
        app.include_router(router)
    app.add_api_route("/livez", _livez, methods=["GET"], tags=["servers"], summary="Whether the worker lives")
    app.add_api_route("/readyz", _readyz, methods=["GET"], tags=["servers"], summary="Whether it can answer")
    app.add_api_route("/metrics", _metrics, methods=["GET"], tags=["servers"], summary="Figures for Prometheus",
                      response_class=PlainTextResponse, dependencies=[routes.having("metrics")])  # fmt: skip
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    return app


def openapi() -> dict[str, Any]:
    """The document that /openapi.json serves."""
    return bare().openapi()


def logging_of_worker() -> None:
    """A line of JSON per record on stderr, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines())
    for name in ("nightmarket", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
    redaction.install()


@contextlib.asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    given: Serve = app.state.settings
    engine, visitors = app.state.engine, app.state.visitors
    await asyncio.to_thread(_make_log)
    await asyncio.to_thread(engine.look)
    writer = GroupCommit(50 * given.waiting * 10, lambda name: digest(name) not in forgotten())
    turnstile = Turnstile(given.waiting, max(1.0, 5 * given.budget_ms / 1000))
    app.state.site = Site(engine, turnstile, writer, visitors, given.budget_ms, given.explore, given.experiment)
    site = app.state.site
    site.currency = given.currency
    gc.collect()
    gc.freeze()  # what is there now stays: looking through it would hold up answers
    tasks = [asyncio.create_task(engine.watch()), asyncio.create_task(_refresh(app))]
    tasks.append(asyncio.create_task(site.offers.watch(lambda: engine.current and zone_of(engine.current))))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(writer.stop)
        await asyncio.to_thread(site.offers.stop)


def _make_log() -> None:
    """So that nobody meets it half made; where it cannot be, events are kept beside it."""
    with contextlib.suppress(sqlite3.Error, OSError):
        LiveLog().close()


def _put(since: int) -> list[tuple[int, ProductRow]]:
    """Products of the log after a number."""
    with contextlib.closing(LiveLog()) as log:
        return log.products(since)


async def _refresh(app: FastAPI) -> None:
    """Keys, the forgotten and figures, every second; a worker whose parent was killed ends too."""
    # said by the parent itself: it may be gone before a worker begins
    parent = int(os.environ.get("NIGHTMARKET_SERVER", os.getppid()))
    while True:
        if os.getppid() != parent:
            LOG.error("the parent process is gone; the worker ends")
            os.kill(os.getpid(), signal.SIGTERM)
        try:
            app.state.keyring.refresh()
            app.state.visitors.refresh()
            _measure(app.state.site)
        except Exception as error:
            LOG.error("%s while looking at keys: %s", type(error).__name__, error)
        await asyncio.sleep(LOOK_EVERY_S)


def _measure(site: Site) -> None:
    writer, engine = site.writer, site.engine
    figures.WAITING.set(site.turnstile.waiting)
    figures.ROWS_WAITING.set(writer.rows_waiting)
    figures.LISTS_DROPPED.set(writer.lists_dropped)
    figures.LOG_UP.set(writer.up and site.reads)
    figures.BUNDLE_READ.set(engine.current is not None and not engine.refused)
    if engine.current is not None:
        figures.FEATURES_AGE.set(time.time() - known_until(engine.current))
        if "champion_made" in engine.current.made_from:
            figures.CHAMPION_AGE.set(time.time() - float(engine.current.made_from["champion_made"]))


def _one_off() -> dict[str, ApiKey]:
    sha256 = os.environ.get(ONE_OFF, "")
    return {sha256: ApiKey("window", sha256, tuple(keys.SCOPES), 1e6, "")} if sha256 else {}


async def _livez() -> dict[str, str]:
    """The worker's loop turns."""
    return {"status": "alive"}


async def _readyz(request: Request) -> Response:
    """503 where there is nothing to answer from; else what answers, and what does not go as it should."""
    site: Site = request.app.state.site
    current: Recommender | None = site.engine.current
    notes = [] if site.writer.up and site.reads else ["the log cannot be used; events are kept beside it"]
    notes += [f"a campaign is not offered: {problem}" for problem in site.offers.problems]
    notes += [f"the newest bundle cannot be read: {site.engine.refused}"] if site.engine.refused else []
    content: dict[str, Any] = {"status": "ready" if current else "not ready", "notes": notes}
    if current is not None:
        content |= {"version": current.version, "bundle": current.bundle, "made_from": current.made_from}
    return JSONResponse(content, status_code=200 if current else 503)


async def _metrics() -> Response:
    return Response(figures.text(), media_type="text/plain; version=0.0.4")


def _answer(request: Request, problem: ProblemError) -> Response:
    body = problem.body(request.state.request_id)
    return Response(body, problem.status, problem.headers(), MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if request.method in ("POST", "PUT") and not is_json(request.headers.get("content-type", "")):
        return _answer(request, ProblemError("wrong-type"))
    return _answer(request, of_validation(error.errors()))


_OF_STATUS: dict[int, Callable[[], ProblemError]] = {
    400: lambda: ProblemError("bad-json"),
    404: lambda: ProblemError("no-route"),
    405: lambda: ProblemError("wrong-method"),
}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _answer(request, _OF_STATUS.get(error.status_code, lambda: ProblemError("internal"))())
    answer.headers.update(error.headers or {})
    return answer
