"""What a language of the template writer consists of.

Fields: {thing} what the offer is on, {product}, {gift}, {code}, {shop} names; {percent} {amount} {threshold} {price}
figures; {start} {end} days; {noun} {order} {clause} the benefit in three manners, its conditions included; {until}
until when, {ends} the same as a sentence; {opener} {closer} small talk; {such} the product as an example, {why} what
was measured of it, {cost} its price, each a sentence or nothing. A phrase may only say what its fields say. No phrase
makes a name the subject of a verb, for nobody knows whether it is one thing or many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

import yaml

from nightmarket.copywriting.facts import Angle, Form

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Benefit:
    """What an offer gives: as a noun, as an invitation, as a statement."""

    noun: Texts
    order: Texts
    clause: Texts


@dataclass(frozen=True)
class Phrasebook:
    """Phrases of one language.

    benefits    per kind of benefit
    conditions  least spend, after a benefit; the last, which is the shortest, only where nothing else fits
    codes       what has to be typed in, after that
    frames      per form: sentence plans around a benefit
    plain, new  per form: about a product without an offer, and about one that nobody has bought
    openers     per angle: first sentences of longer forms; they promise nothing
    amount      how money is written, from (value, symbol, currency)
    day         how a day is written, from (day, whether the year stands there)
    share       how a share of the price is written in a benefit, from percent
    """

    benefits: dict[str, Benefit]
    conditions: Texts
    codes: Texts
    until: Texts
    ends: Texts
    frames: dict[Form, Texts]
    plain: dict[Form, Texts]
    new: dict[Form, Texts]
    openers: dict[Angle, Texts]
    closers: Texts
    such: Texts
    cost: Texts
    reason: Texts
    praise: Texts
    joint: str
    amount: Callable[[float, str, str], str]
    day: Callable[[date, bool], str]
    share: Callable[[float], str]


def plain(value: float) -> str:
    """An amount without a sign: 1,200 or 3.50."""
    return f"{value:,.2f}".removesuffix(".00")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CURRENCIES = {"CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元"}


def english() -> Phrasebook:
    """The phrases of english.yaml."""
    return _read(
        "english",
        amount=lambda value, symbol, _: f"{symbol}{plain(value)}",
        day=lambda day, year: f"{day.day} {_MONTHS[day.month - 1]}" + (f" {day.year}" if year else ""),
        share=lambda percent: f"{percent:g}%",
    )


def chinese() -> Phrasebook:
    """The phrases of chinese.yaml."""

    def amount(value: float, symbol: str, currency: str) -> str:
        return f"{plain(value)}{_CURRENCIES[currency]}" if currency in _CURRENCIES else f"{symbol}{plain(value)}"

    return _read(
        "chinese",
        amount=amount,
        day=lambda day, year: (f"{day.year}年" if year else "") + f"{day.month}月{day.day}日",
        share=lambda percent: f"{(100 - percent) / 10:g}折",
    )


def _read(name: str, **written: Any) -> Phrasebook:
    content = yaml.safe_load(files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    content["benefits"] = {kind: Benefit(**_tuples(manners)) for kind, manners in content["benefits"].items()}
    return Phrasebook(**_tuples(content), **written)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value
