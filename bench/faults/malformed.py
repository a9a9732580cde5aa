"""Ways in which a retailer's tables come broken, and days on which they are fine, through snapshot and validate."""

import csv
import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench.faults.children import forked
from bench.shop import as_of, make_shop
from nightmarket.contracts import InputError
from tasks import expectations, snapshot, storage, validate

WEEKS = 20
Tables = dict[str, bytes]

CELLS = {
    "events": {
        "customer_id": ("",),
        "product_id": ("", "no such product"),
        "timestamp": ("", "yesterday", "2024-02-30", "2999-01-01", "0001-01-01", "24:00", "1704067200"),
        "quantity": ("-1", "two", "inf", "nan", "1e400", "1.2.3", "0x10", "１２"),
        "value": ("inf", "free", "1;5", "--3"),
        "discount": ("inf", "some"),
        "kind": ("theft", "PURCHASE!"),
    },
    "products": {"product_id": ("",), "price": ("-4", "inf", "cheap"), "available_from": ("soon", "2024-13-01")},
    "customers": {"customer_id": ("",)},
    "promotions": {"product_id": ("",), "week": ("", "week 3", "2024-02-31")},
    "reviews": {
        "product_id": ("", "no such product"),
        "timestamp": ("", "later"),
        "rating": ("many", "inf"),
    },
    "campaigns": {"campaign_id": ("",), "start": ("", "spring"), "end": ("", "autumn", "2001-01-01")},
    "offers": {"offer_id": ("",), "campaign_id": ("", "K99"), "cost": ("-1", "inf", "little")},
    "exposures": {"customer_id": ("",), "campaign_id": ("", "K99"), "timestamp": ("noon",)},
    "responses": {"customer_id": ("",), "campaign_id": ("", "K99"), "value": ("inf", "much")},
}
"""{table: {column: values that cannot be meant}}; one of them stands in one row."""


@dataclass
class Verdicts:
    """What came of the broken tables and of the good days."""

    classes: int = 0
    caught: int = 0
    located: int = 0
    days: int = 0
    alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    vague: list[str] = field(default_factory=list)


def good_day(seed: int) -> Tables:
    """A shop of a few weeks as CSV; exposures and the like where it has any."""
    tables = make_shop(num_customers=40, num_products=60, num_weeks=WEEKS, seed=seed)
    found = {}
    for name, table in tables.items():
        sink = io.BytesIO()
        pyarrow.csv.write_csv(table, sink)
        found[f"{name}.csv"] = sink.getvalue()
    return found


OPTIONAL = (("customers",), ("promotions",), ("reviews",), ("responses",), ("exposures",), ())
"""Optional tables that the good days bring in turn."""

REFERS = {
    "reviews": ("customers",),
    "offers": ("campaigns",),
    "exposures": ("campaigns", "customers"),
    "responses": ("campaigns", "offers", "customers"),
}
"""What else a table needs beside products and events."""


def only(tables: Tables, *names: str) -> Tables:
    """The tables of these names, what they refer to, products and events."""
    kept = {"products", "events", *names, *(other for name in names for other in REFERS.get(name, ()))}
    return {name: content for name, content in tables.items() if name.partition(".")[0] in kept}


def brought(place: Path, tables: Tables, after: Callable[[Path], None] | None = None) -> dict[str, Any]:
    """Snapshot and validate in a child: the line of the refusal, or rows set aside per table with their reasons."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "tables").mkdir(parents=True)
    for name, content in tables.items():
        (place / "tables" / name).write_bytes(content)
    if after:
        after(place / "tables")

    def work() -> dict[str, Any]:
        expectations.Expectations.write_docs = lambda *_: None  # type: ignore[method-assign]  # half of the time
        try:
            snapshot.run(snapshot.Settings(source="folder", folder="tables", business_date=as_of(WEEKS)))
            validate.run(validate.Settings())
        except InputError as error:
            return {"refused": str(error)}
        report = storage.read_json(Path("artifacts/validate/report.json"))
        late = report["after_business_date"]
        aside: dict[str, Any] = {name: f"{rows} rows of later days" for name, rows in late.items() if rows}
        for name, table in report["tables"].items():
            if table["set_aside"]:
                rows = storage.read_table(Path(f"artifacts/validate/quarantine/{name}.parquet"), ["row", "reason"])
                aside[name] = rows.slice(0, 3).to_pylist()
        return {"aside": aside}

    code, said = forked(work, place, seconds=300)
    return said if code == 0 else {"failed": said if said else f"exit {code}"}


def cell(tables: Tables, table: str, column: str, value: str, draw: random.Random) -> Tables:
    """The tables with one cell replaced."""
    rows = list(csv.reader(io.StringIO(tables[f"{table}.csv"].decode())))
    row = draw.randrange(1, len(rows))
    rows[row][rows[0].index(column)] = value
    return {**tables, f"{table}.csv": _csv(rows)}


def _csv(rows: list[list[str]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(rows)
    return sink.getvalue().encode()


def _files() -> dict[str, tuple[str, Callable[[Tables], Tables], Callable[[Path], None] | None]]:
    """{class: (what its message must name, what happens to the tables, what happens to the folder)}."""

    def edit(change: Callable[[bytes], bytes], name: str = "events.csv") -> Callable[[Tables], Tables]:
        return lambda tables: {**tables, name: change(tables[name])}

    def same(tables: Tables) -> Tables:
        return tables

    def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
        return lambda content: b"\n".join(change(content.split(b"\n")))

    def without(column: str, name: str = "events.csv") -> Callable[[Tables], Tables]:
        def drop(content: bytes) -> bytes:
            rows = list(csv.reader(io.StringIO(content.decode())))
            at = rows[0].index(column)
            return _csv([row[:at] + row[at + 1 :] for row in rows])

        return edit(drop, name)

    def parquet(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            table = pyarrow.csv.read_csv(folder / "events.csv")
            (folder / "events.csv").unlink()
            pq.write_table(table, folder / "events.parquet", write_page_checksum=True)
            path = folder / "events.parquet"
            path.write_bytes(change(path.read_bytes()))

        return write

    def typed(folder: Path) -> None:
        table = pyarrow.csv.read_csv(folder / "events.csv")
        (folder / "events.csv").unlink()
        lists = pa.array([[1.0]] * table.num_rows)
        table = table.set_column(table.column_names.index("quantity"), "quantity", lists)
        pq.write_table(table, folder / "events.parquet")

    def linked(folder: Path) -> None:
        (folder.parent / "elsewhere.csv").write_bytes((folder / "events.csv").read_bytes())
        (folder / "events.csv").unlink()
        (folder / "events.csv").symlink_to(folder.parent / "elsewhere.csv")

    def doubled(folder: Path) -> None:
        pq.write_table(pyarrow.csv.read_csv(folder / "events.csv"), folder / "events.parquet")

    def a_folder(folder: Path) -> None:
        (folder / "events.csv").unlink()
        (folder / "events.csv").mkdir()

    def flip(content: bytes) -> bytes:
        return content[:200] + bytes([content[200] ^ 1]) + content[201:]

    return {
        "an empty file": ("file", edit(lambda _: b""), None),
        "a header alone": ("file", edit(lines(lambda all: [*all[:1], b""])), None),
        "no column customer_id": ("column", without("customer_id"), None),
        "no column product_id": ("column", without("product_id"), None),
        "no column timestamp": ("column", without("timestamp"), None),
        "no column title": ("column", without("title", "products.csv"), None),
        "two columns of one name": ("column", edit(lambda b: b.replace(b"quantity", b"customer_id", 1)), None),
        "a field too many": ("row", edit(lines(lambda all: [*all[:4], all[4] + b",x", *all[5:]])), None),
        "a field too few": ("row", edit(lines(lambda all: [*all[:4], all[4].rpartition(b",")[0], *all[5:]])), None),
        "a quote never closed": ("file", edit(lines(lambda all: [*all[:4], b'"' + all[4], *all[5:]])), None),
        "bytes of no encoding": ("row", edit(lines(lambda all: [*all[:4], b"\xff\xfe\xff" + all[4], *all[5:]])), None),
        "a picture": ("file", edit(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4), None),
        "zeros": ("file", edit(lambda b: bytes(len(b))), None),
        "cut in the middle of a line": ("row", edit(lambda b: b[: b.rindex(b",", 0, len(b) // 2)]), None),
        "a product twice": ("row", edit(lines(lambda all: [*all[:3], *all[2:]]), "products.csv"), None),
        "a customer twice": ("row", edit(lines(lambda all: [*all[:3], *all[2:]]), "customers.csv"), None),
        "a campaign twice": ("row", edit(lines(lambda all: [*all[:3], *all[2:]]), "campaigns.csv"), None),
        "no products": ("file", lambda tables: {k: v for k, v in tables.items() if k != "products.csv"}, None),
        "no events": ("file", lambda tables: {k: v for k, v in tables.items() if k != "events.csv"}, None),
        "exposures without campaigns": (
            "file",
            lambda tables: {k: v for k, v in tables.items() if k != "campaigns.csv"},
            None,
        ),
        "parquet cut": ("file", same, parquet(lambda b: b[: len(b) // 2])),
        "parquet of no bytes": ("file", same, parquet(lambda _: b"")),
        "parquet with a flipped byte": ("file", same, parquet(flip)),
        "a column of lists": ("column", same, typed),
        "a link out of the folder": ("file", same, linked),
        "both CSV and parquet": ("file", same, doubled),
        "a folder named as a table": ("file", same, a_folder),
    }


def judge(place: Path, seed: int, num_days: int, say: Callable[[str], None]) -> Verdicts:
    """Every class once, then so many good days."""
    os.environ.pop(storage.FAULT, None)
    verdicts, draw, tables = Verdicts(), random.Random(seed), good_day(seed)
    jobs: list[tuple[str, str, str, str, Callable[[], dict[str, Any]]]] = []
    for table, columns in CELLS.items():
        for column, values in columns.items():
            for value in values:
                broken = cell(only(tables, table), table, column, value, draw)
                name = f"{table}.{column} = {value!r}"
                jobs.append((name, "row", table, column, lambda broken=broken: brought(place, broken)))
    for name, (wanted, change, after) in _files().items():
        table = next((one for one in ("products", "customers", "campaigns") if one[:-1] in name), "events")
        table = "products" if "title" in name else table
        column = name.split()[-1] if name.startswith("no column") else ""
        table = "events" if column.endswith("_id") else table
        needed = ("exposures",) if name.startswith("exposures") else (table,)
        changed = change(only(tables, *needed))
        jobs.append((name, wanted, table, column, lambda c=changed, a=after: brought(place, c, a)))
    for name, wanted, table, column, bring in jobs:
        found = bring()
        verdicts.classes += 1
        said = found.get("refused") or json.dumps(found.get("aside") or "", ensure_ascii=False)
        if "failed" in found or len(said) < 5:
            verdicts.missed.append(f"--seed {seed}, {name}: {found}")
            continue
        verdicts.caught += 1
        row = re.search(r"(line|row)s? \d|\"row\": \d|of \d|row 1 on", said) or re.search(r"line \d", said)
        named = (table in said, wanted == "file" or not column or column in said, wanted != "row" or bool(row))
        if all(named):
            verdicts.located += 1
        else:
            verdicts.vague.append(f"{name}: {said[:200]}")
    say(f"{verdicts.classes} classes of broken tables, {verdicts.caught} caught, {verdicts.located} located")
    for day in range(num_days):
        found = brought(place, only(good_day(seed + 1000 + day), *OPTIONAL[day % len(OPTIONAL)]))
        verdicts.days += 1
        if found != {"aside": {}}:
            verdicts.alarms.append(f"--seed {seed + 1000 + day}: {found}")
        if day % 25 == 24:
            say(f"{day + 1} good days, {len(verdicts.alarms)} false alarms")
    return verdicts
