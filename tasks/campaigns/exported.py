"""Campaigns that were exported before, which a plan and an export must know: contacts still to come, and hold-outs.

reads   exports/NAME of the main checkout: receipt.json, summary.json, send.parquet, holdout.parquet, eligible.parquet
        artifacts/validate/clean/exposures.parquet, the shop's own log of contacts

An exported contact counts towards the limits until the shop's log has it: by customer and day, or, once the log names
the campaign, as the log says up to its last day. Whoever is kept back by a campaign gets no contact of another one
while it runs, and for some days after its last one, in which its outcome is still coming in.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int8s, Int64s
from nightmarket.contracts.clock import local_day
from nightmarket.delivery.campaign import HOLDOUT, SEND
from nightmarket.delivery.timing import WEEK
from nightmarket.evaluation.protocol import Windows
from tasks.files import catalogue, storage

EXPORTS, STOPPED = "exports", "stopped.json"
FREE, OVER_LIMIT, KEPT_BACK, CONTROL = range(4)
REASONS = {OVER_LIMIT: "contact limit", KEPT_BACK: "kept back for another campaign", CONTROL: "control group"}
Days = dict[int, tuple[int, ...]]
"""Customer → days of contacts, counted from the first day of a plan, ascending."""


@dataclass(frozen=True)
class ExportedCampaign:
    """Who gets what when, and who does not.

    first, last  days on which contacts go out, both included
    sent         customer_id → days of contacts
    held         customer_id of those kept back
    """

    name: str
    first: date
    last: date
    sent: Mapping[str, tuple[date, ...]]
    held: frozenset[str]

    def holds(self, first: date, last: date, days: int | None) -> bool:
        """Whether contacts from `first` to `last` would touch what it measures, `days` after its last one included."""
        return days is not None and first <= self.last + timedelta(days) and last >= self.first

    def until(self, day: date) -> "ExportedCampaign":
        """What is left of it where it was stopped on a day: what may have gone out by then. One that had not begun
        touches nobody and measures nothing."""
        if day < self.first:
            return replace(self, last=self.first, sent={}, held=frozenset())
        sent = {customer: tuple(d for d in days if d <= day) for customer, days in self.sent.items()}
        return replace(self, last=min(self.last, day), sent={name: days for name, days in sent.items() if days})


def exported(home: Path, but: Collection[str] = ()) -> list[ExportedCampaign]:
    """Every campaign and launch below exports/ that has a receipt, by name, except some names.

    Raises InputError where a file of one is gone: then nobody knows whom it contacts.
    """
    receipts = sorted((home / EXPORTS).glob("[!.]*/receipt.json"))
    return [_read(receipt.parent) for receipt in receipts if receipt.parent.name not in but]


def stopped(folder: Path) -> dict[str, Any] | None:
    """{at, who, why} of an export that was taken back; `stopping` writes it."""
    return dict(storage.read_json(folder / STOPPED)) if (folder / STOPPED).exists() else None


def check_not_stopped(folder: Path) -> None:
    """InputError for an export that was taken back."""
    if known := stopped(folder):
        by = f" by {known['who']}" if known["who"] else ""
        raise InputError(f"{folder.name} was stopped{by} on {known['at'][:10]}, so nothing more of it is handed out")


def _read(folder: Path) -> ExportedCampaign:
    files = {name: folder / f"{name}.parquet" for name in (SEND, HOLDOUT, "eligible")}
    if gone := [path.name for path in files.values() if not path.exists()]:
        raise InputError(
            f"{EXPORTS}/{folder.name}: {gone[0]} is gone, so nobody knows whom this campaign contacts; bring it back, "
            "or remove the folder if nothing of it was sent"
        )
    tables = {name: storage.read_table(files[name], ["customer_id", "day"]) for name in (SEND, HOLDOUT)}
    everybody = storage.read_table(files["eligible"], ["customer_id", "arm"])
    sent: defaultdict[str, set[date]] = defaultdict(set)
    for customer, day in zip(*(tables[SEND][name].to_pylist() for name in ("customer_id", "day")), strict=True):
        sent[customer].add(day)
    kept = everybody.filter(pc.equal(everybody["arm"], HOLDOUT))["customer_id"].to_pylist()
    days = [day for table in tables.values() for day in table["day"].to_pylist()]
    asked = storage.read_json(folder / "summary.json").get("campaign") or {}
    if asked.get("start") and asked.get("days"):
        start = date.fromisoformat(asked["start"])
        days += [start, start + timedelta(asked["days"] - 1)]
    written = date.fromisoformat(storage.read_json(folder / "receipt.json")["exported_at"][:10])
    campaign = ExportedCampaign(
        folder.name,
        min(days, default=written),
        max(days, default=written),
        {customer: tuple(sorted(its)) for customer, its in sent.items()},
        frozenset(kept) | frozenset(tables[HOLDOUT]["customer_id"].to_pylist()),
    )
    known = stopped(folder)
    return campaign.until(date.fromisoformat(known["at"][:10])) if known else campaign


@dataclass(frozen=True)
class Earlier:
    """What stands already when a campaign is planned.

    ids       (C,)  customer_id
    days      contacts on file and to come, of the last six days before the first day and of all later ones
    counted   contacts of exported campaigns among them that the shop's log does not have
    """

    ids: Sequence[str]
    first: date
    last: date
    campaigns: Sequence[ExportedCampaign]
    days: Days
    counted: int
    protect: int | None

    @property
    def protected(self) -> Bools:
        """(C,) who is kept back by a running campaign, and so is left alone."""
        held = set().union(
            *(campaign.held for campaign in self.campaigns if campaign.holds(self.first, self.last, self.protect))
        )
        return np.fromiter((customer in held for customer in self.ids), bool, count=len(self.ids))

    def said(self, asked: Int64s, rows: pd.DataFrame) -> dict[str, Any]:
        """For the summary: what each exported campaign that matters means for this plan.

        asked  (E,)  customers who are eligible but for the others' hold-outs
        rows   of plan.parquet
        """
        eligible = {self.ids[at] for at in asked.tolist()}
        mine = {arm: set(rows.loc[rows["arm"] == arm, "customer_id"]) for arm in (SEND, HOLDOUT)}
        about = []
        for campaign in self.campaigns:
            running = campaign.holds(self.first, self.last, self.protect or 0)
            coming = {who for who, days in campaign.sent.items() if any(self.first <= day <= self.last for day in days)}
            if not running and not coming:
                continue
            about.append(
                {
                    "name": campaign.name,
                    "last_day": campaign.last.isoformat(),
                    "num_kept_back": len(campaign.held),
                    "num_left_alone": len(campaign.held & eligible) if self.protect is not None else 0,
                    "num_kept_back_contacted": len(campaign.held & mine[SEND]),
                    "num_contacted_by_both": len(mine[SEND] & coming),
                    "num_own_kept_back_contacted": len(mine[HOLDOUT] & coming),
                }
            )
        return {
            "known": [campaign.name for campaign in self.campaigns],
            "num_counted": self.counted,
            "protect_days": self.protect,
            "campaigns": about,
        }


def earlier(
    customers: pd.DataFrame, windows: Windows, first: date, num_days: int, protect: int | None, home: Path
) -> Earlier:
    """The shop's own log and what was exported since, for a plan of `num_days` days from `first`.

    protect  days after the last one of an exported campaign that whoever it keeps back is left alone; None: they may
             be contacted
    """
    ids = customers["customer_id"].tolist()
    code = {name: at for at, name in enumerate(ids)}
    log, named = _logged(code, windows.time_zone)
    known_until = date.fromisoformat(windows.as_of)
    contacts = {(who, (day - first).days) for who, day in log if (day - first).days > -WEEK}
    campaigns = exported(home)
    counted = 0
    for campaign in campaigns:
        for name, days in campaign.sent.items():
            for day in days:
                place = (code.get(name, -1), (day - first).days)
                logged = campaign.name in named and day < known_until
                if place[0] >= 0 and place[1] > -WEEK and not logged and place not in contacts:
                    contacts.add(place)
                    counted += 1
    of: defaultdict[int, list[int]] = defaultdict(list)
    for who, offset in sorted(contacts):
        of[who].append(offset)
    last = first + timedelta(num_days - 1)
    return Earlier(ids, first, last, campaigns, {who: tuple(days) for who, days in of.items()}, counted, protect)


def _logged(code: Mapping[str, int], zone: str) -> tuple[set[tuple[int, date]], set[str]]:
    """(customer, day) of every contact in the shop's log, and the campaigns that it names; a contact without a time is
    taken to be of its campaign's first day."""
    if not catalogue.CLEAN_EXPOSURES.exists():
        return set(), set()
    shown = catalogue.CLEAN_EXPOSURES.read(["customer_id", "campaign_id", "timestamp"]).to_pandas()
    shown = shown[shown["campaign_id"].notna()]  # a list of the live site is no contact
    if shown["timestamp"].isna().any() and catalogue.CLEAN_CAMPAIGNS.exists():
        begins = catalogue.CLEAN_CAMPAIGNS.read(["campaign_id", "start"]).to_pandas().set_index("campaign_id")["start"]
        shown["timestamp"] = shown["timestamp"].fillna(shown["campaign_id"].map(begins))
    named = set(shown["campaign_id"].dropna().tolist())
    shown = shown[shown["timestamp"].notna() & shown["customer_id"].isin(code)]
    day = {moment: local_day(moment.to_pydatetime(), zone) for moment in shown["timestamp"].unique()}
    pairs = zip(shown["customer_id"].map(code).tolist(), shown["timestamp"].map(day).tolist(), strict=True)
    return set(pairs), named


def words(said: Mapping[str, Any]) -> list[str]:
    """Sentences for the person who approves."""
    sentences = []
    if said["num_counted"]:
        sentences.append(
            f"{said['num_counted']:,} contacts of exported campaigns, which the shop's log does not have yet, count "
            "towards the limits."
        )
    for campaign in said["campaigns"]:
        if campaign["num_left_alone"]:
            sentences.append(
                f"{campaign['num_left_alone']:,} customers are left alone, as the campaign {campaign['name']} keeps "
                "them back."
            )
        if campaign["num_kept_back_contacted"]:
            sentences.append(
                f"{campaign['num_kept_back_contacted']:,} of the {campaign['num_kept_back']:,} customers whom the "
                f"campaign {campaign['name']} keeps back are contacted: they are lost to its measurement."
            )
        both, own = campaign["num_contacted_by_both"], campaign["num_own_kept_back_contacted"]
        if both or own:
            sentences.append(
                f"The campaign {campaign['name']} contacts {both:,} of these customers in the same days, and {own:,} "
                "of those kept back here."
            )
    return sentences


def clashes(
    table: pa.Table, since: Sequence[ExportedCampaign], protect: int | None, control: Collection[str] = ()
) -> Int8s:
    """(N,) FREE or why not, for each row of a plan, against campaigns exported after it was made.

    control  customer_id of those in the permanent control group
    The plan filled what room there was without knowing of them, so a row falls, in both arms alike, where one of them
    contacts its customer within a week of it.
    """
    days, names = table["day"].to_pylist(), table["customer_id"].to_pylist()
    out = np.full(len(days), FREE, np.int8)
    if not days or not (since or control):
        return out
    first, last = min(days), max(days)
    held: set[str] = set().union(*(campaign.held for campaign in since if campaign.holds(first, last, protect)))
    taken: defaultdict[str, list[date]] = defaultdict(list)
    for campaign in since:
        for customer, its in campaign.sent.items():
            taken[customer].extend(its)
    for at, (customer, day) in enumerate(zip(names, days, strict=True)):
        if customer in control:
            out[at] = CONTROL
        elif customer in held:
            out[at] = KEPT_BACK
        elif any(abs((other - day).days) < WEEK for other in taken.get(customer, ())):
            out[at] = OVER_LIMIT
    return out
