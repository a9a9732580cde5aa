"""Hand an approved plan of contacts to mail and ad tools: exports/NAME/ in the checkout. A step: people carry it away.

reads   a folder with plan.parquet, eligible.parquet and summary.json, as `plan` and `launch` write them, and
        copy.parquet, as `compose` does
writes  exports/NAME   send.csv, send.parquet      what goes out, and to whom
                       copy.csv, copy.parquet      its texts, where there are any
                       holdout.csv, holdout.parquet   what those kept back would have got, with propensities
                       eligible.parquet               the arm of everybody who could have been contacted
                       summary.json, receipt.json

Consent is asked at this moment: who withdrew it, unsubscribed or was forgotten since the plan was made is in no file,
of neither arm, and the receipt counts them. So are contacts that a campaign which was exported since leaves no room
for, and whom it keeps back. Exports follow one after the other.

The folder appears whole or not at all, and an exported name is never written over.
"""

import contextlib
import datetime
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from tasks.campaigns import control, exported, withdrawals
from tasks.files import catalogue, locks, storage
from tasks.files.spreadsheet import write_csv

PLAN, ELIGIBLE, SUMMARY = "plan.parquet", "eligible.parquet", "summary.json"
FILES = (PLAN, ELIGIBLE, SUMMARY)
TEXTS = "copy.parquet"
SEND, HOLDOUT = "send", "holdout"
DECISIONS = "decisions.jsonl"
"""The record of what was decided, in .nightmarket."""
NAME = r"^[0-9A-Za-z一-鿿][0-9A-Za-z一-鿿_-]{0,59}$"
"""Letters, digits, Chinese characters, - and _; the first one is a letter or digit. No path can be made of it."""

FIRST = ("customer_id", "channel", "day", "slot", "offer", "offer_kind", "segment")
"""What a mail tool asks for comes first in a file."""

NEEDED = (*FIRST, "probability", "expected_value", "cost", "expected_profit", "propensity", "arm")


def check_name(name: str) -> None:
    """InputError for a name that a path could be made of."""
    if not re.fullmatch(NAME, name):
        raise InputError("name: letters, digits, - and _ only (Chinese characters too), 1 to 60, no sign at the start")


def folder(home: Path, name: str) -> Path:
    """Where a name is exported to; InputError for a name that could be a path, or that was exported before."""
    check_name(name)
    target = home / "exports" / name
    if target.exists():
        raise InputError(f"name: exports/{name} is there already, and nothing is written over; choose another name")
    return target


def digest(planned: Path) -> str:
    """SHA-256 over the plan's files and its texts: what was approved is what is exported."""
    whole = hashlib.sha256()
    for name in (*FILES, *([TEXTS] if (planned / TEXTS).exists() else [])):
        try:
            whole.update(hashlib.sha256((planned / name).read_bytes()).digest())
        except FileNotFoundError:
            raise InputError(f"{planned / name} is missing; plan again") from None
    return whole.hexdigest()


def read(planned: Path) -> pa.Table:
    """The plan's rows, what a mail tool asks for first.

    Raises InputError for a missing column, an unknown arm, or a customer who is to be sent to and held out: what is
    learned from the holdout would be wrong.
    """
    table = storage.read_table(planned / PLAN)
    if missing := [name for name in NEEDED if name not in table.column_names]:
        raise InputError(f"{PLAN} has no column {', '.join(missing)}; plan again")
    arms = set(pc.unique(table["arm"]).to_pylist())
    if not arms <= {SEND, HOLDOUT}:
        raise InputError(f"{PLAN}: arm is {SEND} or {HOLDOUT}; there are {len(arms - {SEND, HOLDOUT})} other values")
    held = table.filter(pc.equal(table["arm"], HOLDOUT))["customer_id"]
    sent = table.filter(pc.equal(table["arm"], SEND))["customer_id"]
    everybody = storage.read_table(planned / ELIGIBLE, ["customer_id", "arm"])
    kept = everybody.filter(pc.equal(everybody["arm"], HOLDOUT))["customer_id"]
    held = pa.chunked_array([*held.chunks, *kept.chunks], pa.string())
    both = pc.sum(pc.is_in(pc.unique(sent), value_set=held.combine_chunks())).as_py() or 0
    if both:
        raise InputError(f"{PLAN}: {both} customers are in the holdout and are sent to; plan again")
    rest = [name for name in table.column_names if name not in FIRST]
    return table.select([*FIRST, *rest])


def export(planned: Path, home: Path, name: str, *, approved: str, receipt: Mapping[str, Any], excel: bool) -> Path:
    """Write exports/NAME from the plan with the digest `approved`; returns the folder.

    receipt   who approved, when and what; the files with their rows and SHA-256 are added
    excel     a byte-order mark before the CSV's UTF-8, without which Excel garbles Chinese

    Raises InputError when the plan is not the one that was approved, the name is taken, nothing says that anybody may
    be contacted, or the lists of who may not cannot be read again.
    """
    with one_at_a_time(home):
        return _export(planned, home, name, approved=approved, receipt=receipt, excel=excel)


@contextlib.contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """Nobody else exports, or takes an export back, meanwhile."""
    path = home / ".nightmarket" / "export.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        locks.take(lock)
        yield


def _export(planned: Path, home: Path, name: str, *, approved: str, receipt: Mapping[str, Any], excel: bool) -> Path:
    target = folder(home, name)
    if digest(planned) != approved:
        raise InputError("the plan changed after it was approved, so it is not exported; plan and approve again")
    table, everybody = read(planned), storage.read_table(planned / ELIGIBLE)
    said = storage.read_json(planned / SUMMARY).get("consent")
    consent.check(said)
    customers = {*table["customer_id"].to_pylist(), *everybody["customer_id"].to_pylist()}
    lists = withdrawals.read_again(home, customers, said)
    taken_out = lists.taken_out(table.filter(pc.equal(table["arm"], SEND)))
    table = table.filter(pa.array(lists.of(table) == consent.ALLOWED))
    everybody = everybody.filter(pa.array(lists.anywhere(everybody["customer_id"].to_pylist())))
    known = storage.read_json(planned / SUMMARY).get("exported")
    if known is not None:
        free, clashing = _without_clashes(home, table, known)
        fallen = pc.unique(table.filter(pc.invert(pc.is_in(table["customer_id"], free["customer_id"])))["customer_id"])
        everybody = everybody.filter(pc.invert(pc.is_in(everybody["customer_id"], fallen)))
        taken_out = {key: taken_out[key] + clashing[key] for key in ("contacts", "customers")} | {
            "reasons": taken_out["reasons"] | clashing["reasons"]
        }
        table = free
    with storage.whole_folder(target) as draft:
        files: dict[str, dict[str, Any]] = {}
        for arm in (SEND, HOLDOUT):
            rows = table.filter(pc.equal(table["arm"], arm))
            rows = rows.drop_columns("arm") if arm == SEND else rows
            storage.write_table(rows, draft / f"{arm}.parquet")
            write_csv(rows, draft / f"{arm}.csv", excel)
            files |= {f"{arm}{suffix}": {"rows": rows.num_rows} for suffix in (".csv", ".parquet")}
        if (planned / TEXTS).exists():
            texts = storage.read_table(planned / TEXTS)
            storage.write_table(texts, draft / TEXTS)
            write_csv(texts, draft / "copy.csv", excel)
            files |= {file: {"rows": texts.num_rows} for file in (TEXTS, "copy.csv")}
        storage.write_table(everybody, draft / ELIGIBLE)
        shutil.copyfile(planned / SUMMARY, draft / SUMMARY)
        files |= {ELIGIBLE: {"rows": everybody.num_rows}, SUMMARY: {}}
        for file, facts in files.items():
            facts["sha256"] = hashlib.sha256((draft / file).read_bytes()).hexdigest()
        written = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        more = {"name": name, "exported_at": written, "plan_sha256": approved, "files": files, **_key(home)}
        asked = {"taken_out": taken_out, "lists": lists.rows}
        storage.write_json({**receipt, **asked, **more}, draft / "receipt.json")
    return target


def _without_clashes(home: Path, table: pa.Table, known: Mapping[str, Any]) -> tuple[pa.Table, dict[str, Any]]:
    """The rows that campaigns exported since leave room for, without the control group, and what of the contacts falls:
    as `taken_out`.

    known  of the plan's summary, `exported`: the campaigns that it was made with
    """
    names = set(table["customer_id"].to_pylist())
    since = exported.exported(home, known["known"])
    codes = exported.clashes(table, since, known["protect_days"], control.inside(home, names))
    sent = pc.equal(table["arm"], SEND).to_numpy(zero_copy_only=False)
    customer = np.array(table["customer_id"].to_pylist(), object)
    reasons = {
        words: len({*customer[sent & (codes == code)].tolist()})
        for code, words in exported.REASONS.items()
        if (sent & (codes == code)).any()
    }
    falls = sent & (codes != exported.FREE)
    counts = {"contacts": int(falls.sum()), "customers": len({*customer[falls].tolist()}), "reasons": reasons}
    return table.filter(pa.array(codes == exported.FREE)), counts


def _key(home: Path) -> dict[str, str]:
    """Which key the customers' names are under, as the last night's snapshot says."""
    about = catalogue.SNAPSHOT.at(home)
    return {"key_id": about.read()["key_id"]} if about.exists() else {}
