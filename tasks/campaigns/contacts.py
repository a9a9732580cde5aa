"""Whom a plan may contact, and its files: the same for a campaign and for a launch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int8s, Int64s
from nightmarket.contracts.clock import midnight
from nightmarket.copywriting.facts import locale_of
from nightmarket.delivery import consent
from nightmarket.delivery.campaign import HOLDOUT, SEND, ContactRows
from nightmarket.delivery.holdout import Held
from nightmarket.evaluation.protocol import Windows
from tasks.files import catalogue
from tasks.pipeline.settings import StageSettings

CareGroup = Literal["leaving", "worth_keeping"]
"""Whom customer care would have contacted."""


class Audience(StageSettings):
    """Who may be contacted."""

    segments: tuple[str, ...] = Field((), description="names of segments; empty: everybody")
    min_baskets: int = Field(1, ge=0, description="baskets before the campaign, at least")
    care: CareGroup | None = Field(
        None, description="leaving: who is about to leave; worth_keeping: of these, who is worth keeping; null: anybody"
    )


def segments(customers: pd.DataFrame, wanted: tuple[str, ...]) -> NDArray[np.object_]:
    """(C,) the segment of each customer, None where there is none; InputError for a wanted segment that is not there.

    customers  customer, customer_id; row i is customer i
    """
    out = np.full(len(customers), None, object)
    if catalogue.SEGMENTS.exists():
        table = catalogue.SEGMENTS.read(["customer_id", "segment"]).to_pandas()
        segment = customers["customer_id"].map(table.set_index("customer_id")["segment"]).astype(object)
        out = segment.where(segment.notna(), None).to_numpy(object)
    known = {name for name in out.tolist() if name is not None}
    for at, name in enumerate(wanted):
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there are no segments"
            raise InputError(f"params.yaml: plan.audience.segments.{at}: no segment '{name}'; {there}")
    return out


def cared_for(customers: pd.DataFrame, wanted: CareGroup | None) -> Bools:
    """(C,) who is in the group that customer care names; everybody where none is wanted.

    Raises InputError where tonight nothing was foretold of single customers.
    """
    if wanted is None:
        return np.ones(len(customers), bool)
    key = "params.yaml: plan.audience.care"
    if lost := catalogue.CARE_CUSTOMERS.unavailable():
        raise InputError(f"{key}: {lost}; leave it empty, or plan after a night in which it succeeds")
    table = catalogue.CARE_CUSTOMERS.read(["customer_id", "standing", "worth_keeping"]).to_pandas()
    if table.empty:
        reason = catalogue.CARE_METRICS.read()["reason"]
        raise InputError(f"{key}: nothing is foretold of single customers: {reason}; leave it empty")
    chosen = table["worth_keeping"] if wanted == "worth_keeping" else table["standing"] == wanted
    return customers["customer_id"].isin(table.loc[chosen, "customer_id"]).to_numpy(bool)


FARTHEST = 92
"""Days after the day that the night prepared on which a campaign may still begin: what is known is of that night."""


def first_day(wanted: date | None, windows: Windows, key: str) -> date:
    """The first day of contacts; InputError for one that is over, or too far ahead for tonight's chances.

    key  of params.yaml
    """
    prepared = date.fromisoformat(windows.as_of)
    start = wanted or prepared
    ahead = (start - prepared).days
    if not 0 <= ahead <= FARTHEST:
        where = f"{-ahead:,} days before" if ahead < 0 else f"{ahead:,} days after"
        last = prepared + timedelta(FARTHEST)
        raise InputError(
            f"params.yaml: {key}: {start} lies {where} the day that the night prepared, {prepared}; begin between that "
            f"day and {last}"
        )
    return start


def languages(customers: pd.DataFrame) -> NDArray[np.object_]:
    """(C,) the language in which each customer is written to, None where the tables do not say or no text is in it."""
    if "language" not in customers:
        return np.full(len(customers), None, object)
    return np.array([locale_of(text) for text in customers["language"]], object)


DEMO_GROUND = "anonymised households of a public data set, a demonstration; nobody of them can be contacted"


@dataclass(frozen=True)
class Permitted:
    """Who may be contacted.

    codes   (C, H)  of consent.REASONS
    known   whether the tables know consent
    listed  whether they hold suppressions
    delivered  whether they hold deliveries
    ground  what it rests on where they do not, "" for nothing
    """

    codes: Int8s
    channels: Sequence[str]
    known: bool
    listed: bool
    ground: str
    min_age: int
    delivered: bool = False

    @property
    def allowed(self) -> Bools:
        """(C, H)."""
        return self.codes == consent.ALLOWED

    def among(self, customers: Int64s) -> Int64s:
        """Those who may be contacted on one channel at least."""
        return customers[self.allowed[customers].any(axis=1)]

    def said(self, asked: Int64s) -> dict[str, Any]:
        """For the summary of a plan; asked  (E,)  customers who are eligible otherwise."""
        about = {"known": self.known, "listed": self.listed, "ground": self.ground, "min_age": self.min_age}
        about |= {"delivered": True} if self.delivered else {}
        return about | consent.permission(self.codes[asked], self.channels)


def permitted(customers: pd.DataFrame, windows: Windows, plan: Any) -> Permitted:
    """What the night's tables say. plan: section `plan` of params.yaml"""
    listed = catalogue.CLEAN_SUPPRESSIONS.read().to_pandas() if catalogue.CLEAN_SUPPRESSIONS.exists() else None
    sent = catalogue.CLEAN_DELIVERIES.read().to_pandas() if catalogue.CLEAN_DELIVERIES.exists() else None
    day = date.fromisoformat(windows.as_of)
    channels = list(plan.channels)
    facts = consent.contact_facts(customers, listed, channels, midnight(day, windows.time_zone), day, sent)
    demo = catalogue.CLEAN_SNAPSHOT.read().get("source") == "demo"
    ground = (plan.consent or (DEMO_GROUND if demo else "")).strip() if not facts.known else ""
    codes = consent.may_contact(facts, plan.min_age)
    return Permitted(codes, channels, facts.known, listed is not None, ground, plan.min_age, sent is not None)


@dataclass(frozen=True)
class Names:
    """What the codes of contacts stand for.

    customer_id, segment, language  (C,)
    offers                (name, kind) of each
    start                 day 0
    """

    customer_id: NDArray[Any]
    segment: NDArray[Any]
    language: NDArray[Any]
    offers: Sequence[tuple[str, str]]
    channels: Sequence[str]
    slots: Sequence[str]
    start: date


def rows(contacts: ContactRows, names: Names, holdout: float) -> pd.DataFrame:
    """plan.parquet. holdout: the chance of being kept back."""
    offer = np.array([name for name, _ in names.offers], object)
    kind = np.array([kind for _, kind in names.offers], object)
    return pd.DataFrame(
        {
            "customer_id": names.customer_id[contacts.customer],
            "segment": names.segment[contacts.customer],
            "offer": offer[contacts.offer],
            "offer_kind": kind[contacts.offer],
            "channel": np.array(list(names.channels), object)[contacts.channel],
            "day": np.array([names.start + timedelta(days) for days in contacts.day.tolist()], object),
            "slot": np.array(list(names.slots), object)[contacts.slot],
            "probability": contacts.probability,
            "expected_value": contacts.value,
            "cost": contacts.cost,
            "expected_profit": contacts.profit,
            "propensity": np.where(contacts.sent, 1 - holdout, holdout),
            "arm": np.where(contacts.sent, SEND, HOLDOUT).astype(object),
            "language": names.language[contacts.customer],
        }
    )


def write(folder: Path, plan: pd.DataFrame, ids: NDArray[Any], made: Held) -> None:
    """plan.parquet, and eligible.parquet: the arm of everybody who is or would be contacted, and its probability.

    ids  (E,)  customer_id of those who are eligible
    """
    catalogue.CONTACTS.at(folder).write(plan)
    held = made.held[made.chosen]
    arms = {"customer_id": ids[made.chosen].tolist(), "arm": np.where(held, HOLDOUT, SEND).tolist()}
    propensity = np.where(held, made.share, 1 - made.share)
    catalogue.ELIGIBLE.at(folder).write(arms | {"propensity": propensity})
