"""On record: decisions, promotions, keys, erasures, and what the desk itself wrote, in one list."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from apps.desk.visit import OfVisit
from flows.engine.approval import approval
from flows.engine.privacy.rotation import RECORD as KEYS
from tasks.desk import journal
from tasks.files import records
from tasks.privacy.pseudonyms import forgotten
from tasks.registry import promotion

router = APIRouter()
MOST_ROWS = 300


@dataclass(frozen=True)
class Entry:
    """One thing that happened. at: ISO, UTC; a day alone for erasures."""

    at: str
    kind: str
    what: str
    who: str
    why: str
    run: str = ""


@router.get("/record")
def show_record(visit: OfVisit, text: str = "", kind: str = "") -> Response:
    """The list, newest first, with what is looked for in any of its columns."""
    listed = entries(visit.home)
    kinds = sorted({entry.kind for entry in listed})
    wanted = [
        entry
        for entry in listed
        if (not kind or entry.kind == kind) and text.casefold() in " ".join(vars(entry).values()).casefold()
    ]
    wanted.sort(key=lambda entry: entry.at, reverse=True)
    return visit.page(
        "record.html", rows=wanted[:MOST_ROWS], num=len(wanted), kinds=kinds, text=text, kind=kind,
        broken=journal.broken(visit.home), num_lines=len(journal.rows(visit.home)),
    )  # fmt: skip


def entries(home: Path) -> list[Entry]:
    """From every record of the checkout."""
    listed = []
    for line in approval.decisions(home):
        what = f"{line.get('flow', '')} {line.get('name', '')}: {line['decision']}"
        listed.append(Entry(_at(line["at"]), "decision", what, line.get("who", ""), line.get("why", ""), line["run"]))
    for change in promotion.changes():
        before = f" in place of {change['from']}" if change.get("from") else ""
        what = f"{change['how']}: version {change['version']}{before}"
        listed.append(Entry(_at(change["at"]), "model", what, change["by"], change["reason"]))
    for row in records.rows(home / ".nightmarket" / KEYS):
        listed.append(Entry(_at(row["at"]), "key", "a new key for customers’ names", row["who"], row["reason"]))
    for day in sorted(forgotten().values()):
        listed.append(Entry(day, "erasure", "a customer was forgotten", "", ""))
    for row in journal.rows(home):
        about = [str(row[key]) for key in ("name", "account", "version", "file", "customer", "text") if key in row]
        what = " ".join([row["what"], *about])
        listed.append(Entry(_at(row["at"]), "desk", what, row["who"], row.get("why", ""), row.get("run", "")))
    return listed


def _at(moment: str) -> str:
    return moment.replace("+00:00", "Z")
