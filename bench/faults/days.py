"""Days on which a retailer's tables are fine: seeded shops, each through a row of its nights.

A shop has a language, columns, files and habits of its own; its sales move with the season, holidays close it, its
export holds all of the past or the last weeks, and sometimes the morning of the day that is being prepared.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from bench.faults.children import forked
from nightmarket.contracts import InputError
from nightmarket.contracts.tables import BY_NAME
from nightmarket.testing.dialects import DIALECTS, speak
from nightmarket.testing.shop import START, make_shop
from tasks import snapshot, validate
from tasks.files import storage
from tasks.intake import expectations

NIGHTS = 20
"""Of one shop."""
WEEKS = 58
CLOSED = {date(2024, 12, 25), date(2024, 12, 26), date(2025, 1, 1)}
SPRING_FESTIVAL = {date(2024, 2, 10) + timedelta(days=day) for day in range(7)}
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata")
OPTIONAL = ("customers", "promotions", "reviews", "responses", "exposures", "campaigns", "offers")
TOGETHER = {"offers": ("campaigns",), "exposures": ("campaigns",), "responses": ("campaigns",)}
DATED = {"events": "timestamp", "reviews": "timestamp", "responses": "timestamp", "promotions": "week"}
"""Tables of which an export holds a window, by their time. Exposures stay whole, like the campaigns they belong to."""


@dataclass
class Shop:
    """One shop's year and how it exports it.

    tables    contract names, all of the year
    closed    days without a sale
    window    weeks of the past in an export; None: all
    """

    tables: dict[str, pa.Table]
    names: dict[str, dict[str, str]]
    time_zone: str
    closed: set[date]
    window: int | None
    morning: bool
    formats: dict[str, str]
    encoding: str
    delimiter: str
    newline: bytes
    times: str
    nights: list[date]


def nights(place: Path, seed: int, num_days: int, say: Callable[[str], None]) -> Iterator[str]:
    """What was wrong on each day, or "": a refusal, a row set aside, lost or invented, a warning without a cause."""
    done = alarms = 0
    while done < num_days:
        shop, wanted = seed + 1000 + done, min(NIGHTS, num_days - done)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        code, lines = forked(lambda shop=shop, wanted=wanted: _year(shop, wanted), place, seconds=600)
        lines = lines if code == 0 else [f"exit {code}: {lines}"] * wanted
        done += wanted
        alarms += sum(bool(line) for line in lines)
        say(f"{done} good days, {alarms} false alarms")
        yield from (f"--seed {seed}, shop {shop}, {line}" if line else "" for line in lines)


def _year(seed: int, num_nights: int) -> list[str]:
    expectations.Expectations.write_docs = lambda *_: None  # type: ignore[method-assign]  # half of the time
    shop = make(seed)
    return [_night(shop, day) for day in shop.nights[:num_nights]]


def make(seed: int) -> Shop:
    """A shop with habits that the seed decides."""
    draw = random.Random(seed)
    language = draw.choice((None, "english", "chinese"))
    made = make_shop(draw.randrange(15, 45), draw.randrange(30, 90), WEEKS, seed)
    names: dict[str, dict[str, str]] = {}
    wanted = set(draw.sample(OPTIONAL, draw.randrange(0, 4)))
    wanted |= {"products", "events", *(other for name in wanted for other in TOGETHER.get(name, ()))}
    if language:
        dialect = DIALECTS[language]
        names = {name: columns for name, columns in dialect.columns.items() if name in wanted}
        made |= {name: table.rename_columns(made[name].column_names) for name, table in speak(made, dialect).items()}
    closed = (SPRING_FESTIVAL if language == "chinese" else CLOSED) | (_sundays() if draw.random() < 0.3 else set())
    made["events"] = _seasonal(made["events"], closed, np.random.default_rng(seed))
    tables = {name: _columns(made[name], name, draw) for name in made if name in wanted}
    zone = "Asia/Shanghai" if language == "chinese" else draw.choice(ZONES)
    step, day = draw.choice((1, 1, 3, 9)), START.date() + timedelta(days=draw.randrange(40, WEEKS * 7 - 190))
    nights = []
    for _ in range(NIGHTS):
        nights.append(day)
        day += timedelta(days=draw.choice((0, step, step, step, 2 * step)))
    text = draw.choice(("csv", "csv", "parquet", "both"))
    return Shop(
        tables=tables,
        names=names,
        time_zone=zone,
        closed=closed,
        window=draw.choice((None, 4, 8, 13, 26)),
        morning=draw.random() < 0.5,
        formats={name: draw.choice(("csv", "parquet")) if text == "both" else text for name in tables},
        encoding=draw.choice(("utf-8", "utf-8-sig", "gb18030")),
        delimiter=draw.choice(",;\t"),
        newline=draw.choice((b"\n", b"\r\n")),
        times=draw.choice(("iso", "spreadsheet", *(["offset"] if zone in ("UTC", "Asia/Shanghai") else []))),
        nights=nights,
    )


def _sundays() -> set[date]:
    return {START.date() + timedelta(days=day) for day in range(6, WEEKS * 7, 7)}


def _seasonal(events: pa.Table, closed: set[date], rng: np.random.Generator) -> pa.Table:
    """Fewer sales in summer, many in November and December, none on closed days."""
    days = np.asarray(events["timestamp"]).astype("datetime64[D]")
    month = days.astype("datetime64[M]").astype(int) % 12
    share = np.choose(month, [0.6, 0.5, 0.6, 0.6, 0.6, 0.5, 0.4, 0.35, 0.6, 0.7, 1.0, 1.0])
    return events.filter(pa.array((rng.random(len(days)) < share) & ~np.isin(days, np.array(sorted(closed), "M8[D]"))))


def _columns(table: pa.Table, name: str, draw: random.Random) -> pa.Table:
    """Some optional columns fewer, a remark that nobody needs, another order."""
    optional = {column.name for column in BY_NAME[name].columns if not column.required}
    kept = [column for column in table.column_names if column not in optional or draw.random() < 0.7]
    table = table.select(kept)
    if name in ("events", "reviews") and draw.random() < 0.5:
        remarks = pa.array(
            [('he said "no, thanks"', "zwei\nZeilen", "赠品；勿单卖", "")[row % 4] for row in range(len(table))]
        )
        table = table.append_column("remark", remarks)
    return table.select(draw.sample(table.column_names, table.num_columns))


def _night(shop: Shop, day: date) -> str:
    """Export, snapshot, validate; what was wrong."""
    folder = Path("tables")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sent = {}
    for name, table in shop.tables.items():
        rows = _window(table, DATED.get(name), shop, day)
        _write(rows, name, shop, folder)
        late = pc.sum(pc.greater_equal(rows["timestamp"], _moment(day))).as_py() if name in snapshot.DATED else 0
        sent[name] = rows.num_rows - (late or 0)
    settings = {"folder": "tables", "source": "folder", "business_date": day, "time_zone": shop.time_zone}
    mapping = {name: {ours: theirs for ours, theirs in columns.items() if ours in shop.tables[name].column_names}
               for name, columns in shop.names.items()}  # fmt: skip
    mapping = {name: {_contract(name, ours): theirs for ours, theirs in columns.items()}
               for name, columns in mapping.items()}  # fmt: skip
    try:
        snapshot.run(snapshot.Settings.model_validate({**settings, "mapping": mapping}))
        validate.run(validate.Settings())
    except InputError as error:
        return f"{day}: refused: {error}"
    report = storage.read_json(Path("artifacts/validate/report.json"))
    for name, counted in report["tables"].items():
        if counted["set_aside"]:
            return f"{day}: {name}: set aside: {counted['reasons']}"
    came = {name: counted["rows"] for name, counted in report["tables"].items()}
    if came != sent:
        return f"{day}: sent {sent}, came {came}"
    sales = _window(shop.tables["events"], "timestamp", shop, day)["timestamp"]
    sold = pc.any(pc.and_(pc.greater_equal(sales, _moment(day - timedelta(days=1))), pc.less(sales, _moment(day))))
    if bool(report["warnings"]) == bool(sold.as_py()):
        return f"{day}: sales {sold}, warnings {report['warnings']}"
    return ""


def _contract(table: str, column: str) -> str:
    return column if column in {spec.name for spec in BY_NAME[table].columns} else f"attr_{column}"


def _moment(day: date) -> pa.Scalar:
    return pa.scalar(datetime(day.year, day.month, day.day), pa.timestamp("us"))


def _window(table: pa.Table, column: str | None, shop: Shop, day: date) -> pa.Table:
    """What the shop exports of a table before that day, or at its noon."""
    if column is None:
        return table
    times = table[column].cast(pa.timestamp("us"))
    end = pc.add(_moment(day), timedelta(hours=12) if shop.morning else timedelta())
    kept = pc.less(times, end)
    if shop.window:
        kept = pc.and_(kept, pc.greater_equal(times, _moment(day - timedelta(weeks=shop.window))))
    return table.filter(kept)


def _write(table: pa.Table, name: str, shop: Shop, folder: Path) -> None:
    """A table as the shop writes it."""
    columns: dict[str, Any] = {}
    text = shop.formats[name] == "csv"
    for ours in table.column_names:
        values = table[ours]
        if pa.types.is_timestamp(values.type):
            values = _times(values, shop, text=text)
        columns[shop.names.get(name, {}).get(ours, ours)] = values
    table = pa.table(columns)
    if not text:
        pq.write_table(table, folder / f"{name}.parquet")
        return
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(delimiter=shop.delimiter))
    content = sink.getvalue().to_pybytes().decode().encode(shop.encoding, "replace")
    (folder / f"{name}.csv").write_bytes(content.replace(b"\n", shop.newline))


def _times(values: pa.ChunkedArray, shop: Shop, *, text: bool) -> pa.ChunkedArray:
    """As text with an offset, as a spreadsheet writes it, or plain; in parquet in the shop's zone or without one."""
    if not text:
        zoned = shop.times == "offset"
        return pc.assume_timezone(values, shop.time_zone) if zoned else values.cast(pa.timestamp("ms"))
    values = values.cast(pa.timestamp("s"))
    if shop.times == "offset":
        return pc.strftime(values, "%Y-%m-%dT%H:%M:%S" + ("Z" if shop.time_zone == "UTC" else "+08:00"))
    if shop.times == "spreadsheet":
        texts = pc.strftime(values, "%Y/%m/%d %H:%M:%S")
        return pc.replace_substring_regex(pc.replace_substring(texts, "/0", "/"), r":\d\d$", "")
    return pc.strftime(values, "%Y-%m-%d %H:%M:%S")
