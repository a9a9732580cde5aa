"""From a request to a question: who asks becomes a name of ours, and what the log knows of them is added."""

import json
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apps.api.engine import Engine, Recommender, Turnstile, known_until
from apps.api.offers import OfferService
from apps.api.schemas import OfferRequest, RecommendationRequest, SearchRequest, SiteEvent, Visitor
from apps.api.writer import GroupCommit
from nightmarket.evaluation.experiments.assignment import Arms
from nightmarket.serving.live import Answer, Ask, LiveEvent
from nightmarket.serving.live.questions import Step
from tasks.live.log import EventRow, ListRow, LiveLog
from tasks.live.visitors import Visitors
from tasks.pipeline.settings import SiteArm, SiteExperiment

LOG = logging.getLogger("nightmarket.api")
READ_PATIENCE_S = 0.02
MICRO = 1_000_000


class Stock(NamedTuple):
    """Products out of stock, and back in stock, since the night, and the units of all that changed."""

    gone: frozenset[str]
    back: frozenset[str]
    units: Mapping[str, float]


FILTERS = ("category", "brand", "price_from", "price_to")
"""Fields of a question that the engine takes as they are."""
STEPS: tuple[Step, ...] = ("reranked", "nightly", "popular")
_ALL_AS_LAST_NIGHT = Stock(frozenset(), frozenset(), {})


@dataclass(frozen=True)
class VisitorQuestion:
    """Who asks, under our names.

    visible  whether an answer to them may be logged
    arm      of the site's experiment; best: the step that it gives at best
    """

    customer: str | None
    session: str | None
    visible: bool
    now: float
    events: tuple[LiveEvent, ...]
    stock: Stock
    budget_ms: float
    given: Visitor
    explore: float
    arm: str | None = None
    best: Step = "reranked"

    def ask(self, given: Visitor, count: int = 0) -> Ask:
        """As the engine takes it."""
        filters: dict[str, Any] = {}
        if isinstance(given, RecommendationRequest | SearchRequest):
            count = given.count
            filters = {name: getattr(given, name) for name in FILTERS} | {"leave_out": frozenset(given.leave_out)}
        if isinstance(given, RecommendationRequest):
            filters["best"] = max(given.best, self.best, key=STEPS.index)
        return Ask(
            now=self.now, count=count, customer=self.customer, events=self.events, out_of_stock=self.stock.gone,
            back_in_stock=self.stock.back, units=self.stock.units, market=given.market, channel=given.channel,
            budget_ms=self.budget_ms, explore=self.explore, language=given.language, **filters,
        )  # fmt: skip


@dataclass
class Site:
    """Everything that a worker holds."""

    engine: Engine
    turnstile: Turnstile
    writer: GroupCommit
    visitors: Visitors
    budget_ms: float
    explore: float
    experiment: SiteExperiment | None = None
    offers: OfferService = field(default_factory=lambda: OfferService(64))
    currency: str = "USD"
    reads: bool = True
    _log: LiveLog | None = None
    _stock: dict[str, tuple[float, int]] = field(default_factory=dict)
    _stock_version: int = -1
    _stock_of: tuple[str, Stock] = ("", _ALL_AS_LAST_NIGHT)

    def event(self, event: SiteEvent) -> EventRow | None:
        """As it is written; None for who asked to be forgotten."""
        names = self.visitors.customer(event.customer_id) if event.customer_id is not None else None
        if names and names.forgotten:
            return None
        at = time.time_ns() // 1000 if event.at is None else round(event.at.timestamp() * MICRO)
        return EventRow(
            self.visitors.event(event.id), names.present if names else None,
            self.visitors.session(event.session_id) if event.session_id is not None else None,
            event.product_id, at, event.kind, event.quantity, event.value, event.discount, event.coupon,
            event.basket_id, event.channel, self.visitors.generation,
        )  # fmt: skip

    def customer(self, given: OfferRequest) -> tuple[str, ...]:
        """Every name of the customer who asks, or who logged in during the visit; none of guests and the forgotten."""
        if given.customer_id is not None:
            names = self.visitors.customer(given.customer_id)
            return () if names.forgotten else names.every
        known = self._logged_in(self.visitors.session(str(given.session_id)))
        return (known,) if known is not None else ()

    def question(self, given: Visitor, recommender: Recommender, waited: float) -> VisitorQuestion:
        """What the log knows is read now, so that whatever was acknowledged before counts."""
        now = time.time()
        names = self.visitors.customer(given.customer_id) if given.customer_id is not None else None
        session = self.visitors.session(given.session_id) if given.session_id is not None else None
        hidden = names is not None and names.forgotten
        every = names.every if names and not hidden else ()
        customer = every[-1] if every else None
        if customer is None and session is not None and not hidden:
            customer = self._logged_in(session)
        met = [] if hidden else self.met(every, session, recommender)
        met += [LiveEvent(event.kind, event.product_id, event.at.timestamp() if event.at else now)
                for event in given.events]  # fmt: skip
        name, arm = self._arm(customer or session)
        explore = self.explore if arm is None or arm.explore is None else arm.explore
        budget = self.budget_ms if given.budget_ms is None else min(given.budget_ms, self.budget_ms)
        return VisitorQuestion(
            customer, session, bool(customer or session) and not hidden, now, tuple(met), self.stock(recommender),
            max(budget - 1000 * waited, 0.0), given, explore, name, arm.best if arm else "reranked",
        )  # fmt: skip

    def _arm(self, visitor: str | None) -> tuple[str | None, SiteArm | None]:
        """Of a visitor under our name; None where there is no experiment, or nobody to be dealt."""
        if self.experiment is None or visitor is None:
            return None, None
        arms = self.experiment.arms
        name = self.visitors.arm(visitor, Arms(self.experiment.name, {arm: of.share for arm, of in arms.items()}))
        return name, arms[name]

    def met(self, names: Sequence[str], session: str | None, recommender: Recommender) -> list[LiveEvent]:
        """What a visitor did since the night; nothing where the log cannot be read, for an answer is better late news
        than none."""
        log = self._reading() if names or session else None
        if log is None:
            return []
        try:
            since = int(known_until(recommender) * MICRO)
            return [LiveEvent(kind, product, at / MICRO) for kind, product, at in log.met(names, session, since)]
        except sqlite3.Error as error:
            self._lost(error)
            return []

    def stock(self, recommender: Recommender) -> Stock:
        """Read again when it changed."""
        log = self._reading()
        try:
            if log is not None and (version := log.stock_version()) != self._stock_version:
                self._stock, self._stock_version, self._stock_of = log.stock(), version, ("", _ALL_AS_LAST_NIGHT)
        except sqlite3.Error as error:
            self._lost(error)
        if self._stock_of[0] != recommender.bundle:
            since = known_until(recommender) * MICRO
            fresh = {product: units for product, (units, at) in self._stock.items() if at >= since}
            gone = frozenset(product for product, units in fresh.items() if units <= 0)
            self._stock_of = recommender.bundle, Stock(gone, frozenset(fresh.keys() - gone), fresh)
        return self._stock_of[1]

    def log_list(self, request_id: str, question: VisitorQuestion, answered: Answer) -> None:
        """Have it written as shown, where there is somebody that it was shown to."""
        if not question.visible or not answered.products:
            return
        products = json.dumps([[place.product, place.propensity] for place in answered.products])
        self.writer.offer(ListRow(
            request_id, question.customer, question.session, int(question.now * MICRO), answered.version,
            answered.step, question.arm, products, self.visitors.generation,
        ))  # fmt: skip

    def _logged_in(self, session: str) -> str | None:
        log = self._reading()
        try:
            return None if log is None else log.customer_of(session)
        except sqlite3.Error as error:
            self._lost(error)
            return None

    def _reading(self) -> LiveLog | None:
        if self._log is None:
            try:
                self._log = LiveLog(patience_s=READ_PATIENCE_S)
            except (sqlite3.Error, OSError) as error:
                self._lost(error)
                return None
            if not self.reads:
                LOG.info("the log can be read again")
            self.reads = True
        return self._log

    def _lost(self, error: Exception) -> None:
        if self.reads:
            LOG.error("the log cannot be read, answers go on without it: %s", error)
        self.reads = False
        if self._log is not None:
            self._log.close()
        self._log = None
