"""What drives a response, in words: exact contributions to the log-odds, summed over features that mean one thing.

Contributions are a model's terms (exact TreeSHAP for trees, weight x value for a logistic model), so they describe the
model and what goes with a response; they do not say what would cause one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s
from nightmarket.response.models import ResponseModel

Language = Literal["en", "zh"]
FAMILIES: dict[str, tuple[str, ...]] = {
    "answers": (
        "answered",
        "taken",
        "answer_rate",
        "answer_lift",
        "answered_kind",
        "answered_now",
        "fresh_taken",
        "rate_kind",
        "days_since_answer",
    ),
    "contacts": ("told", "told_kind", "told_now", "days_since_told"),
    "offered": ("own_items", "own_share", "best_offer", "best_offers", "own_offers", "days_since_item"),
    "related": ("own_lines", "own_kinds", "kind_share", "near_offers", "text_match", "text_best"),
    "alike": ("alike", "text_alike"),
    "known": ("known",),
    "visits": (
        "baskets_4w",
        "baskets_13w",
        "baskets_ever",
        "spend_4w",
        "spend_13w",
        "spend_ever",
        "variety",
        "basket_value",
        "days_since_visit",
        "days_known",
        "trend",
    ),
    "discounts": ("discount_share", "reduced_share"),
    "coupons": ("coupons_13w", "coupons_ever", "coupons_fresh", "coupons_value", "coupons_baskets"),
    "campaign": ("length", "num_offers", "num_items", "kind_rate"),
}
WORDS: dict[str, dict[Language, tuple[str, str]]] = {
    "answers": {
        "en": ("has answered earlier campaigns", "has seldom answered earlier campaigns"),
        "zh": ("以往常响应营销活动", "以往很少响应营销活动"),
    },
    "contacts": {
        "en": ("has been shown campaigns before in a way that goes with responding", "has been shown many campaigns"),
        "zh": ("以往的触达情况有利于响应", "以往被多次触达"),
    },
    "offered": {
        "en": ("buys the products on offer", "rarely buys the products on offer"),
        "zh": ("常买本次优惠的商品", "很少买本次优惠的商品"),
    },
    "related": {
        "en": ("buys products like those on offer", "rarely buys products like those on offer"),
        "zh": ("常买与优惠商品同类的商品", "很少买与优惠商品同类的商品"),
    },
    "alike": {
        "en": ("shops like those who answered before", "shops unlike those who answered before"),
        "zh": ("购物习惯与以往响应者相似", "购物习惯与以往响应者不同"),
    },
    "known": {
        "en": ("has told the shop about themselves", "has told the shop little about themselves"),
        "zh": ("会员资料较完整", "会员资料较少"),
    },
    "visits": {"en": ("shops often and recently", "shops seldom"), "zh": ("近期购物频繁", "购物较少")},
    "discounts": {"en": ("buys reduced goods", "seldom buys reduced goods"), "zh": ("偏好打折商品", "较少买打折商品")},
    "coupons": {"en": ("uses coupons of all sorts", "seldom uses a coupon"), "zh": ("常用优惠券", "很少用优惠券")},
    "campaign": {
        "en": ("campaigns of this kind are answered more often", "campaigns of this kind are answered less often"),
        "zh": ("此类活动的响应率较高", "此类活动的响应率较低"),
    },
}
"""family → language → words when it speaks for a response, and against one."""
OTHER = "other"
SAID = 0.1
"""Log-odds below which a family is not worth a word."""


@dataclass(frozen=True)
class Contributions:
    """N rows; effects (N, families) in log-odds, constant (N,): both sum to the model's log-odds."""

    families: tuple[str, ...]
    effects: Float64s
    constant: Float64s


def contributions(model: ResponseModel, names: list[str], values: Float32s) -> Contributions:
    """A model's terms on rows (N, F) with features `names`, summed by family."""
    terms = model.terms(values)
    of = {name: family for family, members in FAMILIES.items() for name in members}
    families = (*FAMILIES, OTHER)
    place = np.array([families.index(of.get(name, OTHER)) for name in names])
    effects = np.zeros((len(values), len(families)))
    for at in range(len(families)):
        effects[:, at] = terms[:, :-1][:, place == at].sum(axis=1)
    return Contributions(families, effects, terms[:, -1])


def shares(terms: Contributions, rows: Bools | None = None) -> dict[str, float]:
    """family → share of what sets rows apart: mean |effect - mean effect|, over all families 1; largest first."""
    effects = terms.effects if rows is None else terms.effects[rows]
    spread = np.abs(effects - effects.mean(axis=0)).mean(axis=0)
    part = spread / max(float(spread.sum()), 1e-12)
    order = np.argsort(-part)
    return {terms.families[at]: float(part[at]) for at in order if part[at] > 0}


def words(effect: dict[str, float], language: Language = "en", num: int = 2) -> list[str]:
    """The strongest families of one customer in words. effect: family → log-odds against the average customer."""
    strong = sorted(((abs(value), family) for family, value in effect.items() if family in WORDS), reverse=True)
    return [WORDS[family][language][0 if effect[family] > 0 else 1] for size, family in strong[:num] if size >= SAID]


def summary(part: dict[str, float], language: Language = "en", num: int = 3) -> str:
    """One sentence on what sets responders apart, from `shares`."""
    named = [(family, share) for family, share in part.items() if family in WORDS][:num]
    if not named:
        return {"en": "Nothing sets customers apart here.", "zh": "没有明显的区分因素。"}[language]
    drivers = [f"{TITLES[family][language]} ({share:.0%})" for family, share in named]
    if language == "zh":
        return "客户响应与否的主要区别:" + "、".join(drivers) + "。"
    return "What sets likely responders apart: " + ", ".join(drivers) + "."


TITLES: dict[str, dict[Language, str]] = {
    "answers": {"en": "how they answered earlier campaigns", "zh": "以往对活动的响应"},
    "contacts": {"en": "how often they were shown campaigns", "zh": "以往被触达的次数"},
    "offered": {"en": "purchases of the products on offer", "zh": "对优惠商品的购买"},
    "related": {"en": "purchases of similar products", "zh": "对同类商品的购买"},
    "alike": {"en": "whether they shop like earlier responders", "zh": "购物习惯是否与以往响应者相似"},
    "known": {"en": "how much the shop knows of them", "zh": "会员资料是否完整"},
    "visits": {"en": "how much and how recently they shop", "zh": "购物的频率与近况"},
    "discounts": {"en": "purchases at a reduction", "zh": "对打折商品的偏好"},
    "coupons": {"en": "use of coupons of all sorts", "zh": "对各类优惠券的使用"},
    "campaign": {"en": "the campaign's own terms", "zh": "活动本身的条件"},
}
