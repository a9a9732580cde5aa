"""Today: money, what was delivered, what waits for whom, what went wrong."""

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from apps.desk import night
from apps.desk.prefect_api import RunRow
from apps.desk.visit import DeskVisit, OfVisit
from flows.engine.approval import approval
from nightmarket.contracts import InputError
from nightmarket.histories.calendar import date_of
from nightmarket.reporting import trade
from tasks.files import catalogue

router = APIRouter()
BAD = ("failed", "crashed", "cancelled")
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"


@router.get("/")
def today(visit: OfVisit) -> Response:
    """The first page."""
    last = night.last(visit.home)
    runs, away = latest_runs(visit)
    latest: dict[str, RunRow] = {}
    for run in runs:  # newest first
        latest.setdefault(run.flow, run)
    return visit.page(
        "today.html",
        last=last,
        money=figures(last) if last else [],
        week=week_in_words(last) if last else "",
        waiting=approval.waiting(visit.home),
        failed=[run for run in latest.values() if run.kind in BAD],
        running=[run for run in runs if run.kind == "running"],
        away=away,
        report=catalogue.PAGE.at(visit.home).path.exists(),
    )


@router.get("/report")
def report(visit: OfVisit) -> Response:
    """The morning page as the night wrote it: a file of its own, which brings its style along."""
    path = catalogue.PAGE.at(visit.home).path
    if not path.exists():
        raise InputError("no night has written its page yet; run `make nightly`")
    return FileResponse(path, headers={"content-security-policy": REPORT_POLICY})


def latest_runs(visit: DeskVisit) -> tuple[list[RunRow], str]:
    """Prefect's latest runs, and why there are none."""
    try:
        return visit.desk.prefect.runs(), ""
    except InputError as error:
        return [], str(error)


def figures(last: night.LastNight) -> list[tuple[str, float, str, list[tuple[str, float]]]]:
    """(what, how much, currency or "", changes against other weeks as (which, share)) of the week's trade."""
    view = last.trade
    if view is None:
        return []
    rows = []
    for what, of, unit in (
        ("Sales", "sales", last.currency),
        ("Orders", "orders", ""),
        ("Customers", "customers", ""),
        ("Basket", "basket", last.currency),
    ):
        now = getattr(view.week, of)
        if now is None:
            continue
        others = (("against the week before", view.before), ("against the same week a year ago", view.year_before))
        changes = [
            (against, share)
            for against, other in others
            if other is not None and (share := trade.change(now, getattr(other, of))) is not None
        ]
        rows.append((what, now, unit, changes))
    return rows


def week_in_words(last: night.LastNight) -> str:
    """The days of the week's trade."""
    if last.trade is None:
        return ""
    until = last.trade.week.last
    return f"{date_of(until - trade.WEEK + 1)} – {date_of(until)}"
