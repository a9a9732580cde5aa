"""Campaigns that run on a day, as they were approved and exported, and who may still be made which of their offers.

Consent, suppressions and the forgotten are asked again whenever this is read, with hold-outs and contacts of campaigns
exported since and the permanent control group: the functions of an export, for the day on which an offer is shown.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from nightmarket.delivery.campaign import SEND
from tasks.campaigns import control, exported, withdrawals
from tasks.files import storage


class PlannedOffer(NamedTuple):
    """A contact that was approved: what it promises and costs, currency, and the chance that its customer is in the arm
    that is contacted."""

    offer: str
    day: date
    value: float
    cost: float
    propensity: float


@dataclass(frozen=True)
class RunningCampaign:
    """What is left of a campaign on one channel.

    first, last   days on which contacts go out, both included
    budget        what its contacts on the channel were approved to cost, currency
    per_customer, per_week  contacts of one customer: in the campaign, in any seven days
    offers        what is said of each offer: kind, called, terms
    planned       by customer, under the name of the export, by day
    """

    name: str
    channel: str
    first: date
    last: date
    budget: float
    per_customer: int
    per_week: int
    offers: Mapping[str, Mapping[str, Any]]
    planned: Mapping[str, tuple[PlannedOffer, ...]]


def running(home: Path, today: date) -> tuple[list[RunningCampaign], list[str]]:
    """Campaigns of exports/ that run, those that end first foremost, and why others cannot be offered.

    One whose lists cannot be read again is not offered: then nobody knows who withdrew.
    """
    made, problems = list[RunningCampaign](), list[str]()
    for receipt in sorted((home / exported.EXPORTS).glob("[!.]*/receipt.json")):
        try:
            made += _channels(home, receipt.parent, today)
        except (InputError, KeyError, ValueError, OSError, pa.ArrowException) as error:
            problems.append(f"{receipt.parent.name}: {str(error).splitlines()[0][:200] if str(error) else type(error)}")
    return sorted(made, key=lambda campaign: (campaign.last, campaign.name, campaign.channel)), problems


def _channels(home: Path, folder: Path, today: date) -> list[RunningCampaign]:
    summary = storage.read_json(folder / "summary.json")
    asked = summary.get("campaign") or {}
    if not (asked.get("start") and asked.get("days")):
        return []  # a launch
    first = date.fromisoformat(asked["start"])
    last = first + timedelta(asked["days"] - 1)
    if not first <= today <= last or exported.stopped(folder):
        return []
    planned = storage.read_table(folder / f"{SEND}.parquet")
    left = _left(home, folder.name, planned, summary, today)
    value = "expected_value" if asked["goal"] == "profit" else "probability"
    facts = {offer["name"]: {"kind": offer["kind"], "called": offer["called"], "terms": offer["customer_terms"]}
             for offer in summary["offers"]}  # fmt: skip
    made = []
    for channel in sorted(pc.unique(planned["channel"]).to_pylist()):
        rows: defaultdict[str, list[PlannedOffer]] = defaultdict(list)
        for row in left.filter(pc.equal(left["channel"], channel)).to_pylist():
            offer = PlannedOffer(row["offer"], row["day"], row[value], row["cost"], row["propensity"])
            rows[row["customer_id"]].append(offer)
        budget = pc.sum(planned.filter(pc.equal(planned["channel"], channel))["cost"]).as_py()
        by_customer = {name: tuple(sorted(own, key=lambda row: row.day)) for name, own in rows.items()}
        caps = asked["max_per_customer"], asked["max_per_week"]
        made.append(RunningCampaign(folder.name, channel, first, last, budget, *caps, facts, by_customer))
    return made


def _left(home: Path, name: str, planned: pa.Table, summary: Mapping[str, Any], today: date) -> pa.Table:
    """The contacts that may still be made, as of today."""
    said = summary.get("consent")
    consent.check(said)
    assert said is not None  # else it raised
    customers = {*planned["customer_id"].to_pylist()}
    left, _ = withdrawals.without(home, planned, said)
    known = summary.get("exported") or {"known": [], "protect_days": None}
    since = exported.exported(home, {*known["known"], name})
    at = left.schema.get_field_index("day")
    now = left.set_column(at, "day", pa.array([max(day, today) for day in left["day"].to_pylist()], pa.date32()))
    codes = exported.clashes(now, since, known["protect_days"], control.inside(home, customers))
    return left.filter(pa.array(codes == exported.FREE))
