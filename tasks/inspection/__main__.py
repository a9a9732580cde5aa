"""`python -m tasks.inspection FOLDER`: what lies in a folder of exports, and the section `snapshot` that reads it.

It says which file is which table, proposes the settings, tries them on the first part of each file and counts what
would be set aside. Nothing is written; `--yaml` prints the section alone.
"""

import argparse
import logging
import os
import sys
import time
import traceback
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.inspection import capabilities, pages, proposal, trial
from tasks.intake import listing

BAD_INPUT = 2
PATIENCE = 5.0
"""Seconds without a word."""


class Progress:
    """A line now and then, once it takes longer than PATIENCE."""

    def __init__(self) -> None:
        self.last = time.monotonic() + PATIENCE - 2.0

    def __call__(self, words: str) -> None:
        if time.monotonic() - self.last > 2.0:
            self.last = time.monotonic()
            print(f"inspect: {words} …", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Print all; exit code 2 where the folder cannot be read, or a night would not take it as proposed."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.inspection", description="What lies in a folder of exports, and how to read it."
    )
    parser.add_argument("folder", help="where the exports lie")
    parser.add_argument("--products", choices=("one", "prices"), default="one",
                        help="of sales that name no product: one for all, or one per price")  # fmt: skip
    parser.add_argument("--yaml", action="store_true", help="print the section alone")
    given = parser.parse_args(arguments)
    logging.getLogger("nightmarket").setLevel(logging.ERROR)
    try:
        code = _inspect(given)
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"nightmarket: inspect: {error}", file=sys.stderr)
    except BrokenPipeError:  # whoever reads has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("nightmarket: inspect: interrupted; nothing was written", file=sys.stderr)
    except Exception as error:  # a folder may hold anything; whoever looks at it wants no traceback
        what = f"stopped at what it did not expect ({type(error).__name__}, {_place(error)})"
        advice = "take files out of the folder one by one to see which it is"
        print(f"nightmarket: inspect: {what}; {advice}", file=sys.stderr)
    return BAD_INPUT


def _place(error: BaseException) -> str:
    """Where it happened, without a value: the last line of ours."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _inspect(given: argparse.Namespace) -> int:
    if not given.folder.strip():
        raise InputError("which folder? Name it: make inspect FOLDER=/path/to/your/export")
    folder = Path(given.folder).expanduser().absolute()
    if not folder.is_dir():
        what = "is a file; name the folder that it lies in" if folder.exists() else "there is no such folder"
        raise InputError(f"{folder}: {what}")
    say = Progress()
    listed = []
    for bundle in listing.bundles(folder):
        listed.append(bundle)
        say(f"{len(listed):,} kinds of files seen, now {bundle.title}")
    try:
        made = proposal.propose(folder, listed, given.products)
    except proposal.NothingToReadError as error:
        if not given.yaml:
            print("\n".join(pages.unused(error.unused)))
        raise
    content = proposal.section(made, str(folder))
    tried = trial.attempt(content, folder, say)
    if tried.units and not made.settings.get("units"):
        made.settings["units"] = tried.units
        made.check("units", "amounts and list prices are in different units: " + tried.problems[-1].partition(":")[2])
        content = proposal.section(made, str(folder))
        tried = trial.attempt(content, folder, say)
    section = [*pages.section(content, made.checks)]
    if given.yaml:
        print("\n".join(section))
        return 0 if tried.good else BAD_INPUT
    lines = [f"{folder}", "", *pages.files(made, tried), ""]
    lines += ["Put this into params.yaml, in place of its section snapshot:", "", *section, ""]
    lines += [*pages.rows(made, tried)]
    lines += ["What was understood, and what would be set aside", *pages.understood(tried), ""]
    lines += [*pages.offering(capabilities.capabilities(tried)), "", f"Next: {_next(made, tried)}"]
    print("\n".join(lines))
    return 0 if tried.good else BAD_INPUT


def _next(made: proposal.Proposal, tried: trial.Trial) -> str:
    """One clear step."""
    if not tried.good:
        return "see to the lines that begin with !, then run this again."
    looked = ", look at the lines marked CHECK" if made.checks else ""
    return f"put the section into params.yaml{looked}, then run `make nightly`."


if __name__ == "__main__":
    sys.exit(main())
