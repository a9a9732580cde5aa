"""Offers of running campaigns at the moment of a visit: one thread decides, another looks after the campaigns."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from apps.api.problems import ProblemError
from tasks.files import storage
from tasks.live import campaigns
from tasks.live.campaigns import RunningCampaign
from tasks.live.log import LiveLog, OfferRow
from tasks.live.offers import OfferDesk, OfferQuestion

LOG = logging.getLogger("nightmarket.api")
LOOK_EVERY_S = 30.0
"""Seconds after which exports, consent and lists of who may not be contacted are read again."""
PATIENCE_S = 0.5


@dataclass
class OfferService:
    """One per worker.

    limit  questions that may wait
    """

    limit: int
    running: list[RunningCampaign] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    _waiting: int = 0
    _desk: OfferDesk | None = None

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "offers")
        self._looking = threading.Lock()

    def stop(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._desk is not None:
            self._desk.log.close()

    async def watch(self, zone: Any) -> None:
        """Look again and again, for ever; zone: () → that of the shop, None where nothing knows it yet."""
        while True:
            known = zone()
            if known is not None:
                await asyncio.to_thread(self.look, datetime.now(UTC).astimezone(known).date())
            await asyncio.sleep(LOOK_EVERY_S if known is not None else 1.0)

    def look(self, today: date) -> None:
        """Read what runs, and who may be contacted. A campaign that cannot be read is not offered."""
        with self._looking:
            self.running, problems = campaigns.running(storage.home(), today)
            if tuple(problems) != self.problems:
                for problem in problems:
                    LOG.error("a campaign is not offered: %s", problem)
            self.problems = tuple(problems)

    def wanted(self, names: tuple[str, ...], channel: str) -> bool:
        """Whether any campaign has something planned for a customer."""
        return any(
            name in campaign.planned for campaign in self.running if campaign.channel == channel for name in names
        )

    async def decide(self, asked: OfferQuestion) -> OfferRow | None:
        """What the customer is made; on disk when this returns. Raises ProblemError."""
        if self._waiting >= self.limit:
            raise ProblemError("overloaded", "too many questions wait", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._decide, asked)
        finally:
            self._waiting -= 1

    def _decide(self, asked: OfferQuestion) -> OfferRow | None:
        try:
            if self._desk is None:
                self._desk = OfferDesk(LiveLog(patience_s=PATIENCE_S))
            self._desk.campaigns = self.running
            return self._desk.decide(asked)
        except KeyError:
            raise ProblemError("id-taken", "it was asked for another customer or channel") from None
        except (sqlite3.Error, OSError) as error:
            LOG.error("an offer cannot be decided upon: %s", error)
            if self._desk is not None:
                self._desk.log.close()
            self._desk = None  # what the pacer knew is read again
            raise ProblemError("not-kept", "the log cannot be written just now", retry_after=1) from None

    def about(self, row: OfferRow) -> tuple[Mapping[str, Any], date | None]:
        """What is said of an offer, and the last day of its campaign; nothing where that runs no more."""
        for campaign in self.running:
            if campaign.name == row.campaign and campaign.channel == row.channel:
                return campaign.offers.get(str(row.offer), {}), campaign.last
        return {}, None


def question(id: bytes, names: tuple[str, ...], channel: str, zone: ZoneInfo, generation: int) -> OfferQuestion:
    """A question of this moment."""
    now = time.time()
    local = datetime.fromtimestamp(now, UTC).astimezone(zone)
    hour = local.hour + local.minute / 60 + local.second / 3600
    return OfferQuestion(id, names, channel, round(now * 1_000_000), local.date(), hour, generation)
