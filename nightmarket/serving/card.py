"""The card of a version: how it came to be, what it was worth, and who let it deliver; as text or Markdown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightmarket.evaluation.figures import METRIC
from nightmarket.evaluation.intervals import Interval
from nightmarket.histories.calendar import date_of
from nightmarket.serving import gate

Pairs = Sequence[tuple[str, str]]
Table = Sequence[Sequence[str]]
"""Rows of cells, the first row the header."""

SHOWN = {"python": "Python", "torch": "torch", "device": "device", "threads": "threads", "cpu": "CPU"}
"""The Monday on which week 0 begins."""
NUMBER = re.compile(r"[-+.\d, ]+(\[.*\])?")


@dataclass(frozen=True)
class Card:
    """What a card shows, in the order of its sections."""

    title: str
    sections: tuple[tuple[str, Pairs | None, Table], ...]

    def text(self) -> str:
        """For a terminal."""
        lines = [self.title]
        for heading, facts, table in self.sections:
            lines += ["", heading]
            width = max((len(name) for name, _ in facts or ()), default=0)
            lines += [f"  {name.ljust(width)}  {value}" for name, value in facts or ()]
            lines += _aligned(table)
        return "\n".join(lines)

    def markdown(self) -> str:
        """For MLflow, or a file."""
        lines = [f"## {_escaped(self.title)}"]
        for heading, facts, table in self.sections:
            lines += ["", f"### {heading}", ""]
            lines += [f"- **{name}** {_escaped(value)}" for name, value in facts or ()]
            if table:
                lines += ["", _row(table[0]), _row(["---"] * len(table[0])), *map(_row, table[1:])]
        return "\n".join(lines) + "\n"


def card(record: Mapping[str, Any]) -> Card:
    """The card of what is on record; what a version of older code lacks is left out.

    record   number, aliases, registered, tags (of the version), lineage (run_name, tags, params, data), decision,
             validation ({table: {rows, kept, set_aside}}), delivered ([{since, until, by}]), by_hand (the change that
             last brought it, where a person made it)
    """
    made, tags = record["lineage"], record["tags"]
    sections: list[tuple[str, Pairs | None, Table]] = [
        ("Standing", _standing(record), ()),
        ("Made from", _made_from(record), ()),
        ("Figures", None, _figures(record.get("decision") or {})),
        ("Data", None, _data(made["data"], record.get("validation") or {})),
        ("Environment", _environment(made["tags"]), ()),
        ("Package", [("SHA-256", tags.get("package_sha256", "not on record"))], ()),
    ]
    title = f"nightmarket version {record['number']}: {_role(record['aliases'], tags)}"
    return Card(title, tuple(section for section in sections if section[1] or section[2]))


def parameters(params: Mapping[str, str]) -> list[str]:
    """Every value of params.yaml, one line for each section."""
    grouped: dict[str, list[str]] = {}
    for name, value in sorted(params.items()):
        section, _, key = name.partition(".")
        grouped.setdefault(section, []).append(f"{key}={value}" if key else value)
    return [f"  {section}: {' '.join(values)}" for section, values in grouped.items()]


def _role(aliases: Sequence[str], tags: Mapping[str, str]) -> str:
    if "champion" in aliases:
        return "the champion; it delivers"
    if "previous_champion" in aliases:
        return "the champion before; it does not deliver"
    known = {"opened": "once champion", "refused": "refused by the gate; it never delivered", "pending": "not decided"}
    return "once champion" if "delivered" in tags else known.get(tags.get("gate", ""), "not decided")


def _standing(record: Mapping[str, Any]) -> Pairs:
    tags, by_hand = record["tags"], record.get("by_hand")
    rows = [("registered", record["registered"])]
    rows.append(("gate", f"{tags.get('gate', 'pending')}: {tags.get('reason', 'no reason on record')}"))
    if "unavailable" in tags:
        rows.append(("incomplete", tags["unavailable"]))
    for span in record.get("delivered") or ():
        ends = f"until {span['until']}" if span["until"] else "and still does"
        rows.append(("delivered", f"from {span['since']} {ends} (by {span['by']})"))
    if by_hand:
        against = "against the gate's word, " if tags.get("gate") == "refused" else ""
        rows.append(("by hand", f"{against}{by_hand['how']} by {by_hand['by']}, {by_hand['at']}: {by_hand['reason']}"))
    rows.append(("reproduced", tags.get("reproduced", f"never; make reproduce VERSION={record['number']}")))
    return rows


def _made_from(record: Mapping[str, Any]) -> Pairs:
    made, tags = record["lineage"], record["tags"]
    run, decision = made["tags"], record.get("decision") or {}
    changed = ", with changes that are not in it" if run.get("dirty") == "true" else ""
    window = decision.get("window") or {}
    rows = [
        ("business date", tags.get("as_of", run.get("as_of", "not on record"))),
        ("run", f"refs/runs/{made['run_name']}"),
        ("commit", f"{tags.get('commit', run.get('commit', 'not on record'))}{changed}"),
        ("DVC lock hash", tags.get("lock_hash", "not on record")),
        ("parameters", f"{len(made['params'])} values, SHA-256 {_params_hash(run, decision)}"),
        ("data fingerprint", run.get("data_fingerprint", "not on record")),
        *([("customers' key", run["key_id"])] if "key_id" in run else []),
        ("validation", f"{run.get('validation', 'not on record')}, {run.get('validation_expectations', '?')} checks"),
    ]
    if window:
        first, last = (date_of(window[key]) for key in ("first_target", "last_target"))
        rows.append(("judged on", f"purchases from {first} to {last}"))
    return rows


def _params_hash(run: Mapping[str, str], decision: Mapping[str, Any]) -> str:
    return str(run.get("params_sha256") or decision.get("params_sha256") or "not on record")


def _figures(decision: Mapping[str, Any]) -> Table:
    own, differences = decision.get("metrics") or {}, decision.get("differences") or {}
    rows = []
    for task, figures in own.items():
        numbers = figures.get(METRIC)
        if numbers and gate.finite(numbers):
            shown = f"{numbers['value']:.4f} [{numbers['low']:.4f}, {numbers['high']:.4f}]"
            difference = differences.get(task)
            compared = gate.phrase(Interval(**difference)) if difference and gate.finite(difference) else ""
            rows.append((task, shown, compared))
    return [("task", METRIC, f"against {decision.get('against', 'nobody')}"), *rows] if rows else ()


def _data(tables: Mapping[str, Mapping[str, Any]], checked: Mapping[str, Mapping[str, int]]) -> Table:
    rows = [
        (
            name,
            f"{table['rows']:,}",
            *(f"{checked[name][kind]:,}" if name in checked else "" for kind in ("kept", "set_aside")),
            str(table["sha256"]),
        )
        for name, table in tables.items()
    ]
    return [("table", "rows", "kept", "set aside", "SHA-256"), *rows] if rows else ()


def _environment(tags: Mapping[str, str]) -> Pairs:
    rows = [(shown, tags[name]) for name, shown in SHOWN.items() if name in tags]
    return [*rows, ("constraints.txt", tags["constraints_sha256"])] if "constraints_sha256" in tags else rows


def _aligned(table: Table) -> list[str]:
    if not table:
        return []
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    right = [all(NUMBER.fullmatch(row[place] or "0") for row in table[1:]) for place in range(len(table[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in table
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _escaped(text: str) -> str:
    """Free text, a person's reason above all, shown as it is: no markup, no line of its own."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))
