"""Made-up shops that speak: the same tables under a shop's own column names, in its language and its money."""

from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from nightmarket.contracts.tables import BY_NAME

_CONTENT = yaml.safe_load(files(__package__).joinpath("dialects.yaml").read_text(encoding="utf-8"))
TYPES: list[tuple[str, list[str], list[str], float]] = [tuple(row) for row in _CONTENT["types"]]
"""(department > category > type, nouns in English, nouns in Chinese, usual price) of what the shops sell."""
ADJECTIVES: list[str] = _CONTENT["adjectives"]
ADJECTIVES_ZH: list[str] = _CONTENT["adjectives_zh"]
SIZES: list[str] = _CONTENT["sizes"]
PATHS: dict[str, str] = _CONTENT["paths"]
"""Levels of the category path, in Chinese."""


@dataclass(frozen=True)
class Dialect:
    """How a shop writes.

    columns  table → {our column: its column}
    worth    units of its currency for one of the tables'
    rate     of its currency in pounds, for params.yaml; made up like everything here
    """

    chinese: bool
    time_zone: str
    currency: str
    worth: float
    rate: float
    columns: dict[str, dict[str, str]]


DIALECTS = {name: Dialect(**content) for name, content in _CONTENT["dialects"].items()}


def speak(tables: dict[str, pa.Table], dialect: Dialect) -> dict[str, pa.Table]:
    """The shop's tables as it would write them; tables that it has no names for stay at home."""
    return {name: _written(tables[name], name, dialect) for name in dialect.columns}


def entry(folder: Path, dialect: Dialect) -> str:
    """The shop's lines for params.yaml: snapshot.folders."""
    mapping = {
        table: {_contract(table, ours): theirs for ours, theirs in columns.items()}
        for table, columns in dialect.columns.items()
    }
    lines: dict[str, Any] = {"name": folder.name, "folder": str(folder), "time_zone": dialect.time_zone}
    lines |= {"currency": dialect.currency} | ({} if dialect.rate == 1 else {"rate": dialect.rate})
    return yaml.safe_dump([lines | {"mapping": mapping}], allow_unicode=True, sort_keys=False, default_flow_style=None)


def _contract(table: str, column: str) -> str:
    known = {contracted.name for contracted in BY_NAME[table].columns}
    return column if column in known else f"attr_{column}"


def _written(table: pa.Table, name: str, dialect: Dialect) -> pa.Table:
    money = [column.name for column in BY_NAME[name].columns if column.unit == "currency"]
    columns = {}
    for ours in table.column_names:
        values = table[ours]
        if ours in money:
            values = pc.round(pc.multiply(values, dialect.worth), 2)
        elif name == "products" and ours in ("title", "category"):
            values = pa.array([_said(text, ours, chinese=dialect.chinese) for text in values.to_pylist()])
        columns[dialect.columns[name].get(ours, ours)] = values
    return pa.table(columns)


TITLES = {
    f"{english.capitalize()} {noun}": f"{chinese}{other}"
    for (english, chinese), (_, nouns, others, _) in product(zip(ADJECTIVES, ADJECTIVES_ZH, strict=True), TYPES)
    for noun, other in zip(nouns, others, strict=True)
} | {"Gasoline": "汽油"}
"""English title without its size → Chinese."""
BACK = {chinese: english for english, chinese in TITLES.items()}


def _said(text: str, column: str, *, chinese: bool) -> str:
    if column == "category":
        return " > ".join(PATHS[level] for level in text.split(" > ")) if chinese else text
    size = next((size for size in SIZES if text.endswith(f" {size}")), "")
    words = text.removesuffix(f" {size}")
    words = (TITLES if chinese else BACK).get(words, words)
    return f"{words} {size}".strip()
