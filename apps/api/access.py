"""At the door: who asks, how often, how large and how slowly; what became of it, for the logs and the figures."""

import asyncio
import fcntl
import json
import logging
import math
import mmap
import os
import re
import struct
import time
import traceback
import uuid
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.api import figures
from apps.api.problems import MEDIA_TYPE, ProblemError
from nightmarket.contracts import InputError
from tasks.live import keys
from tasks.live.keys import ApiKey

LOG = logging.getLogger("nightmarket.api")
OPEN = frozenset({"/livez", "/readyz", "/openapi.json"})
"""Addresses that need no key. Nothing else is open."""
BODY_S = 5.0
"""Seconds within which a body must be there."""
NO_ROUTE = "none"
TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}")


class RequestRates:
    """Requests of each key, counted by all workers together: the time at which its allowance is whole again, in a file
    that they share (the generic cell rate algorithm)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, tuple[int, mmap.mmap]] = {}

    def wait(self, key: ApiKey) -> float:
        """0 where the request may pass, and is counted; else the seconds after which one may."""
        file, shared = self._maps.get(key.name) or self._open(key.name)
        burst, now = max(1.0, 1 / key.rate), time.monotonic()
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            (whole,) = struct.unpack_from("d", shared)
            whole = now if not now <= whole <= now + 2 * burst else whole
            then = whole + 1 / key.rate
            if then - now > burst + 1e-9:
                return float(then - now - burst)
            struct.pack_into("d", shared, 0, then)
            return 0.0
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _open(self, name: str) -> tuple[int, mmap.mmap]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(file).st_size < 8:
            os.ftruncate(file, 8)
        self._maps[name] = file, mmap.mmap(file, 8)
        return self._maps[name]


class Keyring:
    """The keys, read anew when their file changes."""

    def __init__(self, extra: dict[str, ApiKey] | None = None) -> None:
        """extra  keys that no file holds"""
        self._extra = extra or {}
        self._stamp = -1
        self._keys: dict[str, ApiKey] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read them again if they changed; a file that cannot be read leaves those that are known."""
        path = keys.path()
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        if stamp == self._stamp:
            return
        try:
            self._keys, self._stamp = keys.read(), stamp
        except InputError as error:
            LOG.error("%s", error)

    def of(self, headers: dict[bytes, bytes]) -> ApiKey:
        """Whose request it is. Raises ProblemError without a key that is known."""
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secret:
            raise ProblemError("no-key", "send it as: Authorization: Bearer KEY")
        text = secret.decode("latin-1").strip()
        name = keys.hashed(text) if TOKEN.fullmatch(text) else ""
        key = self._keys.get(name) or self._extra.get(name)
        if key is None:
            raise ProblemError("wrong-key")
        return key


class Door:
    """Around the application. A request that passes has `state.key` and `state.request_id`; its body is read."""

    def __init__(
        self, app: ASGIApp, keyring: Keyring, rates: RequestRates, most_bytes: int, open_to_all: frozenset[str] = OPEN
    ) -> None:
        self._app, self._keyring, self._rates, self._most_bytes = app, keyring, rates, most_bytes
        self._open = open_to_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        try:
            if scope["path"] not in self._open:
                key = self._keyring.of(visit.headers)
                visit.key = scope["state"]["key"] = key
                if wait := self._rates.wait(key):
                    raise ProblemError("too-many", f"{key.rate:g} a second", retry_after=math.ceil(wait))
            body = await self._body(visit.headers, receive)
            await self._app(scope, _replay(body, receive), visit.send)
        except ProblemError as problem:
            await visit.refuse(problem)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            LOG.error("%s in %s, line %s", type(error).__name__, Path(where.filename).name, where.lineno)
            await visit.refuse(ProblemError("internal", "it is in the servers' log under this request's id"))
        finally:
            visit.end()

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._most_bytes:
                        raise self._too_large()
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise ProblemError("too-slow", f"not within {BODY_S:g} seconds") from None
        return b"".join(parts)

    def _too_large(self) -> ProblemError:
        return ProblemError("too-large", f"at most {self._most_bytes:,} bytes")


class _Visit:
    """One request, from its first byte to its last."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.began = time.perf_counter()
        self.headers = dict(scope["headers"])
        self.key: ApiKey | None = None
        self.status = 0
        self._scope, self._send = scope, send
        self.id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
        await self._send(message)

    async def refuse(self, problem: ProblemError) -> None:
        if self.status:
            return  # the answer has begun
        body = problem.body(self.id)
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **problem.headers()}
        if problem.kind in ("too-large", "too-slow"):
            headers["connection"] = "close"
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})

    def end(self) -> None:
        took = time.perf_counter() - self.began
        route = getattr(self._scope.get("route"), "path", NO_ROUTE)
        figures.REQUESTS.labels(route, str(self.status)).inc()
        figures.TOOK.labels(route).observe(took)
        LOG.info("request", extra={"facts": {
            "request_id": self.id, "method": self._scope["method"] if route != NO_ROUTE else "", "route": route,
            "status": self.status, "ms": round(1000 * took, 2), "key": self.key.name if self.key else "",
        }})  # fmt: skip


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then what comes of the connection."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class LogLines(logging.Formatter):
    """A line of JSON per record; of an error its kind, never a customer's values."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(), "pid": record.process, "message": record.getMessage(),
        } | getattr(record, "facts", {})  # fmt: skip
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)

    converter = time.gmtime  # type: ignore[assignment]
