"""`make rotate REASON=…`: every customer gets a new name, under a new key, and nothing of them is lost.

On a terminal alone, as `forget`. What was begun stands in `.nightmarket/rotating.json` until it is finished, so that
the same command finishes it after a kill; `.nightmarket/keys.jsonl` keeps who did it, when and why.
"""

import argparse
import asyncio
import datetime
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.engine.approval import approval
from flows.engine.forms import form
from flows.engine.privacy import purge, traces
from flows.engine.reporting import outbox
from flows.engine.retention import objects
from flows.engine.run import lock, worktree
from flows.engine.run.lock import say
from flows.engine.server import server
from nightmarket.contracts import InputError
from tasks.files import manifest, records, storage
from tasks.live import forgetting as live_site
from tasks.pipeline.unavailable import INCOMPLETE
from tasks.privacy import renaming
from tasks.privacy.pseudonyms import add_key, customer_keys, key_id

BEGUN, RECORD = "rotating.json", "keys.jsonl"


def from_terminal(home: Path, arguments: list[str] | None, nightly: Callable[[], int]) -> int:
    """Exit code 0 when it is done, 1 when a night failed and the command is to be run again."""
    parser = argparse.ArgumentParser(prog="python -m flows rotate", description="A new key for customers' names.")
    parser.add_argument("--reason", required=True, help="goes on record")
    parser.add_argument("--who", default=getpass.getuser(), help="goes on record; without: the system's user")
    parser.add_argument("--leaked", action="store_true", help="a key got out: every copy under older keys goes")
    given = vars(parser.parse_args(arguments))
    for name, kind in (("reason", form.Reason), ("who", form.Who)):
        try:
            TypeAdapter(kind).validate_python(given[name])
        except ValidationError as error:
            raise InputError(f"--{name}: {error.errors()[0]['msg']}") from None
    begun = asyncio.run(_locked(home, lambda: _begin(home, given)))
    say(f"new key {begun['to']} (before: {begun['from']}); a night under the new names begins")
    if nightly() not in (0, INCOMPLETE):  # what a side stage did not write names nobody
        print("nightmarket: rotate: the night failed; run this again to go on", file=sys.stderr)
        return 1
    asyncio.run(_locked(home, lambda: _end(home, begun)))
    return 0


async def _locked(home: Path, work: Callable[[], Any]) -> Any:
    async with lock.by_hand(home, "rotate"):
        return work()


def _begin(home: Path, given: dict[str, Any]) -> dict[str, Any]:
    """A new key, on record, and exports under the new names; what was begun before is gone on with."""
    journal = storage.private(BEGUN)
    if journal.exists():
        begun = dict(storage.read_json(journal))
        say(f"going on with what {begun['who']} began at {begun['at']}: {begun['reason']}")
        begun["leaked"] = begun["leaked"] or given["leaked"]
    else:
        _require_decided(home)
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        begun = {"at": at, "from": key_id(customer_keys()), **given}
    storage.write_json(begun, journal)
    storage.hook("rotate.begun")
    if key_id(customer_keys()) == begun["from"]:
        add_key()
    begun["to"] = key_id(customer_keys())
    noted = {name: begun[name] for name in ("at", "who", "reason", "leaked", "from", "to")}
    records.append_once(storage.private(RECORD), noted)
    storage.hook("rotate.recorded")
    return begun


def _end(home: Path, begun: dict[str, Any]) -> None:
    """After a leak every copy under an older key goes; then it is finished."""
    _require_decided(home)
    if begun["leaked"]:
        exports = renaming.exports(home, customer_keys())
        gone = purge.purge(home, Older(worktree.cache(home), begun["to"]).must_go, "has an older key", say)
        noted = traces.clear_database(server.database(home))
        outbox.discard(home)
        carried = live_site.carry_over(customer_keys())
        pages = _without_older_pages(home)
        say(f"{exports} exports renamed; {noted:,} rows of Prefect's and {pages:,} pages of MLflow's removed")
        if carried:
            say(f"{carried:,} rows of the live site's log renamed")
        say(f"{len(gone.commits)} runs had snapshots under older keys; they can be looked at, not rebuilt")
        for name in ("set-aside", "damaged"):
            if left := [path for path in (home / ".nightmarket" / name).rglob("*") if path.is_file()]:
                say(f".nightmarket/{name} holds {len(left)} files that may carry older names: look, and remove them")
        say("files that were carried away, backups and other checkouts are out of reach: remove them there")
    else:
        say("older runs and exports keep their older names, and the older keys stay, so that both can be read")
    storage.hook("rotate.ending")
    storage.private(BEGUN).unlink()
    say(f"done; names are under key {begun['to']}. Back up .nightmarket/customer.key: only it links names to customers")


def _require_decided(home: Path) -> None:
    """InputError while a plan under the names of before waits for approval."""
    if waiting := sorted((home / ".nightmarket" / approval.UNDECIDED).glob("*")):
        raise InputError(f"{len(waiting)} plans wait for a decision, first {waiting[0].name}; decide, then again")


class Older:
    """Which snapshots were taken under another key than the present one."""

    def __init__(self, cache: Path, present: str) -> None:
        self.cache, self.present = cache, present

    def must_go(self, md5: str) -> bool:
        """Of a snapshot's folder; one that cannot be read is taken to be older."""
        about = objects.listed(self.cache, md5).get("snapshot.json", "")
        try:
            return json.loads(objects.path(self.cache, about).read_bytes()).get("key_id") != self.present
        except (OSError, ValueError):
            return True


def _without_older_pages(home: Path) -> int:
    """Delete the morning pages on record but the last night's; how many."""
    now = home / "artifacts" / "report" / "index.html"
    keep = manifest.digest(now) if now.exists() else ""
    return traces.without_pages(home, lambda path: manifest.digest(path) != keep)
