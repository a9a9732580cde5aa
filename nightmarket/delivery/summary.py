"""A plan in figures and in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.delivery import consent
from nightmarket.delivery.allocation import Certificate
from nightmarket.delivery.campaign import HOLDOUT, SEND
from nightmarket.delivery.launches import Design

OTHER = "other"
FIGURES = {"spend": "cost", "expected_responses": "probability", "expected_profit": "expected_profit"}


def summarise(rows: pd.DataFrame, budget: float, certificate: Certificate, goal: str) -> dict[str, Any]:
    """Totals of a plan's rows, by segment, offer, channel, slot and day; segments of fewer than 20 people together.

    rows  customer_id, segment, offer, channel, day, slot, probability, cost, expected_profit, arm
    """
    sent = rows[rows["arm"] == SEND].astype(dict.fromkeys(FIGURES.values(), np.float64))
    return {
        "num_contacts": len(sent),
        "num_sent": int(sent["customer_id"].nunique()),
        "num_holdout": int(rows.loc[rows["arm"] == HOLDOUT, "customer_id"].nunique()),
        "budget": budget,
        **{name: float(sent[column].sum()) for name, column in FIGURES.items()},
        "certificate": {
            "value": certificate.value,
            "bound": certificate.bound,
            "gap": certificate.gap,
            "unit": "currency" if goal == "profit" else "responses",
        },
        "by_segment": by_segment(sent),
        **{f"by_{name}": _by(sent, name) for name in ("offer", "channel", "slot")},
        "pacing": _by(sent.assign(day=sent["day"].astype(str)), "day"),
    }


def by_segment(sent: pd.DataFrame) -> list[dict[str, Any]]:
    """Figures per segment; those with fewer than 20 people are put together, with the next smallest if need be."""
    known = sent.assign(segment=sent["segment"].astype(object).where(sent["segment"].notna(), None))
    known = known[known["segment"].notna()]
    people = known.groupby("segment")["customer_id"].nunique().sort_values(kind="stable")
    merged = set(people.index[people < MIN_GROUP])
    rest = [name for name in people.index if name not in merged]
    while merged and rest and people[list(merged)].sum() < MIN_GROUP:
        merged.add(rest.pop(0))
    if people.sum() < MIN_GROUP:
        return []
    return _by(known.assign(segment=known["segment"].where(~known["segment"].isin(merged), OTHER)), "segment")


def _by(sent: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """name, num (contacts), spend, expected_responses, expected_profit; in the order of the names."""
    grouped = sent.groupby(column, observed=True)
    table = pd.DataFrame({"num": grouped.size()} | {name: grouped[source].sum() for name, source in FIGURES.items()})
    return [
        {"name": str(name), "num": int(row["num"]), **{key: float(row[key]) for key in FIGURES}}
        for name, row in table.iterrows()
    ]


CARE = {"leaving": ", about to leave", "worth_keeping": ", about to leave and worth keeping"}
"""What customer care says of an audience, in words."""


def audience(campaign: Mapping[str, Any]) -> str:
    """Whom a campaign asks for, in words; "" where it does not say."""
    if "channels" not in campaign or "segments" not in campaign:
        return ""
    segments = campaign["segments"]
    who = f"segment{'s' * (len(segments) > 1)} {', '.join(segments)}" if segments else "all segments"
    least = campaign.get("min_baskets") or 0
    baskets = f", customers with at least {least:,} baskets" if least > 1 else ""
    care = CARE.get(str(campaign.get("care") or ""), "")
    return f"{who}{baskets}{care}, by {', '.join(campaign['channels'])}"


def words(summary: dict[str, Any], campaign: dict[str, Any], design: Design, notes: Sequence[str]) -> str:
    """A few sentences for the person who approves the plan."""
    said = consent.words(summary["consent"])
    if summary["empty_because"]:
        return " ".join([f"Nothing is sent: {summary['empty_because']}.", *said, *notes])
    gap = max(summary["certificate"]["gap"], 1e-4)
    what = "profit" if campaign["goal"] == "profit" else "responses"
    share = summary["spend"] / summary["budget"] if summary["budget"] else 0.0
    sentences = [
        f"Asked for: {audience(campaign)}.",
        f"{summary['num_contacts']:,} contacts to {summary['num_sent']:,} of {summary['num_eligible']:,} eligible "
        f"customers from {campaign['start']}, over {campaign['days']} days.",
        f"Expected: {summary['expected_responses']:,.0f} responses and a profit of {summary['expected_profit']:,.2f} "
        f"for a spend of {summary['spend']:,.2f}, {share:.0%} of the budget.",
        f"No plan within these limits promises {gap:.2%} more {what} at these chances.",
        _measured(summary["num_holdout"], design),
        "Expected responses would in part have bought anyway; they are no effect of the campaign.",
    ]
    lost = [] if design.measurable else [f"The effect of this campaign cannot be measured: {_too_few(design)}."]
    return " ".join([*lost, *said, *sentences, *notes])


def _too_few(design: Design) -> str:
    needed = f"; to find a doubling of responses takes {design.doubling:,}" if design.doubling else ""
    return f"only {design.num:,} customers would be contacted or kept back{needed}"


def _measured(num_holdout: int, design: Design) -> str:
    who = f"{num_holdout:,} of {design.num:,} customers who would be contacted are kept back at random"
    if design.smallest is None:
        return f"{who}."
    rise = f"a rise of responses from {design.rate:.2%} to {design.rate + design.smallest:.2%}"
    return f"{who}; the smallest effect that this finds with power 80% is {rise}."
