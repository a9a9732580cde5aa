"""What came in, what was set aside and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightmarket.reporting import words
from nightmarket.reporting.night import Night


@dataclass(frozen=True)
class TableRow:
    """One source table: counts as text, change against the night before."""

    name: str
    rows: str
    change: str
    set_aside: str


@dataclass(frozen=True)
class SourceRow:
    """What one source brought to a table; `merged` rows went into another source's row of the same thing."""

    source: str
    table: str
    rows: str
    change: str
    set_aside: str
    merged: str


@dataclass(frozen=True)
class Intake:
    """The section's words and rows; `sources` is empty where one source brought everything."""

    summary: str
    tables: tuple[TableRow, ...]
    sources: tuple[SourceRow, ...]
    reasons: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]


def intake(night: Night) -> Intake | None:
    """The section, or None when nothing is known about the input."""
    if night.validation is None:
        return None
    tables: Mapping[str, Any] = night.validation["tables"]
    rows = tuple(_row(name, table) for name, table in sorted(tables.items(), key=lambda item: -item[1]["rows"]))
    reasons = [
        (name, reason, int(number)) for name, table in tables.items() for reason, number in table["reasons"].items()
    ]
    set_aside = tuple(
        (name, reason, words.count(n)) for name, reason, n in sorted(reasons, key=lambda row: (-row[2], row))
    )
    return Intake(_summary(night, tables), rows, tuple(_sources(tables)), set_aside, tuple(_warnings(night)))


def _sources(tables: Mapping[str, Any]) -> list[SourceRow]:
    """A row per source and table, tables in their order."""
    rows = []
    for name, table in sorted(tables.items(), key=lambda item: -item[1]["rows"]):
        for source, part in (table.get("sources") or {}).items():
            row = _row(name, part)
            merged = words.count(part["merged"]) if part.get("merged") else "none"
            rows.append(SourceRow(str(source), name, row.rows, row.change, row.set_aside, merged))
    return rows


def _row(name: str, table: Mapping[str, Any]) -> TableRow:
    previous = table.get("previous_rows")
    if previous is None:
        change = "first time"
    elif previous == table["rows"]:
        change = "unchanged"
    else:
        more = table["rows"] - previous
        change = f"{'+' if more > 0 else '−'}{words.count(abs(more))} ({words.share(abs(more), previous)})"
    aside = f"{words.count(table['set_aside'])} ({words.share(table['set_aside'], table['rows'])})"
    return TableRow(name, words.count(table["rows"]), change, aside if table["set_aside"] else "none")


def _summary(night: Night, tables: Mapping[str, Any]) -> str:
    rows = sum(table["rows"] for table in tables.values())
    aside = sum(table["set_aside"] for table in tables.values())
    shops = [str(origin["name"]) for origin in (night.validation or {}).get("sources", ())]
    source = words.listed([f"“{name}”" for name in shops or [(night.snapshot or {}).get("source", "the source")]])
    checks = (night.validation or {}).get("expectations", 0)
    kept = "None was set aside."
    if aside:
        waiting = f"{words.count(aside)} were set aside ({words.share(aside, rows)})"
        kept = f"{waiting}; they wait in quarantine with their reason."
    came = f"{words.count(rows)} rows in {len(tables)} tables came from {source}"
    return f"{came} and went through {words.count(checks)} checks. {kept}"


def _warnings(night: Night) -> list[str]:
    validation, snapshot = night.validation or {}, night.snapshot or {}
    warnings = [str(warning) for warning in validation.get("warnings", ())]
    for table, notes in sorted((validation.get("notes") or {}).items()):
        warnings += [f"{table}: {words.count(number)} {what}." for what, number in sorted(notes.items())]
    for table, columns in sorted((validation.get("dropped_columns") or {}).items()):
        names = words.listed([str(column) for column in columns])
        warnings.append(
            f"{table}: {names} {'is' if len(columns) == 1 else 'are'} not in the contract and stayed behind."
        )
    for table, counts in sorted(validation["tables"].items()):
        for source, part in (counts.get("sources") or {}).items():
            if part.get("never_filled"):
                empty = words.listed([str(column) for column in part["never_filled"]])
                warnings.append(f"{table} of {source}: {empty} never has a value, as other sources have.")
    for table, conflict in sorted((validation.get("conflicts") or {}).items()):
        if conflict.get("rows"):
            columns = words.listed([f"{name} {words.count(num)}" for name, num in conflict["columns"].items()])
            warnings.append(
                f"{table}: sources disagree in {words.things(conflict['rows'], 'row')} ({columns}); the first holds."
            )
    for table, number in sorted((snapshot.get("after_business_date") or {}).items()):
        if number:
            warnings.append(f"{table}: {words.count(number)} rows lie after the business date, left for another night.")
    return warnings
