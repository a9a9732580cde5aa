"""The phrases of the template writer, one table per language; a further language is one more entry of LANGUAGES.

Fields: {thing} what the offer is on, {product}, {gift}, {code} names; {percent} {amount} {threshold} {price} figures;
{until} {start} days; {benefit} {condition} the phrases chosen before. A phrase may only say what its fields say.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from nightmarket.copywriting.facts import Angle, Form

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Language:
    """Phrases of one language.

    benefits   per kind of benefit: what the offer gives
    frames     per form: sentences around a benefit
    plain      per form: sentences about a product without an offer
    openers    per angle: first sentences of longer forms; they promise nothing
    amount     how money is written, from (value, symbol, currency)
    day        how a day is written, from (day, whether the year stands there)
    share      how a share of the price is written in a benefit, from percent
    """

    benefits: dict[str, Texts]
    frames: dict[Form, Texts]
    plain: dict[Form, Texts]
    openers: dict[Angle, Texts]
    closers: Texts
    reason: Texts
    praise: Texts
    amount: Callable[[float, str, str], str]
    day: Callable[[date, bool], str]
    share: Callable[[float], str]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _plain(value: float) -> str:
    return f"{value:,.2f}".removesuffix(".00")


def _money_en(value: float, symbol: str, currency: str) -> str:
    return f"{symbol}{_plain(value)}"


def _money_zh(value: float, symbol: str, currency: str) -> str:
    names = {"CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元"}
    return f"{_plain(value)}{names[currency]}" if currency in names else f"{symbol}{_plain(value)}"


def _day_en(day: date, year: bool) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")


def _day_zh(day: date, year: bool) -> str:
    return (f"{day.year}年" if year else "") + f"{day.month}月{day.day}日"


EN = Language(
    benefits={
        "percent": ("{percent} off {thing}", "{thing}: {percent} off", "Save {percent} on {thing}"),
        "amount": ("{amount} off {thing}", "Save {amount} on {thing}", "{thing}: {amount} off"),
        "percent_coupon": ("{percent} off {thing} with your coupon", "Your coupon: {percent} off {thing}"),
        "amount_coupon": ("{amount} off {thing} with your coupon", "Your coupon: {amount} off {thing}"),
        "coupon": ("Your coupon for {thing}", "A coupon for {thing}", "{thing}: your coupon is here"),
        "gift": ("{gift} as a gift with {thing}", "A gift with {thing}: {gift}"),
    },
    frames={
        "push": ("{benefit}{condition}, until {until}", "{benefit}{condition}. Ends {until}"),
        "sms": (
            "{opener} {benefit}{condition}, until {until}. {shop}",
            "{shop}: {benefit}{condition}. Valid until {until}.",
            "{benefit}{condition}, {start} to {until}. {closer}",
            "{opener} {benefit}{condition}. Ends {until}.",
        ),
        "subject": ("{benefit}{condition}", "{benefit}{condition}, until {until}", "{shop}: {benefit}{condition}"),
        "body": (
            "{opener}\n\n{benefit}{condition}. Valid from {start} to {until}.\n\n{extra}{closer}\n{shop}",
            "{benefit}{condition}, until {until}.\n\n{extra}{closer}\n\n{shop}",
            "{opener} {benefit}{condition}. It ends on {until}.\n\n{extra}{closer}\n{shop}",
        ),
        "banner": ("{benefit}{condition} until {until}", "{benefit}{condition}, to {until}"),
    },
    plain={
        "push": ("{product}: have a look", "For your list: {product}", "{product}, at {shop}"),
        "sms": ("{opener} {product}, at {shop}.", "{shop}: {product}. {closer}"),
        "subject": ("{product}, at {shop}", "For your list: {product}"),
        "body": (
            "{opener}\n\n{product}. {extra}\n\n{closer}\n{shop}",
            "{opener}\n\n{product} is waiting at {shop}. {extra}{closer}",
        ),
        "banner": ("{product}", "For your list: {product}"),
    },
    openers={
        "saving": (
            "Good food, smaller bill.",
            "A little less to pay at the till.",
            "Your basket can cost less.",
            "Something for the budget.",
        ),
        "quality": ("Something nice for the table.", "Bring it to the table.", "A good choice for your kitchen."),
        "routine": ("Time to stock up?", "Is it on your list?", "Something from your usual shelf."),
        "plain": ("We picked this for you.", "Something for your next basket.", "A thought for your next visit."),
    },
    closers=("See you soon.", "We look forward to your visit.", "Enjoy.", "Happy cooking and happy shopping."),
    reason=("Good to know: {reason}.",),
    praise=("Praised in reviews for {praise}.",),
    amount=_money_en,
    day=_day_en,
    share=lambda percent: f"{percent:g}%",
)
ZH = Language(
    benefits={
        "percent": ("{thing}{percent}", "{thing}享{percent}优惠", "{percent}选购{thing}"),
        "amount": ("{thing}立减{amount}", "选购{thing}，立省{amount}", "{thing}优惠{amount}"),
        "percent_coupon": ("{thing}{percent}优惠券", "凭券购{thing}享{percent}"),
        "amount_coupon": ("{thing}{amount}优惠券", "凭券购{thing}立减{amount}"),
        "coupon": ("{thing}优惠券已到账", "{thing}可用的优惠券", "您的{thing}优惠券"),
        "gift": ("购{thing}送{gift}", "{thing}有礼，送{gift}"),
    },
    frames={
        "push": ("{benefit}{condition}，{until}截止", "{benefit}{condition}，有效期至{until}"),
        "sms": (
            "{shop}：{benefit}{condition}，有效期至{until}。",
            "{opener}{benefit}{condition}，{until}截止。{shop}",
            "{benefit}{condition}，{start}至{until}。{closer}",
        ),
        "subject": ("{benefit}{condition}", "{benefit}{condition}，{until}截止", "{shop}：{benefit}{condition}"),
        "body": (
            "{opener}\n\n{benefit}{condition}，有效期{start}至{until}。\n\n{extra}{closer}\n{shop}",
            "{benefit}{condition}，{until}截止。\n\n{extra}{closer}\n\n{shop}",
            "{opener}{benefit}{condition}，{until}结束。\n\n{extra}{closer}\n{shop}",
        ),
        "banner": ("{benefit}{condition}，至{until}", "{benefit}{condition}，{until}截止"),
    },
    plain={
        "push": ("{product}，来看看吧", "为您选了{product}", "{shop}：{product}在等您"),
        "sms": ("{opener}{product}，就在{shop}。", "{shop}：{product}在等您。{closer}"),
        "subject": ("为您选了{product}", "{product}，就在{shop}等您"),
        "body": (
            "{opener}\n\n为您选了{product}。{extra}\n\n{closer}\n{shop}",
            "{opener}\n\n{product}，就在{shop}等您。{extra}{closer}",
        ),
        "banner": ("为您选了{product}", "{product}，来看看吧"),
    },
    openers={
        "saving": ("好好吃饭，也能精打细算。", "这一单，花得更值。", "过日子，能省则省。"),
        "quality": ("给餐桌添点好味道。", "用心挑选，好好吃饭。", "好食材，值得端上桌。"),
        "routine": ("家里是不是该补货了？", "常买的，别忘了带上。", "您常逛的货架有消息了。"),
        "plain": ("为您挑了这一样。", "下次购物，不妨看看。", "想到您可能会喜欢。"),
    },
    closers=("期待您的光临。", "祝您购物愉快。", "我们店里见。"),
    reason=("推荐理由：{reason}。",),
    praise=("评价里常夸它：{praise}。",),
    amount=_money_zh,
    day=_day_zh,
    share=lambda percent: f"{(100 - percent) / 10:g}折",
)
LANGUAGES = {"en": EN, "zh": ZH}


def vocabulary() -> set[str]:
    """Words of the English phrases: ordinary words, which name no product by themselves."""
    found: set[str] = set()
    for texts in (*EN.benefits.values(), *EN.frames.values(), *EN.plain.values(), *EN.openers.values(), EN.closers):
        for text in texts:
            found |= set(re.findall("[a-z]+", re.sub("{[a-z]+}", " ", text).lower()))
    return found
