"""Intake: a source streams each table in contract columns; `snapshot` writes what it streams."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import pyarrow as pa

from nightmarket.contracts.tables import Table

BATCH_ROWS = 1 << 19


@dataclass(frozen=True)
class Origin:
    """Which of several sources a feed comes from.

    time_zone  the source's own: its rows are cut at its own midnight
    prefix     stands before customers' ids where they are its own
    merged     its rows that went into rows of earlier sources, so that the stream lacks them
    seen       columns in which it had a value, as far as the stream cannot tell
    """

    name: str
    time_zone: str
    prefix: str
    merged: int = 0
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Feed:
    """One table on its way in, or the part of it that one of several sources brings.

    batches    starts the stream: contract columns in contract order, then attr_*; times in UTC without zone; ids as
               the source writes them. Rows come in the source's order, in bounded memory
    attributes names of the attr_* columns
    dropped    columns of the source that the contract does not know
    filled     optional contract columns that the source lacks
    origin     None where there is one source
    file       name of the file whose rows these are, in its order; "" where a row of the stream is no row of a file
    decimals   columns of numbers that are written with decimals
    named      its customers are pseudonyms already
    notes      what was understood on the way, in how many rows; filled as the stream is read
    """

    table: Table
    batches: Callable[[], Iterator[pa.RecordBatch]]
    attributes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    origin: Origin | None = None
    file: str = ""
    notes: Counter[str] = field(default_factory=Counter)
    decimals: frozenset[str] = frozenset()
    named: bool = False


class Connector(Protocol):
    """A place that holds a retailer's tables."""

    def identity(self) -> dict[str, str]:
        """What was there, as sha256 per file name."""

    def known_until(self) -> date:
        """The business date when nobody names one: rows from this local day on lie in the future."""

    def full_until(self) -> date:
        """The first local day that may not be over yet."""

    def feeds(self) -> Iterator[Feed]:
        """The tables in contract order; feeds of one table follow each other."""

    def about(self, business_date: date | None) -> dict[str, Any]:
        """What snapshot.json says of it beyond its tables; asked once they are read."""
