"""Tables that nobody would export on purpose, through the intake: each is read, or refused in one line.

python -m bench.faults.tables --tables 100000 --seed 1     a few minutes; the last line is one JSON object
python -m bench.faults.tables --seed 1 --only 417          one shop again, with its traceback
"""

import argparse
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from pydantic import ValidationError

from bench.faults.fuzz import ODD
from nightmarket.contracts import InputError
from nightmarket.contracts.tables import BY_NAME
from tasks.intake.agreement import SeenIds
from tasks.intake.arrivals import Arrival
from tasks.intake.folder import FolderConnector
from tasks.intake.reading import Reading

HANG_S = 20
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Shanghai", "Pacific/Apia")
VALUES: dict[str, tuple[Any, ...]] = {
    "time": ("2025-01-06 10:00:00", "2025-03-30 02:30:00", "06.01.2025", "01/06/2025 10:00 PM", "20250106",
             "1736157600", "1736157600000", "45663.5", "6 Jan 2025", "2025-01-06T10:00:00+08:00", "２０２５年１月６日",
             "2025/1/6 下午3:04", "令和7年1月6日", "R07.01.06", "114/01/06", "06/01/2568", "٢٠٢٥-٠١-٠٦",
             "2025-W02", "W60 2025",
             "2025. 1. 6. 오후 13:04", "6 de enero de 2025", "24時", "0001-01-01",
             "9999-12-31", "2025-02-30", "24:00", "1900-01-01", "99999999999999999999", "-1", "0", 1736157600, 1.5e9),
    "number": ("1.5", "1,5", "1.234", "1.234,56", "$1,234.50", "12-", "(5)", "１２", "1e309", "-0", "--5", "1.2.3", "€",
               "nan", "inf", "9" * 40, "5 kg", "1 234,5", "١٢٫٥",
               "4/5", "4/0", "★★★☆☆", "☆", "5つ星のうち", "4 out of", -1, 0, 1.5, 2**62),
    "id": ("1", "007", "1.0", "1.5E+11", "c1", " c1 ", "guest", "SHIPPING", "gift card", "DISCOUNT-5",
           "a@b.org", "０１", "p1", '="007"', '="', "\ufeffc1", "Total", "合计"),
    "text": ("Milk", "Gift card $50", "Versandkosten", "&amp;<b>x</b>", "礼品卡", "Tip", "a > b", "> >", "\u202e",
             "Ünïcödé"),
    "vector": ("[0.1, -0.5]", "0.1 0.2", "0.1;0.2", "[0.1]", "[]", "[[1]]", "x", "[1e999, 2]"),
    "category": ("yes", "no", "purchase", "view_item", "refund", "scroll", "ja", "ＹＥＳ", "EUR", "email",
                 "foo", 1, 0, True),
}  # fmt: skip
PLAIN: dict[str, tuple[Any, ...]] = {
    "time": ("2025-01-06 10:00:00", "2025-02-07 11:30:00"), "number": ("1.5", "2.25"), "count": ("1980", "3"),
    "id": ("p1", "p2", "p3"), "text": ("Milk", "Bread"), "category": ("a",), "date": ("2025-01-06",),
    "vector": ("[0.1, 0.2]", "[0.3, 0.4]"),
}  # fmt: skip
EXTRA = ("currency", "unit_price", "Type", "Lineitem name", "consent_given", "consent_email", "consent_email_at",
         "email", "reachable_sms", "Gift Card", "", " ", "Customer ID", "PRODUCT_ID", "attr_x", "a,b", '"', "id",
         "time")  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "gb18030", "big5", "shift_jis", "cp1252", "cp1251", "euc_kr", "latin-1")
OTHERS = ("customers", "campaigns", "offers", "exposures", "responses", "reviews", "promotions", "suppressions",
          "deliveries")  # fmt: skip


@dataclass
class Outcome:
    """Tables read and refused, the first words of refusals, and what ended in a traceback."""

    read: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    traces: Counter[str] = field(default_factory=Counter)


def value(draw: random.Random, kind: str) -> Any:
    """A value of a kind, or something odd."""
    chance = draw.random()
    if chance < 0.06:
        return draw.choice(ODD)
    if chance < 0.12:
        return draw.choice((None, "", " ", "NULL", "N/A", float("nan")))
    if chance < 0.16:
        kind = draw.choice(list(VALUES))
    return draw.choice(VALUES[{"count": "number", "date": "time"}.get(kind, kind)])


def plain(draw: random.Random, column: str, kind: str) -> Any:
    """A value that nobody objects to."""
    if column == "kind":
        return draw.choice(("purchase", "view_item", "refund"))
    return draw.choice(("yes", "no")) if column.startswith(("consent", "reach")) else draw.choice(PLAIN[kind])


def table(draw: random.Random, name: str, spoiled: float) -> pd.DataFrame:
    """A small table of the contract, with columns left out, added, doubled and renamed.

    spoiled  share of the columns with odd values
    """
    columns = {column.name: column.kind for column in BY_NAME[name].columns}
    for column in list(columns):
        if draw.random() < (0.002 if BY_NAME[name].column(column).required else 0.3):
            del columns[column]
    for _ in range(draw.choice((0, 0, 0, 0, 1, 2))):
        columns[draw.choice(EXTRA)] = draw.choice(list(VALUES))
    num = draw.choice((0, 1, 2, 3, 5, 8, 20))
    made: dict[str, list[Any]] = {}
    for column, kind in columns.items():
        if draw.random() >= spoiled:
            made[column] = [plain(draw, column, kind) for _ in range(num)]
            continue
        usual = value(draw, kind)  # most columns are written in one way
        wild = draw.choice((0.0, 0.1, 1.0))
        written = draw.choice((str.upper, str.title, lambda text: text.replace("_", " "), *(4 * (str,))))
        made[written(column)] = [value(draw, kind) if draw.random() < wild else usual for _ in range(num)]
    frame = pd.DataFrame({column: pd.Series(values, dtype=object) for column, values in made.items()})
    return frame[draw.sample(list(frame.columns), len(frame.columns))] if draw.random() < 0.2 else frame


def written(draw: random.Random, frame: pd.DataFrame, folder: Path, name: str) -> None:
    """The table as a file of some kind, now and then damaged."""
    chance = draw.random()
    if chance < 0.7:
        ends = draw.choice(("\n", "\n", "\r\n"))
        lines = frame.to_csv(index=False, sep=draw.choice(",,,,;\t|"), lineterminator=ends)
        content, ending = lines.encode(draw.choice((*(20 * ENCODINGS[:1]), *ENCODINGS)), "replace"), "csv"
    elif chance < 0.8:
        rows = [{name: item for name, item in row.items() if item is not None} for row in frame.to_dict("records")]
        ending, content = "jsonl", "\n".join(json.dumps(row, default=str) for row in rows).encode()
    elif chance < 0.9:
        ending, content = "parquet", _parquet(draw, frame)
    else:
        text = frame.to_csv(index=False).encode("utf-8", "replace")
        ending, content = "csv.gz", pa.compress(text, "gzip", asbytes=True)
    if draw.random() < 0.02 and content:
        at = draw.randrange(len(content))
        content = content[:at] + draw.randbytes(draw.randint(0, 5)) + content[at + draw.randint(0, 5) :]
    (folder / f"{name}.{ending}").write_bytes(content)


def _parquet(draw: random.Random, frame: pd.DataFrame) -> bytes:
    columns = {}
    for column in frame.columns:
        try:
            typed = frame[column]
            if draw.random() < 0.2:
                typed = pd.to_datetime(typed, format="mixed", errors="coerce")
            columns[column] = pa.array(typed, from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError, OverflowError, pd.errors.OutOfBoundsDatetime):
            columns[column] = pa.array([None if item is None else str(item).encode("utf-8", "replace").decode()
                                        for item in frame[column]], pa.string())  # fmt: skip
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def reading(draw: random.Random) -> Reading:
    """What the shop says of its tables; mostly nothing."""
    if draw.random() < 0.7:
        return Reading()
    said = {
        "missing": lambda: [draw.choice(ODD)],
        "ids": lambda: draw.sample(["decimals", "zeros", "case", "signs"], draw.randint(0, 4)),
        "units": lambda: {"events": {"value": draw.choice((0.01, 1, 1e9))}},
        "formats": lambda: {
            "events": {
                "timestamp": draw.choice(("day first", "month first", "excel", "seconds", "nanoseconds", "YYYYMMDD")),
                "value": draw.choice(("decimal comma", "decimal point")),
            }
        },
        "kinds": lambda: {"foo": "purchase", draw.choice(ODD): "ignore"},
        "services": lambda: {draw.choice(VALUES["text"]): draw.choice(("product", "fee")), "gift card": "product"},
        "encodings": lambda: {draw.choice(("events", "products")): draw.choice(("utf-8", *ENCODINGS))},
        "mapping": lambda: {"events": {draw.choice(("value", "product_title", "unit_price")): draw.choice(EXTRA)}},
        "rates": lambda: {"EUR": 1.1},
    }
    return Reading.model_validate({name: said[name]() for name in draw.sample(list(said), draw.randint(1, 3))})


def shop(draw: random.Random, folder: Path) -> int:
    """One shop through the intake; how many tables it has."""
    names = ["products", "events", *draw.sample(OTHERS, draw.randint(0, 3))]
    spoiled = draw.choice((0.0, 0.03, 0.1, 0.1, 0.5))
    frames = {name: table(draw, name, spoiled) for name in names}
    said, zone = reading(draw), draw.choice(ZONES)
    for name, frame in frames.items():
        written(draw, frame, folder, name)
    seen = SeenIds()
    for feed in FolderConnector(folder, said, zone, currency=draw.choice((None, "EUR"))).feeds():
        arrival = Arrival(feed)
        for batch in feed.batches():
            batch.validate(full=True)
            arrival.see_ids(batch)
        seen.add(feed.table.name, feed.file, arrival.ids, feed.decimals)
    seen.check()
    return len(names)


def fuzz(folder: Path, seed: int, tables: int, say: Callable[[str], None], only: int | None = None) -> Outcome:
    """So many tables in small shops, each from its own number, so that one can be made again."""
    outcome, number, began = Outcome(), 0 if only is None else only, time.perf_counter()
    signal.signal(signal.SIGALRM, _hung)
    while outcome.read + outcome.refused < tables:
        draw = random.Random(f"{seed}-{number}")
        place = folder / "shop"
        place.mkdir(parents=True)
        signal.alarm(HANG_S)
        try:
            outcome.read += shop(draw, place)
        except (InputError, ValidationError) as error:
            outcome.refused += len(list(place.iterdir()))
            if isinstance(error, InputError) and "\n" in str(error):
                outcome.wrong.append(f"--only {number}: the refusal has several lines: {str(error)[:200]!r}")
        except BaseException as error:
            outcome.refused += len(list(place.iterdir())) or 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:90]!r}"
            outcome.wrong.append(f"--only {number}: {kind}")
            say(outcome.wrong[-1])
            outcome.traces[f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"] += 1
            if only is not None:
                traceback.print_exc()
        signal.alarm(0)
        shutil.rmtree(place)
        number += 1
        if only is not None:
            break
        if number % 2000 == 0:
            done = outcome.read + outcome.refused
            say(f"{done:,} tables, {len(outcome.wrong)} tracebacks, {time.perf_counter() - began:.0f} s")
    return outcome


def _hung(*_: Any) -> None:
    raise TimeoutError("hung")


def main() -> int:
    """Say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one shop")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(Path(folder), asked.seed, asked.tables, lambda line: print(line, file=sys.stderr), asked.only)
    print(json.dumps({"read": outcome.read, "refused": outcome.refused, "tracebacks": len(outcome.wrong),
                      "where": dict(outcome.traces.most_common())}))  # fmt: skip
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
