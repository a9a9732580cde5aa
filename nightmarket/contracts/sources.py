"""Several sources in one contract: where a row came from, one row out of several, and how much each source brought.

Everything here is said of snapshot.json, `about`: tables → {rows, sources → {rows, merged, after_business_date, blank,
lacks}}, previous, previous_sources, and sources, a list in whose order a table's rows stand. There are no `sources`
where one brought everything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.errors import InputError
from nightmarket.contracts.refusals import Refusals, RetailerFile
from nightmarket.contracts.tables import Column, Table, channel_column

SOURCE = "source"


def with_source(table: Table, sources: Sequence[str]) -> Table:
    """The table with `source` after its own columns, as it lies in a snapshot of several sources.

    Without sources the table as it is: a single source needs no such column.
    """
    if not sources:
        return table
    column = Column(SOURCE, "category", "the source that the row came from", required=False, allowed=tuple(sources))
    return replace(table, columns=(*table.columns, column))


def zones(about: Mapping[str, Any]) -> dict[str, str]:
    """Source → time zone, from snapshot.json; empty where the shop's `time_zone` holds for every row."""
    by_source = {str(origin["name"]): str(origin["time_zone"]) for origin in about.get("sources", ())}
    return by_source if set(by_source.values()) - {about["time_zone"]} else {}


@dataclass(frozen=True)
class MergedRows:
    """Tables of one key as one.

    rows       in the order of the tables; a row keeps the place and the `source` of the first table that has its key
    merged     per table, its rows that went into rows of earlier tables
    conflicts  column → rows in which a later table has another value than the one that stays
    differing  rows with at least one conflict
    """

    rows: pa.Table
    merged: tuple[int, ...]
    conflicts: dict[str, int]
    differing: int


def fuse(tables: Sequence[pa.Table], key: str) -> MergedRows:
    """One row per key: the first table that has it fills the row, later ones fill its gaps in their order; where shops
    differ on consent or reach, no holds.

    tables  of one schema, with the columns `key` and `source`

    Rows without a key, and repeats of a key within one table, stay as they are: validation sets them aside.
    """
    whole = tables[0]
    merged = [0]
    conflicts: dict[str, int] = {}
    differing = 0
    for table in tables[1:]:
        filler = table.take(pc.index_in(whole[key], value_set=table[key].combine_chunks(), skip_nulls=True))
        columns, differs = {}, pa.chunked_array([pa.repeat(False, whole.num_rows)])
        for name in whole.column_names:
            mine, theirs = whole[name], filler[name]
            if name in (key, SOURCE):
                columns[name] = mine
                continue
            other = pc.fill_null(pc.not_equal(mine, theirs), False)
            count = pc.sum(other).as_py() or 0
            conflicts |= {name: conflicts.get(name, 0) + count} if count else {}
            differs = pc.or_(differs, other)
            columns[name] = pc.coalesce(mine, theirs)
            if channel_column(name) and pa.types.is_string(mine.type):  # of two answers, no holds
                columns[name] = pc.if_else(other, pa.scalar("no"), columns[name])
        differing += pc.sum(differs).as_py() or 0
        stays = pc.invert(_met(table[key].combine_chunks(), whole[key].combine_chunks()))
        rest = table.filter(stays)
        merged.append(table.num_rows - rest.num_rows)
        whole = pa.concat_tables([pa.table(columns, schema=whole.schema), rest])
    return MergedRows(whole, tuple(merged), conflicts, differing)


def _met(keys: pa.Array, known: pa.Array) -> pa.Array:
    """Where a key that is known stands for the first time; bool, never null."""
    here = pa.array(np.arange(len(keys), dtype=np.int32))
    first = pc.fill_null(pc.equal(pc.index_in(keys, value_set=keys, skip_nulls=True), here), False)
    return pc.and_(first, pc.is_in(keys, value_set=known, skip_nulls=True))


MIN_ROWS = 30
"""Rows of the previous snapshot from which on a drop is no chance."""


def sources(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the sources, in order; none where there is one."""
    return tuple(origin["name"] for origin in about.get("sources", ()))


def files(about: Mapping[str, Any], table: str) -> dict[str, RetailerFile]:
    """The files that a table was read from, by source, or under "" where one brought everything."""
    here = about["tables"].get(table, {})
    parts = {"": here, **here.get("sources", {})}
    return {
        source: RetailerFile(part["file"], part.get("shifts", ())) for source, part in parts.items() if "file" in part
    }


def called(about: Mapping[str, Any], table: str, source: str = "") -> str:
    """A table by its file's name, where that is known, and of which source."""
    name = here[source].name if source in (here := files(about, table)) else table
    return f"{name} of {source}" if source else name


def brought(part: Mapping[str, Any]) -> int:
    """Rows that a source brought, those that went into another's rows included."""
    return int(part["rows"] + part["merged"])


def check_volume(about: Mapping[str, Any], max_drop: float) -> None:
    """Raises InputError where a table shrank by more than `max_drop` against the previous snapshot.

    One of fewer than MIN_ROWS rows may shrink, though not vanish: of five reviews a month three are gone by chance.
    With several sources each one's rows are compared, as long as the source is still one of them.
    """
    for name, before, now in _pairs(about):
        if now < before * (1 - max_drop) and (before >= MIN_ROWS or not now):
            raise InputError(
                f"{name} has {now:,} rows, {1 - now / before:.0%} fewer than the {before:,} of the previous snapshot "
                f"(validate.max_volume_drop allows {max_drop:.0%}); check the export, or raise the limit"
            )


def _pairs(about: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Name, rows before and rows now of what was there before. An empty one is left to its own message."""
    tables = about["tables"]
    if not sources(about):
        for name, before in sorted(about["previous"].items()):
            if name not in tables or tables[name]["rows"]:
                yield called(about, name), before, tables.get(name, {"rows": 0})["rows"]
        return
    for name, each in sorted(about["previous_sources"].items()):
        parts = tables.get(name, {}).get("sources", {})
        for source in sources(about):
            if source in each and (source not in parts or brought(parts[source])):
                yield called(about, name, source), each[source], brought(parts[source]) if source in parts else 0


def check_arrived(about: Mapping[str, Any], table: Table) -> None:
    """Raises InputError where a source brought a table without a row, or numbers without a single value.

    A table that only the business date emptied is fine unless it is needed.
    """
    for source, part in about["tables"][table.name].get("sources", {}).items():
        if not brought(part):
            if table.may_be_empty and not about["previous_sources"].get(table.name, {}).get(source):
                continue
            if table.needed or not part["after_business_date"]:
                hint = "bring its rows" if table.needed else "bring its rows, or leave the table out"
                raise InputError(
                    f"{called(about, table.name, source)} is empty (0 rows before {about['as_of']}); {hint}"
                )
            continue
        for name in part["blank"]:
            if name not in part["lacks"] and table.column(name).kind in ("number", "count"):
                raise InputError(
                    f"{called(about, table.name, source)}: {name} is empty in every row ({brought(part):,} rows, "
                    "from row 1 on); bring its values"
                )


def never_filled(about: Mapping[str, Any], table: str) -> dict[str, list[str]]:
    """Per source the columns in which it alone has no value: others have some."""
    parts = about["tables"][table].get("sources", {})
    nobody = set.intersection(*(set(part["blank"]) for part in parts.values())) if parts else set()
    return {source: [name for name in part["blank"] if name not in nobody] for source, part in parts.items()}


def account(about: Mapping[str, Any], verdict: Refusals) -> dict[str, Any]:
    """One table's counts for the report, and each source's: what it brought was kept, set aside or merged."""
    name = verdict.table.name
    counts = verdict.counts() | {"previous_rows": about["previous"].get(name)}
    blank = never_filled(about, name)
    each = {}
    for source, part in verdict.parts().items():
        arrived = about["tables"][name]["sources"][source]
        each[source] = part.counts() | {
            "rows": brought(arrived),
            "merged": arrived["merged"],
            "previous_rows": about["previous_sources"].get(name, {}).get(source),
            "never_filled": blank[source],
        }
    return counts | ({"sources": each} if each else {})
