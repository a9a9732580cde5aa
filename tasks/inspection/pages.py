"""What `inspect` says, in lines for a terminal. No customer's id, name or address is among them."""

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from nightmarket.contracts.tables import ATTRIBUTE_PREFIX
from nightmarket.intake import addresses
from tasks.inspection.capabilities import Capability
from tasks.inspection.proposal import Proposal
from tasks.inspection.trial import SHOWN, TableTrial, Trial
from tasks.intake.listing import Bundle
from tasks.intake.table_files import TEXT, ending
from tasks.intake.text_files import PACKED, looks_like_a_value

MASKED = ("customer_id", "basket_id", "text", "birth_year")
"""Columns whose values are shown by their shape alone."""
HASHED = "(a keyed hash)"
MOST_FILES = 20
WIDTH = 116
WIDEST = 40


def files(proposal: Proposal, trial: Trial) -> Iterator[str]:
    """Which file is which table, and what the others are."""
    made = proposal.read
    if proposal.export:
        yield f"This is an export of {proposal.export.name} ({proposal.export.about})."
        yield ""
    yield "Which file is which table"
    for table, bundle in made.bundles.items():
        tried = trial.tables.get(table)
        many = f" ({len(bundle.paths)} files)" if len(bundle.paths) > 1 else ""
        joined = f" joined with {made.joined[table].title}" if table in made.joined else ""
        also = "".join(f" and {source.file}" for source in made.tables[table].also)
        origin = (
            f"made of {bundle.title}{also}" if made.tables[table].distinct else f"{bundle.title}{many}{joined}{also}"
        )
        yield f"  {table:<13} {origin}{_rows(tried, bundle)}"
    yield from unused(proposal.unused)


def unused(files: Mapping[str, str]) -> Iterator[str]:
    """Files that are read for no table, and why."""
    for title, why in [*files.items()][:MOST_FILES]:
        yield f"  {'-':<13} {_safe(title)}: {why}"
    if len(files) > MOST_FILES:
        yield f"  {'-':<13} and {len(files) - MOST_FILES:,} more files that are no tables"


def _rows(tried: TableTrial | None, bundle: Bundle) -> str:
    if tried is None or tried.refused:
        return ""
    if tried.whole:
        return f", {tried.rows:,} rows"
    plain = all(ending(path) in TEXT and path.suffix.lower() not in PACKED for path in bundle.paths)
    rows = round(tried.rows * bundle.bytes / tried.bytes, -len(str(tried.rows)) + 2)
    about = f" of about {rows:,.0f}" if plain and len(bundle.paths) == 1 else ""
    return f", {tried.rows:,}{about} rows read: a sample, the first of each file"


def _safe(title: str) -> str:
    """A file's name, but for signs that no terminal should be sent."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", title)


def section(content: Mapping[str, Any], checks: Mapping[str, list[str]]) -> Iterator[str]:
    """The section as YAML, with what a person should look at above the key it concerns."""
    yield "snapshot:"
    for key, value in content.items():
        for words in checks.get(key, ()):
            yield from textwrap.wrap(words, WIDTH, initial_indent="  # CHECK: ", subsequent_indent="  # ")
        if key in ("tables", "mapping", "formats", "units"):
            yield f"  {key}:"
            for name, inner in value.items():
                yield from _flow(f"    {name}: ", inner)
        else:
            yield from _flow(f"  {key}: ", value)


def _flow(begin: str, value: Any) -> Iterator[str]:
    """On one line, or a line for each key where that is too long."""
    line = begin + _inline(value)
    if len(line) <= WIDTH or not isinstance(value, Mapping):
        yield line
        return
    yield begin.rstrip()
    indent = " " * (len(begin) - len(begin.lstrip()) + 2)
    for key, inner in value.items():
        yield from _flow(f"{indent}{_inline(key)}: ", inner)


def _inline(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def rows(proposal: Proposal, trial: Trial) -> Iterator[str]:
    """A few rows as they lie there and as they are read."""
    for table, tried in trial.tables.items():
        if tried.parsed is None or table not in proposal.samples or not tried.parsed.num_rows:
            continue
        yield f"{table}: the first rows, as they lie there → as they are read"
        for ours, theirs in proposal.read.mapping[table].items():
            yield from _column(proposal, tried, table, ours, theirs)
        attributes = [name for name in tried.parsed.column_names if name.startswith(ATTRIBUTE_PREFIX)]
        if attributes:
            yield f"  kept as attributes, not shown: {', '.join(attributes)}"
        if tried.dropped:
            names = [name for name in tried.dropped if not looks_like_a_value(name)]
            yield from textwrap.wrap(f"not used: {', '.join(names[:30])}", 112, initial_indent="  ",
                                     subsequent_indent="    ")  # fmt: skip
        yield ""


def _column(proposal: Proposal, tried: TableTrial, table: str, ours: str, theirs: str) -> Iterator[str]:
    sample, parsed = proposal.samples[table], tried.parsed
    if theirs not in sample.column_names or parsed is None or ours.startswith(ATTRIBUTE_PREFIX):
        return
    shown = ours if ours in parsed.column_names else "value" if ours == "unit_price" else ""
    pairs = []
    for row in range(min(SHOWN, sample.num_rows, parsed.num_rows)):
        raw = _value(sample[theirs][row].as_py(), ours)
        read = _value(parsed[shown][row].as_py(), ours) if shown else "(used up)"
        read = HASHED if ours == "customer_id" and read != "-" else read
        pairs.append(raw if raw == read else f"{raw} → {read}")
    name = ours if ours == theirs else f"{ours} ({theirs})"
    yield f"  {name:<34} {'   '.join(dict.fromkeys(pairs))}"


def _value(value: Any, column: str) -> str:
    if value is None or value == "":
        return "-"
    text = str(value)
    if column in MASKED or re.search(addresses.ADDRESS, text):
        text = re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))
        return text if len(text) <= 24 and column != "text" else "x…"
    text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", " ", text).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def understood(trial: Trial) -> Iterator[str]:
    """What was made of rows, what would be set aside, and what stands against a night."""
    if trial.good and not any(
        tried.notes or tried.aside or tried.facts.get("ended") for tried in trial.tables.values()
    ):
        yield "  every row as it is; none would be set aside"
    for table, tried in trial.tables.items():
        lines = [f"{what}: {num:,}" for what, num in tried.notes.items()]
        if tried.facts.get("ended"):
            lines.append(f"rows of products that are not in products, kept as ended ones: {tried.facts['ended']:,}")
        if tried.facts.get("customers", 0) == tried.facts.get("baskets", -1) > 50:
            lines.append("each customer has one basket: is customer_id a person's, or an order's?")
        lines += [f"set aside: {reason}: {num:,}" for reason, num in tried.aside.items()]
        if lines:
            sampled = "" if tried.whole else " (of the sample)"
            yield f"{table}, of {tried.rows:,} rows{sampled}"
            yield from (f"  {line}" for line in lines)
    for table, tried in trial.tables.items():
        if tried.rows and tried.bad > max(1, 0.02 * tried.rows):
            yield (
                f"  ! {table}: {tried.bad:,} of {tried.rows:,} rows would be set aside, more than "
                "validate.max_bad_share allows: the night would stop"
            )
        if tried.refused:
            yield f"  ! {tried.refused}"
    for problem in trial.problems:
        yield f"  ! {problem}"


def offering(given: list[Capability]) -> Iterator[str]:
    """What the shop gets, and what would bring the rest."""
    yield "What the shop gets"
    for offer in given:
        sign = "yes" if offer.given else "no "
        yield from textwrap.wrap(f"{sign}  {offer.name}: {offer.words}", shutil.get_terminal_size((118, 24)).columns,
                                 initial_indent="  ", subsequent_indent="       ")  # fmt: skip
