"""How much came, against the night before, from all sources together and from each: a small one must not hide.

Everything here is said of snapshot.json, `about`: tables → {rows, sources → {rows, merged, after_business_date, blank,
lacks}}, previous, previous_sources, and sources, a list in whose order a table's rows stand. There are no `sources`
where one brought everything.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nightmarket.contracts.errors import InputError
from nightmarket.contracts.tables import Table
from nightmarket.contracts.verdicts import File, Verdict

MIN_ROWS = 30
"""Rows of the previous snapshot from which on a drop is no chance."""


def sources(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the sources, in order; none where there is one."""
    return tuple(origin["name"] for origin in about.get("sources", ()))


def files(about: Mapping[str, Any], table: str) -> dict[str, File]:
    """The files that a table was read from, by source, or under "" where one brought everything."""
    here = about["tables"].get(table, {})
    parts = {"": here, **here.get("sources", {})}
    return {source: File(one["file"], one.get("shifts", ())) for source, one in parts.items() if "file" in one}


def called(about: Mapping[str, Any], table: str, source: str = "") -> str:
    """A table by its file's name, where that is known, and of which source."""
    name = here[source].name if source in (here := files(about, table)) else table
    return f"{name} of {source}" if source else name


def brought(part: Mapping[str, Any]) -> int:
    """Rows that a source brought, those that went into another's rows included."""
    return int(part["rows"] + part["merged"])


def check_volume(about: Mapping[str, Any], max_drop: float) -> None:
    """Raises InputError where a table shrank by more than `max_drop` against the previous snapshot.

    One of fewer than MIN_ROWS rows may shrink, though not vanish: of five reviews a month three are gone by chance.
    With several sources each one's rows are compared, as long as the source is still one of them.
    """
    for name, before, now in _pairs(about):
        if now < before * (1 - max_drop) and (before >= MIN_ROWS or not now):
            raise InputError(
                f"{name} has {now:,} rows, {1 - now / before:.0%} fewer than the {before:,} of the previous snapshot "
                f"(validate.max_volume_drop allows {max_drop:.0%}); check the export, or raise the limit"
            )


def _pairs(about: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Name, rows before and rows now of what was there before. An empty one is left to its own message."""
    tables = about["tables"]
    if not sources(about):
        for name, before in sorted(about["previous"].items()):
            if name not in tables or tables[name]["rows"]:
                yield called(about, name), before, tables.get(name, {"rows": 0})["rows"]
        return
    for name, each in sorted(about["previous_sources"].items()):
        parts = tables.get(name, {}).get("sources", {})
        for source in sources(about):
            if source in each and (source not in parts or brought(parts[source])):
                yield called(about, name, source), each[source], brought(parts[source]) if source in parts else 0


def check_arrived(about: Mapping[str, Any], table: Table) -> None:
    """Raises InputError where a source brought a table without a row, or numbers without a single value.

    A table that only the business date emptied is fine unless it is needed.
    """
    for source, part in about["tables"][table.name].get("sources", {}).items():
        if not brought(part):
            if table.needed or not part["after_business_date"]:
                hint = "bring its rows" if table.needed else "bring its rows, or leave the table out"
                raise InputError(
                    f"{called(about, table.name, source)} is empty (0 rows before {about['as_of']}); {hint}"
                )
            continue
        for name in part["blank"]:
            if name not in part["lacks"] and table.column(name).kind in ("number", "count"):
                raise InputError(
                    f"{called(about, table.name, source)}: {name} is empty in every row ({brought(part):,} rows, "
                    "from row 1 on); bring its values"
                )


def never_filled(about: Mapping[str, Any], table: str) -> dict[str, list[str]]:
    """Per source the columns in which it alone has no value: others have some."""
    parts = about["tables"][table].get("sources", {})
    nobody = set.intersection(*(set(part["blank"]) for part in parts.values())) if parts else set()
    return {source: [name for name in part["blank"] if name not in nobody] for source, part in parts.items()}


def account(about: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """One table's counts for the report, and each source's: what it brought was kept, set aside or merged."""
    name = verdict.table.name
    told = verdict.counts() | {"previous_rows": about["previous"].get(name)}
    blank = never_filled(about, name)
    each = {}
    for source, part in verdict.parts().items():
        arrived = about["tables"][name]["sources"][source]
        each[source] = part.counts() | {
            "rows": brought(arrived),
            "merged": arrived["merged"],
            "previous_rows": about["previous_sources"].get(name, {}).get(source),
            "never_filled": blank[source],
        }
    return told | ({"sources": each} if each else {})
