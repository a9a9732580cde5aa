"""Everything the page is made from, as the stages wrote it, and a few customers as examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nightmarket.contracts import Unavailable
from nightmarket.contracts.arrays import Int64s
from nightmarket.evaluation.figures import Metrics
from nightmarket.evaluation.protocol import Window

KINDS = (("A short history", 0.1), ("A usual history", 0.5), ("A long history", 0.9))
"""What stands above each example, and its place among all customers ordered by number of visits."""


@dataclass(frozen=True)
class Purchase:
    """One visit: its day, counted from 1970-01-01, and the titles bought."""

    day: int
    titles: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True)
class Pick:
    """One recommendation; times_bought is how often this customer bought it before."""

    rank: int
    title: str
    reason: str
    times_bought: int


@dataclass(frozen=True)
class Person:
    """An example customer. `pseudonym` is cut to eight characters on the page."""

    kind: str
    pseudonym: str
    num_visits: int
    num_products: int
    purchases: Sequence[Purchase]
    picks: Sequence[Pick]


def choose(num_visits: Int64s) -> list[int]:
    """Customers (indices) with a short, a usual and a long history; the first in the file where several are equal.

    num_visits  (C,)  visits of each customer; customers without any are not chosen

    The order of the file is the order of first purchases, so a new pseudonym key shows the same people.
    """
    active = np.sort(num_visits[num_visits > 0])
    chosen: list[int] = []
    for _, place in KINDS:
        if active.size == 0:
            break
        wanted = active[int(place * (active.size - 1))]
        free = [int(i) for i in np.flatnonzero(num_visits == wanted) if int(i) not in chosen]
        chosen += free[:1]
    return chosen


Content = Mapping[str, Any]


@dataclass(frozen=True)
class Night:
    """One night. What is None was not there, and the page says so.

    snapshot    what the source held: as_of, source, time_zone, previous, after_business_date
    validation  per table: rows, kept, set_aside, reasons, previous_rows
    window      the window that tonight was evaluated on
    target      what lists foretell, of histories.interactions.TARGETS
    metrics     what was evaluated; empty where nothing was
    history     fine-tuning: before, after, paired, validation, device, num_steps
    receipt     the model that delivers
    decision    the gate's latest word; may speak of a challenger that was refused
    importance  gain by feature of the ranker that delivers, under "ranker"
    summary     what was scored: num_customers, num_products, reasons by family
    plan        the campaign plan's summary
    copy        the plan's texts: summary, and the rows of texts
    responses   metrics and drivers of the response model, with calibration, the bins of its probabilities
    segments    portraits, stability, and how the segments answered
    reviews       topics and metrics of reviews and baskets, and products with their share of praise
    care          what is expected of single customers, and how far that held: metrics.json of the stage care
    demand        metrics of the forecast, the largest product types with their past, the prices' coefficients
    readout     experiments, campaigns without one, off-policy verdicts, the ledger
    drift       verdict of the drift stage, with nights, the scores of past nights, and shares of what drifted
    versions    a row per registered version, as old as the snapshot: data/raw/versions.json
    launches    what is new on the shelf: `launches.shelf`
    stages      the stages and steps in their order, with what each takes: `lineage.graph`
    people      a few customers with their history and tonight's recommendations
    unavailable the side stages that failed tonight, by name; what they write is None then
    unreadable  the sections whose content could not be gathered, by key, with the kind of the error
    """

    as_of: str
    snapshot: Content | None = None
    validation: Content | None = None
    window: Window | None = None
    target: str = "purchase"
    metrics: Metrics = field(default_factory=Metrics)
    history: Content | None = None
    receipt: Content | None = None
    decision: Content | None = None
    importance: Any = None
    summary: Content | None = None
    plan: Content | None = None
    copy: Content | None = None
    responses: Content | None = None
    segments: Content | None = None
    reviews: Content | None = None
    care: Content | None = None
    demand: Content | None = None
    readout: Content | None = None
    drift: Content | None = None
    versions: Sequence[Content] | None = None
    launches: Content | None = None
    stages: Sequence[Content] = ()
    people: Sequence[Person] = ()
    unavailable: Mapping[str, Unavailable] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
