"""Fetch the source's tables into data/raw, with keyed hashes for customers.

reads   the demo package, or the folder named in params.yaml
writes  data/raw/*.parquet   contract columns, rows in the source's order, times in UTC
        data/raw/snapshot.json   where it came from, how many rows, sha256 per file
        data/raw/warm            the champion's weights, from which fine-tuning may start
        data/raw/versions.json   what was promised of each registered version, for the ledger

A step, not a stage: it touches the world outside. The same source under the same settings leaves data/raw as it is.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from nightmarket.contracts import InputError, arrow_schema, midnight
from tasks import versions, warm
from tasks.pseudonyms import Pseudonyms, customer_key, key_id
from tasks.settings import StageSettings, sections
from tasks.sources import BATCH_ROWS, Feed, Source
from tasks.storage import RAW, home, write_json
from tasks.streams import sha256, writer

LOG = logging.getLogger("nightmarket")
FORMAT = 5
"""Raise it with every change here or in `tasks.sources` that makes another snapshot of the same source."""

DATED = ("events", "exposures", "responses", "reviews")
"""Tables whose rows happen at a moment; only these are cut at the business date. Plans (campaigns, promotions) stay."""


class Settings(StageSettings):
    """params.yaml: snapshot."""

    source: Literal["demo", "folder"] = Field(
        "demo", description="demo: Complete Journey from its package; folder: your own tables"
    )
    folder: str | None = Field(
        None, description="where the tables lie, for source: folder; relative to the main checkout"
    )
    business_date: date | None = Field(
        None,
        description="the day being prepared; rows from this local day on are left out. null: everything there is",
    )
    time_zone: str = Field(
        "UTC", description="the shop's zone: where its days begin, and how times without an offset are read"
    )
    mapping: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="per table, {our column: your column}, for source: folder"
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"'{name}' is not a time zone; write one like Europe/Berlin or Asia/Shanghai") from None
        return name


def run(settings: Settings) -> None:
    """Make data/raw hold the source as of the business date."""
    _recover()
    source = _source(settings)
    key = customer_key()
    as_of = settings.business_date or source.known_until()
    wanted = _warm_start_wanted()
    fingerprint = _fingerprint(settings, source.identity(), key_id(key), as_of, wanted)
    old = _old()
    if old.get("fingerprint") == fingerprint and _whole(old):
        LOG.info("snapshot: unchanged")
        return
    fresh = RAW.with_name(f".{RAW.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        about = _fetch(source, Pseudonyms(key), fresh, midnight(as_of, settings.time_zone), settings)
        about |= {
            "source": settings.source,
            "as_of": as_of.isoformat(),
            "last_full_day": str((settings.business_date or source.full_until()) - timedelta(days=1)),
            "time_zone": settings.time_zone,
            "fingerprint": fingerprint,
            "key_id": key_id(key),
            "previous": _previous(old, fingerprint, settings.source, as_of),
        }
        warm.pin(fresh / warm.FOLDER.name, wanted=wanted)
        versions.pin(fresh)
        write_json(about, fresh / "snapshot.json")
        _swap(fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _source(settings: Settings) -> Source:
    if settings.source == "demo":
        from tasks.sources.demo import Demo

        return Demo(settings.time_zone)
    from tasks.sources.folder import Folder

    if not settings.folder:
        raise InputError("params.yaml: snapshot.folder names no folder; set it to where your tables lie")
    return Folder(home() / Path(settings.folder).expanduser(), settings.mapping, settings.time_zone)


def _warm_start_wanted() -> bool:
    """Whether fine-tuning asks for starting weights; without params.yaml it does not."""
    path = Path("params.yaml")
    return bool(path.exists() and (sections(path).get("finetune") or {}).get("warm_start"))


def _fingerprint(settings: Settings, identity: dict[str, str], key: str, as_of: date, warm_start: bool) -> str:
    """What decides the snapshot: the files' contents (not their place), the settings, the key and our format.

    Which champion's weights lie beside them does not: a new champion alone makes no new snapshot.
    """
    parts = {
        "format": FORMAT,
        "files": identity,
        "key": key,
        "as_of": as_of.isoformat(),
        "warm_start": warm_start,
        "settings": settings.model_dump(mode="json", exclude={"folder"}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _old() -> dict[str, Any]:
    """snapshot.json of the present snapshot; {} where there is none that can be read."""
    try:
        found = json.loads((RAW / "snapshot.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(about: dict[str, Any]) -> bool:
    """Whether data/raw holds exactly the files that its snapshot.json describes."""
    tables = about["tables"]
    names = {"snapshot.json", versions.FILE.name, warm.FOLDER.name, *(f"{name}.parquet" for name in tables)}
    return {path.name for path in RAW.iterdir()} == names and all(
        sha256(RAW / f"{name}.parquet") == table["sha256"] for name, table in tables.items()
    )


def _previous(old: dict[str, Any], fingerprint: str, source: str, as_of: date) -> dict[str, int]:
    """Rows per table of the snapshot before this one; {} where the two cannot be compared."""
    if old.get("fingerprint") == fingerprint:
        return old.get("previous", {})
    if old.get("source") != source or str(old.get("as_of", "9999")) > as_of.isoformat():
        return {}
    return {name: table["rows"] for name, table in old["tables"].items()}


def _fetch(
    source: Source, pseudonyms: Pseudonyms, folder: Path, cutoff: datetime, settings: Settings
) -> dict[str, Any]:
    """Write every table of the source and describe them."""
    about: dict[str, Any] = {"tables": {}, "dropped_columns": {}, "filled_columns": {}, "after_business_date": {}}
    for feed in source.feeds():
        name = feed.table.name
        path = folder / f"{name}.parquet"
        cut = cutoff if settings.business_date and name in DATED else None
        rows, left_out = _write(feed, path, pseudonyms, cut)
        about["tables"][name] = {"rows": rows, "sha256": sha256(path)}
        about["dropped_columns"] |= {name: list(feed.dropped)} if feed.dropped else {}
        about["filled_columns"] |= {name: list(feed.filled)} if feed.filled else {}
        about["after_business_date"] |= {name: left_out} if cut else {}
        late = f"; {left_out:,} from {settings.business_date} on left out" if left_out else ""
        dropped = f"; columns not used: {', '.join(feed.dropped)}" if feed.dropped else ""
        LOG.info("snapshot: %s %s rows%s%s", name, f"{rows:,}", late, dropped)
    return about


def _write(feed: Feed, path: Path, pseudonyms: Pseudonyms, cutoff: datetime | None) -> tuple[int, int]:
    """Stream one table to parquet; how many rows were written and how many lie after the cutoff."""
    rows = left_out = 0
    out = None
    told = time.perf_counter()
    try:
        for batch in _gather(_ready(feed, pseudonyms, cutoff)):
            kept, skipped = batch
            left_out += skipped
            if out is None:
                out = writer(path, kept.schema)
            out.write_table(kept)
            rows += kept.num_rows
            if time.perf_counter() - told > 2:
                told = time.perf_counter()
                LOG.info("snapshot: %s %s rows so far", feed.table.name, f"{rows:,}")
        if out is None:
            out = writer(path, arrow_schema(feed.table, feed.attributes))
    finally:
        if out is not None:
            out.close()
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return rows, left_out


def _ready(feed: Feed, pseudonyms: Pseudonyms, cutoff: datetime | None) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches with pseudonyms and without rows from the cutoff on, and how many those were."""
    for batch in feed.batches():
        skipped = 0
        if cutoff is not None:
            early = pc.fill_null(pc.less(batch["timestamp"], pa.scalar(cutoff, pa.timestamp("us"))), True)
            skipped = batch.num_rows - (pc.sum(early).as_py() or 0)
            batch = batch.filter(early) if skipped else batch
        if feed.table.pseudonym:
            index = batch.schema.get_field_index(feed.table.pseudonym)
            names = pseudonyms(batch.column(index))
            batch = batch.set_column(index, feed.table.pseudonym, names)
        yield batch, skipped


def _gather(batches: Iterator[tuple[pa.RecordBatch, int]]) -> Iterator[tuple[pa.Table, int]]:
    """Small batches together, so that row groups are large."""
    waiting: list[pa.RecordBatch] = []
    skipped = 0
    for batch, left_out in batches:
        waiting.append(batch)
        skipped += left_out
        if sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            yield _join(waiting), skipped
            waiting, skipped = [], 0
    if waiting:
        yield _join(waiting), skipped


def _join(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).unify_dictionaries()


def _swap(fresh: Path) -> None:
    """Put the fresh folder in place of data/raw; `_recover` mends a kill between the two renames."""
    old = RAW.with_name(f".{RAW.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if RAW.exists():
        RAW.rename(old)
    fresh.rename(RAW)
    shutil.rmtree(old, ignore_errors=True)


def _recover() -> None:
    """Bring back the old snapshot if a kill came between the renames."""
    old = RAW.with_name(f".{RAW.name}.old")
    if old.exists() and not RAW.exists():
        old.rename(RAW)
