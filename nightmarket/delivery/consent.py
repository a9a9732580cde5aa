"""Who may be contacted on which channel: a hard limit, drawn before anything is optimised.

What is not known to be allowed is not: an unknown answer is no consent, an unknown address is no reach. Only where a
shop's tables say nothing of consent on any channel does it rest on a ground that the shop states.

Shapes: C customers, H channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.contracts.tables import channel_column
from nightmarket.intake.headers import plain
from nightmarket.intake.objections import closes, objections

ALLOWED = 0
REASONS = ("", "objected to profiling", "suppressed", "too young", "no consent", "not reachable")
"""What a code of `may_contact` stands for; the first that holds is given."""
OF_THE_PERSON = ("objected to profiling", "too young")
"""Reasons that hold on every channel alike."""
WORDS = {
    "suppressed": "{} suppressed for {}",
    "objected to profiling": "{} who objected to profiling",
    "too young": "{} too young",
    "no consent": "{} without {} consent",
    "not reachable": "{} out of reach by {}",
}
AGE = r"^\s*(\d{1,3})(?!\d)"
"""An age, or the lower end of a range of ages."""


@dataclass(frozen=True)
class ContactFacts:
    """What is known of customers.

    known       whether the tables say anything of consent
    consent     (C, H)  given, and before the day on which it is asked
    reach       (C, H)  on file, or nothing is said of reach on that channel
    suppressed  (C, H)
    objected    (C,)    to profiling
    age         (C,)    years, at least; NaN where unknown
    """

    known: bool
    consent: Bools
    reach: Bools
    suppressed: Bools
    objected: Bools
    age: Float64s


def contact_facts(
    customers: pd.DataFrame,
    suppressions: pd.DataFrame | None,
    channels: Sequence[str],
    now: datetime,
    today: date,
    deliveries: pd.DataFrame | None = None,
) -> ContactFacts:
    """What the tables know.

    customers     customer_id, and of consent_X, consent_X_at, reachable_X, birth_year and attr_age what there is
    suppressions  customer_id, channel, reason; None where there is no such table
    now           UTC without zone: what was given from here on is not given yet
    today         from which ages are counted, the birthday of the year still to come
    deliveries    customer_id, and of channel, sent, bounced, unsubscribed, complained what there is, by time
    """
    answers: dict[tuple[str, str], str] = {}
    for name in customers:
        column = channel_column(str(name))
        if column is not None:
            what, _, rest = str(name).partition("_")
            asked = ("given", rest.removesuffix("_at")) if column.kind == "time" else (what, rest)
            answers[asked[0], plain(asked[1])] = str(name)
    shape = (len(customers), len(channels))
    consent, reach = np.zeros(shape, bool), np.ones(shape, bool)
    for at, channel in enumerate(map(plain, channels)):
        if ("consent", channel) in answers:
            consent[:, at] = (customers[answers["consent", channel]] == "yes").to_numpy(bool, na_value=False)
        if ("given", channel) in answers:
            given = pd.to_datetime(customers[answers["given", channel]])
            consent[:, at] &= (given.isna() | (given < pd.Timestamp(now))).to_numpy(bool)
        if ("reachable", channel) in answers:
            reach[:, at] = (customers[answers["reachable", channel]] == "yes").to_numpy(bool, na_value=False)
    suppressed, objected = np.zeros(shape, bool), np.zeros(len(customers), bool)
    if suppressions is not None:
        row = pd.Index(customers["customer_id"]).get_indexer(pd.Index(suppressions["customer_id"]))
        here = row >= 0
        np.logical_or.at(suppressed, row[here], closes(suppressions["channel"], channels)[here])
        against = objections(suppressions["reason"])
        objected[row[here & against]] = True
    if deliveries is not None and len(deliveries):
        back, closed = came_back(customers["customer_id"], deliveries, channels)
        reach &= ~back
        suppressed |= closed
    return ContactFacts(is_known(map(str, customers)), consent, reach, suppressed, objected, ages(customers, today))


def came_back(customers: pd.Series, deliveries: pd.DataFrame, channels: Sequence[str]) -> tuple[Bools, Bools]:
    """(C, H) whose latest contact bounced, and (C, H) who unsubscribed or complained on the channel."""
    back, closed = (np.zeros((len(customers), len(channels)), bool) for _ in range(2))
    row = pd.Index(customers).get_indexer(pd.Index(deliveries["customer_id"]))
    named = deliveries.get("channel", pd.Series(None, deliveries.index, dtype=object))
    on = closes(named.fillna("email"), channels)
    order = np.arange(len(deliveries))
    if "sent" in deliveries:
        order = np.argsort(
            pd.to_datetime(deliveries["sent"]).to_numpy("datetime64[us]").astype(np.int64), kind="stable"
        )
    for at in range(len(channels)):
        rows = order[(row[order] >= 0) & on[order, at]]  # a later one overwrites an earlier one
        for name in ("bounced", "unsubscribed", "complained"):
            if name in deliveries:
                said = (deliveries[name] == "yes").to_numpy(bool, na_value=False)[rows]
                if name == "bounced":
                    back[row[rows], at] = said
                else:
                    closed[row[rows][said], at] = True
    return back, closed


def is_known(columns: Iterable[str]) -> bool:
    """Whether one of the columns says of any channel that consent was given."""
    named = [channel_column(name) for name in columns if name.startswith("consent_")]
    return any(column is not None and column.kind == "category" for column in named)


def ages(customers: pd.DataFrame, today: date) -> Float64s:
    """(C,) by the year of birth, or else by an attribute `age`; what cannot be an age is unknown."""
    age = np.full(len(customers), np.nan)
    if "attr_age" in customers:
        texts = customers["attr_age"].astype("string").str.extract(AGE, expand=False)
        age = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if "birth_year" in customers:
        born = customers["birth_year"].to_numpy(np.float64, na_value=np.nan)
        age = np.where(np.isnan(born), age, today.year - born - 1)
    return np.where((age >= -1) & (age <= 120), age, np.nan)


def may_contact(facts: ContactFacts, min_age: int) -> NDArray[np.int8]:
    """(C, H) ALLOWED, or the first of REASONS that speaks against it.

    min_age  years; who is known to be, or may still be, younger is not contacted. 0: nobody is asked
    """
    young = facts.age < min_age
    against = (
        facts.objected[:, None],
        facts.suppressed,
        young[:, None],
        ~facts.consent if facts.known else np.zeros(facts.consent.shape, bool),
        ~facts.reach,
    )
    codes = np.full(facts.consent.shape, ALLOWED, np.int8)
    for code in range(len(against), 0, -1):
        codes[np.broadcast_to(against[code - 1], codes.shape)] = code
    return codes


def counts(codes: NDArray[np.int8], channels: Sequence[str]) -> list[dict[str, Any]]:
    """Customers per reason and channel, the channel null where the reason is of the person; what does not occur is
    left out."""
    rows: list[dict[str, Any]] = []
    for code, reason in enumerate(REASONS[1:], 1):
        closed = codes == code
        if reason in OF_THE_PERSON:
            rows.append({"reason": reason, "channel": None, "customers": int(closed.any(axis=1).sum())})
        else:
            rows += [
                {"reason": reason, "channel": channel, "customers": int(closed[:, at].sum())}
                for at, channel in enumerate(channels)
            ]
    return [row for row in rows if row["customers"]]


def permission(codes: NDArray[np.int8], channels: Sequence[str]) -> dict[str, Any]:
    """For a plan's summary: who is not contacted and why.

    codes  (E, H)  of customers who are eligible otherwise
    """
    return {
        "channels": list(channels),
        "closed": counts(codes, channels),
        "num_out": int((codes != ALLOWED).all(axis=1).sum()),
    }


def words(said: Mapping[str, Any]) -> list[str]:
    """What a plan says of consent, its first sentences."""
    sentences = []
    if not said["known"]:
        ground = str(said["ground"])
        sentences.append(
            f"The tables know no consent; contacts rest on the stated ground: {ground}."
            if ground
            else "The tables know no consent, and no ground is stated (plan.consent): nothing of this is exported."
        )
    if said["closed"]:
        parts = [WORDS[row["reason"]].format(f"{row['customers']:,}", row["channel"]) for row in said["closed"]]
        sentences.append(
            f"Not contacted: {', '.join(parts)}; {said['num_out']:,} customers are left out on every channel."
        )
    return sentences


def check(said: Mapping[str, Any] | None) -> None:
    """Raises InputError for a plan of which nothing may be exported."""
    if said is None:
        raise InputError("the plan does not say whom it may contact; plan again")
    if not said["known"] and not str(said["ground"]).strip():
        raise InputError(
            "the tables know no consent, and no ground is stated: bring consent_email and the like in customers, or "
            "say in params.yaml: plan.consent on what ground these customers are contacted; then plan again"
        )
