"""Group commit: what requests bring within one flush of the disk is written in one transaction, then acknowledged."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from apps.api.problems import ProblemError
from tasks.live import kept
from tasks.live.kept import KeptFile
from tasks.live.log import EventRow, ListRow, LiveLog
from tasks.live.products import ProductRow

LOG = logging.getLogger("nightmarket.api")
PATIENCE_S = 0.5
"""How long one transaction waits for the log before its events are kept elsewhere."""
TRY_AGAIN_S = 1.0
GATHER_S = 0.05
"""How long lists, which nobody waits for, are gathered before they are flushed to disk, where no event comes."""
MOST_ROWS = 2000
"""Of one transaction."""
REFUSED = "the log cannot be written just now"


class Written(NamedTuple):
    """What became of events: which are new, or that all of them are kept until the log can be written."""

    new: tuple[bool, ...]
    kept: bool


@dataclass
class _Order:
    events: Sequence[EventRow]
    stock: Sequence[tuple[str, float, int]]
    products: Sequence[ProductRow]
    done: "asyncio.Future[Written]"
    loop: asyncio.AbstractEventLoop


@dataclass
class GroupCommit:
    """A thread that writes; a process has one.

    limit    rows that may wait; beyond it nothing is taken in
    allowed  whether rows of a customer's name may be written
    """

    limit: int
    allowed: Callable[[str], bool]
    up: bool = True
    rows_waiting: int = 0
    lists_dropped: int = 0
    _orders: list[_Order] = field(default_factory=list)
    _lists: list[ListRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._wake = threading.Condition()
        self._stopping = False
        self._log: LiveLog | None = None
        self._kept = KeptFile()
        self._failed_at = self._caught_up_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def write(
        self,
        events: Sequence[EventRow],
        stock: Sequence[tuple[str, float, int]] = (),
        products: Sequence[ProductRow] = (),
    ) -> Written:
        """They are on disk when this returns. Raises ProblemError where nothing was written."""
        loop = asyncio.get_running_loop()
        order = _Order(events, stock, products, loop.create_future(), loop)
        with self._wake:
            if self._stopping or self.rows_waiting + len(events) > self.limit:
                raise ProblemError("overloaded", "more events than can be written; send them again", retry_after=1)
            self.rows_waiting += len(events)
            self._orders.append(order)
            self._wake.notify()
        return await order.done

    def offer(self, row: ListRow) -> None:
        """Have a list written some time soon; nobody waits for it, and where too many wait it is dropped."""
        with self._wake:
            if len(self._lists) >= self.limit:
                self.lists_dropped += 1
                return
            self._lists.append(row)
            if len(self._lists) == 1:
                self._wake.notify()

    def stop(self) -> None:
        """Write what waits, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._wake:
                if not (self._orders or self._lists or self._stopping):
                    self._wake.wait(TRY_AGAIN_S)
                if self._lists and not (self._orders or self._stopping):
                    self._wake.wait(GATHER_S)
                orders, lists, ending = self._take(), self._lists, self._stopping
                self._lists = []
            if orders or lists:
                self._commit(orders, lists)
            elif ending:
                break
            if not ending and (not orders or time.monotonic() - self._caught_up_at > TRY_AGAIN_S):
                self._catch_up()
        self._kept.close()
        if self._log is not None:
            self._log.close()

    def _take(self) -> list[_Order]:
        num = rows = 0
        while num < len(self._orders) and (not num or rows + len(self._orders[num].events) <= MOST_ROWS):
            rows += len(self._orders[num].events)
            num += 1
        orders, self._orders = self._orders[:num], self._orders[num:]
        return orders

    def _commit(self, orders: list[_Order], lists: list[ListRow]) -> None:
        events = [event for order in orders for event in order.events]
        stock = [level for order in orders for level in order.stock]
        products = [product for order in orders for product in order.products]
        outcome: list[Written | Exception] = []
        try:
            new = iter(self._append(events, lists, stock, products))
            outcome = [Written(tuple(next(new) for _ in order.events), False) for order in orders]
        except sqlite3.Error as error:
            self._lost(error)
            try:
                self._kept.keep(events, lists)
                outcome = [
                    ProblemError("not-kept", REFUSED, retry_after=1)
                    if order.stock or order.products
                    else Written((), True)
                    for order in orders
                ]
            except OSError as worse:
                LOG.error("events cannot be kept on disk: %s", worse.strerror)
                outcome = [
                    ProblemError("not-kept", "nothing was written; send it again", retry_after=5) for _ in orders
                ]
        with self._wake:
            self.rows_waiting -= len(events)
        for order, result in zip(orders, outcome, strict=True):
            with contextlib.suppress(RuntimeError):  # its loop has ended
                order.loop.call_soon_threadsafe(_resolve, order.done, result)

    def _append(
        self,
        events: list[EventRow],
        lists: list[ListRow],
        stock: list[tuple[str, float, int]],
        products: list[ProductRow],
    ) -> list[bool]:
        if not self.up and time.monotonic() - self._failed_at < TRY_AGAIN_S:
            raise sqlite3.OperationalError("tried a moment ago")
        if self._log is None:
            self._log = LiveLog(patience_s=PATIENCE_S)
        new = self._log.append(events, lists, stock, products)
        if not self.up:
            LOG.info("the log can be written again")
            self.up = True
        return new

    def _lost(self, error: sqlite3.Error) -> None:
        if self.up:
            LOG.error("the log cannot be written, events are kept beside it: %s", error)
        if self.up or time.monotonic() - self._failed_at >= TRY_AGAIN_S:
            self._failed_at = time.monotonic()
        self.up = False
        if self._log is not None:
            self._log.close()
        self._log = None

    def _catch_up(self) -> None:
        """Write what this process, and processes that ended, kept."""
        self._caught_up_at = time.monotonic()
        if self.up and not kept.waiting():
            return
        try:
            self._append([], [], [], [])
            assert self._log is not None  # else it raised
            self._kept.close()
            if num := kept.write(self._log, self.allowed):
                LOG.info("%s kept rows are in the log now", f"{num:,}")
        except sqlite3.Error as error:
            self._lost(error)
        except OSError as error:
            LOG.error("kept events cannot be read: %s", error.strerror)


def _resolve(done: "asyncio.Future[Written]", result: Written | Exception) -> None:
    if done.cancelled():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
