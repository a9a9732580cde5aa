"""Every number in a text must be one of the facts, in its role."""

import re
from datetime import date

from nightmarket.copywriting.facts import Facts, Offer
from nightmarket.copywriting.guard.violation import Violation
from nightmarket.copywriting.reading import WEEKDAYS, Amount, read

UNITS = {
    "USD": {"$", "us$", "usd", "dollar", "buck", "cent", "美元"},
    "CNY": {"¥", "cny", "rmb", "yuan", "元", "块"},
    "EUR": {"€", "eur", "euro", "cent", "欧元"},
    "GBP": {"£", "gbp", "pound", "英镑"},
    "JPY": {"¥", "jpy", "日元"},
}


_AGAIN = re.compile(
    r"\b(?:every|each) (?:day|week|weekend|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b|"
    r"\b(?:daily|weekly|monthly)\b|"
    r"每(?:天|日|周|星期|月|年|逢)|逢[周星月]",
    re.IGNORECASE,
)
"""An offer holds once, from its first to its last day."""


def amounts(text: str, masked: str, facts: Facts) -> list[Violation]:
    """Prices, reductions and thresholds, each against the fact of its role, in the shop's currency."""
    return [
        Violation(f"wrong {_name(one)}", f"{one.value:g} {one.unit}")
        for one in read(masked).amounts
        if not _holds(one, facts)
    ]


def _name(one: Amount) -> str:
    return {"waived": "reduction", "threshold": "threshold", "price": "price"}[one.role]


def _holds(one: Amount, facts: Facts) -> bool:
    offer, product = facts.offer, facts.product
    known: list[float] = []
    if one.role == "price" and product.price is not None:
        known = [product.price]
        if offer is not None and offer.percent is not None and offer.threshold is None:
            known.append(round(product.price * (1 - offer.percent / 100), 2))
    elif one.role == "waived" and offer is not None:
        known = [offer.amount] if offer.amount is not None else []
    elif one.role == "threshold" and offer is not None:
        known = [offer.threshold] if offer.threshold is not None else []
    units = UNITS.get(facts.currency, {facts.currency.lower()})
    return one.unit in units and any(abs(one.value - value) < 0.005 for value in known)


def percents(text: str, masked: str, facts: Facts) -> list[Violation]:
    """Shares of the price, 20% and 八折 alike."""
    right = facts.offer.percent if facts.offer is not None else None
    return [
        Violation("wrong percentage", f"{value:g}%")
        for value in read(masked).percents
        if right is None or abs(value - right) > 0.051
    ]


def dates(text: str, masked: str, facts: Facts) -> list[Violation]:
    """Days and weekdays must be the first or the last day of the offer."""
    found = read(masked)
    offer = facts.offer
    known = [] if offer is None else [offer.start, offer.end]
    wrong = [one for one in found.days if not any(one.is_same(day) for day in _meant(one.role, offer))]
    days = {day.weekday() for day in known}
    wrong_again = [Violation("wrong date", match[0]) for match in _AGAIN.finditer(masked)]
    return (
        wrong_again
        + [Violation("wrong date", f"{one.day}/{one.month}/{one.year or '-'}") for one in wrong]
        + [Violation("wrong date", WEEKDAYS[number]) for number in found.weekdays if number not in days]
    )


def _meant(role: str, offer: Offer | None) -> list[date]:
    """Days of the offer that a day in this role may be."""
    if offer is None:
        return []
    return {"first": [offer.start], "last": [offer.end]}.get(role, [offer.start, offer.end])


def numbers(text: str, masked: str, facts: Facts) -> list[Violation]:
    """A number without a known sense is a claim that nothing supports."""
    return [Violation("number without a fact", one) for one in read(masked).others]
