"""A writer behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, a gateway."""

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import CHANNELS, Form, folded
from nightmarket.copywriting.writers import prompt
from nightmarket.copywriting.writers.prompt import Brief, Message

log = logging.getLogger("nightmarket")
_MOST_BYTES = 1 << 20
_MOST_CHARACTERS = 4000
_PAUSE, _LONGEST = 0.5, 30.0
_SECRET = 8
"""Characters from which a key is a secret; servers without keys are given words like EMPTY."""


@dataclass(frozen=True)
class ServerAddress:
    """Where and how a server is asked.

    url          up to and with `/v1`
    model        its name there
    key          sent as a bearer token; "" for none. It is never logged
    timeout      seconds of one request, from the connection to the last byte of the answer
    retries      further tries after 408, 429, 5xx, time-outs and broken connections
    per_minute   requests a minute at most
    at_once      requests under way at a time
    give_up      requests that fail one after the other, after which the rest is not asked for
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 30.0
    retries: int = 3
    per_minute: int = 600
    at_once: int = 8
    give_up: int = 8


class ServerWriter:
    """Texts by a server. A request that fails for good gives no text; the template writes in its place.

    InputError where the address or the key cannot be used, and where the server answers 401, 403 or 404.
    """

    name = "openai"

    def __init__(
        self, server: ServerAddress, seed: int = 0, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        try:
            url = httpx.URL(server.url)
            known = url.scheme in ("http", "https") and bool(url.host)
        except httpx.InvalidURL:
            known = False
        if not known:
            raise InputError("compose.server.url is no address; give one like http://localhost:8000/v1")
        if url.userinfo or url.query or url.fragment:
            raise InputError("compose.server.url holds more than an address; the key belongs in NIGHTMARKET_WRITER_KEY")
        if not all("!" <= letter <= "~" for letter in server.key):
            raise InputError("NIGHTMARKET_WRITER_KEY has a space, a line end or a sign that no key has; set it anew")
        self.server, self.seed, self.sleep = server, seed, sleep
        self._next = 0.0
        self._in_a_row = 0
        self._why: Counter[str] = Counter()

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """Up to `num` messages per brief; none where the server gave nothing that can be read."""
        wanted = [(brief, form) for brief in briefs for form in CHANNELS.get(brief.channel, ("push",))]
        self._in_a_row, self._why = 0, Counter()
        texts = asyncio.run(self._all(wanted, num))
        if self._why:
            log.warning(
                "compose: the writer's server gave nothing for %d of %d texts (%s); the template writes those",
                self._why.total(),
                len(wanted),
                ", ".join(f"{count} {why}" for why, count in self._why.most_common()),
            )
        by_key = {(brief.key, form): drafts for (brief, form), drafts in zip(wanted, texts, strict=True)}
        return [_joined(brief, by_key) for brief in briefs]

    async def _all(self, wanted: list[tuple[Brief, Form]], num: int) -> list[list[str]]:
        """Texts in the order of `wanted`, however the answers come in."""
        headers = {"Accept-Encoding": "identity"}
        if self.server.key:
            headers["Authorization"] = f"Bearer {self.server.key}"
        texts: list[list[str]] = [[] for _ in wanted]
        queue = iter(enumerate(wanted))
        started = logged = time.monotonic()

        async def work(client: httpx.AsyncClient) -> None:
            nonlocal logged
            for place, (brief, form) in queue:
                texts[place] = await self._texts(client, brief, form, num)
                if time.monotonic() - logged > 5:
                    logged = time.monotonic()
                    log.info("compose: %d of %d requests, %.0f s", place + 1, len(wanted), logged - started)

        async with httpx.AsyncClient(timeout=self.server.timeout, headers=headers, follow_redirects=False) as client:
            await asyncio.gather(*(work(client) for _ in range(self.server.at_once)))
        return texts

    async def _texts(self, client: httpx.AsyncClient, brief: Brief, form: Form, num: int) -> list[str]:
        """Distinct texts; a server that knows no `n` and gives one choice is asked again, `num` times at most."""
        if self._in_a_row >= self.server.give_up:
            self._why["not asked for any more"] += 1
            return []
        draw = random.Random(f"{self.seed}|{brief.key}|{form}")
        drafts: list[str] = []
        why = ""
        for turn in range(num):
            body = {
                "model": self.server.model,
                "messages": prompt.chat(brief.facts, form),
                "n": num - len(drafts),
                "seed": self.seed + turn,
                "temperature": 0.8,
                "max_tokens": 400,
            }
            choices, why = await self._ask(client, body, draw)
            drafts += choices
            if not choices or len(drafts) >= num:
                break
        if drafts:
            self._in_a_row = 0
        else:
            self._in_a_row += 1
            self._why[why or "without a text"] += 1
        texts = [prompt.answer(text, form) for text in drafts]
        return [text for text in dict.fromkeys(texts) if text][:num]

    async def _ask(self, client: httpx.AsyncClient, body: dict[str, Any], draw: random.Random) -> tuple[list[str], str]:
        """The texts of an answer, or none and why."""
        why = ""
        for turn in range(self.server.retries + 1):
            await self._wait()
            pause = _PAUSE * 2**turn * (1 + draw.random())
            try:
                # httpx bounds each read, not their sum: a server that drips would hold the night for ever.
                async with (
                    asyncio.timeout(self.server.timeout),
                    client.stream("POST", f"{self.server.url.rstrip('/')}/chat/completions", json=body) as response,
                ):
                    status = response.status_code
                    if status == 200:
                        return self._contents(await _body(response))
                    why = f"answered {status}"
                    pause = max(pause, _seconds(response.headers.get("retry-after")))
            except TimeoutError:
                why = "timed out"
            except httpx.TimeoutException:
                why = "timed out"
            except httpx.HTTPError as error:
                why = type(error).__name__
            else:
                if status in (401, 403, 404):
                    raise InputError(
                        f"the writer's server answers {status}; check compose.server.url, compose.server.model and "
                        "the key in NIGHTMARKET_WRITER_KEY"
                    )
                if status not in (408, 429) and status < 500:
                    return [], why
            if turn < self.server.retries:
                await self.sleep(min(pause, _LONGEST))
        return [], why

    async def _wait(self) -> None:
        """Keep to the rate: each request takes the next free moment."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + 60 / self.server.per_minute
        if turn > now:
            await self.sleep(turn - now)

    def _contents(self, body: bytes | None) -> tuple[list[str], str]:
        """The texts of an answer of whatever shape, or none and why; one that repeats the key is none."""
        if body is None:
            return [], "too long"
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return [], "no JSON"
        choices = answer.get("choices") if isinstance(answer, dict) else None
        contents = []
        for choice in choices if isinstance(choices, list) else []:
            message = choice.get("message") if isinstance(choice, dict) else None
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str) and _is_unicode(content):
                contents.append(content[:_MOST_CHARACTERS])
        secret = _bare(self.server.key)
        if len(secret) >= _SECRET and any(secret in _bare(text) for text in contents):
            return [], "with the key in the answer"
        return contents, "" if contents else "without a text"


async def _body(response: httpx.Response) -> bytes | None:
    """The body as it came; None for more than a megabyte."""
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > _MOST_BYTES:
            return None
    return bytes(content)


def _is_unicode(text: str) -> bool:
    """Whether it can be written to a file: JSON may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bare(text: str) -> str:
    return "".join(folded(text).lower().split())


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0


def _joined(brief: Brief, texts: dict[tuple[str, Form], list[str]]) -> list[Message]:
    forms = CHANNELS.get(brief.channel, ("push",))
    columns = [texts[brief.key, form] for form in forms]
    return [dict(zip(forms, row, strict=True)) for row in zip(*columns, strict=False)]
