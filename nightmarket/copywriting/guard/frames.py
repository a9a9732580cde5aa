# ruff: noqa: E501  (a Chinese character counts twice)
"""What a figure is said of: a share or an amount is a claim only together with what is done to which price.

"20% off tea" is read; "tea for 20%", "20% of our teas" and "20% off your whole basket when you buy tea" have the right figure and
say something else. A figure in no frame that is known says nothing that the facts hold, and is stopped.
"""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.patterns import patterns
from nightmarket.copywriting.reading import HAN, LEAST, MASK, NUM, PRICE, SENTENCE, SHARE, WAIVED, read

_LISTS = patterns(__package__, "frames")
_FRAME_EN = re.compile(
    rf"[{SHARE}] ?(?:-? ?off\b|less\b|cheaper\b|lower\b|discount\b|reduction\b|savings?\b|down\b|price\b|the (?:usual |normal |full |regular )?price\b"
    rf"|(?:coupon|voucher)\b|(?:will |is |gets? )?(?:comes?|taken|knocked|disappears?|drops?|falls?|deducted|saved|cut)\b|(?:to|you) save\b)"
    rf"|\b(?:sav(?:e|es|ed|ing)|tak(?:e|es|ing|en)|knock(?:s|ed|ing)?|cut(?:s|ting)?|drop(?:s|ped)?|trim(?:s|med)?|shav(?:e|es|ed|ing)|slash(?:es|ed)?|chop(?:s|ped)?|los(?:e|es)|reduced|minus|less|down|lower|cheaper|discount(?:ed)?|off)"
    rf"(?: (?:you|an?|the|of|by|full|whole|extra|our|{MASK}|prices?|all|everything|exactly|just)){{0,5}}:? ?[{SHARE}]"
    rf"|(?:=|:) ?[{SHARE}] ?$",
    re.IGNORECASE,
)
_FRAME_ZH = re.compile(
    rf"(?:[打享减省降低让抵]|下调|下降|调低|优惠|便宜|折扣|让利|直降|少付|少花|少收|立省)了?(?:价|幅|您)?(?:高达)?\s*{NUM}\s?%|{NUM}\s?%\s*(?:的?优惠|的?折扣|off)|(?:[减省降]|便宜|优惠)了?百分之[{HAN}]+"
)
"""A Chinese 折 says by itself that it is a reduction; a per cent does not."""
_CLAUSE = re.compile(r"[,:;!?。]\s*")
_PRODUCT = "\u25a1"
_BARE_ZH = re.compile(rf"{NUM}\s?%|百分之|一半的?{MASK}|{MASK}的?一半(?!价)")
_HALF_PAID = re.compile(rf"\bpay(?:s|ing)? (?:just |only )?(?:for )?[{SHARE}]", re.IGNORECASE)
_ALL_HERE = re.compile(
    rf"\b(?:all|every|any|each)(?: of)?(?: the| our| your)?(?: single)? {MASK} (?:in|at) (?:the|our) (?:shop|store)\b",
    re.IGNORECASE,
)


def shares(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """A share of which no word says that the price is less by it."""
    if facts.locale == "zh":
        left = _FRAME_ZH.sub(" ", masked)
        return [Violation("number without a fact", match[0]) for match in _BARE_ZH.finditer(left)]
    typed = read(masked).typed
    if facts.offer is not None and facts.offer.percent == 50:
        typed = _HALF_PAID.sub(" ", typed)
    left = _FRAME_EN.sub(" ", typed)
    return [Violation("number without a fact", "a share of nothing that is named")] * (SHARE in left)


def targets(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """What is reduced, or has to be bought, is what the offer applies to, and not a part or all of something else."""
    offer = facts.offer
    if offer is None:
        return []
    typed = read(masked).typed
    names = ["other_target"] if offer.threshold is not None else ["other_target", "any_target"]
    broken = _found(names, typed, facts.locale)
    if offer.threshold is not None:
        broken += [match[0] for match in _LISTS[f"any_spend_{facts.locale}"].finditer(typed)]
        asked = re.sub(rf"({MASK}[^.!?]*)\? ", r"\1, ", masked)
        broken += [
            sentence
            for sentence in (read(sentence).typed for sentence in SENTENCE.split(asked))
            if LEAST in sentence and MASK not in sentence and (SHARE in sentence or WAIVED in sentence)
        ]
    if offer.amount is not None or offer.threshold is not None:
        broken += _found(["each"], typed, facts.locale)
    return [Violation("reduction of something else", what[:20]) for what in broken]


def circumstances(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Where, when, how or for whom alone an offer holds; no offer has such a condition."""
    if facts.offer is not None and facts.offer.gift:
        text = without(text, [folded(facts.offer.gift)], "\u25c7")
        masked = without(text, facts.names)
    typed = _ALL_HERE.sub(MASK, read(masked).typed)
    return [Violation("condition without a fact", what[:20]) for what in _found(["circumstance"], typed, facts.locale)]


def priced(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """A price is the product's: no sentence says it of what the offer applies to, or of a brand, alone."""
    product = folded(facts.product.name)
    rest = [folded(name) for name in (facts.shop, facts.reason, *facts.praise) if name]
    plain = without(without(text, [product], _PRODUCT), rest, "")
    return [
        Violation("price of something else", sentence[:20])
        for sentence in (_CLAUSE if facts.locale == "zh" else SENTENCE).split(without(plain, facts.names))
        if MASK in sentence and _PRODUCT not in sentence and PRICE in read(sentence).typed
    ]


def _found(names: list[str], typed: str, locale: str) -> list[str]:
    return [match[0] for name in names for match in _LISTS[f"{name}_{locale}"].finditer(typed)]
