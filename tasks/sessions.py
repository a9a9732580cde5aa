"""What a live site needs to answer visitors while they are there, learned tonight from everything up to tonight.

reads   artifacts/prepare    purchases, events, customers, products
        artifacts/score      factors of the products
writes  artifacts/sessions   shop.safetensors   what goes with what, what is in demand, what customers did last
                             next.txt, taken.txt    forests that order answers, in LightGBM's text form
                             sessions.json      how it was learned, and how it does beside each single score
"""

import logging
from typing import Any

from pydantic import Field

from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import date_of
from nightmarket.ranking import behaviour
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.sessions.learning import GOALS, SessionOrder, SessionOrders, learn
from nightmarket.ranking.sessions.shop import as_events, build
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "learn what follows what in a visit, for a live site to ask",
    reads=(catalogue.PREPARE, catalogue.SCORE),
    writes=(catalogue.SESSIONS,),
    phase="deliver",
    side=True,
)


class Settings(StageSettings):
    """What the order of answers is learned from."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the visits that are drawn and of LightGBM")
    days: int = Field(14, ge=1, le=182, description="last days whose visits teach the order of answers")
    max_visits: int = Field(3000, ge=100, le=1_000_000, description="of these days that teach; more are drawn from")


def run(settings: Settings) -> None:
    """Write artifacts/sessions."""
    data = Prepared()
    cut = data.windows.deliver.cut
    orders = _orders(settings, data, cut - settings.days)
    factors = Factors.of(catalogue.FACTORS.read()) if catalogue.FACTORS.exists() else None
    shop = build(recommender.statistics(data, Window.after(cut)), factors)
    storage.write_tensors(shop.tensors(), catalogue.SESSIONS / "shop.safetensors")
    facts: dict[str, Any] = {"cut": cut, "last_day": date_of(cut).isoformat()}
    for goal in GOALS:
        order: SessionOrder = getattr(orders, goal)
        facts[goal] = order.content()
        if order.forest is not None:
            with storage.replacing(catalogue.SESSIONS / f"{goal}.txt") as temporary:
                temporary.write_text(order.forest.text(), encoding="utf-8")
        log.info("sessions: %s: by %s, learned from %s visits", goal, order.order, f"{order.num_visits:,}")
    storage.write_json(facts, catalogue.SESSIONS / "sessions.json")


def _orders(settings: Settings, data: Prepared, cut: int) -> SessionOrders:
    """What orders answers, from the visits after a cut; by what goes with what where nothing lies before it."""
    events = data.interactions if len(data.interactions) else as_events(data.histories)
    if len(events) == 0 or events.day.min() > cut:
        return SessionOrders.plain()
    statistics = recommender.statistics(data, Window.after(cut))
    shop = build(statistics, behaviour.latent(statistics) if statistics.behaves else None)
    return learn(shop, events, settings.max_visits, settings.seed)
