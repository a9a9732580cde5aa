"""`python -m tasks.pipeline.reference`: the data contract and every parameter as Markdown, from the code.

With --write, the contract's part of docs/how-to/several-shops.md is brought up to date.
"""

import sys
from pathlib import Path

from nightmarket.contracts import TABLES, Column, Table
from tasks.pipeline.settings import MACHINE, RETENTION, STAGES, STEPS, settings_model

DOCUMENT = Path("docs/how-to/several-shops.md")
BEGIN, END = "<!-- contract: begin -->", "<!-- contract: end -->"

KINDS = {"id": "text", "text": "text", "category": "text", "number": "number", "count": "whole number"}


def contract() -> str:
    """Every table with its columns."""
    return "\n".join(_table(table) for table in TABLES)


def _table(table: Table) -> str:
    notes = ["needed" if table.needed else "optional"]
    if table.key:
        notes.append(f"one row per {' and '.join(table.key)}")
    lines = [f"### {table.name}", "", f"{table.meaning[0].upper()}{table.meaning[1:]} ({'; '.join(notes)}).", ""]
    lines += ["| column | kind | | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        needed = "**needed**" if column.required else "optional"
        lines.append(f"| `{column.name}` | {KINDS.get(column.kind, column.kind)} | {needed} | {_meaning(column)} |")
    return "\n".join(lines) + "\n"


def _meaning(column: Column) -> str:
    parts = [column.meaning + (f", in {column.unit}" if column.kind in ("number", "count") and column.unit else "")]
    if column.allowed:
        parts.append(f"one of {', '.join(column.allowed)}")
    if column.low is not None:
        parts.append(f"at least {column.low:g}")
    if column.high is not None:
        parts.append(f"at most {column.high:g}")
    if column.refers_to:
        parts.append(f"must be in `{column.refers_to}`")
    if not column.nullable:
        parts.append("never empty")
    return "; ".join(parts)


def parameters() -> str:
    """Every section and key of params.yaml with its default and what it does."""
    lines = []
    for name in (MACHINE, RETENTION, "snapshot", *(stage for stage in (*STAGES, *STEPS) if stage != "snapshot")):
        lines += [f"### {name}", "", "| key | default | |", "|---|---|---|"]
        for key, field in settings_model(name).model_fields.items():
            default = "" if field.is_required() else field.get_default(call_default_factory=True)
            lines.append(f"| `{key}` | `{default}` | {field.description or ''} |")
        lines.append("")
    return "\n".join(lines)


def updated(document: str) -> str:
    """The document with the contract's part as the code has it."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{contract()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(f"# The data contract\n\n{contract()}\n# Parameters\n\n{parameters()}")
