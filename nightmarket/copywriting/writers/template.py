"""The template writer: a grammar with variants. It needs no model, and says only what its fields say."""

import itertools
import re
from collections.abc import Iterator, Sequence
from random import Random

from nightmarket.copywriting.facts import CHANNELS, LIMITS, Angle, CopyFacts, CopyOffer, Form
from nightmarket.copywriting.phrases import LANGUAGES, Phrasebook
from nightmarket.copywriting.writers.prompt import Brief, Message

_TRIES = 4
"""Draws per text that is wanted; a form that is too short for most phrases is gone through in full after that."""
_MANNERS = re.compile(r"\{(noun|order|clause)\}")


class TemplateWriter:
    """Texts from the phrases of the facts' language."""

    name = "template"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """Up to `num` distinct messages per brief, in its forms' lengths; fewer where no more fit.

        A brief gets the same messages whatever it is written beside.
        """
        return [_messages(brief, num, self.seed) for brief in briefs]


def _messages(brief: Brief, num: int, seed: int) -> list[Message]:
    forms = CHANNELS.get(brief.channel, ("push",))
    draw = Random(f"{seed}|{brief.key}")
    columns = [list(itertools.islice(_texts(brief.facts, form, draw, num), num)) for form in forms]
    if not all(columns):
        return []
    combinations: dict[tuple[str, ...], None] = {}
    for turn in range(num):
        combinations.setdefault(tuple(column[turn % len(column)] for column in columns))
    return [dict(zip(forms, texts, strict=True)) for texts in combinations]


def _texts(facts: CopyFacts, form: Form, draw: Random, num: int) -> Iterator[str]:
    """Distinct texts of one form that fit its length: the sentence plans in turn, everything else drawn."""
    language = LANGUAGES[facts.locale]
    frames = list(_frames(facts, language)[form])
    draw.shuffle(frames)
    seen: set[str] = set()
    for frame in itertools.islice(itertools.cycle(frames), _TRIES * num):
        text = _tidy(frame.format(**_fields(facts, language, form, frame, draw)), facts.locale)
        if len(text) <= LIMITS[form] and text not in seen:
            seen.add(text)
            yield text
    if facts.offer is not None and form != "body":
        for frame, manner in _every(facts.offer, language, frames):
            text = _tidy(frame.format(**_fields(facts, language, form, frame, draw, manner)), facts.locale)
            if len(text) <= LIMITS[form] and text not in seen:
                seen.add(text)
                yield text


def _frames(facts: CopyFacts, language: Phrasebook) -> dict[Form, tuple[str, ...]]:
    if facts.offer is not None:
        return language.frames
    return language.new if facts.product.is_new else language.plain


def _every(offer: CopyOffer, language: Phrasebook, frames: Sequence[str]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Every plan with every benefit and its shortest conditions and days."""
    benefit = language.benefits[_benefit(offer)]
    condition = language.conditions[-1] if offer.threshold is not None else ""
    code = min(language.codes, key=len) if offer.code else ""
    for frame in sorted(frames, key=len):
        manner = _MANNERS.search(frame)
        for phrase in sorted(getattr(benefit, manner[1]), key=len) if manner else ():
            yield frame, (phrase + condition + code, min(language.until, key=len), min(language.ends, key=len))


def _fields(
    facts: CopyFacts,
    language: Phrasebook,
    form: Form,
    frame: str,
    draw: Random,
    manner: tuple[str, str, str] | None = None,
) -> dict[str, str]:
    """What a plan is filled with; `manner` says benefit, until and ends, which are drawn otherwise."""
    product, offer = facts.product, facts.offer
    fields = {"product": product.name, "shop": facts.shop, "closer": draw.choice(language.closers), "such": ""}
    fields["opener"] = draw.choice(language.openers[_angle(facts)])
    fields["why"] = _why(facts, language, draw) if "{why}" in frame else ""
    fields["cost"] = ""
    if product.price is not None and offer is None:
        price = language.amount(product.price, facts.symbol, facts.currency)
        fields["cost"] = draw.choice(language.cost).format(price=price) + _gap(facts)
    if offer is None:
        return fields
    terms = _terms(facts, offer, language, form)
    if "{such}" in frame and product.name != offer.scope:
        fields["such"] = draw.choice(language.such).format(product=product.name) + _gap(facts)
    terms["thing"] = offer.scope
    until, ends = (manner[1], manner[2]) if manner else (draw.choice(language.until), draw.choice(language.ends))
    fields |= {"end": terms["end"], "until": until.format(**terms), "ends": ends.format(**terms)}
    benefit = language.benefits[_benefit(offer)]
    tail = draw.choice(language.conditions[:-1]) if offer.threshold is not None else ""
    tail += draw.choice(language.codes) if offer.code else ""
    for name in _MANNERS.findall(frame):
        phrases = getattr(benefit, name)
        if re.search(rf"[:：] ?\{{{name}", frame):  # no second colon
            phrases = [variant for variant in phrases if ":" not in variant]
        phrase = manner[0] if manner else draw.choice(phrases) + tail
        fields[name] = phrase.format(**terms)
    return fields


def _angle(facts: CopyFacts) -> Angle:
    """The readers' angle, but for saving where nothing is known to be saved."""
    offer = facts.offer
    if facts.angle == "saving" and (offer is None or (offer.percent is None and offer.amount is None)):
        return "plain"
    return facts.angle


def _benefit(offer: CopyOffer) -> str:
    """Which phrases tell what the offer gives; a code tells by itself that it is a coupon."""
    if offer.gift:
        return "gift"
    known = "percent" if offer.percent is not None else "amount" if offer.amount is not None else ""
    if offer.kind == "coupon" and not offer.code:
        return f"{known}_coupon" if known else "coupon"
    return known or "coupon"


def _terms(facts: CopyFacts, offer: CopyOffer, language: Phrasebook, form: Form) -> dict[str, str]:
    year = offer.start.year != offer.end.year and form == "body"
    money = {"amount": offer.amount, "threshold": offer.threshold}
    return {
        "percent": language.share(offer.percent) if offer.percent is not None else "",
        "gift": offer.gift or "",
        "code": offer.code or "",
        "start": language.day(offer.start, year),
        "end": language.day(offer.end, year),
        **{key: language.amount(v, facts.symbol, facts.currency) if v is not None else "" for key, v in money.items()},
    }


def _why(facts: CopyFacts, language: Phrasebook, draw: Random) -> str:
    """What reviews praise and a measured reason, each as a sentence that names the product."""
    parts = []
    if facts.praise:
        joint = language.joint.join(facts.praise[:2])
        parts.append(draw.choice(language.praise).format(product=facts.product.name, praise=joint))
    if facts.reason:
        reason = facts.reason.rstrip(".。")
        parts.append(draw.choice(language.reason).format(product=facts.product.name, reason=reason))
    draw.shuffle(parts)
    return "".join(part + _gap(facts) for part in parts)


def _gap(facts: CopyFacts) -> str:
    return " " if facts.locale == "en" else ""


def _tidy(text: str, locale: str) -> str:
    """No space at an end of line and no empty paragraph; a sentence begins with a capital letter."""
    lines = "\n".join(" ".join(line.split()) for line in text.strip().split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", lines)
    if locale == "en":
        text = re.sub(r"(^|[.!?]\s+|\n)([a-z])", lambda match: match[1] + match[2].upper(), text)
    return text
