"""Requests that are wrong somewhere, or everywhere: none may bring an error of ours, or a word of anybody."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from bench.live.load import Connection
from bench.live.servers import run
from bench.live.site import Servers, site

SIDE_BY_SIDE = 8
WORDS = ["", "p1", "\x00", "𝔘", "a" * 300, "../../etc/passwd", "' or 1=1 --", "%00", "null", "1e999", "c1"]
FIELDS = ["id", "kind", "product_id", "customer_id", "session_id", "at", "quantity", "value", "events", "products"]
FIELDS += ["count", "category", "brand", "price_from", "price_to", "leave_out", "market", "channel", "language"]
FIELDS += ["budget_ms", "log", "basket_id", "query", "best", "x"]
FIELDS += [
    "message",
    "title",
    "vector",
    "min_age",
    "price",
    "stock",
    "available_from",
    "description",
    "not_a_product",
    "group_id",
]
ENDS = ["/", "//", "?count=-1", "?count=x", "/%2e%2e", "/%ff", "?" + "a" * 500]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]
TYPES = ["application/json"] * 9 + ["text/plain", "application/json; charset=utf-16"]
Fuzzed = tuple[str, str, bytes, str]
"""Method, path, body and the type that it is said to be of."""


def good(product: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    """A request to every address that answers 200 where there is such a product."""
    view = {"kind": "view", "product_id": product, "session_id": "s"}
    several = [{"id": "y", **view}, {"id": "x", **view, "customer_id": "c", "kind": "purchase", "value": 1}]
    asked = {"customer_id": "c", "count": 3, "events": [{"kind": "view", "product_id": product}]}
    further = {"product_id": f"{product}b", "title": "Boots", "category": "shoes > boots", "price": 3, "stock": 1}
    return [
        ("POST", "/v1/events", {"id": "z", **view}),
        ("POST", "/v1/events", {"events": several}),
        ("POST", "/v1/recommendations", asked),
        ("POST", "/v1/search", {"query": f"{product} or another", "price_to": 9, "count": 2}),
        ("POST", "/v1/rank", {"products": [product, "p2"], "session_id": "s"}),
        ("POST", "/v1/assist", {"message": f"boots under twenty dollars, 两百以内 {product}", "customer_id": "c"}),
        ("POST", "/v1/offers", {"id": "o", "customer_id": "c", "channel": "site"}),
        ("PUT", "/v1/products", {"products": [further]}),
        ("PUT", "/v1/stock", {"products": {product: 3}}),
        ("GET", f"/v1/products/{product}/similar", None),
        ("GET", f"/v1/products/{product}/goes-with", None),
        ("GET", "/v1/customers/c/why", None),
        ("GET", "/metrics", None),
    ]


def anything(rng: random.Random, depth: int = 0) -> Any:
    """A value of any kind."""
    kinds = [lambda: rng.choice(WORDS), lambda: rng.choice([0, -1, 1, 10**20, -1e308, 0.5]), lambda: None,
             lambda: rng.random() < 0.5]  # fmt: skip
    if depth < 3:
        kinds += [lambda: [anything(rng, depth + 1) for _ in range(rng.randrange(4))],
                  lambda: {rng.choice(FIELDS): anything(rng, depth + 1) for _ in range(rng.randrange(5))}]  # fmt: skip
    return rng.choice(kinds)()


def fuzzed(rng: random.Random, product: str) -> Fuzzed:
    """A good request with something wrong at some place, or nothing good at all."""
    method, path, content = rng.choice(good(product))
    if content is not None:
        several = content.get("events") or content.get("products")
        inner = isinstance(several, list) and isinstance(several[0], dict) and rng.random() < 0.5
        place = several[0] if inner else content
        place[rng.choice([*place, rng.choice(FIELDS)])] = anything(rng)
    body = b"" if content is None else json.dumps(content).encode()
    if rng.random() < 0.2:
        spoiled = bytearray(body or b"{}")
        for _ in range(rng.randrange(1, 4)):
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
        body = bytes(spoiled)
    if rng.random() < 0.15:
        method, path = rng.choice(METHODS), path + rng.choice(ENDS)
    return method, path, body, rng.choice(TYPES)


def measure(bundle: Path, num: int, size: float) -> tuple[dict[str, Any], str]:
    """{requests, statuses, errors of ours, tracebacks}, and a line."""
    with site(bundle, size=size) as of, of.served(workers=2) as servers:
        statuses, tracebacks, without = run(_asked(servers, num, of.products[0]))
        errors = servers.said().count('"level": "error"')
    ours = sum(count for status, count in statuses.items() if status >= 500 and status != 503)
    content = {
        "requests": num, "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "errors_of_ours": ours, "tracebacks": tracebacks, "connections_ended": without, "errors_logged": errors,
    }  # fmt: skip
    return content, f"{num:,} fuzzed requests: {ours} errors of ours, {tracebacks} tracebacks; {dict(statuses)}"


async def _asked(servers: Servers, num: int, product: str) -> tuple[Counter[int], int, int]:
    statuses, tracebacks, without = Counter[int](), 0, 0

    async def ask(seed: int) -> None:
        nonlocal tracebacks, without
        rng, connection = random.Random(seed), Connection(servers.port, servers.secret)
        for _ in range(num // SIDE_BY_SIDE):
            try:
                status, said = await connection.send(*fuzzed(rng, product))
            except (OSError, EOFError):
                without += 1
                continue
            statuses[status] += 1
            tracebacks += b"Traceback" in said
        with contextlib.suppress(OSError):
            connection.close()

    await asyncio.gather(*map(ask, range(SIDE_BY_SIDE)))
    return statuses, tracebacks, without
