"""From what a writer gave to what may be sent: every text is checked, repaired or replaced, and every step recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nightmarket.copywriting.facts import LIMITS, Facts, Form, folded
from nightmarket.copywriting.guard import Lexicon, Violation, message_violations
from nightmarket.copywriting.guard.names import mask
from nightmarket.copywriting.guard.terms import conditions
from nightmarket.copywriting.phrases import LANGUAGES
from nightmarket.copywriting.writers import Brief, Message, TemplateWriter, Writer

Fate = Literal["passed", "repaired", "stopped"]


@dataclass(frozen=True)
class Decision:
    """What became of one message of a writer.

    rules  what the guard found, by form; empty for a message that passed as it was
    """

    brief: str
    writer: str
    number: int
    fate: Fate
    rules: tuple[tuple[Form, Violation], ...]


@dataclass(frozen=True)
class Composed:
    """What may be sent for a brief: messages that passed, and who wrote them; none where nothing fits its form."""

    brief: Brief
    messages: tuple[Message, ...]
    writer: str


def compose(
    briefs: Sequence[Brief], writer: Writer, lexicon: Lexicon, num: int, seed: int
) -> tuple[list[Composed], list[Decision]]:
    """Messages that follow from their facts, for every brief, and the record of what the guard decided.

    num  messages asked of the writer, and of the template where none of the writer's passes
    """
    template = TemplateWriter(seed)
    written = writer.write(briefs, num)
    found, record = [], []
    for brief, messages in zip(briefs, written, strict=True):
        good, decisions = passed(brief, messages, writer.name, lexicon)
        record += decisions
        name = writer.name
        if not good and writer.name != template.name:
            name = template.name
            good, decisions = passed(brief, template.write([brief], num)[0], name, lexicon)
            record += decisions
        found.append(Composed(brief, tuple(good), name))
    return found, record


def passed(
    brief: Brief, messages: Sequence[Message], writer: str, lexicon: Lexicon
) -> tuple[list[Message], list[Decision]]:
    """The distinct messages that pass, mended where that is enough."""
    good: list[Message] = []
    record = []
    for number, message in enumerate(messages):
        clean = {form: _clean(text, form) for form, text in message.items()}
        before = _flat(message_violations(clean, brief.facts, lexicon))
        fate: Fate = "passed" if clean == message else "repaired"
        if before:
            clean = repaired(clean, brief.facts)
            fate = "stopped" if _flat(message_violations(clean, brief.facts, lexicon)) else "repaired"
        record.append(Decision(brief.key, writer, number, fate, before))
        if fate != "stopped" and clean not in good:
            good.append(clean)
    return good, record


def repaired(message: Message, facts: Facts) -> Message:
    """The message with a sentence that states the conditions that it misses: least spend, last day, code."""
    form = list(message)[-1]
    whole = folded("\n".join(message.values()))
    if facts.offer is None:
        return message
    missing = {violation.what for violation in conditions(whole, mask(whole, facts), facts)}
    language, offer, parts = LANGUAGES[facts.locale], facts.offer, []
    is_chinese = facts.locale == "zh"
    if "least spend" in missing and offer.threshold is not None:
        spend = language.amount(offer.threshold, facts.symbol, facts.currency)
        parts.append(f"满{spend}可用" if is_chinese else f"from {spend}")
    if "last day" in missing:
        until = language.day(offer.end, False)
        parts.append(f"{until}截止" if is_chinese else f"until {until}")
    if "code" in missing:
        parts.append(f"优惠码：{offer.code}" if is_chinese else f"code: {offer.code}")
    if not parts:
        return message
    text = message[form].rstrip()
    if is_chinese:
        return message | {form: f"{text}（{'，'.join(parts)}）"}
    told = ", ".join(parts)
    return message | {form: f"{text}{'' if text.endswith(('.', '!', '?')) else '.'} {told[0].upper()}{told[1:]}."}


def _clean(text: str, form: Form) -> str:
    """Spaces and Markdown that mean nothing to a reader are taken out, and what is beyond any hope of fitting."""
    lines = [" ".join(line.replace("**", "").split()) for line in text.strip().splitlines()]
    # Rules cost more than linear time on some hostile texts; one character too many is enough to stop a text.
    return ("\n" if form == "body" else " ").join(lines).strip()[: LIMITS[form] + 1]


def _flat(found: dict[Form, list[Violation]]) -> tuple[tuple[Form, Violation], ...]:
    return tuple((form, violation) for form, violations in found.items() for violation in violations)
