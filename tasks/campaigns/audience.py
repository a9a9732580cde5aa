"""Who may be contacted: segments, enough baskets, and room under the frequency cap."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nightmarket.contracts import InputError
from nightmarket.delivery.campaign import Rules
from nightmarket.delivery.timing import WEEK, room
from nightmarket.response import Market
from tasks.files import catalogue

SEGMENTS = catalogue.SEGMENTS.path


class Audience(BaseModel):
    """Who may be contacted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: tuple[str, ...] = Field((), description="names of segments; empty: everybody")
    min_baskets: int = Field(1, ge=0, description="baskets before the campaign, at least")


def segments(customers: pd.DataFrame, wanted: tuple[str, ...]) -> NDArray[np.object_]:
    """(C,) the segment of each customer, None where there is none; InputError for a wanted segment that is not there.

    customers  customer, customer_id; row i is customer i
    """
    out = np.full(len(customers), None, object)
    if SEGMENTS.exists():
        table = catalogue.SEGMENTS.read(["customer_id", "segment"]).to_pandas()
        found = customers["customer_id"].map(table.set_index("customer_id")["segment"]).astype(object)
        out = found.where(found.notna(), None).to_numpy(object)
    known = {name for name in out.tolist() if name is not None}
    for at, name in enumerate(wanted):
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there are no segments"
            raise InputError(f"params.yaml: plan.audience.segments.{at}: no segment '{name}'; {there}")
    return out


def earlier_contacts(market: Market) -> dict[int, tuple[int, ...]]:
    """customer → days of contacts in the week before the market's day, negative, ascending."""
    found: dict[int, tuple[int, ...]] = {}
    recent = market.contacts.where(market.contacts.day > market.day - WEEK)
    for customer, day in zip(recent.customer.tolist(), (recent.day - market.day).tolist(), strict=True):
        found[customer] = tuple(sorted((*found.get(customer, ()), day)))
    return found


def eligible(market: Market, audience: Audience, segment: NDArray[Any], rules: Rules) -> NDArray[np.int64]:
    """(E,) customers who may get a contact at all, ascending."""
    lines = market.histories
    _, first = np.unique(lines.basket, return_index=True)
    baskets = np.bincount(lines.customer[first], minlength=lines.num_customers)
    may = baskets >= audience.min_baskets
    if audience.segments:
        may &= np.isin(np.array([str(name) for name in segment]), audience.segments)
    full = [who for who, days in rules.before.items() if room(days, rules.days, rules.per_week) == 0]
    may[full] = False
    return np.flatnonzero(may).astype(np.int64)
