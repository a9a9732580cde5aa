# ruff: noqa: E501  (a Chinese character counts twice)
"""Praise from reviews: only of the product that they praise, in the words that were measured."""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.reading import SENTENCE

_PRAISED, _PRODUCT, _OTHER = "\u25b3", "\u25c7", "\u25a2"
_CUE = re.compile(
    r"\b(?:prais\w+|review\w*|reputation|acclaim\w*|applau\w+)\b|夸|称赞|赞|好评|评价|评论|口碑", re.IGNORECASE
)
_LIST_EN = rf"(?:its )?{_PRAISED}(?:(?:, | and |, and )(?:its )?{_PRAISED})*(?!,? and \w|, \w)"
_LIST_ZH = rf"{_PRAISED}(?:[、,和]{_PRAISED})*(?![、和])"
_HOW_MUCH = re.compile(
    r"\b(?:always|ever|often|much|more|most|very|all|so|such|again|everywhere)\b|一直|总是|常|最|都|更|很|非常|特别|十分|到处|人人",
    re.IGNORECASE,
)
"""How much and how often is not known."""
_BY = r"(?: in (?:customer )?reviews| by (?:our )?(?:customers|reviewers|buyers))?"
_SAID = re.compile(
    rf"(?:(?:^|[,:;(—–-] ?){_PRODUCT},? (?:is|are|was) |(?:^|[,:;(—–-] )(?:it is |it's )?)praised{_BY} for {_LIST_EN}|"
    rf"(?:^|[,:;(—–-] ?)(?:our )?(?:(?:customers|reviewers|buyers)(?: in reviews)?|reviews|customer reviews)(?: of {_PRODUCT})? praise (?:it|{_PRODUCT}) for {_LIST_EN}|"
    rf"(?:评价里,顾客夸|(?:顾客|买家)?的?评价[中里]?(?:称赞|夸))了?(?:它|{_PRODUCT})?[:,]?{_LIST_ZH}|"
    rf"{_PRODUCT}?,?(?:因|因为)?{_LIST_ZH}(?:而)?(?:受到|得到)(?:顾客|买家)?(?:的)?好评",
    re.IGNORECASE,
)


def praise(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Praise that was not measured, in words that were not measured, or of something else than the product.

    What was measured of the product (its reason too) stands in one sentence with its name, unless the offer is on the
    product alone.
    """
    product, offer = facts.product, facts.offer
    own = [product.name, *([offer.scope] if offer and folded(offer.scope) == folded(product.name) else [])]
    # One way to name the product: with its brand before or after it.
    clean = without(text, [folded(name) for name in own]).replace(_OTHER, _PRODUCT)
    if facts.reason and offer is not None:
        broken = [
            Violation("unsupported statement", facts.reason[:20])
            for sentence in SENTENCE.split(clean)
            if folded(facts.reason).lower() in sentence.lower() and _PRODUCT not in sentence
        ]
    else:
        broken = []
    said = sorted((folded(words) for words in facts.praise), key=len, reverse=True)
    clean = without(clean, said).replace(_OTHER, _PRAISED)
    if not _CUE.search(clean) and _PRAISED not in clean:
        return broken
    rest = [name for name in facts.names if name not in own and name not in said]
    if product.brand:
        brand = re.escape(folded(product.brand))
        clean = re.sub(rf"{brand} ?{_PRODUCT}|{_PRODUCT} (?:by|from) {brand}", _PRODUCT, clean, flags=re.IGNORECASE)
    for sentence in SENTENCE.split(without(clean, rest)):
        left = _SAID.sub(" ", sentence.strip()) if _PRODUCT in sentence else sentence
        broken += [Violation("invented praise", match[0][:20]) for match in _CUE.finditer(left)]
        if left != sentence.strip():
            broken += [Violation("invented praise", match[0]) for match in _HOW_MUCH.finditer(left)]
        if _PRAISED in left:
            broken.append(Violation("invented praise", "what is praised, without who says so"))
    return broken
