"""Which visits are asked about, and what they meet after the question. N events, Q questions."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.domains import data, ours
from bench.domains.question import Question
from nightmarket.contracts.arrays import Int32s, Int64s
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.interactions import BOUGHT, CARTED, Interactions
from nightmarket.ranking import behaviour
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.sessions.learning import Cut, learn, visit_at
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.ranking.sessions.shop import SessionShop, build
from nightmarket.ranking.sessions.visits import Visit
from tasks.__main__ import main as run_stage
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.models import recommender

LEARN_DAYS, MOST_VISITS, SEED = 14, 3000, 17
"""The settings of the stage `bundle`."""
MOST_A_DAY = 1_000
"""Events of one customer on a day; who has more is no person, and is set aside before a night begins."""
TARGETS = ("next", "taken", "taken_again")


class Made:
    """A made-up shop as `prepare` leaves it, looked at on the evening of any day."""

    def __init__(self, name: str, seed: int, customers: float, products: float, ranked: bool = False) -> None:
        """ranked: with a ranker too, learned from the weeks before its last 28 days."""
        domain = data.load(name, seed, customers, products)
        question = Question.of(domain.shop, Window.after(domain.last, data.DAYS), np.zeros(0, np.int64))
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
            ours.write(question)
            if run_stage("prepare"):
                raise RuntimeError("prepare failed")
            self.data = Prepared()
            for needed in ("histories", "products", "customers", "promotions", "windows", "texts"):
                getattr(self.data, needed)
            if ranked and run_stage("rank"):
                raise RuntimeError("rank failed")
            self.model = recommender.load(catalogue.RANK.path) if ranked else None
            self.events = people(self.data.interactions)
            self.product_ids = self.data.products["product_id"].to_numpy(object)
            self.customer_ids = self.data.customers["customer_id"].to_numpy(object)
        self.last = int(self.events.day.max())
        self.bounds = np.searchsorted(self.events.customer, np.arange(self.events.num_customers + 1))
        self._factors: dict[int, Factors | None] = {}
        self._orders: dict[int, SessionOrders] = {}

    def shop(self, cut: int) -> SessionShop:
        """What a night knows that has seen the day `cut`."""
        statistics = recommender.statistics(self.data, Window.after(cut))
        if cut not in self._factors:
            factors = behaviour.latent(statistics)
            self._factors[cut] = factors and factors.filed()
        return build(statistics, self._factors[cut])

    def orders(self, cut: int) -> SessionOrders:
        """What the same night learns."""
        if cut not in self._orders:
            self._orders[cut] = learn(self.shop(cut - LEARN_DAYS), self.events.until(cut), MOST_VISITS, SEED)
        return self._orders[cut]

    def ask(self, shop: SessionShop, cut: Cut) -> Visit:
        """The question of a visit to a site that has `shop`."""
        return visit_at(shop, self.events, cut, self.bounds)


def people(events: Interactions) -> Interactions:
    """The events without those of customers who did more than MOST_A_DAY things on a day."""
    named = events.customer >= 0
    key = events.customer[named].astype(np.int64) << 32 | events.day[named]
    busy, num = np.unique(key, return_counts=True)
    bots = (busy[num > MOST_A_DAY] >> 32).astype(np.int32)
    return events.where(~np.isin(events.customer, bots)) if bots.size else events


@dataclass(frozen=True)
class Asked:
    """A visit after `after` events.

    unit     the visitor: a customer, or below 0 a guest's visit
    met      what it has met by then, in order
    targets  TARGETS -> products: the first one met later that is new to the visit; those that were put into the cart or
             bought later, new to the visit, and all of them
    """

    cut: Cut
    day: int
    unit: int
    met: Int32s
    targets: dict[str, Int32s | Int64s]


def questions(events: Interactions, day: int, after: int, most: int, rng: np.random.Generator) -> Iterator[Asked]:
    """At most `most` of the visits of a day that go on after so many events with a product that is new to them."""
    first = np.flatnonzero(np.diff(events.session, prepend=-1) != 0)
    end = np.append(first[1:], len(events))
    chosen = rng.permutation(np.flatnonzero((events.day[first] == day) & (end - first > after)))
    taken = np.isin(events.kind, (*CARTED, *BOUGHT))
    num = 0
    for session in chosen.tolist():
        begin, told, stop = int(first[session]), int(first[session]) + after, int(end[session])
        met, later = events.item[begin:told], events.item[told:stop]
        new = later[~np.isin(later, met)]
        if new.size == 0:
            continue
        carted: Int64s | Int32s = np.unique(later[taken[told:stop]])
        targets = {"next": new[:1], "taken": carted[~np.isin(carted, met)], "taken_again": carted}
        customer = int(events.customer[begin])
        yield Asked(Cut(customer, begin, told, stop), day, customer if customer >= 0 else -1 - begin, met, targets)
        num += 1
        if num == most:
            return
