"""`python -m flows X`: a flow from a terminal, on a Prefect server that is up or on one of its own."""

import argparse
import datetime
import difflib
import functools
import getpass
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.engine.approval import questions
from flows.engine.forms import form, signature
from flows.engine.run import overrides, worktree
from flows.engine.server import keeper
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import settings

ASKING = ("campaign", "launch")
ALONE = {
    "find": "flows.engine.forms.lookup",
    "prune": "flows.engine.retention.prune",
    "heartbeat": "flows.engine.reporting.heartbeat",
    "backup": "flows.engine.backup.backup",
    "restore": "flows.engine.backup.restore",
    "forget": "flows.engine.privacy.forgetting",
    "rotate": "flows.engine.privacy.rotation",
}
"""Those that read their own options; `forget` and `rotate` have a night of their own, the others no run, no server."""
BY_OPTIONS = ("nightly", "retrain", "deliver", "tune", "reproduce", "promote", "rollback")
FLOWS = (*BY_OPTIONS, *ASKING, *ALONE)
HELP = {"-h", "--help"}


def hand_over(flow: str) -> None:
    """`python -m flows.X` becomes `python -m flows X`, which starts the server before it imports Prefect."""
    os.execv(sys.executable, [sys.executable, "-m", "flows", flow, *sys.argv[1:]])


def main(flow: str = "", arguments: list[str] | None = None) -> int:
    """Run the flow; exit code 0, 1 with one line on stderr, 2 where a parameter or a setting is wrong, 3 without a side
    stage."""
    arguments = sys.argv[2:] if arguments is None else arguments
    try:
        if flow in HELP:
            print(signature.overview(FLOWS), flush=True)
            return 0
        if flow not in FLOWS:
            near = difflib.get_close_matches(flow, FLOWS, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"there is no such flow; {meant}there are {', '.join(FLOWS)}")
        return _begin(flow, arguments, storage.home())
    except InputError as error:
        print(f"nightmarket: {flow}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"nightmarket: {flow}: stopped; what had finished is in the cache", file=sys.stderr)
        return 130


def _begin(flow: str, arguments: list[str], home: Path) -> int:
    """Read the options and check all settings, which takes a second; then run."""
    help_alone = bool(HELP & {*arguments})
    if flow in BY_OPTIONS:
        parameters = _parameters(flow, arguments)
        changes = dict(parameters.get("overrides", {}))
        if day := parameters.get("business_date"):
            changes["snapshot.business_date"] = day
        overrides.check(home, flow, changes)
        return _run(flow, lambda _: parameters)
    if not help_alone:
        overrides.check(home, flow)
    if flow in ASKING:  # their options are those of the form, so the flow is read first
        if help_alone:
            questions.parameters(getattr(importlib.import_module(f"flows.{flow}"), flow), arguments)
        return _run(flow, lambda form_flow: questions.parameters(form_flow, arguments))
    module = importlib.import_module(ALONE[flow])
    if flow in ("forget", "rotate"):
        return int(module.from_terminal(home, arguments, functools.partial(_run, "nightly", lambda _: {})))
    return int(module.from_terminal(home, arguments))


def _parameters(flow: str, arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=f"python -m flows {flow}", description=signature.about(flow))
    if flow == "tune":
        _add_tune(parser)
    elif flow in ("reproduce", "promote", "rollback"):
        _add_version(flow, parser)
    else:
        if flow == "nightly":
            what = "the night being prepared: rows from this day on are left out; without: all there is"
            parser.add_argument("--business-date", metavar="YYYY-MM-DD", help=what)
        stages = f"run this stage anyway, again and again for several; one of {', '.join(settings.STAGES)}"
        parser.add_argument("--force", action="append", choices=settings.STAGES, metavar="STAGE", help=stages)
        parser.add_argument("--strict", action="store_true", default=None, help="any stage that fails ends the run")
        what = "for this run only, as rank.seed=18; again and again for several: docs/reference/parameters.md"
        parser.add_argument("--set", action="append", metavar="SECTION.KEY=VALUE", help=what)
    parser.add_argument("--wait-minutes", type=float, metavar="NUMBER", help="how long to wait for another run")
    known = signature.defaults(flow)
    for action in parser._actions:
        if known.get(action.dest) not in (None, "", False):
            action.help = f"{action.help} (default: {known[action.dest]})"
    given = {key: value for key, value in vars(parser.parse_args(arguments)).items() if value is not None}
    _check_date(given.get("business_date"))
    for option, name in (("set", "overrides"), ("space", "space")):
        if option in given:
            given[name] = dict(overrides.parse(assignment) for assignment in given.pop(option))
    for name, kind in (("version", form.Version), ("reason", form.Reason), ("who", form.Who)):
        try:
            TypeAdapter(kind).validate_python(given[name]) if name in given else None
        except ValidationError as error:
            raise InputError(f"--{name}: {error.errors()[0]['msg']}") from None
    return given


def _add_tune(parser: argparse.ArgumentParser) -> None:
    what = "as rank.num_leaves='[31, 255]' or rank.learning_rate='{low: 0.03, high: 0.2, log: true}'"
    parser.add_argument("--space", action="append", metavar="SECTION.KEY=RANGE", help=what)
    parser.add_argument("--trials", type=int, metavar="NUMBER", help="how many in all")
    parser.add_argument("--metric", metavar="'TASK FIGURE'", help="what trials are judged by")
    parser.add_argument("--windows", nargs="+", metavar="MONDAY", help="where the windows end, before the test window")
    parser.add_argument("--minutes", type=float, metavar="NUMBER", help="no trial begins after so many minutes")
    parser.add_argument("--seed", type=int, metavar="NUMBER", help="of the sampler")
    parser.add_argument("--name", help="of the search; one that was killed goes on under its name")


def _add_version(flow: str, parser: argparse.ArgumentParser) -> None:
    if flow != "rollback":
        without = "; without: the champion" if flow == "reproduce" else ""
        what = f"number of the version{without}"
        parser.add_argument("--version", type=int, metavar="NUMBER", required=not without, help=what)
    if flow != "reproduce":
        parser.add_argument("--reason", required=True, help="goes on record")
        parser.add_argument("--who", default=getpass.getuser(), help="goes on record; without: the system's user")


def _check_date(text: str | None) -> None:
    try:
        datetime.datetime.strptime(text or "2000-01-01", "%Y-%m-%d")
    except ValueError:
        raise InputError(f"--business-date {text}: expected a date as YYYY-MM-DD") from None


def _run(flow: str, read: Callable[[Any], dict[str, Any]]) -> int:
    started = time.perf_counter()
    home = storage.home()
    if not (home / "dvc.yaml").exists():
        raise InputError(f"{home} holds no dvc.yaml; run from the folder of the checkout")
    worktree.require_own(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with keeper.some_server(home) as own:
        module = importlib.import_module(f"flows.{flow}")  # Prefect is imported while the server starts
        from flows.engine.reporting import outcome, prefect_run

        form_flow = getattr(module, flow)
        parameters = read(form_flow)
        if own:
            own.give_it_time()
        with prefect_run.on_terminal(form_flow, parameters, own=own is not None) as told:
            state = outcome.ended(form_flow, parameters, told)
        return _tell(flow, state, time.perf_counter() - started)


def _tell(flow: str, state: Any, seconds: float) -> int:
    if not state.is_completed():
        print(f"nightmarket: {flow}: {state.message}", file=sys.stderr)
        return 1
    failures = getattr(state.data, "failures", "")
    how = f"{failures} ({seconds:.1f} s)" if failures else f"done in {seconds:.1f} s"
    print("\n".join(["", *state.data.lines(), f"{flow} {how}"]), flush=True)
    return getattr(state.data, "exit_code", 0)
