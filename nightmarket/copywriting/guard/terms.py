"""What a text must say: its subject, and the conditions of what it promises."""

import re

from nightmarket.copywriting.facts import Facts, folded
from nightmarket.copywriting.guard.violation import Violation
from nightmarket.copywriting.reading import read

_COUPON = re.compile(r"\b(?:coupon|voucher|code)s?\b|券|优惠码", re.IGNORECASE)
_BENEFIT = re.compile(r"\boff\b|\bsave\b|\bfree\b|\bgift\b|\bdiscount\b|折|减|省|送|赠|优惠", re.IGNORECASE)


def subject(text: str, facts: Facts) -> list[Violation]:
    """The product, or what the offer applies to, by its name."""
    lower = text.lower()
    wanted = [facts.product.name, *([facts.offer.scope] if facts.offer else [])]
    if any(name and folded(name).lower() in lower for name in wanted):
        return []
    return [Violation("product not named", "neither the product nor what the offer applies to is named")]


def conditions(text: str, masked: str, facts: Facts) -> list[Violation]:
    """The last day, what it applies to, the least spend, the coupon or code: whatever the offer has."""
    offer = facts.offer
    if offer is None:
        return []
    found = threshold(masked, facts, always=True)
    lower = text.lower()
    if folded(offer.scope).lower() not in lower and folded(facts.product.name).lower() not in lower:
        found.append(Violation("missing condition", "what the offer applies to"))
    if not any(day.is_same(offer.end) for day in read(masked).days):
        found.append(Violation("missing condition", "last day"))
    if offer.code and folded(offer.code).lower() not in lower:
        found.append(Violation("missing condition", "code"))
    if offer.kind == "coupon" and not offer.code and not _COUPON.search(masked):
        found.append(Violation("missing condition", "coupon"))
    if offer.gift and folded(offer.gift).lower() not in lower:
        found.append(Violation("missing condition", "what the gift is"))
    return found


def threshold(masked: str, facts: Facts, *, always: bool = False) -> list[Violation]:
    """The least spend, wherever a benefit is told (`always`: in any case)."""
    offer = facts.offer
    if offer is None or offer.threshold is None or not (always or _BENEFIT.search(masked)):
        return []
    if any(one.role == "threshold" for one in read(masked).amounts):
        return []
    return [Violation("missing condition", "least spend")]
