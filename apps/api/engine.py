"""What answers: the bundle of the night, taken over when a new one lies there, kept when the new one cannot be read."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from apps.api.problems import ProblemError
from nightmarket.contracts import InputError
from nightmarket.serving.live import Answer, Ask, Explanation

LOG = logging.getLogger("nightmarket.api")
LOOK_EVERY_S = 2.0
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

    def search(self, ask: Ask, query: str) -> Answer:
        """Products that words ask for."""

    def why(self, customer: str) -> Explanation:
        """What a customer's lists rest on."""


@dataclass
class Engine:
    """The recommender that answers now.

    open_it    opens the bundle of a folder; bundle_of reads its name alone
    refused    why the newest bundle is not the one that answers; "" where it is
    """

    folder: Path
    open_it: Callable[[Path], "Recommender"]
    bundle_of: Callable[[Path], str]
    current: Recommender | None = None
    refused: str = ""
    taken_over: int = 0
    _looked_at: str = ""

    def look(self) -> None:
        """Take over what lies in the folder, if it is another one and can be read. Takes seconds; of a thread."""
        try:
            bundle = self.bundle_of(self.folder)
            if self.current is not None and bundle == self.current.bundle:
                self.refused = ""
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
        self.current, self.refused = fresh, ""
        LOG.info("version %s answers, bundle %s", fresh.version, fresh.bundle)

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


def known_until(recommender: Recommender) -> float:
    """Epoch seconds from which on events are news to the night: the shop's midnight after its last day."""
    made = recommender.made_from
    after = date.fromisoformat(str(made["last_day"])) + timedelta(days=1)
    return datetime.combine(after, datetime.min.time(), ZoneInfo(str(made.get("time_zone", "UTC")))).timestamp()


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
