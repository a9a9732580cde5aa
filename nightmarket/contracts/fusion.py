"""Several sources in one contract: the column that says where a row came from, and one row out of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.tables import Column, Table

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
    found = {str(origin["name"]): str(origin["time_zone"]) for origin in about.get("sources", ())}
    return found if set(found.values()) - {about["time_zone"]} else {}


@dataclass(frozen=True)
class Fused:
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


def fuse(tables: Sequence[pa.Table], key: str) -> Fused:
    """One row per key: the first table that has it fills the row, later ones fill its gaps in their order.

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
        differing += pc.sum(differs).as_py() or 0
        stays = pc.invert(_met(table[key].combine_chunks(), whole[key].combine_chunks()))
        rest = table.filter(stays)
        merged.append(table.num_rows - rest.num_rows)
        whole = pa.concat_tables([pa.table(columns, schema=whole.schema), rest])
    return Fused(whole, tuple(merged), conflicts, differing)


def _met(keys: pa.Array, known: pa.Array) -> pa.Array:
    """Where a key that is known stands for the first time; bool, never null."""
    here = pa.array(np.arange(len(keys), dtype=np.int32))
    first = pc.fill_null(pc.equal(pc.index_in(keys, value_set=keys, skip_nulls=True), here), False)
    return pc.and_(first, pc.is_in(keys, value_set=known, skip_nulls=True))
