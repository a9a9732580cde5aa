"""What becomes of events and answers when processes are killed, champions change, the log stands still, or requests are
nonsense: real servers of a small site under load.

An event counts as acknowledged when its answer came; each is sent again until it does. Afterwards the log must hold
every acknowledged one, once. An answer that does not come, or not with status 200, is failed; so is one whose list is
not of the version that it names.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.live.load import Connection, Request
from bench.live.servers import questions, run
from bench.live.site import BUNDLE, Servers, Site, site
from nightmarket.serving.live import parts
from tasks.files import manifest, storage
from tasks.live.visitors import Visitors

SENDERS, ASKERS = 6, 4
SEED = 5
QUICK = {"count": 5, "log": False}


@dataclass
class Told:
    """What the servers said under load: events acknowledged, answers by status, versions, and the longest wait."""

    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    stopping: bool = False

    @property
    def failed(self) -> int:
        """Answers without status 200; 0 stands for a connection that ended."""
        return self.answers.total() - self.answers[200]


@contextlib.asynccontextmanager
async def under_load(servers: Servers, asked: list[dict[str, Any]]) -> AsyncIterator[Told]:
    """Senders of events and askers, until the block ends."""
    told = Told()
    work = [asyncio.create_task(_send(servers, number, told)) for number in range(SENDERS)]
    work += [asyncio.create_task(_ask(servers, number, asked, told)) for number in range(ASKERS)]
    try:
        yield told
    finally:
        told.stopping = True
        await asyncio.gather(*work)


async def _send(servers: Servers, number: int, told: Told) -> None:
    connection, sent = Connection(servers.port, servers.secret), 0
    while not told.stopping:
        name = f"{number}-{sent}"
        event = {"id": name, "kind": "view", "product_id": "p", "session_id": f"s{number}"}
        status, _ = await _answer(connection, ("POST", "/v1/events", event))
        if status == 200:
            told.acknowledged.add(name)
            sent += 1


async def _ask(servers: Servers, number: int, asked: list[dict[str, Any]], told: Told) -> None:
    connection, at = Connection(servers.port, servers.secret), number
    while not told.stopping:
        begun = time.perf_counter()
        question = {**asked[at % len(asked)], **QUICK}
        status, body = await _answer(connection, ("POST", "/v1/recommendations", question))
        told.answers[status] += 1
        told.longest_s = max(told.longest_s, time.perf_counter() - begun)
        if status == 200:
            told.versions[body.partition(b'"version":"')[2].partition(b'"')[0].decode()] += 1
        at += ASKERS


async def _answer(connection: Connection, request: Request) -> tuple[int, bytes]:
    """Status 0 where the connection ended."""
    try:
        return await connection.ask(request)
    except (OSError, EOFError):
        await asyncio.sleep(0.01)  # nobody listens just now; asking without a pause takes the core that starts it
        return 0, b""


def lost_and_doubled(home: Path, acknowledged: set[str]) -> tuple[int, int]:
    """Acknowledged events that the log does not hold, and rows that stand there twice."""
    with contextlib.chdir(home):
        visitors = Visitors()
    with sqlite3.connect(home / ".nightmarket/live/log.db") as log:
        names = [row[0] for row in log.execute("select id from events")]
    return len({visitors.event(name) for name in acknowledged} - set(names)), len(names) - len(set(names))


async def _workers_there(servers: Servers, num: int) -> None:
    while len(servers.workers()) < num:
        await asyncio.sleep(0.02)


async def _kills(of: Site, servers: Servers, num: int) -> Told:
    """A worker is killed, or every twentieth time all of them and the server, which is started again."""
    rng = random.Random(SEED)
    async with under_load(servers, questions(of, 200)) as told:
        for kill in range(num):
            await asyncio.sleep(rng.uniform(0.05, 0.4))  # the moment is the point
            if kill % 20 == 19:
                await asyncio.to_thread(servers.kill)
                await asyncio.to_thread(servers.start)
                continue
            await _workers_there(servers, 2)
            os.kill(rng.choice(servers.workers()).pid, signal.SIGKILL)
        await _workers_there(servers, 2)
    return told


async def _champions(of: Site, servers: Servers, num: int) -> Told:
    """Another model half is put in place, as a night does, and answers under its name before the next one comes."""
    async with under_load(servers, questions(of, 200)) as told:
        for number in range(1, num + 1):
            await asyncio.to_thread(_other_version, of.home / BUNDLE / parts.MODEL, f"v{number}")
            while not told.versions[f"v{number}"]:
                await asyncio.sleep(0.05)
    return told


def _other_version(model: Path, version: str) -> None:
    """The same arrays under another version."""
    facts = storage.read_json(model / parts.FACTS)
    storage.write_json({**facts, "version": version}, model / parts.FACTS)
    manifest.write(model)


async def _frozen(of: Site, servers: Servers, seconds: float) -> Told:
    """Another process holds the log's write lock for so long."""
    async with under_load(servers, questions(of, 200)) as told:
        await asyncio.sleep(0.5)
        other = sqlite3.connect(of.home / ".nightmarket/live/log.db", isolation_level=None)
        other.execute("begin immediate")
        await asyncio.sleep(seconds)
        other.execute("rollback")
        other.close()
        while list((of.home / ".nightmarket/live/kept").glob("*.jsonl")):
            await asyncio.sleep(0.1)
    return told


def measure(bundle: Path, kills: int, champions: int, frozen_s: float, size: float) -> tuple[dict[str, Any], str]:
    """{fault: {acknowledged, lost, doubled, answers, failed, longest_s}}, and a table."""
    content: dict[str, Any] = {}
    works = {"kills": (_kills, kills), "champions": (_champions, champions), "frozen": (_frozen, frozen_s)}
    with site(bundle, size=size) as of:
        for name, (work, num) in works.items():
            if not num:
                continue
            shutil.rmtree(of.home / ".nightmarket/live", ignore_errors=True)
            with of.served(workers=2, budget_ms=5000, waiting=1000) as servers:
                told = run(work(of, servers, num))  # type: ignore[operator]
            lost, doubled = lost_and_doubled(of.home, told.acknowledged)
            content[name] = {
                "num": num, "acknowledged": len(told.acknowledged), "lost": lost, "doubled": doubled,
                "answers": told.answers.total(), "failed": told.failed, "longest_s": round(told.longest_s, 2),
                "answered": round(1 - told.failed / max(told.answers.total(), 1), 5),
            }  # fmt: skip
    head = (
        "| fault | times, seconds | acknowledged | lost | doubled | answers | failed | longest s |\n" + "|---" * 8 + "|"
    )
    keys = ("num", "acknowledged", "lost", "doubled", "answers", "failed", "longest_s")
    rows = ["| " + " | ".join([name, *(str(said[key]) for key in keys)]) + " |" for name, said in content.items()]
    return content, "\n".join([head, *rows])
