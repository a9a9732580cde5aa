"""A question to the catalogue, from the form or from a terminal: its values checked, answered in this process.

Nothing is trained, changed or waited for, so there is no run, no lock and, on a terminal, no server.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from flows.engine.run import overrides
from tasks.find import SearchAnswer, Settings, answer
from tasks.pipeline import settings

UNSAID: tuple[Any, ...] = (None, "", [], ())
"""Values that leave a setting as params.yaml has it."""


def ask(home: Path, given: Mapping[str, Any]) -> SearchAnswer:
    """The answer on what the last night left; InputError, in one line, for a value that the settings refuse."""
    changes = {f"find.{key}": value for key, value in given.items() if value not in UNSAID}
    content = overrides.checked(settings.sections(home / "params.yaml"), changes)
    section = settings.check(content, "find")
    assert isinstance(section, Settings)
    return answer(home, section)


def from_terminal(home: Path, arguments: list[str] | None) -> int:
    """`python -m flows find --query …`: a short table; exit code 0, or 3 where nothing was found."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(prog="python -m flows find", description="Find products by a line of text.")
    for name, field in Settings.model_fields.items():
        choices = f"; one of {', '.join(get_args(field.annotation))}" if name == "method" else ""
        default = field.get_default()
        without = f" (default: {default})" if default not in (*UNSAID, False, 0) else ""
        about: dict[str, Any] = {"help": f"{field.description}{choices}{without}".replace("%", "%%")}
        about["metavar"] = "VALUE"
        if name == "brands":
            about["nargs"] = "*"
        if name == "excel":
            about = {"help": about["help"], "action": "store_true"}
        parser.add_argument(f"--{name.replace('_', '-')}", required=name == "query", **about)
    answered = ask(home, vars(parser.parse_args(arguments)))
    print("\n".join([*answered.lines(), f"find done in {time.perf_counter() - started:.1f} s"]), flush=True)
    return 0 if answered.rows else 3
