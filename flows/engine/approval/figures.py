"""A plan's figures for people: in the Prefect UI, on a terminal, and in the form that asks for approval."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from flows.engine.reporting import prefect_run
from nightmarket.delivery.summary import audience
from tasks.campaigns import export
from tasks.files import catalogue, storage

GROUPS = {"by_segment": "segment", "by_offer": "offer", "by_channel": "channel", "by_slot": "time slot"}
LISTS = {"products": "The new products", "audiences": "Audiences by size, the likeliest customers first"}
FIRST_LINES = 10
FIRST_TEXTS = 12


def facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person needs to decide, as (what, how much)."""
    spend, budget = _number(summary, "spend"), summary.get("budget")
    share = f" of {budget:,.2f} ({spend / budget:.1%})" if budget else ""
    eligible, everybody = _number(summary, "num_eligible"), _number(summary, "num_customers")
    rows = [
        ("contacts", f"{_number(summary, 'num_contacts'):,.0f}, with {_number(summary, 'num_sent'):,.0f} customers"),
        ("eligible", f"{eligible:,.0f} of {everybody:,.0f} customers"),
        ("kept back", f"{_number(summary, 'num_holdout'):,.0f} customers at random, who get nothing"),
        ("spend", f"{spend:,.2f}{share}"),
        ("responses", f"{_number(summary, 'expected_responses'):,.1f} expected"),
        ("profit", f"{_number(summary, 'expected_profit'):,.2f} expected, net of cost"),
    ]
    if asked := audience(summary.get("campaign") or {}):
        rows.insert(0, ("audience", asked))
    certificate = summary.get("certificate")
    if certificate:
        unit = "" if certificate.get("unit") != "responses" else " responses"
        best = f"at most {certificate['bound']:,.2f}{unit} is possible"
        rows.append(("limit", f"{best}; this plan is {certificate['gap']:.3%} below"))
    return rows


def limits(summary: Mapping[str, Any]) -> list[str]:
    """What keeps the plan from more, a sentence each: full channels, the budget, who may not be contacted."""
    campaign = summary.get("campaign") or {}
    slots = len(campaign.get("slots") or ()) * int(campaign.get("days") or 0)
    said = []
    for row in summary.get("by_channel") or ():
        capacity = ((campaign.get("channels") or {}).get(row["name"]) or {}).get("capacity")
        if capacity is not None and slots:
            full = "is full" if row["num"] >= capacity * slots else "has room"
            said.append(f"{row['name']} {full}: {row['num']:,} of {capacity * slots:,} contacts")
    if budget := summary.get("budget"):
        spend = _number(summary, "spend")
        what = "The budget is used up" if spend >= 0.99 * budget else "The budget is no limit"
        said.append(f"{what}: {spend:,.2f} of {budget:,.2f}")
    for row in (summary.get("consent") or {}).get("closed") or ():
        where = f" by {row['channel']}" if row.get("channel") else ""
        said.append(f"{row['customers']:,} customers may not be contacted{where}: {row['reason']}")
    return said


def words(summary: Mapping[str, Any]) -> list[str]:
    """The plan's own sentences."""
    said = summary.get("words") or []
    return [said] if isinstance(said, str) else [str(part) for part in said]


def segment_names(home: Path) -> dict[str, str]:
    """What marks each segment, by its number; empty where there are none, or they are unavailable."""
    portraits = catalogue.SEGMENT_PORTRAITS.at(home)
    there = not portraits.unavailable() and portraits.exists()
    rows = portraits.read().get("segments") or [] if there else []
    return {str(row["segment"]): str((row.get("name") or {}).get("en", "")) for row in rows}


def named(summary: Mapping[str, Any], segments: Mapping[str, str]) -> dict[str, Any]:
    """The summary with its groups as people know them: segments and offers say what they are, slots go by the clock."""
    offers = [offer for offer in summary.get("offers") or () if "name" in offer]
    called = {offer["name"]: (offer.get("called") or {}).get("en", "") for offer in offers}
    shown = dict(summary)
    for key, more in (("by_segment", segments), ("by_offer", called)):
        rows = summary.get(key) or ()
        shown[key] = [
            row | {"name": f"{row['name']}: {more[row['name']]}"} if more.get(row["name"]) else row for row in rows
        ]
    shown["by_slot"] = sorted(summary.get("by_slot") or (), key=lambda row: _first_number(row["name"]))
    return shown


def _first_number(text: str) -> int:
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0


def markdown(
    name: str,
    summary: Mapping[str, Any],
    kept: str,
    first: Sequence[Mapping[str, Any]],
    texts: Sequence[Mapping[str, Any]] = (),
) -> str:
    """One page: figures, sentences, groups, the first lines of what would be sent, and the best text of each brief.

    kept   where the run is kept, and the plan's hash
    """
    asked = [(key.replace("_", " "), _plain(value)) for key, value in (summary.get("campaign") or {}).items()]
    parts = [
        f"# {_cell(name)}",
        _table(("", ""), facts(summary)),
        *(_text(part) for part in words(summary)),
        *(f"### By {title}\n\n{_groups(summary[key])}" for key, title in GROUPS.items() if summary.get(key)),
    ]
    for key, title in LISTS.items():
        if summary.get(key):
            keys = sorted(summary[key][0], key=lambda name: name != "name")  # what it is comes first
            rows = [[_plain(row[name]) for name in keys] for row in summary[key]]
            parts.append(f"### {title}\n\n{_table([name.replace('_', ' ') for name in keys], rows)}")
    if first:
        rows = [list(row.values()) for row in first]
        parts.append(f"### The first of what would be sent\n\n{_table(list(first[0]), rows)}")
    if texts:
        rows = [list(row.values()) for row in texts]
        parts.append(f"### Texts, the best of each\n\n{_table(list(texts[0]), rows)}")
    parts += [f"### Asked for\n\n{_table(('', ''), [part for part in asked if part[1]])}"] if asked else []
    return "\n\n".join([*parts, kept])


def first_lines(planned: Path) -> list[dict[str, Any]]:
    """The first contacts of the send file."""
    table = export.read(planned)
    rows = table.filter(pc.equal(table["arm"], export.SEND)).slice(0, FIRST_LINES)
    wanted = [*export.FIRST, "probability", "expected_profit"]
    return [{key: _plain(value) for key, value in row.items()} for row in rows.select(wanted).to_pylist()]


def first_texts(planned: Path) -> list[dict[str, Any]]:
    """The best text of the first briefs; none where nothing was written."""
    if not (planned / export.TEXTS).exists():
        return []
    table = storage.read_table(planned / export.TEXTS)
    best = table.filter(pc.equal(table["place"], 1)).slice(0, FIRST_TEXTS)
    return [
        {key: _plain(row[key]) for key in ("segment", "offer", "channel", "locale", "form", "text")}
        for row in best.to_pylist()
    ]


def show(name: str, summary: Mapping[str, Any], kept: str, planned: Path) -> str:
    """Artifacts on the flow run: one page, and a table per group; returns the page."""
    first = first_lines(planned)
    texts = first_texts(planned)
    page = markdown(name, summary, kept, first, texts)
    prefect_run.markdown("plan", page, f"{name}: the plan in figures")
    for key, title in GROUPS.items():
        if summary.get(key):
            rows = [{column: _plain(value) for column, value in row.items()} for row in summary[key]]
            prefect_run.table(f"plan-{key.replace('_', '-')}", rows, f"{name}: by {title}")
    if first:
        prefect_run.table("plan-first-lines", first, f"{name}: first contacts")
    if texts:
        prefect_run.table("plan-texts", texts, f"{name}: texts to approve")
    return page


def _number(summary: Mapping[str, Any], key: str) -> float:
    return float(summary.get(key) or 0)


def _groups(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ("", "contacts", "spend", "expected responses", "expected profit")
    keys = ("name", "num", "spend", "expected_responses", "expected_profit")
    return _table(heads, [[_plain(row.get(key)) for key in keys] for row in rows])


def _plain(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(str(value)) for value in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text of the retailer in a table: no cell of its own, no markup."""
    return re.sub(r"([|<>\[\]`*_\\#])", r"\\\1", " ".join(text.split())) if text != "---" else text


def _text(text: str) -> str:
    return re.sub(r"([<>\[\]`])", r"\\\1", " ".join(text.split()))
