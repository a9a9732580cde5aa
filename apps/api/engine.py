"""What answers: the bundle of the night, taken over when a new one lies there, kept when the new one cannot be read."""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import pandas as pd

from apps.api.problems import ProblemError
from nightmarket.contracts import InputError
from nightmarket.serving.live import Answer, Ask, Explanation
from nightmarket.serving.live.answering import ShownFacts
from nightmarket.serving.live.messages import Understood
from tasks.live.products import ProductRow, frame

LOG = logging.getLogger("nightmarket.api")
LOOK_EVERY_S = 1.0
T = TypeVar("T")


class Recommender(Protocol):
    """What this API asks of an engine; `nightmarket.serving.live.LiveRecommender` has it all."""

    @property
    def version(self) -> str:
        """Of the champion."""

    @property
    def bundle(self) -> str:
        """Changes with every night and every version."""

    @property
    def made_from(self) -> Mapping[str, Any]:
        """`last_day`, and what else is known of it."""

    def recommend(self, ask: Ask) -> Answer:
        """Products for a visitor."""

    def rank(self, ask: Ask, products: Sequence[str]) -> Answer:
        """These products for a visitor."""

    def knows(self, product: str) -> bool:
        """Whether it knows a product."""

    def with_products(self, products: pd.DataFrame) -> "Recommender":
        """The same with products that came or changed since the night."""

    def search(self, ask: Ask, query: str) -> Answer:
        """Products that words ask for."""

    def assist(self, ask: Ask, message: str) -> tuple[Understood, Answer, tuple[ShownFacts, ...]]:
        """What a message says, products for it, and what is known of them."""

    def why(self, customer: str) -> Explanation:
        """What a customer's lists rest on."""


@dataclass
class Engine:
    """The recommender that answers now.

    open_it    opens the bundle of a folder; bundle_of reads its name alone
    refused    why the newest bundle is not the one that answers; "" where it is
    put        products that the site put after a number, with theirs; None: nobody puts any
    """

    folder: Path
    open_it: Callable[[Path], "Recommender"]
    bundle_of: Callable[[Path], str]
    current: Recommender | None = None
    refused: str = ""
    taken_over: int = 0
    put: Callable[[int], list[tuple[int, ProductRow]]] | None = None
    _put_until: int = 0
    _put_as: dict[str, str] = field(default_factory=dict)
    _put_lost: bool = False

    def look(self) -> None:
        """Take over what lies in the folder, if it is another one and can be read, and products that were put. Takes
        seconds; of a thread."""
        try:
            bundle = self.bundle_of(self.folder)
            if self.current is not None and bundle == self.current.bundle:
                self.refused = ""
                self.current = self._with_put(self.current)
                return
            fresh = self.open_it(self.folder)
        except (InputError, OSError, ValueError, KeyError) as error:
            said = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            if said != self.refused:
                goes_on = f"version {self.current.version} goes on" if self.current else "nothing can be answered"
                LOG.error("the bundle cannot be read, %s: %s", goes_on, said)
            self.refused = said
            return
        self.taken_over += self.current is not None
        self._put_until, self._put_as = 0, {}
        self.current, self.refused = self._with_put(fresh), ""
        LOG.info("version %s answers, bundle %s", fresh.version, fresh.bundle)

    def _with_put(self, recommender: Recommender) -> Recommender:
        """With the products that were put since the last look; of those that the night knows, since its tables were
        read."""
        try:
            rows = self.put(self._put_until) if self.put is not None else []
            self._put_lost = False
        except (sqlite3.Error, OSError) as error:
            if not self._put_lost:
                LOG.error("products that were put cannot be read: %s", error)
            self._put_lost = True
            return recommender
        if not rows:
            return recommender
        since = known_until(recommender) * 1_000_000
        other = [row for _, row in rows if self._put_as.get(row.product) != row.content]
        fresh = [row for row in other if row.at >= since or not recommender.knows(row.product)]
        self._put_until = rows[-1][0]
        self._put_as |= {row.product: row.content for row in fresh}
        return _added(recommender, fresh)

    async def watch(self) -> None:
        """Look every few seconds, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def ready(self) -> Recommender:
        """The one that answers; hold on to it for the whole of a request. Raises ProblemError where there is none."""
        if self.current is None:
            raise ProblemError("not-ready", "no night has written what the site answers from", retry_after=30)
        return self.current


def _added(recommender: Recommender, rows: list[ProductRow]) -> Recommender:
    """One that cannot be taken in leaves the others in."""
    if not rows:
        return recommender
    try:
        return recommender.with_products(frame(rows, zone_of(recommender)))
    except Exception as error:
        if len(rows) == 1:
            LOG.error("a product that was put cannot be taken in: %s", type(error).__name__)
            return recommender
    half = len(rows) // 2
    return _added(_added(recommender, rows[:half]), rows[half:])


def zone_of(recommender: Recommender) -> ZoneInfo:
    """The shop's."""
    return ZoneInfo(str(recommender.made_from.get("time_zone", "UTC")))


def known_until(recommender: Recommender) -> float:
    """Epoch seconds from which on events are news to the night: the shop's midnight after its last day."""
    made = recommender.made_from
    after = date.fromisoformat(str(made["last_day"])) + timedelta(days=1)
    return datetime.combine(after, datetime.min.time(), zone_of(recommender)).timestamp()


@dataclass
class Turnstile:
    """Answers are computed one after another in the loop's own thread, for a second thread would only wait for the
    interpreter; between two of them the loop takes in, and turns away, who comes.

    limit  questions that may wait
    most_s seconds that one may wait
    """

    limit: int
    most_s: float

    def __post_init__(self) -> None:
        self._line: deque[tuple[Callable[[float], Any], float, asyncio.Future[Any]]] = deque()
        self._at_work: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Questions in the line."""
        return len(self._line)

    async def ask(self, question: Callable[[float], T]) -> T:
        """What the question gives, told the seconds that it waited. Raises ProblemError where too many wait."""
        if len(self._line) >= self.limit:
            raise ProblemError("overloaded", "too many questions wait", retry_after=1)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._line.append((question, time.perf_counter(), answer))
        if self._at_work is None or self._at_work.done():
            self._at_work = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._line:
            question, since, answer = self._line.popleft()
            waited = time.perf_counter() - since
            if not answer.done():  # whoever asked may have gone
                try:
                    if waited > self.most_s:
                        raise ProblemError("overloaded", "the question waited too long", retry_after=1)
                    answer.set_result(question(waited))
                except Exception as error:
                    answer.set_exception(error)
            await asyncio.sleep(0)
