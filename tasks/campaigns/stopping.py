"""`python -m tasks.campaigns.stopping NAME --why …`: an exported campaign goes no further.

reads   exports/NAME/receipt.json
writes  exports/NAME/stopped.json

From then on its files are handed out no more, contacts of later days count no more towards anybody's limit, and whom
it kept back others may contact again. What was carried away before, a mail tool still holds: stop it there too.
"""

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks.campaigns import export, exported
from tasks.files import records, storage

RECEIPT = "receipt.json"
LEAST, MOST = 3, 500
"""Letters of a reason."""


def stop(home: Path, name: str, who: str, why: str) -> dict[str, Any]:
    """Stop it; its receipt. Raises InputError for no such export, no reason, or one that was stopped already."""
    export.check_name(name)
    folder, why = home / "exports" / name, " ".join(why.split())
    if not (folder / RECEIPT).exists():
        raise InputError(f"there is no exported campaign {name}")
    if not LEAST <= len(why) <= MOST:
        raise InputError("say why it is stopped: whoever planned it reads it")
    with export.one_at_a_time(home):
        exported.check_not_stopped(folder)
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        storage.write_json({"at": at, "who": who, "why": why}, folder / exported.STOPPED)
    receipt = dict(storage.read_json(folder / RECEIPT))
    known = {key: receipt.get(key, "") for key in ("flow", "name", "run", "commit", "plan_sha256")}
    line = {"at": at, "decision": "taken_back", **known, "name": name, "who": who, "why": why}
    records.append(home / ".nightmarket" / export.DECISIONS, line)
    return receipt


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tasks.campaigns.stopping", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the campaign, as below exports/")
    parser.add_argument("--why", required=True, help="goes on record")
    parser.add_argument("--who", default="", help="your name; goes on record")
    given = parser.parse_args(arguments)
    try:
        stop(storage.home(), given.name, given.who, given.why)
    except InputError as error:
        print(f"nightmarket: {error}", file=sys.stderr)
        return 2
    print(f"{given.name} is stopped; stop it in the mail tool too, which still holds what was carried there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
