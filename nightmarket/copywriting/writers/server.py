"""A writer behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, a gateway."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import CHANNELS, Form
from nightmarket.copywriting.writers import prompt
from nightmarket.copywriting.writers.brief import Brief, Message

log = logging.getLogger("nightmarket")
_MOST_BYTES = 1 << 20
_PAUSE, _LONGEST = 0.5, 30.0


@dataclass(frozen=True)
class Server:
    """Where and how a server is asked.

    url          up to and with `/v1`
    model        its name there
    key          sent as a bearer token; "" for none. It is never logged
    timeout      seconds of one request
    retries      further tries after 429, 5xx and time-outs
    per_minute   requests a minute at most
    at_once      requests under way at a time
    give_up      requests that fail one after the other, after which the rest is not asked for
    """

    url: str
    model: str
    key: str = ""
    timeout: float = 30.0
    retries: int = 3
    per_minute: int = 600
    at_once: int = 8
    give_up: int = 8


class ServerWriter:
    """Texts by a server. A request that fails for good gives no text; the template writes in its place."""

    name = "openai"

    def __init__(self, server: Server, seed: int = 0, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            known = httpx.URL(server.url).scheme in ("http", "https") and bool(httpx.URL(server.url).host)
        except httpx.InvalidURL:
            known = False
        if not known:
            raise InputError("compose.server.url is no address; give one like http://localhost:8000/v1")
        self.server, self.seed, self.sleep = server, seed, sleep
        self.failed = self.in_a_row = 0
        self._lock = threading.Lock()
        self._next = 0.0

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """Up to `num` messages per brief; none where the server gave nothing that can be read."""
        wanted = [(brief, form) for brief in briefs for form in CHANNELS.get(brief.channel, ("push",))]
        headers = {"Authorization": f"Bearer {self.server.key}"} if self.server.key else {}
        started = told = time.monotonic()
        with (
            httpx.Client(timeout=self.server.timeout, headers=headers, follow_redirects=False) as client,
            ThreadPoolExecutor(self.server.at_once) as pool,
        ):
            texts: list[list[str]] = []
            for found in pool.map(lambda one: self._texts(client, one[0], one[1], num), wanted):
                texts.append(found)
                if time.monotonic() - told > 5:
                    told = time.monotonic()
                    log.info("compose: %d of %d requests, %.0f s", len(texts), len(wanted), told - started)
        if self.failed:
            log.warning(
                "compose: %d of %d requests to the writer failed; the template writes instead", self.failed, len(wanted)
            )
        by_key = {(brief.key, form): found for (brief, form), found in zip(wanted, texts, strict=True)}
        return [_joined(brief, by_key) for brief in briefs]

    def _texts(self, client: httpx.Client, brief: Brief, form: Form, num: int) -> list[str]:
        if self.in_a_row >= self.server.give_up:
            self._count(ok=False)
            return []
        body = {
            "model": self.server.model,
            "messages": prompt.chat(brief.facts, form),
            "n": num,
            "seed": self.seed,
            "temperature": 0.8,
            "max_tokens": 400,
        }
        answer = self._ask(client, body, random.Random(f"{self.seed}|{brief.key}|{form}"))
        texts = [prompt.answer(text, form) for text in _contents(answer)]
        self._count(ok=answer is not None)
        return [text for text in dict.fromkeys(texts) if text][:num]

    def _ask(self, client: httpx.Client, body: dict[str, Any], draw: random.Random) -> Any:
        """The JSON of an answer; None after the last failure."""
        for turn in range(self.server.retries + 1):
            self._wait()
            pause = _PAUSE * 2**turn * (1 + draw.random())
            try:
                with client.stream("POST", f"{self.server.url.rstrip('/')}/chat/completions", json=body) as response:
                    if response.status_code == 200:
                        return _json(response, self.server.timeout)
                    if response.status_code in (401, 403, 404):
                        raise InputError(
                            f"the writer's server answers {response.status_code}; check compose.server.url, "
                            "compose.server.model and the key in NIGHTMARKET_WRITER_KEY"
                        )
                    if response.status_code != 429 and response.status_code < 500:
                        return None
                    pause = max(pause, _seconds(response.headers.get("retry-after")))
            except httpx.HTTPError:
                pass
            if turn < self.server.retries:
                self.sleep(min(pause, _LONGEST))
        return None

    def _wait(self) -> None:
        """Keep to the rate: each request takes the next free moment."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 60 / self.server.per_minute
        if turn > now:
            self.sleep(turn - now)

    def _count(self, *, ok: bool) -> None:
        with self._lock:
            self.failed += not ok
            self.in_a_row = 0 if ok else self.in_a_row + 1


def _json(response: httpx.Response, seconds: float) -> Any:
    """The body, read up to a megabyte and for no longer than a request may take; None where it is no JSON."""
    content, until = b"", time.monotonic() + seconds
    for part in response.iter_bytes():
        content += part
        if len(content) > _MOST_BYTES or time.monotonic() > until:
            return None
    try:
        return httpx.Response(200, content=content).json()
    except (ValueError, RecursionError):
        return None


def _contents(answer: Any) -> list[str]:
    """The texts of an answer of whatever shape."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    found = []
    for choice in choices if isinstance(choices, list) else []:
        message = choice.get("message") if isinstance(choice, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            found.append(content[:4000])
    return found


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0


def _joined(brief: Brief, texts: dict[tuple[str, Form], list[str]]) -> list[Message]:
    forms = CHANNELS.get(brief.channel, ("push",))
    columns = [texts[brief.key, form] for form in forms]
    return [dict(zip(forms, row, strict=True)) for row in zip(*columns, strict=False)]
