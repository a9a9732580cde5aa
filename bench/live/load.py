"""Load from this process: requests over connections that stay open, at a steady rate or as many as are answered."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

Request = tuple[str, str, dict[str, Any]]
"""Method, path and body."""
Requests = Callable[[int], Request]
"""The request of a number."""
GONE = 0
"""In place of a status where the connection ended without an answer."""


@dataclass
class Load:
    """Answers so far: seconds of each from the moment at which it was due, and how many of each status and step."""

    seconds: float
    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)

    def milliseconds(self, share: float) -> float:
        """The quantile of the answers' times."""
        return round(1000 * float(np.quantile(self.took, share)), 2)

    @property
    def a_second(self) -> int:
        """Answers with status 200 a second."""
        return round(self.statuses[200] / self.seconds)

    @property
    def failed(self) -> int:
        """Requests without an answer of status 200."""
        return self.statuses.total() - self.statuses[200]


class Connection:
    """HTTP/1.1 over one connection, opened anew where it ended, and next to nothing else."""

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._key = port, f"authorization: Bearer {secret}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> tuple[int, bytes]:
        """Status and body. Raises OSError or EOFError where the connection ends."""
        method, path, content = request
        return await self.send(method, path, json.dumps(content).encode())

    async def send(self, method: str, path: str, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
        """The same of a body as it is, of a type that it is said to be of."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{self._key}content-type: {kind}\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            said = await reader.readexactly(int(length[1]) if length and method != "HEAD" else 0)
            if b"connection: close" in answer:
                self.close()
            return int(answer[9:12]), said
        except (OSError, EOFError):
            self.close()
            raise

    def close(self) -> None:
        """The next request opens it anew."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _asked(connection: Connection, request: Request, due: float, load: Load) -> None:
    try:
        status, body = await connection.ask(request)
    except (OSError, EOFError):
        status, body = GONE, b""
    load.took.append(time.perf_counter() - due)
    load.statuses[status] += 1
    if step := re.search(rb'"step":"(\w+)"', body):
        load.steps[step[1].decode()] += 1


async def closed(connections: list[Connection], requests: Requests, seconds: float) -> Load:
    """Each connection asks again when it has its answer."""
    load, numbers, begun = Load(seconds), count(), time.perf_counter()

    async def again(connection: Connection) -> None:
        while (now := time.perf_counter()) < begun + seconds:
            await _asked(connection, requests(next(numbers)), now, load)

    await asyncio.gather(*map(again, connections))
    load.seconds = time.perf_counter() - begun
    return load


async def steady(connections: list[Connection], requests: Requests, rate: float, seconds: float) -> Load:
    """Each request is due at its time, whatever became of those before; one that waits for a connection waits."""
    load, begun = Load(seconds), time.perf_counter()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def ask(number: int) -> None:
        due = begun + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        connection = await free.get()
        await _asked(connection, requests(number), due, load)
        free.put_nowait(connection)

    await asyncio.gather(*(ask(number) for number in range(int(rate * seconds))))
    return load
