"""Figures and terms of a text: every number is a fact in its role, and the conditions of the offer are stated."""

import re
from datetime import date

from nightmarket.copywriting.facts import CopyFacts, CopyOffer, Violation, folded
from nightmarket.copywriting.guard.names import named
from nightmarket.copywriting.reading import NUM, WEEKDAYS, Amount, read

UNITS = {
    "USD": {"$", "us$", "usd", "dollar", "buck", "cent", "美元"},
    "CNY": {"¥", "cny", "rmb", "yuan", "元", "块"},
    "EUR": {"€", "eur", "euro", "cent", "欧元"},
    "GBP": {"£", "gbp", "pound", "英镑"},
    "JPY": {"¥", "jpy", "日元"},
}


_OF = r"(?: (?:is|are|only|just|at|price|priced|to|of))*[ :]?"
_AGAIN = re.compile(
    r"\b(?:every|each) (?:day|week|weekend|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b|"
    r"\b(?:daily|weekly|monthly)\b|"
    r"每(?:天|日|周|星期|月|年|逢)|逢[周星月]",
    re.IGNORECASE,
)
"""An offer holds once, from its first to its last day."""


def amounts(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Prices, reductions and thresholds, each against the fact of its role, in the shop's currency."""
    return [
        Violation(f"wrong {_name(amount)}", f"{amount.value:g} {amount.unit}")
        for amount in read(masked).amounts
        if not _holds(amount, facts)
    ]


_SUM = (
    rf"((?:US)?[$€£¥] ?{NUM}|{NUM} ?(?:dollars?|bucks?|euros?|pounds?|元|块))"
    r"(?![\d.]| ?(?:off|less|cheaper|lower|down)\b)"
)
_BEFORE = re.compile(
    r"(?:\b(?:was|were|usually|normally|regular(?:ly)?|usual price|instead of|full price)|原价|平时|平常|日常价)"
    rf"{_OF}{_SUM}",
    re.IGNORECASE,
)
_NOW = re.compile(
    rf"(?:\b(?:now|yours for|reduced to|cut to|down to)|现价|现在|折后|减后|到手价?){_OF}{_SUM}", re.IGNORECASE
)


def prices(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """The usual price and the reduced one do not change places."""
    offer, price = facts.offer, facts.product.price
    if price is None or offer is None or (offer.percent is None and offer.amount is None):
        return []
    wrong = [(match, price) for match in _BEFORE.finditer(masked)]
    if offer.threshold is None:
        reduced = price * (1 - offer.percent / 100) if offer.percent is not None else price - (offer.amount or 0)
        wrong += [(match, reduced) for match in _NOW.finditer(masked)]
    return [
        Violation("wrong price", f"{amount.value:g} {amount.unit}")
        for match, right in wrong
        for amount in read(match[1]).amounts
        if abs(amount.value - right) >= 0.0051
    ]


def _name(amount: Amount) -> str:
    return {"waived": "reduction", "threshold": "threshold", "price": "price"}[amount.role]


def _holds(amount: Amount, facts: CopyFacts) -> bool:
    offer, product = facts.offer, facts.product
    known: list[float] = []
    if amount.role == "price" and product.price is not None:
        known = [product.price]
        if offer is not None and offer.percent is not None and offer.threshold is None:
            known.append(round(product.price * (1 - offer.percent / 100), 2))
        if offer is not None and offer.amount is not None and offer.threshold is None:
            known.append(round(product.price - offer.amount, 2))
    elif amount.role == "waived" and offer is not None:
        known = [offer.amount] if offer.amount is not None else []
    elif amount.role == "threshold" and offer is not None:
        known = [offer.threshold] if offer.threshold is not None else []
    units = UNITS.get(facts.currency, {facts.currency.lower()})
    return amount.unit in units and any(abs(amount.value - value) < 0.005 for value in known)


def percents(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Shares of the price, 20% and 八折 alike."""
    right = facts.offer.percent if facts.offer is not None else None
    return [
        Violation("wrong percentage", f"{value:g}%")
        for value in read(masked).percents
        if right is None or abs(value - right) > 0.051
    ]


def dates(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """Days and weekdays must be the first or the last day of the offer."""
    figures = read(masked)
    offer = facts.offer
    known = [] if offer is None else [offer.start, offer.end]
    wrong = [day for day in figures.days if not any(day.is_same(meant) for meant in _meant(day.role, offer))]
    days = {day.weekday() for day in known}
    wrong_again = [Violation("wrong date", match[0]) for match in _AGAIN.finditer(masked)]
    return (
        wrong_again
        + [Violation("wrong date", f"{day.day}/{day.month}/{day.year or '-'}") for day in wrong]
        + [Violation("wrong date", WEEKDAYS[number]) for number in figures.weekdays if number not in days]
    )


def _meant(role: str, offer: CopyOffer | None) -> list[date]:
    """Days of the offer that a day in this role may be."""
    if offer is None:
        return []
    lasting = {"first": [offer.start], "last": [offer.end], "only": [offer.end] if offer.start == offer.end else []}
    return lasting.get(role, [offer.start, offer.end])


def numbers(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """A number without a known sense is a claim that nothing supports."""
    return [Violation("number without a fact", number) for number in read(masked).others]


_COUPON = re.compile(r"\b(?:coupon|voucher|code)s?\b|券|优惠码", re.IGNORECASE)
_BENEFIT = re.compile(r"\boff\b|\bsave\b|\bfree\b|\bgift\b|\bdiscount\b|折|减|省|送|赠|优惠", re.IGNORECASE)


def subject(text: str, facts: CopyFacts) -> list[Violation]:
    """The product, or what the offer applies to, by its name."""
    if named(text, facts):
        return []
    return [Violation("product not named", "neither the product nor what the offer applies to is named")]


def conditions(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """The last day, what it applies to, the least spend, the coupon or code: whatever the offer has."""
    offer = facts.offer
    if offer is None:
        return []
    broken = threshold(masked, facts, always=True)
    lower = text.lower()
    if not named(text, facts):
        broken.append(Violation("missing condition", "what the offer applies to"))
    if not any(day.is_same(offer.end) for day in read(masked).days):
        broken.append(Violation("missing condition", "last day"))
    if offer.code and folded(offer.code).lower() not in lower:
        broken.append(Violation("missing condition", "code"))
    if offer.kind == "coupon" and not offer.code and not _COUPON.search(masked):
        broken.append(Violation("missing condition", "coupon"))
    if offer.gift and folded(offer.gift).lower() not in lower:
        broken.append(Violation("missing condition", "what the gift is"))
    return broken


def threshold(masked: str, facts: CopyFacts, *, always: bool = False) -> list[Violation]:
    """The least spend, wherever a benefit is mentioned (`always`: in any case)."""
    offer = facts.offer
    if offer is None or offer.threshold is None or not (always or _BENEFIT.search(masked)):
        return []
    if any(amount.role == "threshold" for amount in read(masked).amounts):
        return []
    return [Violation("missing condition", "least spend")]
