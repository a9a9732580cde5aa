"""The template writer: a grammar with variants. It needs no model, and says only what its fields say."""

import itertools
from collections.abc import Iterator, Sequence
from random import Random

from nightmarket.copywriting.facts import CHANNELS, LIMITS, Facts, Form, Offer
from nightmarket.copywriting.phrases import LANGUAGES, Language
from nightmarket.copywriting.writers.brief import Brief, Message

_CONDITIONS = {
    "en": (" when you spend {threshold} or more", " over {threshold}"),
    "zh": ("（消费满{threshold}可用）", "（满{threshold}）"),
}


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
    columns = [list(itertools.islice(_texts(brief.facts, form, draw), num)) for form in forms]
    if not all(columns):
        return []
    found: dict[tuple[str, ...], None] = {}
    for turn in range(num):
        found.setdefault(tuple(column[turn % len(column)] for column in columns))
    return [dict(zip(forms, texts, strict=True)) for texts in found]


def _texts(facts: Facts, form: Form, draw: Random) -> Iterator[str]:
    """Distinct texts of one form that fit its length, in an order that `draw` shuffles."""
    language, offer = LANGUAGES[facts.locale], facts.offer
    angle = facts.angle
    if angle == "saving" and (offer is None or (offer.percent is None and offer.amount is None)):
        angle = "plain"  # nothing is known to be saved
    frames = language.plain[form] if offer is None else language.frames[form]
    things = [""] if offer is None else list(dict.fromkeys([offer.scope, facts.product.name]))
    benefits = ("",) if offer is None else language.benefits[_benefit(offer)]
    conditions = _CONDITIONS[facts.locale] if offer is not None and offer.threshold is not None else ("",)
    fields = {"product": facts.product.name, "shop": facts.shop, "extra": _extra(facts, language)}
    if offer is not None:
        fields |= _terms(facts, offer, language, form)
    seen: set[str] = set()
    # Phrases that a frame does not use only repeat its texts: they are drawn, the others gone through.
    choices = list(itertools.product(frames, benefits, things, conditions, range(len(language.openers[angle]))))
    draw.shuffle(choices)
    for frame, benefit, thing, condition, opener in choices:
        fields |= {"thing": thing, "opener": language.openers[angle][opener], "closer": draw.choice(language.closers)}
        fields["condition"] = condition.format(**fields)
        fields["benefit"] = benefit.format(**fields)
        text = _tidy(frame.format(**fields))
        if len(text) <= LIMITS[form] and text not in seen:
            seen.add(text)
            yield text


def _benefit(offer: Offer) -> str:
    """Which phrases tell what the offer gives."""
    if offer.gift:
        return "gift"
    known = "percent" if offer.percent is not None else "amount" if offer.amount is not None else ""
    if offer.kind == "coupon":
        return f"{known}_coupon" if known else "coupon"
    return known or "coupon"


def _terms(facts: Facts, offer: Offer, language: Language, form: Form) -> dict[str, str]:
    year = offer.start.year != offer.end.year and form == "body"
    money = {"amount": offer.amount, "threshold": offer.threshold}
    return {
        "percent": language.share(offer.percent) if offer.percent is not None else "",
        "gift": offer.gift or "",
        "code": offer.code or "",
        "start": language.day(offer.start, year),
        "until": language.day(offer.end, year),
        **{key: language.amount(v, facts.symbol, facts.currency) if v is not None else "" for key, v in money.items()},
    }


def _extra(facts: Facts, language: Language) -> str:
    """A measured reason, or what reviews praise, as a sentence with a space after it."""
    parts = []
    if facts.reason:
        parts.append(language.reason[0].format(reason=facts.reason.rstrip(".。")))
    if facts.praise:
        joint = "、" if facts.locale == "zh" else ", "
        parts.append(language.praise[0].format(praise=joint.join(facts.praise)))
    if facts.offer is not None and facts.offer.code:
        parts.append(f"Code: {facts.offer.code}." if facts.locale == "en" else f"优惠码：{facts.offer.code}。")
    return "".join(part + (" " if facts.locale == "en" else "") for part in parts)


def _tidy(text: str) -> str:
    """No space before an end of line; the first letter is a capital one."""
    text = "\n".join(line.strip() for line in text.strip().split("\n"))
    return text[:1].upper() + text[1:]
