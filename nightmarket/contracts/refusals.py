"""Rows that validation refuses: where they stand and why, and the table sorted into what stays and what does not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.arrays import Int64s
from nightmarket.contracts.folding import Block, looked_at, matches
from nightmarket.contracts.suites import COPIED
from nightmarket.contracts.tables import InputError, Table

Positions = Int64s
"""Rows of the raw table, from 0."""


@dataclass(frozen=True)
class RetailerFile:
    """The retailer's file that a table, or one source's part of it, was read from.

    name    as its owner knows it
    shifts  (row of the table from 0, how many rows of the file before it were left out), where that number changes;
            None where nobody knows
    """

    name: str
    shifts: Sequence[tuple[int, int]] | None = ()

    def row(self, row: int) -> str:
        """Where a row of the table, from 0, stands in the file, from 1."""
        if self.shifts is None:
            return f"row {row + 1:,} of the snapshot"
        return f"row {row + 1 + next((shift for at, shift in reversed(self.shifts) if at <= row), 0):,}"


@dataclass
class Refusals:
    """Positions of refused rows, sorted, per reason; reasons stand in the suite's order.

    sources  rows of each of several sources, which stand one after another
    source   of which one these rows are; "": of all
    files    where each source's rows come from, or those of the only one under ""; those of which it is known
    """

    table: Table
    num_rows: int
    refused: dict[str, Positions] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    files: Mapping[str, RetailerFile] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file or else the table, and of which source."""
        name = self.files[self.source].name if self.source in self.files else self.table.name
        return f"{name} of {self.source}" if self.source else name

    def first(self, rows: Positions) -> str:
        """Where the first of some rows stands in the file."""
        return self.files.get(self.source, RetailerFile("")).row(int(rows[0]))

    def parts(self) -> dict[str, "Refusals"]:
        """The verdict on each source's rows; positions count within them. None where there is one source."""
        by_source, start = {}, 0
        for source, num in self.sources.items():
            refused = {
                reason: here
                for reason, rows in self.refused.items()
                if len(here := rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + num)] - start)
            }
            by_source[source] = Refusals(self.table, num, refused, source=source, files=self.files)
            start += num
        return by_source

    def refuse(self, reason: str, rows: Positions) -> None:
        """Add rows, which must lie after those that the reason already has."""
        if len(rows):
            self.refused[reason] = np.concatenate([self.refused.get(reason, rows[:0]), rows])

    def bad(self, *, copies: bool = True) -> Positions:
        """Every refused row once, sorted; `copies=False` leaves out rows that only copy an earlier one."""
        counted = [rows for reason, rows in self.refused.items() if copies or reason != COPIED]
        return np.unique(np.concatenate([np.empty(0, np.int64), *counted]))

    def counts(self) -> dict[str, Any]:
        """For the report: rows, how many stay and are set aside, and why."""
        num_bad = len(self.bad())
        return {
            "rows": self.num_rows,
            "kept": self.num_rows - num_bad,
            "set_aside": num_bad,
            "reasons": {reason: len(rows) for reason, rows in self.refused.items()},
        }

    def check_share(self, max_share: float) -> None:
        """Raises InputError where too many rows are bad, of one source or of all.

        Exact copies of earlier rows lose nothing: not counted.
        """
        for part in self.parts().values():
            part.check_share(max_share)
        num_bad = len(self.bad(copies=False))
        if num_bad <= max_share * self.num_rows:
            return
        worst, rows = max(self.refused.items(), key=lambda item: (item[0] != COPIED, len(item[1])))
        raise InputError(
            f"{self.name}: {num_bad:,} of {self.num_rows:,} rows are bad ({num_bad / self.num_rows:.2%}; "
            f"validate.max_bad_share allows {max_share:.2%}): {worst} in {len(rows):,}, first in {self.first(rows)}; "
            "fix the source, or raise the limit"
        )


def find(
    batches: Iterable[pa.RecordBatch], table: Table, block: Block, wanted: dict[str, tuple[str, pa.Array]]
) -> dict[str, Positions]:
    """Where the block's refused values stand.

    batches  the whole table
    wanted   reason → column (or span) and the values refused in it
    """
    positions: dict[str, list[Positions]] = {reason: [] for reason in wanted}
    start = 0
    for batch in batches:
        if block.start <= start < block.start + block.num_rows:
            columns = looked_at(batch, table)
            for reason, (column, refused) in wanted.items():
                hits = matches(columns[column], refused).to_numpy(zero_copy_only=False)
                positions[reason].append(np.flatnonzero(hits).astype(np.int64) + start)
        start += batch.num_rows
    return {reason: np.concatenate(rows) for reason, rows in positions.items()}


def sort_out(
    batches: Iterable[pa.RecordBatch], verdict: Refusals
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """Per batch the rows that stay and, if there are any, those set aside with `row` and `reason` before them."""
    bad = verdict.bad()
    start = 0
    for batch in batches:
        rows = bad[np.searchsorted(bad, start) : np.searchsorted(bad, start + batch.num_rows)]
        if len(rows):
            stays = np.ones(batch.num_rows, bool)
            stays[rows - start] = False
            aside = batch.take(pa.array(rows - start))
            yield batch.filter(pa.array(stays)), _with_reasons(aside, rows, verdict)
        else:
            yield batch, None
        start += batch.num_rows


def _with_reasons(aside: pa.RecordBatch, rows: Positions, verdict: Refusals) -> pa.RecordBatch:
    reasons = pa.nulls(len(rows), pa.string())
    for reason, positions in verdict.refused.items():
        here = pa.array(np.isin(rows, positions))
        joined = pc.binary_join_element_wise(reasons, pa.scalar(reason), "; ", null_handling="skip")
        reasons = pc.if_else(here, joined, reasons)
    names = ["row", "reason", *aside.schema.names]
    return pa.record_batch([pa.array(rows, pa.int64()), reasons, *aside.columns], names=names)
