"""By hand: plan and write one campaign on what the last night left, wait for a person's approval, export it."""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.client.schemas import State

from flows.engine.approval import approval, contacts, figures
from flows.engine.forms import campaign as fields
from flows.engine.forms import terminal
from flows.engine.forms.form import WaitMinutes
from flows.engine.reporting.outcome import one_line_flow
from flows.engine.run.run import Run, open_run
from nightmarket.contracts import InputError
from tasks.campaigns import export
from tasks.files import catalogue, storage
from tasks.pipeline import settings

ANEW = ("plan",)
"""Planned anew each time: what was exported since is no input that DVC knows of."""


@one_line_flow("campaign", "{name}")
async def campaign(
    name: fields.CampaignName,
    budget: fields.Budget,
    goal: fields.Goal = "profit",
    start: fields.Day = "",
    end: fields.Day = "",
    segments: fields.Names = [],  # noqa: B006 - a parameter's default in the form
    care: fields.Care = "",
    channels: fields.Names = [],  # noqa: B006
    offers: fields.Offers = [],  # noqa: B006
    kind: fields.Kind = "",
    max_per_customer: fields.Count = None,
    holdout: fields.HoldoutShare = None,
    excel: bool = False,
    approval_minutes: fields.ApprovalMinutes = 480,
    wait_minutes: WaitMinutes = 240,
) -> State[contacts.Decided]:
    """Plan, write, show figures and texts, wait for approval, export; nothing is trained, nothing leaves without a yes.

    Args:
        name: Name of the campaign and of its folder below exports/: letters, digits, - and _, no spaces.
        budget: What contacts and taken offers may be expected to cost together, in the shop's currency.
        goal: profit: net of all cost; responses: as many as the budget allows, whatever they earn.
        start: First day that contacts go out on, YYYY-MM-DD. Empty: the day that the last night prepared.
        end: Last day, YYYY-MM-DD, which needs a start too. Empty: as many days as params.yaml says (plan.days).
        segments: Whom to contact: numbers of segments, as the morning page shows them. Empty: everybody.
        care: leaving: who is about to leave; worth_keeping: of these, who is worth keeping. Empty: anybody.
        channels: Which of the channels in params.yaml (plan.channels) to use. Empty: all of them.
        offers: What to offer: name, kind, and a category or products. Empty: the past offers with most responses.
        kind: Kind of campaign, as in the shop's own table of campaigns. Empty: the most usual.
        max_per_customer: Contacts that one customer may get. Empty: as params.yaml says.
        holdout: Share of the eligible customers who are kept back at random, .01 to .9. Empty: as params.yaml says.
        excel: Mark the CSV files as UTF-8 for Excel, which garbles Chinese otherwise. For mail tools leave it off.
        approval_minutes: How long the plan waits for a person; after that nothing is exported.
        wait_minutes: How long to wait while another run holds the lock.
    """
    home = storage.home()
    export.folder(home, name)
    check_segments(home, segments)
    changes = {"plan.name": name, "plan.budget": budget, "plan.goal": goal, "plan.max_per_customer": max_per_customer}
    changes |= {"plan.start": start, "plan.days": num_days(start, end), "plan.holdout": holdout, "plan.kind": kind}
    changes |= {"plan.channels": chosen_channels(home, channels), "plan.audience.segments": segments}
    changes |= {"plan.audience.care": care}
    changes |= {"plan.offers": [offer.model_dump(mode="json", exclude_none=True) for offer in offers]}
    with contextlib.ExitStack() as stack:
        async with open_run(f"campaign-{name}", changes=said(changes), wait_minutes=wait_minutes) as run:
            await _planned(run, home, care)
            held = stack.enter_context(approval.held(run, name, catalogue.PLAN.path, catalogue.COMPOSE / export.TEXTS))
        return await contacts.decide(held, minutes=approval_minutes, excel=excel)


async def _planned(run: Run, home: Path, care: str) -> None:
    """Plan and write on what the last night left."""
    approval.bury(home)
    run.require_data()
    foretold = (catalogue.CARE_CUSTOMERS,) if care else ()
    await run.on_last_night("plan", catalogue.RESPONDER, catalogue.SEGMENTS, *foretold, anew=ANEW)
    await run.on_last_night("compose")
    run.keep("compose")


def said(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that a form was given a value for; the rest stays as params.yaml has it."""
    return {key: value for key, value in changes.items() if value not in (None, "", [])}


def check_segments(home: Path, wanted: Sequence[str]) -> None:
    """InputError for a segment that the last night did not find; it says which there are."""
    known = figures.segment_names(home)
    unknown = [number for number in wanted if number not in known]
    if known and unknown:
        there = ", ".join(f"{number} ({name})" for number, name in known.items())
        raise InputError(f"segments: no segment '{unknown[0]}'; there are {there}")


def num_days(start: str, end: str) -> int | None:
    """Days from start to end, both included; InputError, naming the field, where they do not make a span."""
    for field, text in (("start", start), ("end", end)):
        try:
            datetime.date.fromisoformat(text or "2000-01-01")
        except ValueError:
            raise InputError(f"{field}: {text} is no day of the calendar") from None
    if not end:
        return None
    if not start:
        raise InputError("start: an end needs a start too")
    days = (datetime.date.fromisoformat(end) - datetime.date.fromisoformat(start)).days + 1
    if days < 1:
        raise InputError(f"end: {end} lies before the start, {start}")
    return days


def chosen_channels(home: Path, names: Sequence[str]) -> dict[str, Any] | None:
    """These channels of params.yaml with their costs; InputError for one that is not there."""
    if not names:
        return None
    section = settings.load("plan", home / "params.yaml").model_dump(mode="json")
    unknown = [name for name in names if name not in section["channels"]]
    if unknown:
        raise InputError(f"channels: no channel '{unknown[0]}'; params.yaml has {', '.join(section['channels'])}")
    return {name: section["channels"][name] for name in names}


if __name__ == "__main__":
    terminal.hand_over("campaign")
