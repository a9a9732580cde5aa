"""Fetch the source's tables into data/raw, with keyed hashes for customers.

reads   the demo package, or the folder, folders or database named in params.yaml
writes  data/raw/*.parquet   contract columns, rows in the source's order, times in UTC
        data/raw/snapshot.json   where it came from, how many rows, sha256 per file
        data/raw/warm            the champion's weights, from which fine-tuning may start
        data/raw/versions.json   what was promised of each registered version, for the ledger

A step, not a stage: it touches the world outside. The same source under the same settings leaves data/raw as it is.
"""

import hashlib
import json
import logging
import shutil
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.files import catalogue, manifest
from tasks.files.storage import RAW, home, swap, unswap, write_json
from tasks.intake import Connector
from tasks.intake.agreement import SeenIds, check_amounts
from tasks.intake.arrivals import write
from tasks.intake.database.settings import Database
from tasks.intake.folder import NEEDED, FolderConnector
from tasks.intake.folders import Folders, ShopFolder, check, known_zone
from tasks.intake.reading import Reading
from tasks.models import warm_start
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import sections
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forgotten, key_id
from tasks.registry import versions

LOG = logging.getLogger("nightmarket")
FORMAT = 18
"""Raise it with every change here or in `tasks.intake` that makes another snapshot of the same source."""

DATED = ("events", "exposures", "responses", "reviews")
"""Tables whose rows happen at a moment; only these are cut at the business date. Plans (campaigns, promotions) stay."""

SINGLE: Any = {"folder", "folders", "database"}
SEVERAL: Any = {"folder": True, "database": True, "folders": {"__all__": {"folder"}}}
"""Settings that decide no snapshot: where tables lie, and what belongs to another source."""
STEP = Step("fetch the source into data/raw", timeout_s=7_200)


class Settings(Reading):
    """params.yaml: snapshot."""

    source: Literal["demo", "folder", "folders", "sql", "live"] = Field(
        "demo",
        description="demo: Complete Journey from its package; folder: your own tables; folders: several shops'; sql: a "
        "database's; live: the log of `make serve`, beside the tables of folder",
    )
    folder: str | None = Field(
        None, description="where the tables lie, for source: folder and live; relative to the main checkout"
    )
    business_date: date | None = Field(
        None,
        description="the day being prepared; rows from this local day on are left out. null: everything there is",
    )
    time_zone: str | None = Field(
        None,
        description="the shop's zone: where its days begin, and how times without an offset are read; "
        "null: UTC, and the demo's own for the demo",
    )
    folders: tuple[ShopFolder, ...] = Field(
        (),
        description="for source: folders, one per shop: name, folder, mapping, time_zone, currency, rate, "
        "customers, products",
    )
    database: Database | None = Field(
        None, description="for source: sql: tables, {table: {table or query, watermark}}, and url, timeout_s, tries"
    )
    currency: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="as CNY; what all money becomes, where there are several"
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and known_zone(name)

    @model_validator(mode="after")
    def _shops(self) -> Self:
        check(self.folders, self.currency)
        if self.source == "folders" and (self.folder or self.mapping):
            raise ValueError("source is folders: folder and mapping belong to the entries of folders")
        if self.source == "folders" and not self.folders:
            raise ValueError("folders: source is folders, and none is listed; list each shop with name and folder")
        if self.source in ("folder", "live") and not self.folder:
            raise ValueError(f"folder: source is {self.source}, and none is named; set it to where your tables lie")
        if self.source == "sql":
            self._of_a_database()
        return self

    def _of_a_database(self) -> None:
        there = self.database.tables if self.database else {}
        for name in NEEDED:
            if name not in there:
                raise ValueError(f"database: source is sql, and tables names no {name}; say where it lies")
        for name in self.mapping:
            if name not in there:
                raise ValueError(f"mapping: {name} is no table of database.tables")
        if self.tables or self.profile:
            raise ValueError("tables, profile: they are of files; for source sql write a query that makes the table")

    @property
    def zone(self) -> str:
        """The shop's time zone."""
        return self.time_zone or ("America/New_York" if self.source == "demo" else "UTC")


def run(settings: Settings) -> None:
    """Make data/raw hold the source as of the business date."""
    try:
        _take(settings)
    finally:
        if settings.source == "sql":
            from tasks.intake.database import connector

            connector.sweep()


def _take(settings: Settings) -> None:
    unswap(RAW)
    source = _source(settings)
    keys = customer_keys()
    as_of = settings.business_date or source.known_until()
    wanted = _warm_start_wanted()
    left_out = frozenset(forgotten())
    fingerprint = _fingerprint(settings, source.identity(), key_id(keys), as_of, wanted, left_out)
    old = _old()
    if old.get("fingerprint") == fingerprint and _whole(old):
        LOG.info("snapshot: unchanged")
        return
    fresh = RAW.with_name(f".{RAW.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        about = _fetch(source, Pseudonyms(keys, left_out), fresh, settings) | source.about(settings.business_date)
        about |= {
            "source": settings.source,
            "as_of": as_of.isoformat(),
            "last_full_day": str((settings.business_date or source.full_until()) - timedelta(days=1)),
            "time_zone": settings.zone,
            "fingerprint": fingerprint,
            "key_id": key_id(keys),
            **_previous(old, fingerprint, settings.source, as_of),
        }
        warm_start.pin(fresh / warm_start.FOLDER.name, wanted=wanted)
        versions.pin(fresh)
        write_json(about, fresh / "snapshot.json")
        swap(fresh, RAW)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _source(settings: Settings) -> Connector:
    if settings.source == "demo":
        from tasks.intake.demo import Demo

        return Demo(settings.zone)
    if settings.source == "folders":
        return Folders(settings.folders, home(), settings.zone, settings.currency)
    if settings.database and settings.source == "sql":
        from tasks.intake.database import connector

        place = connector.download(settings.database)
        return FolderConnector(place, settings, settings.zone, currency=settings.currency)
    place = home() / Path(str(settings.folder)).expanduser()
    if settings.source == "live":
        from tasks.intake.live import LiveConnector

        return LiveConnector(place, settings, settings.zone, currency=settings.currency)
    return FolderConnector(place, settings, settings.zone, currency=settings.currency)


def _warm_start_wanted() -> bool:
    """Whether fine-tuning asks for starting weights; without params.yaml it does not."""
    path = Path("params.yaml")
    return bool(path.exists() and (sections(path).get("finetune") or {}).get("warm_start"))


def _fingerprint(
    settings: Settings, identity: dict[str, str], key: str, as_of: date, warm_start: bool, left_out: frozenset[str]
) -> str:
    """What decides the snapshot: contents of the files (not their place), settings, key, our format, who is left out.

    Which champion's weights lie beside them does not: a new champion alone makes no new snapshot.
    """
    parts = {
        "format": FORMAT,
        "files": identity,
        "key": key,
        "as_of": as_of.isoformat(),
        "warm_start": warm_start,
        "settings": settings.model_dump(mode="json", exclude=SEVERAL if settings.source == "folders" else SINGLE),
        **({"forgotten": sorted(left_out)} if left_out else {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _old() -> dict[str, Any]:
    """snapshot.json of the present snapshot; {} where there is none that can be read."""
    try:
        about = json.loads(catalogue.SNAPSHOT.path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _whole(about: dict[str, Any]) -> bool:
    """Whether data/raw holds exactly the files that its snapshot.json describes."""
    tables = about["tables"]
    names = {
        "snapshot.json",
        catalogue.VERSIONS.path.name,
        warm_start.FOLDER.name,
        *(f"{name}.parquet" for name in tables),
    }
    return {path.name for path in RAW.iterdir()} == names and all(
        manifest.digest(RAW / f"{name}.parquet") == table["sha256"] for name, table in tables.items()
    )


def _previous(old: dict[str, Any], fingerprint: str, source: str, as_of: date) -> dict[str, Any]:
    """Rows per table of the snapshot before this one, of several sources each one's too; {} where they do not compare.

    A source's rows are those that it brought: which of them went into another's rows is no change of volume.
    """
    wanted = ("previous", "previous_sources") if source == "folders" else ("previous",)
    if old.get("fingerprint") == fingerprint:
        return {name: old.get(name, {}) for name in wanted}
    if old.get("source") != source or str(old.get("as_of", "9999")) > as_of.isoformat():
        return {name: {} for name in wanted}
    rows = {name: table["rows"] for name, table in old["tables"].items()}
    each = {
        name: {shop: part["rows"] + part["merged"] for shop, part in table.get("sources", {}).items()}
        for name, table in old["tables"].items()
    }
    return dict(zip(wanted, (rows, each), strict=False))


def _fetch(source: Connector, pseudonyms: Pseudonyms, folder: Path, settings: Settings) -> dict[str, Any]:
    """Write every table of the source and describe them."""
    about: dict[str, Any] = {
        "tables": {},
        "dropped_columns": {},
        "filled_columns": {},
        "after_business_date": {},
        "notes": {},
    }
    seen = SeenIds()
    for name, feeds in groupby(source.feeds(), key=lambda feed: feed.table.name):
        path = folder / f"{name}.parquet"
        cut = settings.business_date if name in DATED else None
        arrivals = write(list(feeds), path, pseudonyms, cut, settings.zone)
        about["tables"][name] = {"rows": sum(part.rows for part in arrivals), "sha256": manifest.digest(path)}
        if arrivals[0].feed.origin is None:
            about["tables"][name] |= arrivals[0].file_facts()
        dropped = [part.name(column) for part in arrivals for column in part.feed.dropped]
        filled = [column for column in arrivals[0].feed.filled if all(column in part.feed.filled for part in arrivals)]
        about["dropped_columns"] |= {name: dropped} if dropped else {}
        about["filled_columns"] |= {name: filled} if filled else {}
        about["after_business_date"] |= {name: sum(part.left_out for part in arrivals)} if cut else {}
        for part in arrivals:
            seen.add(name, part.feed.file, part.ids, part.feed.decimals)
            LOG.info("snapshot: %s", part.words(cut))
            for what, count in part.feed.notes.items():
                LOG.info("snapshot: %s: %s: %s", part.name(part.feed.file or name), what, f"{count:,}")
                notes = about["notes"].setdefault(name, {})
                notes[part.name(what)] = count
            if part.feed.origin:
                about["tables"][name].setdefault("sources", {})[part.feed.origin.name] = part.source_facts()
    seen.check(settings.ids)
    check_amounts(folder, seen, settings.units_given())
    if pseudonyms.joined:
        what = "spellings of customers' ids that differ in capitals or blanks alone, joined"
        about["notes"].setdefault("events", {})[what] = pseudonyms.joined
        LOG.info("snapshot: %s: %s", what, f"{pseudonyms.joined:,}")
    if not about["notes"]:
        del about["notes"]
    return about
