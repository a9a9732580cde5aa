"""A person's word on a plan: it is set aside and hashed, asked about and put on record. No lock is held meanwhile.

While somebody thinks, the plan lies in .nightmarket/undecided/RUN. Every decision is one line of
.nightmarket/decisions.jsonl, refusals and silences too.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows.engine.reporting import outcome, prefect_run
from flows.engine.run.run import Run
from nightmarket.contracts import InputError
from tasks.campaigns import edited, export
from tasks.desk import accounts, signature
from tasks.files import locks, records, storage

DESK_ONLY = "the desk has accounts, so a plan is approved there, by whoever is logged in"
UNDECIDED, HELD = "undecided", "held.json"
LOOK_EVERY_S = 2
SLACK_S = 600
"""Prefect's own limit on a pause lies so much later than ours, which puts the silence on record."""


class Approval(RunInput):
    """What the form of a paused run asks."""

    approve: Literal["no", "yes"] = Field(
        title="Export it?", description="yes writes the files; no leaves all as it was"
    )
    who: str = Field(
        title="Your name",
        min_length=2,
        max_length=80,
        pattern=r"\S.*\S",
        description="goes on record with the decision",
    )
    note: str = Field("", title="Note", max_length=500, description="why, for whoever reads the record later")
    plan_sha256: str = Field("", title="Plan", max_length=64, description="filled in by the desk; leave it empty")
    signature: str = Field("", title="Signature", max_length=64, description="filled in by the desk; leave it empty")

    def signed(self, home: Path, run: str) -> bool:
        """Whether the desk put its name under this answer to that run."""
        said = {"decision": self.approve, "who": self.who, "note": self.note, "digest": self.plan_sha256}
        return signature.signed(home, self.signature, run=run, **said)


Ask = Callable[[str], Awaitable[Approval]]
IN_TERMINAL: ContextVar[Ask | None] = ContextVar("ask", default=None)
"""How `python -m flows` asks; None where the run was started in the UI, which then shows a form."""


@dataclasses.dataclass(frozen=True)
class PendingPlan:
    """A plan that waits for its decision.

    digest   SHA-256 of the plan as it was shown
    """

    flow: str
    name: str
    run: str
    commit: str
    home: Path
    folder: Path
    digest: str
    summary: dict[str, Any]

    def record(self, decision: str, **more: Any) -> None:
        """One line in the record of decisions."""
        figures = {key: self.summary.get(key) for key in ("num_sent", "num_holdout", "spend", "expected_profit")}
        line = {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "decision": decision,
            **{key: getattr(self, key) for key in ("flow", "name", "run", "commit")},
            "plan_sha256": self.digest,
            **figures,
            **more,
        }
        records.append(_record(self.home), line)


@contextlib.contextmanager
def held(run: Run, name: str, planned: Path, texts: Path | None = None) -> Iterator[PendingPlan]:
    """The plan of the run's folder `planned` and its texts, set aside until the block ends; the run's own folder may go
    meanwhile.

    A process that is stopped or killed leaves it; `bury` sees to it when the next plan is made.
    """
    folder = storage.private(UNDECIDED, run.name)
    folder.mkdir()
    with (folder / HELD).open("w") as file:
        locks.take(file)
        told = prefect_run.current()
        flow = run.name.partition("-")[0]
        known = {"flow": flow, "name": name, "run": run.name, "commit": run.sha, **(told.note if told else {})}
        file.write(json.dumps(known))
        file.flush()
        try:
            for file_name in export.FILES:
                shutil.copyfile(run.tree / planned / file_name, folder / file_name)
            if texts is not None:
                shutil.copyfile(run.tree / texts, folder / export.TEXTS)
                edited.keep_facts((run.tree / texts).with_name(export.SUMMARY), folder)
            summary = storage.read_json(folder / export.SUMMARY)
            yield PendingPlan(flow, name, run.name, run.sha, run.home, folder, export.digest(folder), summary)
        except Exception:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)  # a run that is stopped leaves it too: Prefect goes on showing the run as paused


def bury(home: Path) -> None:
    """Plans whose process is gone: put on record that nobody decided, mark their runs as crashed, remove them."""
    recorded = {line.get("run") for line in decisions(home)}
    for folder in sorted((home / ".nightmarket" / UNDECIDED).glob("*")):
        with contextlib.suppress(OSError, ValueError), (folder / HELD).open() as file:
            if not locks.try_to_take(file):
                continue  # its process lives
            known = json.loads(file.read())
            outcome.bury(known)
            known = {key: value for key, value in known.items() if key not in ("flow_run_id", "of_flow")}
            at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            if known["run"] not in recorded:
                lost = {"at": at, "decision": "lost", "why": "the process ended before anybody decided"}
                records.append(_record(home), lost | known)
            shutil.rmtree(folder)


@dataclasses.dataclass(frozen=True)
class WaitingPlan:
    """A plan of a living run that lies before a person.

    flow_run  Prefect's id of it; "" for one on a terminal
    since     when it was set aside, ISO, UTC
    """

    flow: str
    name: str
    run: str
    flow_run: str
    since: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """What was planned."""
        return dict(storage.read_json(self.folder / export.SUMMARY))


def waiting(home: Path) -> list[WaitingPlan]:
    """The plans that wait, the longest wait first; those whose process is gone are not among them."""
    plans = []
    for folder in (home / ".nightmarket" / UNDECIDED).glob("*"):
        with contextlib.suppress(OSError, ValueError, KeyError), (folder / HELD).open() as file:
            if locks.try_to_take(file) or not (folder / export.SUMMARY).exists():
                continue
            known = json.loads(file.read())
            at = datetime.datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, datetime.UTC)
            since = at.isoformat(timespec="seconds")
            asked = "" if "of_flow" in known else known.get("flow_run_id", "")
            plans.append(WaitingPlan(known["flow"], known["name"], known["run"], asked, since, folder))
    return sorted(plans, key=lambda plan: plan.since)


async def ask(question: str, minutes: float) -> Approval:
    """The answer of whoever is there: the terminal's, or the form's of the paused run.

    Raises TimeoutError when nobody answers within `minutes`.
    """
    in_terminal = IN_TERMINAL.get()
    async with asyncio.timeout(60 * minutes):
        if in_terminal:
            return await in_terminal(question)
        form = Approval.with_initial_data(description=question)
        given = await apause_flow_run(form, timeout=int(60 * minutes) + SLACK_S, poll_interval=LOOK_EVERY_S)
        return Approval(**given.model_dump())


async def accepted(held: PendingPlan, question: str, minutes: float) -> tuple[PendingPlan, Approval]:
    """The answer, and the plan with the texts that it speaks of. Once the desk has accounts, an answer that the desk
    did not sign goes on record and counts for nothing; the plan waits on.

    Raises TimeoutError when nobody answers within `minutes`.
    """
    async with asyncio.timeout(60 * minutes):
        while True:
            answer = await ask(question, minutes)
            if not accounts.on(held.home):
                return held, answer
            if answer.signed(held.home, held.run):
                return dataclasses.replace(held, digest=answer.plan_sha256), answer
            if IN_TERMINAL.get():
                raise InputError(DESK_ONLY)
            held.record("unsigned", who=answer.who.strip(), note=answer.note.strip(), why=DESK_ONLY)
            prefect_run.run_logger().warning("the answer of %s does not count: %s", answer.who.strip(), DESK_ONLY)
            question = f"**{DESK_ONLY}.**\n\n{question.removeprefix(f'**{DESK_ONLY}.**').lstrip()}"


def decisions(home: Path) -> list[dict[str, Any]]:
    """The record, oldest first."""
    return records.rows(_record(home))


def _record(home: Path) -> Path:
    return home / ".nightmarket" / export.DECISIONS
