"""Tables of the source as they are at this moment, not as the last night took them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nightmarket.contracts.tables import BY_NAME
from tasks.intake import Feed
from tasks.intake.folder import FolderConnector
from tasks.intake.reading import Reading
from tasks.intake.table_files import TableFiles
from tasks.intake.table_reader import TableReader
from tasks.pipeline import settings


def feeds(home: Path, tables: Sequence[str]) -> Iterator[tuple[Feed, str]]:
    """Each of the tables from each of the source's folders, with what stands before its customers' ids.

    Nothing of the demo. Raises InputError for a folder or file that cannot be read.
    """
    asked: Any = settings.load("snapshot", home / "params.yaml")
    shops: dict[str, Sequence[Any]] = {"demo": (), "folder": (asked,), "live": (asked,), "folders": asked.folders}
    for shop in shops.get(asked.source, ()):
        several = asked.source == "folders"
        zone = (shop.time_zone if several else None) or asked.zone
        prefix = f"{shop.name}:" if several and shop.customers == "own" else ""
        section = "" if several else "snapshot."
        place = home / Path(str(shop.folder)).expanduser()
        folder = FolderConnector(place, shop, zone, needed=(), section=section)
        for name in tables:
            if name in folder.paths:
                file = folder.paths[name].file(shop.encodings.get(name, ""))
                yield TableReader(BY_NAME[name], file, shop, zone, section).feed(), prefix


def dropped_in(home: Path, table: str) -> Iterator[tuple[Feed, str]]:
    """A table that people put into .nightmarket/ themselves, once for each way in which the source's ids are hashed."""
    place = home / ".nightmarket"
    files = TableFiles(place, table) if place.is_dir() else None
    if files is None or not files.paths:
        return
    asked: Any = settings.load("snapshot", home / "params.yaml")
    ways = {("", asked.ids): None}
    ways |= {(f"{shop.name}:" if shop.customers == "own" else "", shop.ids): None for shop in asked.folders}
    for prefix, repairs in ways:
        yield TableReader(BY_NAME[table], files.file(), Reading(ids=repairs), asked.zone, "").feed(), prefix
