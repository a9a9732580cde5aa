"""`make forget CUSTOMER=…`: a customer leaves the shop's data, every older copy of it, and their traces elsewhere.

On a terminal alone: a customer's id must not stand among the parameters of a flow run, which Prefect keeps.
"""

import argparse
import asyncio
import datetime
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import yaml

from flows.engine.privacy import purge, traces
from flows.engine.reporting import outbox
from flows.engine.run import lock, worktree
from flows.engine.run.lock import say
from flows.engine.server import server
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.intake.database import connector
from tasks.live import forgetting as live_site
from tasks.pipeline.unavailable import INCOMPLETE
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forget


def from_terminal(home: Path, arguments: list[str] | None, nightly: Callable[[], int]) -> int:
    """Exit code 0 when nothing names the customer any more, 1 when something does or a night failed."""
    parser = argparse.ArgumentParser(prog="python -m flows forget", description="Remove a customer everywhere.")
    parser.add_argument("--customer", required=True, help="the shop's own id; - reads it from standard input")
    given = parser.parse_args(arguments).customer
    customer = sys.stdin.readline().strip() if given == "-" else given
    if not customer:
        raise InputError("--customer: name the shop's own id of the customer")
    pseudonyms = of_customer(home, customer)
    forget(pseudonyms, datetime.date.today().isoformat())
    connector.remove()  # the night reads the database anew
    say("on the list: the customer is left out of every snapshot from now on; a night without them begins")
    if nightly() not in (0, INCOMPLETE):  # what a side stage did not write names nobody
        print("nightmarket: forget: the night failed, so older copies are still here; run this again", file=sys.stderr)
        return 1
    return asyncio.run(_remove(home, pseudonyms))


def of_customer(home: Path, customer: str) -> tuple[str, ...]:
    """The pseudonyms that this id has here under each key: one, and one per shop that keeps its customers apart."""
    params = yaml.safe_load((home / "params.yaml").read_text(encoding="utf-8")) or {}
    shops = (params.get("snapshot") or {}).get("folders") or []
    prefixes = ["", *(f"{shop['name']}:" for shop in shops)]
    hashed = Pseudonyms(customer_keys())
    return tuple(name for prefix in prefixes for name in hashed.under_each_key(customer, prefix))


async def _remove(home: Path, pseudonyms: Collection[str]) -> int:
    async with lock.by_hand(home, "forget"):
        name_them = purge.Snapshots(worktree.cache(home), pseudonyms).name_them
        purged = purge.purge(home, name_them, "names the customer", say)
        cleared = traces.from_database(server.database(home), pseudonyms)
        outbox.discard(home)
        said_by_site = live_site.forget(pseudonyms)
        rows = sum(traces.without_rows(path, pseudonyms) for path in _carried_away(home))
        pages = traces.without_pages(home, lambda path: bool(traces.names(path, pseudonyms)))
        say(f"{rows:,} rows of exports, {cleared:,} rows of Prefect's and {pages:,} pages of MLflow's removed")
        if said_by_site:
            say(f"{said_by_site:,} rows of the live site's log removed")
        for version in _versions(home, purged.commits):
            say(f"version {version} was trained on data with the customer; its data are gone, so it cannot be rebuilt")
        places, number = traces.search(home, pseudonyms)
    if places:
        print(f"nightmarket: forget: {len(places)} places still name the customer, first {places[0]}", file=sys.stderr)
        return 1
    say(f"searched {number:,} files and every commit: nothing names the customer")
    say("the source tables are the shop's own: remove the customer there too, and from files that were carried away")
    return 0


def _carried_away(home: Path) -> list[Path]:
    """Tables that lie outside DVC's care."""
    places = (home / "exports", home / ".nightmarket" / "set-aside")
    return [path for place in places for path in sorted(place.rglob("*")) if path.suffix in (".csv", ".parquet")]


def _versions(home: Path, commits: Collection[str]) -> list[str]:
    """Registered versions that were trained on these commits' data; each gets the tag data_removed."""
    if not (home / "mlruns" / "mlflow.db").exists():
        return []
    from tasks.registry import store

    registry = store.for_reading()
    trained = [version for version in registry.versions() if version.tags.get("commit") in commits]
    for version in trained:
        registry.tag(version, "data_removed", datetime.date.today().isoformat())
    storage.hook("forget.tagged")
    return [str(version.version) for version in trained]
