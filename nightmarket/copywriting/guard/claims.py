# ruff: noqa: E501  (a Chinese character counts twice)
"""Claims that no fact supports, or that advertising law forbids whatever the facts.

The lists follow the practice of Article 9 of the Advertising Law of the People's Republic of China (superlatives) and
Articles 16 to 18 (health), and of Annex I of Directive 2005/29/EC (free, scarcity, cures).
"""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.orders import ORDERS
from nightmarket.copywriting.patterns import patterns
from nightmarket.copywriting.reading import MASK, SENTENCE

_LISTS = patterns(__package__, "claims")
_OTHER_GIFT = re.compile(
    rf"\bbogo\b|\bget one\b|(?:2|two) for (?:1|one|the price)|\btake two(?! \w+ off)\b|\b(?:throw(?:n|ing)? in|our treat|(?<!as a )(?<!your )(?<!our )presents?)\b|(?<!{MASK} )\bat no (?:extra )?(?:cost|charge)\b|"
    rf"\b(?:costs? nothing|no charge|(?:free|complimentary|bonus)(?= (?!with|when|on|for|if|from|once|until|through|till|"
    rf"gift|at|between|and|in|to|by|of charge)[a-z]))\b"
    rf"|免费|免单|(?<![\d.,零〇一二三四五六七八九十百千])[零0]元|好礼|大礼|(?<!作为)(?<!您的)礼物|附礼|(?<!{MASK})白[送拿]|买[一二两三1-3][得送赠]|(?:附带|附上|(?<!配)(?<!{MASK}白)[送赠])(?!您?{MASK}|[品送赠货达上给出完])",
    re.IGNORECASE,
)
"""What is given beside the gift of an offer: the gift's own name is masked."""
_GIVEN = "\u25c7"
_OWN_GIFT = re.compile(
    rf"(?:免费)?(?:即?[送赠]|赠送|可?获赠|附赠)(?:给?您)?(?:一[个份只条张件本])?{_GIVEN}(?:一[个份只条张件本])?|{_GIVEN}(?:一[个份只条张件本])?(?:免费|白)(?:送|带走|带回家|拿走?|领走?|得|赠送)(?:您|给您)?|"
    rf"{_GIVEN}(?:一[个份只条张件本])?就?[送赠](?!完|[^哦啦您给,。!;~ ])"
    rf"|(?:(?:throw|add|pop|put) in )?(?:\b(?:one|an?|the|your) )?(?:\b(?:free|complimentary) )?{_GIVEN}"
    rf"(?:,? (?:for free|free of charge|(?:at )?no (?:extra )?(?:charge|cost)|on us|free|as (?:a|our|your) (?:gift|present))\b)?",
    re.IGNORECASE,
)
"""Ways to say that the gift of the offer is one."""
_TURNED = re.compile(
    rf"\b(?:buy|buying|purchas\w+|order|ordering)(?: an?| the| our| your| any)? {_GIVEN}|\b(?:free|complimentary) (?!with|when|on|for|if|from|at|in)(?:\w+ )?{MASK}|"
    rf"{MASK} (?:is |are )?(?:for free|free|on us|at no (?:extra )?(?:charge|cost)|as a (?:gift|present))\b|"
    rf"[买购](?:一[个份只条张件本])?{_GIVEN}|(?<!配)[送赠得](?:您|你)?(?:一[个份只条张件本])?{MASK}|免费(?:的|得)?{MASK}",
    re.IGNORECASE,
)
"""What is bought is given, or the other way round."""
_CODE = re.compile(r"(?:\b(?i:code|coupon|voucher)s?|[码券])(?i: is)?[:： ]*([A-Z0-9]{3,})")


def gifts(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Something free, or a gift, where the offer has none; beside the gift of an offer, a sentence that names another."""
    if facts.offer is None or not facts.offer.gift:
        return _all("invented gift", _LISTS["gift"], masked)
    name = folded(facts.offer.gift).lower()
    text = re.sub(rf"(?<={re.escape(name)})\? (?:it is|it's|that's|get it|have it)(?= )", "", text, flags=re.IGNORECASE)
    sentences = [sentence for sentence in SENTENCE.split(text.lower()) if name not in sentence]
    known = facts.names
    broken = [
        violation
        for sentence in sentences
        for violation in _all("invented gift", _LISTS["gift"], without(sentence, known))
    ]
    told = without(without(text, [name], _GIVEN), [other for other in known if other.lower() != name])
    broken += _all("invented gift", _TURNED, told) if _GIVEN in told else []
    return broken + _all("invented gift", _OTHER_GIFT, _OWN_GIFT.sub(MASK, told).replace(_GIVEN, MASK))


def benefits(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Delivery, points, refunds and the like, of which the facts know nothing; a reduction or coupon without one."""
    broken = _all("invented benefit", _LISTS["benefit"], masked)
    broken += [Violation("wrong code", match[1]) for match in _CODE.finditer(masked)]
    offer = facts.offer
    if offer is None or (offer.kind != "coupon" and not offer.code):
        broken += _all("invented coupon", _LISTS["coupon"], masked)
    if offer is None or (offer.percent is None and offer.amount is None and offer.kind != "coupon"):
        known = r"\boffers?\b" if offer is not None else r"(?!)"
        broken += [
            violation
            for violation in _all("invented reduction", _LISTS["reduced"], masked)
            if not re.fullmatch(known, violation.what, re.I)
        ]
    return broken


def superlatives(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Superlatives and absolute claims."""
    return _all("forbidden superlative", _LISTS["superlative"], masked)


def health(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Effects on health."""
    return _all("health claim", _LISTS["health"], masked)


def scarcity(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Scarcity and hurry, and days relative to a day of sending that nobody knows."""
    broken = _all("unsupported urgency", _LISTS["scarcity"], masked)
    return (
        broken if facts.offer is not None else [violation for violation in broken if violation.what.lower() != "today"]
    )


def novelty(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """News of a product that is none."""
    return [] if facts.product.is_new else _all("not new", _LISTS["new"], masked)


def instructions(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Traces of a prompt: what a model was told, or says of itself; in a name too, for a name may have come in raw."""
    return _all("trace of a prompt", ORDERS, text)


def _all(rule: str, pattern: re.Pattern[str], text: str) -> list[Violation]:
    return [Violation(rule, match[0]) for match in pattern.finditer(text)]
