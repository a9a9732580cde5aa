"""Broken tables, and days on which they are fine, through snapshot and validate: what is said, and is it right?"""

import logging
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import great_expectations  # noqa: F401  (here, or each child would import it)
import pyarrow.csv

from bench.faults import days
from bench.faults.broken import Broken
from bench.faults.children import forked
from bench.faults.classes import classes
from nightmarket.contracts import InputError
from nightmarket.testing.shop import make_shop
from tasks import snapshot, validate
from tasks.files import storage
from tasks.intake import expectations

NEEDS = {
    "reviews": ("customers",),
    "offers": ("campaigns",),
    "exposures": ("campaigns", "customers"),
    "responses": ("campaigns", "offers", "customers"),
}
"""What else a table needs beside products and events."""


@dataclass
class Verdicts:
    """What came of the broken tables and of the good days.

    located  of those caught, how many were told by the file, and by column and row where one is at fault
    """

    classes: int = 0
    caught: int = 0
    located: int = 0
    days: int = 0
    alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    vague: list[str] = field(default_factory=list)


def evaluate(place: Path, seed: int, num_classes: int, num_days: int, say: Callable[[str], None]) -> Verdicts:
    """Every class once, or so many of them (0: all); then so many good days."""
    os.environ.pop(storage.FAULT, None)
    verdicts, draw, started = Verdicts(), random.Random(seed), time.perf_counter()
    tables = make_shop(num_customers=40, num_products=60, num_weeks=20, seed=seed)
    wanted = classes()
    for broken in draw.sample(wanted, num_classes) if num_classes else wanted:
        code, told = forked(lambda broken=broken: _in_words(broken, tables, draw), _fresh(place), seconds=300)
        verdicts.classes += 1
        if code or not told["said"]:
            verdicts.missed.append(f"--seed {seed}, {broken.name}: {told}")
            continue
        verdicts.caught += 1
        if _leads(told["said"], broken, told["row"]):
            verdicts.located += 1
        else:
            verdicts.vague.append(f"{broken.name} (row {told['row']}): {told['said'][:300]}")
    passed = time.perf_counter() - started
    say(f"{verdicts.classes} classes of broken tables in {passed:.0f} s: {verdicts.caught} caught, "
        f"{verdicts.located} located")  # fmt: skip
    for line in days.nights(place, seed, num_days, say):
        verdicts.days += 1
        if line:
            verdicts.alarms.append(line)
    return verdicts


def _fresh(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def _in_words(broken: Broken, tables: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """What the night after the fault says of it: the refusal, or of rows set aside what and where; and the bad row."""
    expectations.Expectations.write_docs = lambda *_: None  # type: ignore[method-assign]  # half of the time
    folder = Path("tables")
    kept = {"products", "events", *broken.tables, *(other for name in broken.tables for other in NEEDS.get(name, ()))}
    folder.mkdir()
    for name in kept:
        pyarrow.csv.write_csv(tables[name], folder / f"{name}.csv")
    settings = snapshot.Settings.model_validate({"source": "folder", "folder": "tables", **broken.settings})
    for _ in range(broken.nights):
        snapshot.run(settings)
        validate.run(validate.Settings())
    row = broken.spoil(folder, draw)
    lines: list[str] = []
    listener = logging.Handler(logging.INFO)
    listener.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("nightmarket")
    log.setLevel(logging.INFO)
    log.addHandler(listener)
    log.propagate = False
    said = ""
    try:
        snapshot.run(settings)
        validate.run(validate.Settings())
    except InputError as error:
        said = str(error)
    return {
        "said": " | ".join([*(line for line in lines if ", first in row" in line), *[said] * bool(said)]),
        "row": row,
    }


def _leads(said: str, broken: Broken, row: int | None) -> bool:
    """Whether it names the file, the column and the row, or the row's line in the file."""
    numbers = [int(digits.replace(",", "")) for digits in re.findall(r"\brow ([\d,]*\d)", said)]
    lines = [int(digits.replace(",", "")) for digits in re.findall(r"\bline ([\d,]*\d)", said)]
    there = row is None or row in numbers or row + 1 in lines
    return broken.file in said and re.search(rf"\b{broken.column}\b", said) is not None and there
