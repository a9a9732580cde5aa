# ruff: noqa: E501  (a Chinese character counts twice)
"""What is said of what: listed words and right figures still lie when they are put together wrongly.

Here names have their own signs, figures too (`TextFigures.typed`), and what stands around a figure has to be one of the few
ways to say it: how much less, of what, from which spend, until when. A clause that holds no name and no figure is small talk.
"""

import re
from collections.abc import Callable, Iterator

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.patterns import patterns
from nightmarket.copywriting.reading import DAY, LEAST, MASK, PAID, PRICE, SENTENCE, SHARE, WAIVED, read

GIFT, CODE, OTHER, ASIDE = "\u25c7", "\u25a3", "\u25a7", "\u25a8"
"""Signs of the gift, the code, a brand or kind that the offer is not on, and any other name; MASK is what it is on."""
_BENEFIT = f"[{SHARE}{PAID}{WAIVED}]"
_SIGN = f"[{SHARE}{PAID}{WAIVED}{LEAST}{PRICE}{DAY}{MASK}{GIFT}{CODE}{OTHER}{ASIDE}]"
_LISTS = patterns(__package__, "statements")
_ARTICLES = r"(?:(?:all|any|every|our|your|the|of|for|on) )*"
_CONDITION = re.compile(r"\b(?:when|if|once|unless|while|whenever) ([^.,!?;:]*)", re.IGNORECASE)
_KNOWN = f"[{LEAST}{MASK}{CODE}{DAY}]"
"""A condition is the least spend, the purchase itself, or the code."""
_LEAD = re.compile(r"^(?:(?:so|and|well|psst|now|simply|just|please|oh)\b[,:]? )+", re.IGNORECASE)
_LESS_AFTER = re.compile(
    r"^ ?(?:off\b|less\b|cheaper\b|discounts?\b|lower\b|reduction\b|saving\b|coupon\b|voucher\b|towards?\b|down\b|[(]?that|"
    r"(?:taken|knocked|comes?|is|are|gets?|will be|drops?|disappears?)(?: \w+)? (?:off|from)\b|to save\b|you save\b|的?(?:优惠|折扣|减免|off|券|代金券))",
    re.IGNORECASE,
)
_LESS_BEFORE = re.compile(
    r"(?:\b(?:sav(?:e|es|ed|ing|ings)|off|knock|knocks|cut|cuts|tak(?:e|es|ing)|down|drops?|dropped|less|minus|reduced|cheaper|lower|discount)(?: \w+){0,2}|[减省降]了?|便宜了?|优惠了?|让利|少[付花]|抵扣?|下调|折扣)[: ]*(?:by|of|is|a full)?[: ]*$",
    re.IGNORECASE,
)


def marked(text: str, facts: CopyFacts) -> str:
    """The typed text in which each name has the sign of what it is."""
    offer, product = facts.offer, facts.product
    on = {folded(name).lower() for name in (product.name, offer.scope if offer else product.name) if name}
    signs = {folded(product.brand).lower(): OTHER, folded(product.category).lower(): OTHER}
    if offer is not None:
        signs |= {folded(offer.gift or "").lower(): GIFT, folded(offer.code or "").lower(): CODE}
    for name in facts.names:
        lower = name.lower()
        kind = folded(product.category).lower()
        if lower in on or any(_same(lower, other) for other in on):
            sign = MASK
        else:
            sign = signs.get(lower, OTHER if kind and _same(lower, kind) else ASIDE)
        text = without(text, [name], sign)
    return read(text).typed


def _same(name: str, other: str) -> bool:
    """Whether two words differ in number alone."""
    return name.isascii() and other.isascii() and name[:3] == other[:3] and abs(len(name) - len(other)) <= 2


def statements(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Figures and names in a relation that the offer does not have."""
    typed = marked(text, facts)
    rules: tuple[Callable[[str, CopyFacts], Iterator[str]], ...] = (_shares, _objects, _said, _clauses)
    return [Violation("unsupported statement", what[:30]) for rule in rules for what in rule(typed, facts)]


def _shares(typed: str, facts: CopyFacts) -> Iterator[str]:
    """A share in percent is what one pays less, and nothing else."""
    for match in re.finditer(SHARE, typed):
        before, after = typed[max(0, match.start() - 30) : match.start()], typed[match.end() : match.end() + 30]
        if not (_LESS_AFTER.search(after) or _LESS_BEFORE.search(before)):
            yield typed[max(0, match.start() - 10) : match.end() + 10]


def _objects(typed: str, facts: CopyFacts) -> Iterator[str]:
    """A benefit is on what the offer is on: no wider kind, no brand, nothing beside it."""
    figure = _BENEFIT if facts.offer is not None else PRICE
    plain = re.sub(rf"{OTHER}(?:'s|的)? ?(?={MASK})|(?<={MASK}),? ?(?:by|from|of)? ?{OTHER}", "", typed)
    for sentence in SENTENCE.split(plain):
        for match in re.finditer(figure, sentence):
            ahead, behind = sentence[match.end() :], sentence[: match.start()]
            if facts.locale == "zh":
                named = _last(behind) or _first(ahead)
            else:
                direct = re.match(
                    rf" ?(?:off|less for|less on|cheaper|discount on|on|for)? ?{_ARTICLES}([{MASK}{OTHER}])", ahead
                )
                named = direct[1] if direct else _last(behind) or _first(ahead)
            if named == OTHER:
                yield sentence
        if re.search(figure, sentence):
            yield from (match[0] for match in _LISTS["joined"].finditer(sentence))


def _last(text: str) -> str:
    return next(iter(re.findall(f"[{MASK}{OTHER}]", text)[::-1]), "")


def _first(text: str) -> str:
    return next(iter(re.findall(f"[{MASK}{OTHER}]", text)), "")


def _said(typed: str, facts: CopyFacts) -> Iterator[str]:
    """Turns of speech that change what a figure, a day or a gift means."""
    name = "said_en" if facts.locale == "en" else "said_zh"
    yield from (match[0] for match in _LISTS[name].finditer(typed))
    if facts.locale == "zh":
        yield from re.findall(
            "[零〇二两三四五六七八九十百千万]", re.sub("百分之|十分|三餐|四季|百搭|百味|千万别|万事", "", typed)
        )
    else:
        for sentence in SENTENCE.split(typed):
            if re.search(f"{_BENEFIT}|{GIFT}", sentence):
                yield from (m[0] for m in _CONDITION.finditer(sentence) if not re.search(_KNOWN, m[1]))


def _clauses(typed: str, facts: CopyFacts) -> Iterator[str]:
    """A clause without a name or a figure is talk, or it claims something."""
    for sentence in SENTENCE.split(typed):
        if not re.search(_SIGN, sentence) or sentence.endswith("?"):
            continue
        for clause in re.split(r"[,:;~()\u2013\u2014]| - |(?<=[!?])", sentence):
            bare = clause.strip(" .!。！")
            if (
                bare
                and not re.search(_SIGN, bare)
                and re.search(r"[a-z\u4e00-\u9fff]", bare, re.I)
                and not (_is_talk(_LEAD.sub("", bare)) if facts.locale == "en" else _LISTS["talk_zh"].search(bare))
            ):
                yield bare


def _is_talk(clause: str) -> bool:
    """An invitation, a greeting, or two or three words that tell nothing."""
    return bool(_LISTS["talk_en"].match(clause)) or (
        len(clause.split()) <= 3 and not _LISTS["telling_en"].search(clause)
    )
