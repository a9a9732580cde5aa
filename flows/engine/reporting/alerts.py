"""After the night: what a person should hear of, once; what is remembered; whether a retrain is due.

Called when the night is safe: it is kept, and published where it could be. Trouble in here is a warning, never the
night's end.
"""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.engine.reporting import diary, messages, prefect_run
from flows.engine.reporting.outcome import RunOutcome
from nightmarket.contracts import InputError
from tasks.files import catalogue
from tasks.pipeline import settings

RETRAIN = "retrain/retrain"
ONE_DAY = datetime.timedelta(days=1)
NAMED = 3
DECIDED = ("ship", "stop", "blocked")
"""Verdicts that ask for a decision."""
ASK_S = 30.0
"""A Prefect server that starts no retrain costs a night this long and no more."""
Alert = dict[str, str]


async def tell(flow: str, run: Any, outcome: RunOutcome) -> None:
    """Remember the night, post one message if there is something to hear, and see to a retrain. Never raises."""
    try:
        await _tell(flow, run, outcome)
    except Exception as error:
        prefect_run.run_logger().warning("alerts: %s: %s", type(error).__name__, " ".join(str(error).split()))


async def tell_incomplete(flow: str, run: Any, outcome: RunOutcome) -> None:
    """Post a message about a run that is no night, if it went on without a side stage."""
    log = prefect_run.run_logger()
    if run.trial or not outcome.missing:
        return
    row = night(run.tree, outcome) | {"flow": flow, "run": outcome.run}
    messages.post(message(row, _incomplete(outcome), outcome), log.warning)


async def _tell(flow: str, run: Any, outcome: RunOutcome) -> None:
    log, home = prefect_run.run_logger(), run.home
    if run.trial:
        return  # parameters of one run say nothing of the shop
    row = night(run.tree, outcome) | {"flow": flow, "run": outcome.run, "at": _now().isoformat(timespec="seconds")}
    before = diary.nights(home)
    alerts = pressing(run.tree, outcome, before, row)
    row["alerts"] = [f"{alert['kind']}: {alert['what']}" for alert in alerts]
    others = [past for past in before if past["night"] != row["night"]]
    due = diary.retrain_due(sorted([*others, row], key=lambda night_row: str(night_row["night"])))
    if flow == "deliver" and due:
        alerts.append(await see_to_retrain(home, run.tree, due))
        row["alerts"].append(f"retrain: {', '.join(due)}")
    heard: Any = next((past.get("alerts") for past in before if past["night"] == row["night"]), [])
    diary.add(home, row)
    for alert in alerts:
        log.warning("%s: %s (%s). %s", alert["kind"], alert["what"], alert["where"], alert["do"])
    if alerts and row["alerts"] != heard:
        messages.post(message(row, alerts, outcome), log.warning)
    prefect_run.table("nights", table(diary.nights(home)), "the last nights")


def night(tree: Path, outcome: RunOutcome) -> dict[str, Any]:
    """What is remembered of a night; the drift stage's verdict, the champion, the first figure."""
    drift, scored = _read(catalogue.DRIFT.at(tree)), _read(catalogue.SCORE_SUMMARY.at(tree))
    receipt = _read(catalogue.CHAMPION_RECEIPT.at(tree))
    columns = [column for column in drift.get("columns", ()) if column["drifted"]]
    return {
        "night": str(drift.get("as_of") or scored.get("as_of") or receipt.get("as_of") or _now().date()),
        "champion": receipt.get("version"),
        "published": outcome.published,
        "drifted": any(column["kind"] != "volume" for column in columns),
        "columns": [column["name"] for column in columns],
        "tested": bool(drift.get("tested")),
        "score": drift.get("score"),
        "limit": drift.get("limit"),
        "quality": next(({key: row[key] for key in ("task", "value", "low", "high")} for row in outcome.rows), None),
    }


def pressing(
    tree: Path, outcome: RunOutcome, before: Sequence[Mapping[str, Any]], row: Mapping[str, Any]
) -> list[Alert]:
    """What a person should hear of, most pressing first.

    before  the nights on record, oldest first; row  tonight's
    """
    drift = _read(catalogue.DRIFT.at(tree))
    alerts: list[Alert] = []
    if not outcome.published:
        what = "the run was kept but not published, so people still see the night before"
        alerts.append(
            _alert("nothing published", what, "dvc.lock", f"refs/runs/{outcome.run} holds it: its log says how")
        )
    alerts += _incomplete(outcome)
    fresh = drift.get("fresh") or {}
    if fresh.get("silent_days"):
        what = f"no events since {fresh['last_events']}; the last full day is {fresh['last_full_day']}"
        alerts.append(_alert("freshness", what, "events", "see whether the export of the source ran; then run nightly"))
    columns = [column for column in drift.get("columns", ()) if column["drifted"]]
    volume = [column for column in columns if column["kind"] == "volume"]
    drifted = [column for column in columns if column["kind"] != "volume"]
    for kind, chosen, do in (
        ("volume", volume, "ask the source for the missing rows first"),
        ("drift", drifted, "see Drift on the page: a fault of the data, or news?"),
    ):
        if chosen:
            more = f"; and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
            what = "; ".join(column["words"] for column in chosen[:NAMED]) + more
            where = ", ".join(dict.fromkeys(column["table"] for column in chosen))
            alerts.append(_alert(kind, what, where, do))
    return alerts + _quality(tree, before, row) + _experiments(tree, before)


def _experiments(tree: Path, before: Sequence[Mapping[str, Any]]) -> list[Alert]:
    """Each experiment that can be decided, on the first night on which it can."""
    heard = [str(said) for past in before for said in past.get("alerts") or ()]
    alerts = []
    for experiment in _read(catalogue.READOUT.at(tree)).get("experiments") or ():
        word = str(experiment["verdict"]["word"])
        what = f"{experiment['name']}: {word}"
        if word in DECIDED and not any(said.startswith(f"experiment: {what}") for said in heard):
            why = f"{what} ({experiment['verdict']['reason']})"
            alerts.append(_alert("experiment", why, "readout", "decide; its figures are on the page and at the desk"))
    return alerts


def _incomplete(outcome: RunOutcome) -> list[Alert]:
    """One alert for all that the run went on without."""
    if not outcome.missing:
        return []
    what = "; ".join(outcome.missing)
    where = ", ".join([*(lost.stage for lost in outcome.unavailable), *(["report"] if outcome.lacks else [])])
    do = f"the log of {outcome.run} says more; the next night tries again, and so does nightly by hand"
    return [_alert("incomplete", what, where, do)]


def _quality(tree: Path, before: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[Alert]:
    """Tonight's interval wholly below that of the night before, or wholly below the champion's on the same window."""
    now = row["quality"]
    if not now:
        return []
    earlier = [past for past in before if past.get("night") != row["night"] and past.get("quality")]
    do = "the champion stays as the gate said; look at Quality and at what came in"
    if earlier and now["high"] < earlier[-1]["quality"]["low"]:
        past = earlier[-1]["quality"]
        what = f"{now['task']} NDCG@10 {now['value']:.3f}, below {past['value']:.3f} of {earlier[-1]['night']}"
        return [_alert("quality", what, "evaluate", do)]
    decision = _read(catalogue.CHAMPION_DECISION.at(tree))
    difference = (decision.get("differences") or {}).get(now["task"]) or {}
    if decision.get("as_of") == row["night"] and decision.get("kind") == "champion" and difference.get("high", 0) < 0:
        what = f"tonight’s model is {-difference['value']:.3f} NDCG@10 below the champion on {now['task']}"
        return [_alert("quality", what, "register", do)]
    return []


def message(row: Mapping[str, Any], alerts: Sequence[Alert], outcome: RunOutcome) -> dict[str, Any]:
    """One message: what, where, what still serves, what to do."""
    lines = [f"{alert['kind']}: {alert['what']} [{alert['where']}]. What to do: {alert['do']}." for alert in alerts]
    still = f"Serving: champion {outcome.champion}; " + (
        "tonight is published." if outcome.published else "not published."
    )
    return {
        "text": "\n".join([f"nightmarket, night of {row['night']} ({row['flow']})", *lines, still]),
        "flow": row["flow"],
        "run": row["run"],
        "night": row["night"],
        "alerts": list(alerts),
        "champion": outcome.champion,
        "published": outcome.published,
    }


async def see_to_retrain(home: Path, tree: Path, due: Sequence[str]) -> Alert:
    """Start a retrain, at most one in a day, where params.yaml says so and a deployment is there; else recommend it."""
    why = f"{len(due)} of the last {diary.WINDOW} nights drifted ({', '.join(due)})"
    by_hand = "run retrain: Deployments → retrain → Run, or `python -m flows retrain`"
    last = diary.last_retrain(home)
    if last and _now() - datetime.datetime.fromisoformat(last) < ONE_DAY:
        return _alert("retrain", f"{why}; a retrain was started at {last}", "drift", "wait for it")
    if _wish(tree) != "start":
        return _alert("retrain", f"{why}; a retrain is due", "drift", by_hand)
    try:
        async with asyncio.timeout(ASK_S):
            link, run_id = await start_retrain(why)
    except Exception as error:
        prefect_run.run_logger().warning("the deployment %s cannot be started (%s)", RETRAIN, type(error).__name__)
        return _alert("retrain", f"{why}; a retrain is due, and could not be started", "drift", by_hand)
    diary.add(
        home, {"event": "retrain", "at": _now().isoformat(timespec="seconds"), "flow_run": run_id, "nights": list(due)}
    )
    return _alert("retrain", f"{why}; a retrain is started", "drift", f"nothing; it runs as {link}")


async def start_retrain(why: str) -> tuple[str, str]:
    """Ask for a run of the deployment `retrain`, which waits for the run lock; (its address, its id). The same day's
    second request is answered with the first run."""
    from prefect import get_client
    from prefect.settings import PREFECT_UI_URL

    async with get_client() as client:
        deployment = await client.read_deployment_by_name(RETRAIN)
        key = f"drift-{_now():%Y-%m-%d}"
        run = await client.create_flow_run_from_deployment(deployment.id, idempotency_key=key, tags=["drift"])
    address = PREFECT_UI_URL.value()
    return (f"{address}/runs/flow-run/{run.id}" if address else f"flow run {run.name}"), str(run.id)


def table(nights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The last nights for Prefect, newest first."""
    return [
        {
            "night": row["night"],
            "champion": row.get("champion"),
            "drift": _verdict(row),
            "columns": ", ".join(row.get("columns") or ()),
            "published": "yes" if row.get("published") else "no",
            "ndcg@10": (row.get("quality") or {}).get("value"),
        }
        for row in reversed(nights[-30:])
    ]


def _verdict(row: Mapping[str, Any]) -> str:
    if not row.get("tested"):
        return "not tested"
    return "drift" if row.get("drifted") else "volume" if row.get("columns") else "none"


def _wish(tree: Path) -> str:
    section = settings.sections(tree / "params.yaml").get("drift") or {}
    return str(section.get("retrain", "recommend"))


def _read(document: catalogue.Json) -> dict[str, Any]:
    try:
        return dict(document.read())
    except InputError:
        return {}


def _alert(kind: str, what: str, where: str, do: str) -> Alert:
    return {"kind": kind, "what": what, "where": where, "do": do}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
