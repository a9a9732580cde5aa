"""The servers under load: the time of an answer at a steady rate, and how many there are at most.

`make serve`'s own command on a site of its own, with the settings that it comes with but for the time of an answer:
none is simplified. Load comes from this process, which shares the cores with the servers. Beside it a plain FastAPI
over a table of the same lists, by the same server.
"""

import os
import time
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bench.live.load import Connection, Load, Request, Requests, closed, steady
from bench.live.site import Servers, Site, site

RATE, SEARCHES = 150, 50
"""Requests a second."""
SEED = 17
GUESTS = 1 / 3
NUM_QUESTIONS = 2000
CONNECTIONS, FEW = 64, 16
"""That ask at a steady rate and send events; that ask for as many answers as there are."""
EVERY_ANSWER_MS = 10_000
CPU_OF = ("full", "list", "search", "events", "plain")
T = TypeVar("T")


class Figure(NamedTuple):
    """A load's name in the table, and the milliseconds of the processor that the workers spent on each of its answers:
    they hardly depend on what else the machine does."""

    name: str
    load: Load
    cpu_ms: float


def questions(of: Site, num: int = NUM_QUESTIONS) -> list[dict[str, Any]]:
    """Of customers and guests in visits of one to five events, the last ones told with the question."""
    rng, asked = np.random.default_rng(SEED), []
    for number in range(num):
        met = rng.choice(len(of.products), rng.integers(1, 6))
        events = [{"kind": "cart" if rng.random() < 0.25 else "view", "product_id": of.products[item]} for item in met]
        who = {} if rng.random() < GUESTS else {"customer_id": f"c{rng.integers(of.num_customers)}"}
        asked.append({"session_id": f"s{number}", **who, "events": events, "count": 20})
    return asked


def measure(bundle: Path, workers: int, seconds: float, size: float = 1.0) -> tuple[dict[str, Any], str]:
    """The figures, and a table of the loads."""
    before = os.getloadavg()[0]
    with site(bundle, size=size) as of:
        asked = questions(of)
        with of.served(workers=workers, budget_ms=EVERY_ANSWER_MS, waiting=1000) as servers:
            figures = run(_loads(servers, asked, of.texts, seconds))
            gigabytes = servers.gigabytes()
        with of.served("bench.live.plain", workers=workers) as servers:
            figures += run(_plain(servers, asked, seconds))
    steadily, full, lists, searches, events, plain = (figure.load for figure in figures)
    content = {
        "p99_ms_at_150": steadily.milliseconds(0.99), "p50_ms_at_150": steadily.milliseconds(0.5),
        "full_rps": full.a_second, "list_rps": lists.a_second, "events_rps": events.a_second,
        "search_p99_ms": searches.milliseconds(0.99), "worker_gb": gigabytes, "plain_rps": plain.a_second,
        "cpu_ms": {name: figure.cpu_ms for name, figure in zip(CPU_OF, figures[1:], strict=True)},
        "failed": sum(figure.load.failed for figure in figures), "workers": workers, "seconds": seconds,
        "products": len(of.products), "customers": of.num_customers, "load_before": round(before, 2),
    }  # fmt: skip
    head = "| load | answers | a second | p50 ms | p99 ms | processor ms | failed | steps |\n" + "|---" * 8 + "|"
    return content, "\n".join([head, *map(_row, figures)])


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop as fast as the servers' own."""
    import uvloop

    return uvloop.run(work)


def _row(figure: Figure) -> str:
    load = figure.load
    steps = ", ".join(f"{step} {num:,}" for step, num in load.steps.most_common())
    cells = [figure.name, f"{len(load.took):,}", load.a_second, load.milliseconds(0.5), load.milliseconds(0.99)]
    cells.append(figure.cpu_ms)
    return "| " + " | ".join(map(str, [*cells, load.failed, steps])) + " |"


def connections(servers: Servers, num: int) -> list[Connection]:
    """To the servers, with their key."""
    return [Connection(servers.port, servers.secret) for _ in range(num)]


def recommendations(asked: list[dict[str, Any]], **more: Any) -> Requests:
    """The questions over and over."""
    content = [{**question, **more} for question in asked]
    return lambda number: ("POST", "/v1/recommendations", content[number % len(content)])


def of_words(texts: list[str]) -> Requests:
    """Searches for one to three words of a product's text, every fourth with a letter left out."""
    rng, content = np.random.default_rng(SEED), []
    for number in range(NUM_QUESTIONS):
        words = [word for word in texts[rng.integers(len(texts))].split() if word.isalnum()] or ["x"]
        query = " ".join(rng.choice(words, min(len(words), int(rng.integers(1, 4))), False))
        if number % 4 == 0 and len(query) > 4:
            at = int(rng.integers(1, len(query) - 1))
            query = query[:at] + query[at + 1 :]
        content.append({"query": query[:200], "count": 20})
    return lambda number: ("POST", "/v1/search", content[number % len(content)])


def events(of: list[str]) -> Callable[[int], Request]:
    """Single events, each with an id of its own, of some thousand visits."""
    begun, numbers = time.time_ns(), count()

    def event(_: int) -> Request:
        number = next(numbers)
        content = {"id": f"{begun}-{number}", "kind": "view", "product_id": of[number % len(of)]}
        return "POST", "/v1/events", {**content, "session_id": f"v{number % 997}"}

    return event


async def _figure(servers: Servers, name: str, load: Coroutine[Any, Any, Load]) -> Figure:
    before = servers.processor_s()
    done = await load
    return Figure(name, done, round(1000 * (servers.processor_s() - before) / max(len(done.took), 1), 2))


async def _loads(servers: Servers, asked: list[dict[str, Any]], texts: list[str], seconds: float) -> list[Figure]:
    many, products = connections(servers, CONNECTIONS), [event["product_id"] for it in asked for event in it["events"]]
    again, nightly = recommendations(asked), recommendations(asked, best="nightly")
    await closed(many[:FEW], again, min(3.0, seconds))  # what is mapped is read once, what is compiled made
    loads = {
        f"re-ranked, {RATE} a second": steady(many, again, RATE, seconds),
        "re-ranked, at most": closed(many[:FEW], again, seconds),
        "the night's list, at most": closed(many[:FEW], nightly, seconds),
        f"search, {SEARCHES} a second": steady(many, of_words(texts), SEARCHES, seconds),
        "events on disk, at most": closed(many, events(products), seconds),
    }
    return [await _figure(servers, name, load) for name, load in loads.items()]


async def _plain(servers: Servers, asked: list[dict[str, Any]], seconds: float) -> list[Figure]:
    few, plainly = connections(servers, FEW), [{"customer_id": it.get("customer_id"), "count": 20} for it in asked]
    await closed(few, recommendations(plainly), min(1.0, seconds))
    return [await _figure(servers, "plain table, at most", closed(few, recommendations(plainly), seconds))]
