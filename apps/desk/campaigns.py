"""Campaigns: the list, one plan with its figures and texts, the decision, the exported files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from apps.desk import night
from apps.desk.prefect_api import RunRow
from apps.desk.visit import DeskVisit, OfVisit
from flows.engine.approval import approval, figures
from flows.engine.approval.approval import WaitingPlan
from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import LIMITS, Violation
from nightmarket.reporting import readouts
from tasks.campaigns import edited, export, exported, mailing
from tasks.desk import journal, signature
from tasks.files import storage
from tasks.pipeline import settings

router = APIRouter()
FLOWS = ("campaign", "launch")
MOST_ROWS, MOST_MESSAGES = 200, 60
STATES = {
    "planning": "planning",
    "waiting": "waiting for approval",
    "exporting": "approved, being exported",
    "exported": "exported",
    "refused": "refused",
    "expired": "nobody decided in time",
    "empty": "sends nothing",
    "blocked": "not allowed",
    "failed": "failed",
    "lost": "ended before anybody decided",
    "stopped": "stopped",
    "taken_back": "taken back",
    "unsigned": "answered outside the desk",
}
BETWEEN = ("planning", "exporting")
"""States that end by themselves in a while."""


@dataclass(frozen=True)
class CampaignRow:
    """One campaign in the list. run: of its page, "" where it has none yet; at: ISO, UTC."""

    flow: str
    name: str
    state: str
    at: str
    run: str = ""
    who: str = ""
    why: str = ""


@router.get("/campaigns")
def list_campaigns(visit: OfVisit) -> Response:
    """All of them, the latest first."""
    runs, away = flow_runs(visit)
    return visit.page("campaigns.html", rows=rows(visit, runs)[:MOST_ROWS], states=STATES, away=away, between=BETWEEN)


@router.get("/campaigns/{run}")
def show_campaign(visit: OfVisit, run: str, done: str = "") -> Response:
    """One: what it asks, what was decided, what was written."""
    plan = waiting_plan(visit.home, run)
    lines = [line for line in approval.decisions(visit.home) if line.get("run") == run]
    if plan is None and not lines:
        raise HTTPException(404)
    runs, away = flow_runs(visit)
    name, flow = (plan.name, plan.flow) if plan else (lines[-1]["name"], lines[-1]["flow"])
    folder = plan.folder if plan else exported_folder(visit.home, lines)
    summary = storage.read_json(folder / export.SUMMARY) if folder else {}
    state = _state(plan, runs) if plan else lines[-1]["decision"]
    return visit.page(
        "campaign.html",
        run=run,
        name=name,
        flow=flow,
        plan=plan,
        state=state,
        states=STATES,
        between=BETWEEN,
        lines=lines,
        done=done,
        away=away,
        facts=figures.facts(summary) if summary else [],
        limits=figures.limits(summary),
        words=figures.words(summary),
        groups=[(title, figures.named(summary, figures.segment_names(visit.home))[key])
                for key, title in figures.GROUPS.items() if summary.get(key)],
        messages=edited.messages(folder)[:MOST_MESSAGES] if folder else [],
        segments=figures.segment_names(visit.home),
        offers=called(summary, visit.language),
        second=second_person(visit, plan) if plan else "",
        digest=export.digest(plan.folder) if plan else "",
        files=_files(folder) if folder and not plan else {},
        channels=mailing.channels(folder) if folder and not plan else {},
        stopped=exported.stopped(folder) if folder and not plan else None,
        brought=brought(visit, name),
    )  # fmt: skip


@router.post("/campaigns/{run}/decide")
def decide(
    visit: OfVisit,
    run: str,
    approve: Annotated[Literal["yes", "no"], Form()],
    digest: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    note: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Answer the flow, signed, in the name of whoever is logged in."""
    plan = waiting_plan(visit.home, run)
    if plan is None:
        raise InputError("nobody waits for this decision any more")
    if not plan.flow_run:
        raise InputError("this plan waits on a terminal, and is answered there")
    note = " ".join(note.split())
    if approve == "no" and not note:
        raise InputError("say why it is refused: whoever planned it reads it")
    if approve == "yes" and (why := second_person(visit, plan)):
        raise InputError(why)
    with edited.held_still(plan.folder):
        if export.digest(plan.folder) != digest:
            raise InputError("the plan's texts were changed since you opened this page; look at it again")
        said = {"decision": approve, "who": visit.who, "note": note, "digest": digest}
        signed = signature.sign(visit.home, run=run, **said)
        answer = {"approve": approve, "who": visit.who, "note": note, "plan_sha256": digest, "signature": signed}
        visit.desk.prefect.answer(plan.flow_run, answer)
        (plan.folder / edited.ANSWERED).touch()
    visit.note("approved" if approve == "yes" else "refused", run=run, name=plan.name, why=note, plan_sha256=digest)
    return visit.to(f"/campaigns/{run}?done={'approved' if approve == 'yes' else 'refused'}")


@router.get("/campaigns/{run}/files/{name}")
def download(visit: OfVisit, run: str, name: str) -> Response:
    """One of the files that the receipt names."""
    folder = files_of(visit, run)
    if name not in {*_files(folder), RECEIPT}:
        raise HTTPException(404)
    exported.check_not_stopped(folder)
    visit.note("downloaded", run=run, name=folder.name, file=name)
    return FileResponse(folder / name, filename=f"{folder.name}-{name}")


@router.get("/campaigns/{run}/texts")
def ask_text(visit: OfVisit, run: str, brief: str) -> Response:
    """A form with the texts of one message; while somebody types, the guard gets ready."""
    page = _text_page(visit, run, brief, {}, {})
    page.background = BackgroundTask(edited.prepare, visit.home)
    return page


@router.post("/campaigns/{run}/texts")
async def edit_text(visit: OfVisit, run: str, brief: Annotated[str, Form(max_length=500)]) -> Response:
    """Keep them where the guard finds nothing wrong; else say what it is, with what was typed still there."""
    form = await visit.request.form()
    texts = {name.removeprefix("text-"): str(text) for name, text in form.items() if name.startswith("text-")}
    plan = waiting_plan(visit.home, run)
    if plan is None:
        raise InputError("the plan waits no longer, so its texts stay as they are")
    broken = await run_in_threadpool(edited.edit, plan.folder, visit.home, brief, texts)
    if broken:
        return await run_in_threadpool(_text_page, visit, run, brief, texts, broken)
    visit.note("edited a text", run=run, name=plan.name, text=brief, texts=texts)
    return visit.to(f"/campaigns/{run}?done=edited#texts")


def _text_page(
    visit: DeskVisit, run: str, brief: str, typed: dict[str, str], broken: Mapping[str, list[Violation]]
) -> Response:
    plan = waiting_plan(visit.home, run)
    messages = edited.messages(plan.folder) if plan else []
    message = next((message for message in messages if message["brief"] == brief and message["editable"]), None)
    if plan is None or message is None:
        raise HTTPException(404)
    return visit.page(
        "text.html",
        422 if broken else 200,
        run=run,
        plan=plan,
        message=message,
        texts=typed or message["texts"],
        broken=broken,
        limits=LIMITS,
        segments=figures.segment_names(visit.home),
        offers=called(plan.summary, visit.language),
    )


def brought(visit: DeskVisit, name: str) -> readouts.ExperimentView | None:
    """What the last night read out of the campaign as an experiment; None where it read nothing."""
    last = night.last(visit.home)
    content = readouts.view(last.night) if last else None
    return next((each for each in content.experiments if each.name == name), None) if content else None


def second_person(visit: DeskVisit, plan: WaitingPlan) -> str:
    """Why whoever is logged in may not approve this plan; "" where they may."""
    limit = settings.desk(visit.home / settings.PARAMS).second_person_above
    if limit is None or float(plan.summary.get("budget") or 0) <= limit:
        return ""
    planned = (
        row for row in journal.rows(visit.home) if row["what"] == PLANNED and row.get("flow_run") == plan.flow_run
    )
    planner = next((row["who"] for row in planned), None)
    if planner is None:
        return (
            f"above a budget of {limit:,.2f} a second person approves, and nobody knows who planned this; plan it here"
        )
    return f"above a budget of {limit:,.2f} a second person approves; you planned it" if planner == visit.who else ""


def called(summary: Mapping[str, Any], language: str) -> dict[str, str]:
    """What each offer of a plan is called, by its name."""
    offers = [offer for offer in summary.get("offers") or () if "name" in offer]
    return {offer["name"]: (offer.get("called") or {}).get(language) or offer["name"] for offer in offers}


PLANNED = "planned"
RECEIPT = "receipt.json"


def flow_runs(visit: DeskVisit) -> tuple[list[RunRow], str]:
    """Prefect's latest runs of campaigns and launches, and why there are none."""
    try:
        return visit.desk.prefect.runs(FLOWS, 100), ""
    except InputError as error:
        return [], str(error)


def waiting_plan(home: Path, run: str) -> WaitingPlan | None:
    """The plan of a run that waits."""
    return next((plan for plan in approval.waiting(home) if plan.run == run), None)


def rows(visit: DeskVisit, runs: list[RunRow]) -> list[CampaignRow]:
    """What waits, what is being planned or failed before it could wait, what was decided."""
    waiting = approval.waiting(visit.home)
    held = {plan.run for plan in waiting}
    listed = [CampaignRow(plan.flow, plan.name, _state(plan, runs), plan.since, plan.run) for plan in waiting]
    decided = [
        CampaignRow(line.get("flow", ""), line.get("name", ""), line["decision"], line["at"], line["run"],
                    line.get("who", ""), line.get("why", ""))
        for line in approval.decisions(visit.home)
        if line.get("run") not in held
    ]  # fmt: skip
    last = {row.run: row for row in decided}
    known = {plan.flow_run for plan in waiting}
    in_prefect = []
    for run in runs:
        began = run.kind in ("running", "pending", "scheduled") and run.id not in known
        if began or run.kind in ("failed", "crashed"):
            state = "planning" if began else "failed"
            name = str(run.parameters.get("name") or run.name)
            in_prefect.append(CampaignRow(run.flow, name, state, f"{run.began}", why="" if began else run.message))
    decided_names = {(row.name, row.state) for row in last.values()}
    listed += [row for row in in_prefect if (row.name, row.state) not in decided_names]
    listed += last.values()
    order = {"waiting": 0, "exporting": 1, "planning": 2}
    return sorted(sorted(listed, key=lambda row: row.at, reverse=True), key=lambda row: order.get(row.state, 9))


def _state(plan: WaitingPlan, runs: list[RunRow]) -> str:
    """Waiting, unless Prefect says that its run goes on already."""
    kind = next((run.kind for run in runs if run.id == plan.flow_run), "paused")
    return "waiting" if kind == "paused" else "exporting"


def exported_folder(home: Path, lines: list[dict[str, Any]]) -> Path | None:
    """Where a run's files lie; None where it wrote none, or they were carried away."""
    line = next((line for line in reversed(lines) if line["decision"] == "exported"), None)
    if line is None:
        return None
    export.check_name(line["name"])
    folder = home / "exports" / line["name"]
    receipt = folder / RECEIPT
    return folder if receipt.exists() and storage.read_json(receipt).get("run") == line["run"] else None


def files_of(visit: DeskVisit, run: str) -> Path:
    """Where a run's files lie; 404 where it wrote none."""
    lines = [line for line in approval.decisions(visit.home) if line.get("run") == run]
    folder = exported_folder(visit.home, lines)
    if folder is None:
        raise HTTPException(404)
    return folder


def _files(folder: Path) -> dict[str, int | None]:
    """{file: rows} that the receipt names, those for mail tools first."""
    files = storage.read_json(folder / RECEIPT)["files"]
    names = sorted(files, key=lambda name: (not name.endswith(".csv"), name != "send.csv", name))
    return {name: files[name].get("rows") for name in names if (folder / name).exists()}
