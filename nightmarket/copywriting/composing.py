"""From drafts to messages: every text is checked, repaired or replaced, recorded, and a varied few are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nightmarket.contracts.arrays import Float32s
from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, folded
from nightmarket.copywriting.guard.check import Violation, message_violations
from nightmarket.copywriting.guard.figures import conditions
from nightmarket.copywriting.guard.names import Lexicon, mask
from nightmarket.copywriting.phrases import LANGUAGES
from nightmarket.copywriting.writers.prompt import Brief, Message, Writer
from nightmarket.copywriting.writers.template import TemplateWriter

Fate = Literal["passed", "repaired", "stopped"]


@dataclass(frozen=True)
class GuardDecision:
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
) -> tuple[list[Composed], list[GuardDecision]]:
    """Messages that follow from their facts, for every brief, and the record of what the guard decided.

    num  messages asked of the writer, and of the template where none of the writer's passes
    """
    template = TemplateWriter(seed)
    written = writer.write(briefs, num)
    composed, record = [], []
    for brief, messages in zip(briefs, written, strict=True):
        good, decisions = passed(brief, messages, writer.name, lexicon)
        record += decisions
        name = writer.name
        if not good and writer.name != template.name:
            name = template.name
            good, decisions = passed(brief, template.write([brief], num)[0], name, lexicon)
            record += decisions
        composed.append(Composed(brief, tuple(good), name))
    return composed, record


def passed(
    brief: Brief, messages: Sequence[Message], writer: str, lexicon: Lexicon
) -> tuple[list[Message], list[GuardDecision]]:
    """The distinct messages that pass, repaired where that is enough."""
    good: list[Message] = []
    record = []
    for number, message in enumerate(messages):
        clean = {form: tidied(text, form) for form, text in message.items()}
        before = _flat(message_violations(clean, brief.facts, lexicon))
        fate: Fate = "passed" if clean == message else "repaired"
        if before:
            clean = repaired(clean, brief.facts)
            fate = "stopped" if _flat(message_violations(clean, brief.facts, lexicon)) else "repaired"
        record.append(GuardDecision(brief.key, writer, number, fate, before))
        if fate != "stopped" and clean not in good:
            good.append(clean)
    return good, record


def repaired(message: Message, facts: CopyFacts) -> Message:
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
    stated = ", ".join(parts)
    return message | {form: f"{text}{'' if text.endswith(('.', '!', '?')) else '.'} {stated[0].upper()}{stated[1:]}."}


def tidied(text: str, form: Form) -> str:
    """The text without spaces and Markdown that mean nothing to a reader, and what is beyond any hope of fitting."""
    lines = [" ".join(line.replace("**", "").split()) for line in text.strip().splitlines()]
    # Rules cost more than linear time on some hostile texts; one character too many is enough to stop a text.
    return ("\n" if form == "body" else " ").join(lines).strip()[: LIMITS[form] + 1]


def _flat(by_form: dict[Form, list[Violation]]) -> tuple[tuple[Form, Violation], ...]:
    return tuple((form, violation) for form, violations in by_form.items() for violation in violations)


Encode = Callable[[Sequence[str]], Float32s]


def whole(message: Message) -> str:
    """The texts of a message, one after the other."""
    return "\n".join(message.values())


def best_distinct(messages: Sequence[Message], nearness: Float32s, num: int, weight: float = 0.6) -> list[int]:
    """Places of up to `num` messages, the best first.

    nearness  (M,) of each message to its readers, higher is better; only the order and the spread count

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each next one has the most of
    weight x nearness - (1 - weight) x likeness to the nearest one chosen, both scaled to [0, 1].
    """
    if not len(messages):
        return []
    spread = float(np.ptp(nearness))
    gain = (nearness - nearness.min()) / spread if spread > 0 else np.zeros(len(messages), np.float32)
    grams = [_grams(whole(message)) for message in messages]
    kept = [int(np.argmax(gain))]
    likeness = np.array([_jaccard(runs, grams[kept[0]]) for runs in grams])
    while len(kept) < min(num, len(messages)):
        score = weight * gain - (1 - weight) * likeness
        score[kept] = -np.inf
        kept.append(int(np.argmax(score)))
        likeness = np.maximum(likeness, [_jaccard(runs, grams[kept[-1]]) for runs in grams])
    return kept


def _grams(text: str) -> set[str]:
    """Runs of four characters, which need no words and so serve every language."""
    flat = "".join(text.lower().split())
    return {flat[at : at + 4] for at in range(max(1, len(flat) - 3))}


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / max(1, len(first | second))
