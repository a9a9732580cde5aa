"""From a plan of contacts to its files: shown, approved by a person, exported; or left as it is."""

import dataclasses
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.client.schemas import State
from prefect.states import Completed

from flows.engine.approval import approval, figures
from flows.engine.approval.approval import Approval, PendingPlan
from flows.engine.reporting import messages, prefect_run
from flows.engine.run import dag, stage
from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from tasks.campaigns import export
from tasks.files import storage

DESK_URL = "NIGHTMARKET_DESK_URL"
"""Where the desk of `make ui` is, for those whom a message leads there."""
STATES = {"exported": "Exported", "refused": "Refused", "expired": "Expired", "empty": "Empty", "blocked": "Blocked"}


@dataclasses.dataclass(frozen=True)
class Decided:
    """How it ended.

    decision   a key of STATES
    why        one sentence
    folder     where the files are, where there are any
    """

    decision: str
    why: str
    held: PendingPlan
    folder: Path | None = None

    @property
    def exit_code(self) -> int:
        """Of the terminal: 0 only where files were written, so that a script goes on only then."""
        return 0 if self.folder else 3

    def lines(self) -> list[str]:
        """The end of a campaign, for a terminal."""
        shown = [f"{what:9} {how_much}" for what, how_much in figures.facts(self.held.summary)]
        shown.append(f"kept as   refs/runs/{self.held.run} ({self.held.commit[:10]})")
        shown.append(f"decision  {self.why}")
        return [*shown, f"files     {self.folder}"] if self.folder else shown


async def decide(held: PendingPlan, *, minutes: float, excel: bool) -> State[Decided]:
    """Show the plan, wait for a person, export it or leave everything as it was; on record either way."""
    log = prefect_run.run_logger()
    kept = f"Kept as refs/runs/{held.run} ({held.commit[:10]}); SHA-256 of the plan {held.digest[:16]}…"
    summary = figures.named(held.summary, figures.segment_names(held.home))
    page = figures.show(held.name, summary, kept, held.folder)
    if not held.summary.get("num_sent"):
        reason = held.summary.get("empty_because") or "nobody is worth a contact under these limits"
        return _ended(Decided("empty", f"the plan is empty: {reason}", held))
    try:
        consent.check(held.summary.get("consent"))
    except InputError as error:
        return _ended(Decided("blocked", f"nothing is exported: {error}", held))
    log.info("the plan of %s waits for approval, at most %g minutes", held.name, minutes)
    messages.post(_waits(held, minutes), log.warning)
    try:
        held, answer = await approval.accepted(held, page, minutes)
    except TimeoutError:
        return _ended(Decided("expired", f"nobody decided within {minutes:g} minutes; nothing was exported", held))
    except BaseException:
        held.record("stopped", why="the run was stopped before anybody decided")
        raise
    by = f"{answer.who.strip()}{f': {answer.note.strip()}' if answer.note.strip() else ''}"
    if answer.approve != "yes":
        return _ended(Decided("refused", f"refused by {by}; nothing was exported", held), answer)
    try:
        folder = await _export(held, answer, excel)
    except Exception as error:
        held.record("failed", **_who(answer), why=" ".join(str(error).split()))
        raise
    taken_out = storage.read_json(folder / "receipt.json")["taken_out"]
    return _ended(Decided("exported", f"approved by {by}{_withdrew(taken_out)}", held, folder), answer, taken_out)


def _waits(held: PendingPlan, minutes: float) -> dict[str, Any]:
    """The message that a plan waits: what it asks, until when, and where to answer."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    asks = ", ".join(f"{what} {how_much}" for what, how_much in figures.facts(held.summary)[:3])
    desk = os.environ.get(DESK_URL)
    where = f"{desk}/campaigns/{held.run}" if desk else "where it was started, or at the desk of `make ui`"
    by = until.isoformat(timespec="minutes")
    return {
        "text": f"nightmarket: {held.name} waits for approval until {by[:16]} UTC ({asks}). Answer: {where}",
        "flow": held.flow,
        "run": held.run,
        "name": held.name,
        "until": by,
    }


async def _export(held: PendingPlan, answer: Approval, excel: bool) -> Path:
    receipt = {
        "flow": held.flow,
        "run": held.run,
        "commit": held.commit,
        "approved_by": answer.who.strip(),
        "note": answer.note.strip(),
        "campaign": held.summary.get("campaign"),
        "figures": dict(figures.facts(held.summary)),
    }

    async def work() -> Path:
        return export.export(held.folder, held.home, held.name, approved=held.digest, receipt=receipt, excel=excel)

    return Path(await stage.attempt(dag.ScheduledStage("export"), work))


def _withdrew(taken_out: Mapping[str, Any]) -> str:
    """Who may no longer be contacted since the plan was made, in words."""
    if not taken_out["contacts"]:
        return ""
    reasons = ", ".join(f"{reason} {num:,}" for reason, num in taken_out["reasons"].items())
    lost = f"{taken_out['contacts']:,} contacts with {taken_out['customers']:,} customers"
    return f"; {lost} are taken out, who may no longer be contacted ({reasons})"


def _ended(
    decided: Decided, answer: Approval | None = None, taken_out: Mapping[str, Any] | None = None
) -> State[Decided]:
    where: dict[str, Any] = {"folder": f"exports/{decided.held.name}"} if decided.folder else {}
    where |= {"taken_out": taken_out} if taken_out is not None else {}
    decided.held.record(decided.decision, **(_who(answer) if answer else {}), why=decided.why, **where)
    prefect_run.run_logger().info("%s: %s", decided.held.name, decided.why)
    shown = f"{decided.why}; exports/{decided.held.name}" if decided.folder else decided.why
    return Completed(name=STATES[decided.decision], message=shown, data=decided)


def _who(answer: Approval) -> dict[str, str]:
    return {"who": answer.who.strip(), "note": answer.note.strip()}
