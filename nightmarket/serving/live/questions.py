"""What a live site asks, and what it is answered: ids in, ids out. Moments are seconds since 1970-01-01, UTC."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import EVENT_KINDS

IMPRESSION = "impression"
"""Kind of an event that says a product was shown; all others are kinds of the table `events`."""
Step = Literal["reranked", "nightly", "popular"]
"""How an answer was made: ranked for this moment, from the customer's list of the night, or what is in demand."""


@dataclass(frozen=True)
class LiveEvent:
    """What a visitor did, at which moment, with which product."""

    kind: str
    product: str
    at: float


@dataclass(frozen=True)
class Ask:
    """Who asks, when and where.

    customer               the pseudonym; None, and one whom the night does not know, is a guest
    events                 what the visitor did since the night, before and after they logged in
    category               a category path as the products have it, "shoes > boots"; the answer holds its products alone
    price_from, price_to   currency, both included; a product without a price is in neither
    leave_out              products that the answer may not hold
    out_of_stock, back_in_stock   products of which this is so since the night
    units                  in stock, of products that changed since the night: for rules of a least stock
    market                 None: the customer's own
    channel                on which the answer is shown
    budget_ms              time for the answer; None: as long as the best takes
    best                   the step that is taken at best: "nightly" asks for the night's list as it is
    explore                share of the places, in [0, 1], that are given to a product drawn at random
    again                  the answer may hold what this visit has met, and is ordered by what will be put into the cart
                           or bought; otherwise it holds what is new to the visit, by what will be looked at next
    language               of the reasons
    """

    now: float
    count: int = 10
    customer: str | None = None
    events: tuple[LiveEvent, ...] = ()
    category: str | None = None
    brand: str | None = None
    price_from: float | None = None
    price_to: float | None = None
    leave_out: frozenset[str] = frozenset()
    out_of_stock: frozenset[str] = frozenset()
    back_in_stock: frozenset[str] = frozenset()
    units: Mapping[str, float] | None = None
    market: str | None = None
    channel: str | None = None
    budget_ms: float | None = None
    best: Step = "reranked"
    explore: float = 0.0
    again: bool = False
    language: Literal["en", "zh"] = "en"

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be asked."""
        if self.count < 1:
            raise InputError(f"count: at least 1 product, not {self.count}")
        if not 0 <= self.explore <= 1:
            raise InputError(f"explore: a share of the places between 0 and 1, not {self.explore}")
        if not math.isfinite(self.now):
            raise InputError(f"now: seconds since 1970-01-01, not {self.now}")
        bounds = [bound for bound in (self.price_from, self.price_to) if bound is not None]
        if not all(math.isfinite(bound) for bound in bounds) or sorted(bounds) != bounds:
            raise InputError(f"price_from, price_to: two amounts, the lower one first, not {bounds}")
        for event in self.events:
            if event.kind != IMPRESSION and event.kind not in EVENT_KINDS:
                raise InputError(f"events: no event is of the kind '{event.kind[:40]}'; {', '.join(EVENT_KINDS)}")
            if not math.isfinite(event.at):
                raise InputError(f"events: each is at a moment, seconds since 1970-01-01, not {event.at}")


class Recommended(NamedTuple):
    """One place of an answer.

    score       what the answer was ordered by, comparable within it alone
    propensity  the chance that this product got this place, given those before it; 1 without exploration
    """

    product: str
    score: float
    reason: str
    propensity: float


@dataclass(frozen=True)
class Answer:
    """Products, best first; `version` is that of the model that ranked them."""

    products: tuple[Recommended, ...]
    version: str
    step: Step


@dataclass(frozen=True)
class Explanation:
    """What the night knows of a customer.

    objected  to profiling: nothing of what they did is used
    events    their last ones that are remembered, oldest first
    kinds     kinds of products and their shares of these events, the largest first
    listed    their list of the night
    """

    customer: str
    version: str
    known: bool
    objected: bool
    events: tuple[LiveEvent, ...]
    kinds: tuple[tuple[str, float], ...]
    listed: tuple[Recommended, ...]
