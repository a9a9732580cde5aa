"""Approval on a terminal: the figures, a question, an answer from the keyboard or from the command line."""

import argparse
import asyncio
import contextlib
import re
import sys
import threading
from typing import Any

import yaml

from nightmarket.contracts import InputError
from tasks.desk import accounts
from tasks.files import storage

DESK_ONLY = "the desk has accounts, so a plan is started and approved there: `make ui`"
MARKED = r"\\([|<>\[\]`*_\\#])"
"""What markdown escapes and a terminal shows as it is."""


def parameters(flow: Any, arguments: list[str] | None) -> dict[str, Any]:
    """A flow's parameters from a command line whose options are those of its form; how approval is asked is set up.

    Lists take several words; what is neither a word nor a number is YAML. Raises InputError, in one line, for a value
    that the form would refuse, and where nobody could answer.
    """
    from prefect.exceptions import ParameterTypeError
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(flow.fn)
    parser = argparse.ArgumentParser(prog=f"python -m flows {flow.name}", description=flow.description.splitlines()[0])
    for name, field in schema.properties.items():
        more = {"nargs": "*"} if field.get("type") == "array" else {}
        about = {"metavar": "VALUE", "help": _help(field).replace("%", "%%")}
        parser.add_argument(f"--{name.replace('_', '-')}", required=name in (schema.required or ()), **more, **about)
    parser.add_argument("--approve", metavar="YOUR_NAME", help="approve without being asked; the name goes on record")
    parser.add_argument("--note", default="", help="goes on record with it")
    given = vars(parser.parse_args(arguments))
    _who_answers(given.pop("approve"), given.pop("note"))
    fields = schema.properties
    named = {name: _value(name, value, fields[name]) for name, value in given.items() if value is not None}
    try:
        return dict(flow.validate_parameters(named) and named)
    except ParameterTypeError as error:
        lines = [line.strip(" -") for line in str(error).splitlines()[1:] if line.strip()]
        raise InputError("; ".join(lines) or " ".join(str(error).split())) from None


def _help(field: dict[str, Any]) -> str:
    """What a field of a form is for, what it may be, and what it is without being told."""
    may = f" One of {', '.join(map(str, field['enum']))}." if "enum" in field else ""
    without = field.get("default")
    return f"{field.get('description', '')}{may}" + (
        f" (default: {without})" if without not in (None, "", [], {}) else ""
    )


def _value(name: str, given: Any, field: dict[str, Any]) -> Any:
    if isinstance(given, list):
        return [_value(name, part, field.get("items", {})) for part in given]
    if "string" in {part.get("type") for part in (field, *field.get("anyOf", ()))}:
        return given
    try:
        return yaml.safe_load(given)
    except (yaml.YAMLError, ValueError):
        raise InputError(f"--{name.replace('_', '-')}: the value is not valid YAML") from None


def _who_answers(approve: str | None, note: str) -> None:
    if accounts.on(storage.home()):
        raise InputError(DESK_ONLY)
    if approve is None and not sys.stdin.isatty():
        raise InputError("nobody can be asked here: add --approve YOUR_NAME, or start it in the Prefect UI")
    if approve is not None and len(approve.strip()) < 2:
        raise InputError("--approve: say who approves, in two letters or more")
    _answer_with(approve, note)


def _answer_with(approve: str | None, note: str) -> None:
    """From here on flows ask on this terminal, or take the given answer."""
    from flows.engine.approval.approval import IN_TERMINAL, Approval

    async def given(question: str) -> Approval:
        return Approval(approve="yes", who=str(approve), note=note)

    async def asked(question: str) -> Approval:
        return await _from_keyboard(question)

    IN_TERMINAL.set(given if approve is not None else asked)


async def _from_keyboard(question: str) -> Any:
    """Wait for the keyboard in a thread that nobody waits for: Ctrl-C and the time-out end the run at once."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def deliver(done: Any) -> None:
        if not answered.done():
            done()

    def work() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            try:
                answer = _ask(question)
                loop.call_soon_threadsafe(deliver, lambda: answered.set_result(answer))
            except EOFError:
                gone = InputError("the terminal was closed before anybody decided")
                loop.call_soon_threadsafe(deliver, lambda: answered.set_exception(gone))

    threading.Thread(target=work, daemon=True).start()
    return await answered


def _ask(question: str) -> Any:
    from flows.engine.approval.approval import Approval

    print(f"\n{re.sub(MARKED, lambda marked: marked[1], question)}\n", flush=True)
    word = ""
    while word not in ("y", "yes", "n", "no"):
        word = input("Export this? [y/n] ").strip().lower()
    who = ""
    while len(who) < 2:
        who = input("Your name: ").strip()[:80]
    return Approval(approve="yes" if word[0] == "y" else "no", who=who, note=input("Note (may be empty): ")[:500])
