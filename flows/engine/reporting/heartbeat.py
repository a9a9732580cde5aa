"""Alarm when no night has started for too long; run by a timer of its own, for what starts nights may be what is gone.

A night leaves its start in .nightmarket/started.json; a silence is told once, and again after as long as was too long.
"""

import argparse
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.engine.reporting import messages
from flows.engine.reporting.outcome import champion_in_words
from flows.engine.run.lock import say
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import settings

STARTED, TOLD = ".nightmarket/started.json", ".nightmarket/silence.json"
SILENT = 1


def started(home: Path, run: str) -> None:
    """A night begins now."""
    storage.write_json({"run": run, "at": _now().isoformat(timespec="seconds")}, home / STARTED)


def from_terminal(home: Path, arguments: Sequence[str] | None) -> int:
    """Exit code 1, one line and one message to the webhook, where no night has started for so many hours; else 0."""
    parser = argparse.ArgumentParser(prog="python -m flows heartbeat", description=str(__doc__).splitlines()[0])
    parser.add_argument("--hours", type=float, help="that may pass from one start to the next (default: params.yaml)")
    asked = parser.parse_args(arguments).hours
    if asked is not None and not asked > 0:
        raise InputError(f"--hours must be above 0; found {asked:g}")
    hours = settings.heartbeat(home / settings.PARAMS).hours if asked is None else asked
    if hours is None:
        say("heartbeat.hours is null in params.yaml, so nobody is told")
        return 0
    last = _read(home / STARTED)
    silence = _now() - datetime.datetime.fromisoformat(last["at"]) if last else None
    if silence is not None and silence < datetime.timedelta(hours=hours):
        say(f"{last['run']} started {_hours(silence)} ago; {hours:g} hours may pass")
        return 0
    since = f"for {_hours(silence)}, since {last['run']}" if silence is not None else "in this checkout yet"
    still = champion_in_words(home)
    text = (
        f"nightmarket: no night has started {since}; {hours:g} hours may pass (heartbeat.hours). Serving: {still}. "
        "What to do: see whether `make ui`, or the timer that starts nights, is up on that machine; run `make nightly`"
    )
    say(text)
    told = _read(home / TOLD)
    again = not told or told.get("last") != last.get("at") or _age(told) >= datetime.timedelta(hours=hours)
    body = {"text": text, "flow": "heartbeat", "last": last.get("at"), "hours": hours, "champion": still}
    if again and messages.post(body, _warn):
        storage.write_json({"last": last.get("at"), "at": _now().isoformat(timespec="seconds")}, home / TOLD)
    return SILENT


def _warn(text: str, *values: object) -> None:
    say(text % values)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(storage.read_json(path))
    except InputError:
        return {}


def _age(told: dict[str, Any]) -> datetime.timedelta:
    return _now() - datetime.datetime.fromisoformat(told["at"])


def _hours(passed: datetime.timedelta) -> str:
    return f"{passed.total_seconds() / 3600:.1f} hours"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
