"""Copy to approve: the texts of tonight's plan beside the facts that they were checked against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightmarket.reporting import words
from nightmarket.reporting.night import Content, Night

NUM_BRIEFS = 12
"""Briefs that are shown; the others are in the file."""
NUM_OPEN = 4
"""Briefs that are seen without unfolding anything."""
FORMS = {"push": "Push", "sms": "Text message", "subject": "Subject", "body": "E-mail", "banner": "Banner"}


@dataclass(frozen=True)
class Text:
    """One text of a message."""

    form: str
    text: str
    length: int


@dataclass(frozen=True)
class BriefView:
    """One brief: for whom, on what, in which language; its best messages, and its facts as (name, value)."""

    title: str
    note: str
    language: str
    messages: tuple[tuple[Text, ...], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CopyView:
    """The section."""

    verdict: str
    sentences: tuple[str, ...]
    briefs: tuple[BriefView, ...]
    num_open: int
    num_more: int
    rules: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def view(night: Night) -> CopyView | None:
    """The section, or None when nothing was composed.

    The content is night.copy: `summary`, what the stage compose writes as summary.json, and `texts`, its rows.
    """
    if night.copy is None:
        return None
    summary: Content = night.copy["summary"]
    by_brief: dict[str, list[Mapping[str, Any]]] = {}
    for row in night.copy["texts"]:
        by_brief.setdefault(row["brief"], []).append(row)
    shown = [_brief(rows, summary["facts"].get(key, {}), night) for key, rows in list(by_brief.items())[:NUM_BRIEFS]]
    return CopyView(
        verdict=f"{str(summary['words'])[:1].upper()}{str(summary['words'])[1:]}.",
        sentences=tuple(_sentences(summary)),
        briefs=tuple(shown),
        num_open=NUM_OPEN,
        num_more=max(0, len(by_brief) - NUM_BRIEFS),
        rules=tuple(
            (rule, words.count(num)) for rule, num in sorted(summary["rules"].items(), key=lambda pair: -pair[1])
        ),
        notes=tuple(summary["notes"]),
    )


def _sentences(summary: Content) -> list[str]:
    said = []
    stopped = sum(fate["num"] for fate in summary["fates"] if fate["fate"] == "stopped")
    written = sum(fate["num"] for fate in summary["fates"])
    if written:
        said.append(
            f"{words.things(written, 'message')} were written by the {summary['writer']} writer; the guard stopped "
            f"{words.count(stopped)}."
        )
    if summary["num_by_template_instead"]:
        briefs = words.things(summary["num_by_template_instead"], "brief")
        said.append(f"For {briefs} nothing of the writer’s passed, and the template wrote instead.")
    return said


def _brief(rows: list[Mapping[str, Any]], facts: Mapping[str, Any], night: Night) -> BriefView:
    first = rows[0]
    segments = {str(known["segment"]): known["name"]["en"] for known in (night.segments or {}).get("segments", [])}
    messages: dict[int, list[Text]] = {}
    for row in rows:
        text = Text(FORMS.get(row["form"], row["form"]), row["text"], len(row["text"]))
        messages.setdefault(row["place"], []).append(text)
    segment = str(first["segment"])
    named = (facts.get("product") or {}).get("name") or (facts.get("offer") or {}).get("applies to")
    return BriefView(
        title=str(named or first["offer"]),
        note=(f"offer {first['offer']}; " if named else "")
        + f"segment {segment}{f', {segments[segment]}' if segment in segments else ''}; {first['channel']}",
        language="zh-Hans" if first["locale"] == "zh" else "en",
        messages=tuple(tuple(texts) for _, texts in sorted(messages.items())),
        facts=tuple(_flat(facts)),
    )


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts as a reader compares them with a text, those of the offer first; nothing is said twice."""
    pairs = [(name, _said(value)) for name, value in (facts.get("offer") or {}).items()]
    pairs += [(f"product, {name}", _said(value)) for name, value in (facts.get("product") or {}).items()]
    pairs += [
        (name.replace("_", " "), _said(facts[name])) for name in ("why", "praised_for", "currency") if facts.get(name)
    ]
    once: dict[str, tuple[str, str]] = {}
    for name, value in pairs:
        once.setdefault(value.casefold(), (name, value))
    return list(once.values())


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)
