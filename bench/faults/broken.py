"""Ways in which a retailer's tables come broken: each spoils a good folder and says where a message must lead."""

import csv
import io
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

CELLS = {
    "events": {
        "customer_id": ("1.23457E+11",),
        "product_id": ("", "no such product", "#REF!", "1E+05"),
        "timestamp": (
            "yesterday", "2024-02-30", "2999-01-01", "0001-01-01", "24:00", "1704067200", "1704067200000",
            "45322.75", "02/03/2024", "2024-01-31 18:05 CET", "2024-01-31T18:05:00[Europe/Berlin]",
            "2024-01-31 23:59:60", "2024-01-31T18:05:00+25:00", "1900-01-00",
        ),
        "quantity": ("", "two", "inf", "nan", "1e400", "1.2.3", "0x10", "3 pcs", "TRUE"),
        "value": (
            "inf", "free", "1;5", "--3", "3,50", "1.234,50", "12%", "=SUM(A1:A9)",
        ),
        "discount": ("inf", "some", "0,20"),
        "kind": ("", "theft", "1"),
    },
    "products": {
        "product_id": ("", "NULL"),
        "price": ("-4", "inf", "cheap", "3,50"),
        "available_from": ("soon", "2024-13-01", "31.01.2024"),
    },
    "customers": {"customer_id": ("", "nan", "4.9E+12")},
    "promotions": {"product_id": ("",), "channel": ("",), "week": ("", "week 3", "2024-02-31", "2024-W54")},
    "reviews": {
        "product_id": ("", "no such product"),
        "timestamp": ("", "later"),
        "text": ("",),
        "rating": ("many", "inf", "6/5"),
    },
    "campaigns": {
        "campaign_id": ("",),
        "kind": ("",),
        "start": ("", "spring"),
        "end": ("", "autumn", "2001-01-01"),
    },
    "offers": {
        "offer_id": ("",),
        "campaign_id": ("", "K99"),
        "product_id": ("", "no such product"),
        "cost": ("-1", "inf", "little", "0,50"),
    },
    "exposures": {
        "customer_id": ("", "\\N"),
        "campaign_id": ("K99",),  # empty is a list of the live site
        "timestamp": ("noon", "2999-01-01"),
        "position": ("0", "1.5", "first"),
        "propensity": ("1.5", "-0.1", "50%"),
    },
    "responses": {"customer_id": ("",), "campaign_id": ("", "K99"), "timestamp": ("",), "value": ("inf", "much")},
}  # fmt: skip
"""{table: {column: values that cannot be meant}}; one of them stands in one row."""

ADDED = {"position": "1", "propensity": "0.5"}
"""Optional columns that the made-up shop lacks, with what its other rows then hold."""

Spoil = Callable[[Path, random.Random], int | None]
"""Break the tables of a folder; the first bad row, from 1, where one is at fault."""


@dataclass(frozen=True)
class Broken:
    """A class of broken tables.

    file, column  what its message must name, beside the row that `spoil` gives
    tables        what the folder must bring beside products and events
    settings      of the snapshot, where they are others
    nights        how many good nights come before it
    """

    name: str
    spoil: Spoil
    file: str = "events.csv"
    column: str = ""
    tables: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    nights: int = 0


def read(folder: Path, table: str) -> list[list[str]]:
    """A table's lines as fields, the header first."""
    return list(csv.reader(io.StringIO((folder / f"{table}.csv").read_text(encoding="utf-8"))))


def write(folder: Path, table: str, rows: list[list[str]]) -> None:
    """The contrary."""
    with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def cell(table: str, column: str, value: str) -> Spoil:
    """One cell, anywhere in the table."""

    def spoil(folder: Path, draw: random.Random) -> int:
        rows = read(folder, table)
        if column not in rows[0]:
            rows = [[*row, ADDED[column] if at else column] for at, row in enumerate(rows)]
        row = draw.randrange(1, len(rows))
        rows[row][rows[0].index(column)] = value
        write(folder, table, rows)
        return row

    return spoil


def column(table: str, name: str, value: Callable[[str], str], every: int = 1) -> Spoil:
    """A column's values in every n-th row."""

    def spoil(folder: Path, draw: random.Random) -> int:
        rows = read(folder, table)
        at = rows[0].index(name)
        for row in rows[every::every]:
            row[at] = value(row[at])
        write(folder, table, rows)
        return every

    return spoil


def without(name: str, table: str = "events") -> Spoil:
    """A column less."""

    def spoil(folder: Path, draw: random.Random) -> None:
        rows = read(folder, table)
        at = rows[0].index(name)
        write(folder, table, [row[:at] + row[at + 1 :] for row in rows])

    return spoil


def content(change: Callable[[bytes], bytes], name: str = "events.csv", row: int | None = None) -> Spoil:
    """Another file."""

    def spoil(folder: Path, draw: random.Random) -> int | None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        return row

    return spoil


def line(number: int, change: Callable[[bytes], bytes], name: str = "events.csv") -> Spoil:
    """Another row, or several, where a row from 1 stands."""

    def changed(file: bytes) -> bytes:
        lines = file.split(b"\n")
        return b"\n".join([*lines[:number], change(lines[number]), *lines[number + 1 :]])

    return content(changed, name, number)


def last(extra: bytes, name: str = "events.csv") -> Spoil:
    """A row more, at the end."""

    def spoil(folder: Path, draw: random.Random) -> int:
        path = folder / name
        path.write_bytes(path.read_bytes() + extra + b"\n")
        return path.read_bytes().count(b"\n") - 1

    return spoil


def repeated(table: str, name: str = "", value: str = "") -> Spoil:
    """A row twice, the second time with another value in one column."""

    def spoil(folder: Path, draw: random.Random) -> int:
        rows = read(folder, table)
        again = list(rows[2])
        if name:
            again[rows[0].index(name)] = value
        write(folder, table, [*rows[:3], again, *rows[3:]])
        return 3

    return spoil


def cut(folder: Path, draw: random.Random) -> int:
    """Half of the file, and the last row is not whole."""
    path = folder / "events.csv"
    file = path.read_bytes()
    file = file[: file.rindex(b",", 0, len(file) // 2)]
    path.write_bytes(file)
    return file.count(b"\n")


def parquet(
    change: Callable[[pa.Table], pa.Table],
    spoil: Callable[[bytes], bytes] = lambda file: file,
    name: str = "events.parquet",
) -> Spoil:
    """Events as parquet, made otherwise."""

    def spoiled(folder: Path, draw: random.Random) -> None:
        texts = pyarrow.csv.ConvertOptions(column_types={"product_id": pa.string(), "customer_id": pa.string()})
        table = change(pyarrow.csv.read_csv(folder / "events.csv", convert_options=texts))
        (folder / "events.csv").unlink()
        path = folder / name
        pq.write_table(table, path, write_page_checksum=True)
        path.write_bytes(spoil(path.read_bytes()))

    return spoiled


def typed(name: str, values: Callable[[pa.ChunkedArray], Any]) -> Spoil:
    """Events as parquet, a column of another type."""
    return parquet(lambda table: table.set_column(table.column_names.index(name), name, values(table[name])))


def flip(file: bytes) -> bytes:
    """One bit of the first pages."""
    return file[:200] + bytes([file[200] ^ 1]) + file[201:]


def moved(folder: Path, path: Path, name: str = "events.csv") -> None:
    """A file goes elsewhere."""
    (folder / name).rename(path)


def linked(folder: Path, draw: random.Random) -> None:
    """A link out of the folder."""
    moved(folder, folder.parent / "elsewhere.csv")
    (folder / "events.csv").symlink_to(folder.parent / "elsewhere.csv")


def doubled(folder: Path, draw: random.Random) -> None:
    """The same table in two formats."""
    pq.write_table(pyarrow.csv.read_csv(folder / "events.csv"), folder / "events.parquet")


def spark(folder: Path, draw: random.Random) -> None:
    """A folder of parts where a file should be."""
    (folder / "events.parquet").mkdir()
    moved(folder, folder / "events.parquet" / "part-00000.csv")


def gone(*names: str) -> Spoil:
    """Files that are not there."""

    def spoil(folder: Path, draw: random.Random) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def renamed(to: str, name: str = "events.csv") -> Spoil:
    """A file of another name."""
    return lambda folder, draw: moved(folder, folder / to, name)


def shops(spoil: Spoil) -> Spoil:
    """The folder twice, as two shops; the second is spoiled."""

    def twice(folder: Path, draw: random.Random) -> int | None:
        for name in ("north", "south"):
            shutil.copytree(folder, folder.parent / "shops" / name)
        return spoil(folder.parent / "shops" / "south", draw)

    return twice


TWO = {
    "source": "folders",
    "folder": None,
    "folders": [{"name": name, "folder": f"shops/{name}"} for name in ("north", "south")],
}
