"""Write feeds to files, with pseudonyms, without the day being prepared and without forgotten customers."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.clock import midnight
from nightmarket.contracts.tables import arrow_schema
from nightmarket.intake.kinds import IGNORED
from nightmarket.intake.visitors import as_hashed
from tasks.files.storage import stream_writer
from tasks.intake import BATCH_ROWS, Feed
from tasks.privacy.pseudonyms import Pseudonyms

LOG = logging.getLogger("nightmarket")

MAX_SHIFTS = 1000
PLACE = "row of the file"


@dataclass
class Arrival:
    """What came of one feed: rows written, rows after the cutoff, columns in which it had a value.

    ids     distinct ids of customers and products as they came, with their source's prefix
    read    rows of the file so far
    shifts  (row of the table, how many rows of the file before it are left out), where that number changes; None
            where it changes too often
    """

    feed: Feed
    rows: int = 0
    left_out: int = 0
    seen: set[str] = field(default_factory=set)
    read: int = 0
    shifts: list[tuple[int, int]] | None = field(default_factory=list)
    ids: dict[str, pa.Array] = field(default_factory=dict)

    def keep(self, places: pa.Array) -> None:
        """Rows of the file at these places, from 0, become the next rows of the table."""
        shift = places.to_numpy() - np.arange(self.rows, self.rows + len(places))
        self.rows += len(places)
        if self.shifts is None:
            return
        before = self.shifts[-1][1] if self.shifts else 0
        for at in np.flatnonzero(np.diff(shift, prepend=before))[: MAX_SHIFTS + 1]:
            self.shifts.append((int(self.rows - len(places) + at), int(shift[at])))
        if len(self.shifts) > MAX_SHIFTS:
            self.shifts = None

    def see_ids(self, batch: pa.RecordBatch) -> None:
        """Remember the distinct ids of a batch that has no pseudonyms yet."""
        prefix = self.feed.origin.prefix if self.feed.origin else ""
        for column in {"customer_id", "product_id"} & set(batch.schema.names):
            fresh = pc.unique(batch[column]).cast(pa.string())
            fresh = as_hashed(fresh) if column == "customer_id" else fresh
            fresh = pc.binary_join_element_wise(prefix, fresh, "") if prefix and column == "customer_id" else fresh
            known = self.ids.get(column, pa.array([], pa.string()))
            self.ids[column] = pa.concat_arrays([known, fresh]).unique()

    def file_facts(self) -> dict[str, Any]:
        """For snapshot.json: the file, and how far from which row on its rows lie behind the table's."""
        if not self.feed.file:
            return {}
        return {"file": self.feed.file, **({} if self.shifts == [] else {"shifts": self.shifts})}

    def source_facts(self) -> dict[str, Any]:
        """For snapshot.json: `blank` are contract columns without a value, `lacks` those that were not brought."""
        assert self.feed.origin
        seen = self.seen | self.feed.origin.seen
        return {
            "rows": self.rows,
            "merged": self.feed.origin.merged,
            "after_business_date": self.left_out,
            "blank": [column.name for column in self.feed.table.columns if column.name not in seen],
            "lacks": list(self.feed.filled),
            **self.file_facts(),
        }

    def name(self, what: str) -> str:
        """`what`, with the name of its source where there are several."""
        return f"{self.feed.origin.name}: {what}" if self.feed.origin else what

    def words(self, cut: date | None) -> str:
        """One line for the log."""
        late = f"; {self.left_out:,} from {cut} on left out" if self.left_out else ""
        dropped = f"; columns not used: {', '.join(self.feed.dropped)}" if self.feed.dropped else ""
        merged = self.feed.origin.merged if self.feed.origin else 0
        into = f"; {merged:,} more went into rows of other sources" if merged else ""
        return f"{self.name(self.feed.table.name)} {self.rows:,} rows{into}{late}{dropped}"


def write(feeds: Sequence[Feed], path: Path, pseudonyms: Pseudonyms, cut: date | None, time_zone: str) -> list[Arrival]:
    """Stream one table to parquet, its feeds one after another; what came of each.

    cut        rows from this local day of their source on are left out; None: all stay
    time_zone  of a feed without an origin
    """
    arrivals = [Arrival(feed) for feed in feeds]
    rows = 0
    out = None
    last_logged = time.perf_counter()
    try:
        for kept in _gather(batch for arrival in arrivals for batch in _ready(arrival, pseudonyms, cut, time_zone)):
            if out is None:
                out = stream_writer(path, kept.schema)
            out.write_table(kept)
            rows += kept.num_rows
            if time.perf_counter() - last_logged > 2:
                last_logged = time.perf_counter()
                LOG.info("snapshot: %s %s rows so far", feeds[0].table.name, f"{rows:,}")
        if out is None:
            out = stream_writer(path, arrow_schema(feeds[0].table, feeds[0].attributes))
    finally:
        if out is not None:
            out.close()
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return arrivals


def _ready(arrival: Arrival, pseudonyms: Pseudonyms, cut: date | None, time_zone: str) -> Iterator[pa.RecordBatch]:
    """Batches with pseudonyms and without rows from the source's own midnight on; the arrival counts them."""
    feed = arrival.feed
    cutoff = midnight(cut, feed.origin.time_zone if feed.origin else time_zone) if cut else None
    for batch in feed.batches():
        places = np.arange(arrival.read, arrival.read + batch.num_rows)
        arrival.read += batch.num_rows
        batch = batch.append_column(PLACE, pa.array(places))
        if feed.table.name == "events":
            batch = batch.filter(pc.fill_null(pc.not_equal(batch["kind"], IGNORED), True))
        if cutoff is not None:
            early = pc.fill_null(pc.less(batch["timestamp"], pa.scalar(cutoff, pa.timestamp("us"))), True)
            skipped = batch.num_rows - (pc.sum(early).as_py() or 0)
            arrival.left_out += skipped
            batch = batch.filter(early) if skipped else batch
        if feed.file or feed.origin:
            arrival.see_ids(batch)
        if feed.table.pseudonym:
            index = batch.schema.get_field_index(feed.table.pseudonym)
            if feed.named:
                names = pseudonyms.known(batch.column(index))
            else:
                names = pseudonyms(batch.column(index), feed.origin.prefix if feed.origin else "")
            batch = batch.set_column(index, feed.table.pseudonym, names)
            batch = pseudonyms.without_forgotten(batch, feed.table.pseudonym)
        arrival.keep(batch[PLACE])
        batch = batch.drop_columns(PLACE)
        arrival.seen |= {
            name for name in batch.schema.names
            if name not in arrival.seen and batch[name].null_count < batch.num_rows
        }  # fmt: skip
        yield batch


def _gather(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Small batches together, so that row groups are large."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            yield _join(waiting)
            waiting = []
    if waiting:
        yield _join(waiting)


def _join(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).unify_dictionaries()
