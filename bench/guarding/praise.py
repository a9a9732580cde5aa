# ruff: noqa: E501  (a Chinese character counts twice)
"""Praise that reviews measured, said truly, and said with one fault: of what, by whom, how much, in which words.

{p} the product, {k} what the offer is on, {o} another product, {a} and {b} what is praised, {x} what nobody praised.
"""

from dataclasses import replace
from random import Random

from bench.guarding.catalogue import products
from bench.guarding.faults import draw_true
from bench.guarding.true_texts import Message
from nightmarket.copywriting.facts import LIMITS, CopyFacts, Form, Locale

PRAISED = {
    "en": ("freshness", "taste", "softness", "sound", "fit", "scent", "crunch", "texture"),
    "zh": ("新鲜", "口感", "柔软", "音质", "合脚", "香味", "包装", "做工"),
}
TRUE = {
    "en": (
        "Customers praise {p} for {a}.", "Praised in reviews for {a} and {b}: {p}.", "Reviews praise {p} for {a} and {b}.", "{p}, praised for {a}.",
        "{p} is praised by customers for its {a}.", "Our customers praise {p} for {a}, {b}.", "{p}: praised in customer reviews for {a}.",
        "Buyers praise {p} for its {b}.",
    ),
    "zh": (
        "顾客评价称赞{p}：{a}。", "{p}因{a}受到顾客好评。", "评价里，顾客夸{p}：{a}、{b}。", "{p}，{a}受到好评。", "买家评价中称赞了{p}：{b}。", "{p}因为{a}、{b}得到顾客的好评。",
    ),
}  # fmt: skip
FALSE = {
    "en": (
        "Customers praise {p} for {x}.", "Customers praise {o} for {a}.", "{p} is the most praised for {a}.", "{p} is praised above all others for {a}.",
        "All customers praise {p} for {a}.", "312 customers praise {p} for {a}.", "{p} is always praised for {a}.", "Customers praise {k} for {a}.",
        "Praised for {a} and {x}: {p}.", "Nine in ten customers praise {p} for {a}.", "Doctors praise {p} for {a}.", "{p} has the best {a}.", "{p} won praise in Paris for {a}.",
        "{p} is praised for {a} like no other.", "Critics rave about {p} and its {a}.", "{p}, famous for {a}.", "More {a} than ever: {p}.", "{p} guarantees {a}.",
        "Everybody praises {p}.", "Five stars for {p}.", "Nobody is praised for {a} as {p} is.", "{a}: that is {p}.",
    ),
    "zh": (
        "顾客评价称赞{p}：{x}。", "顾客评价称赞{o}：{a}。", "{p}的{a}最受好评。", "所有顾客都称赞{p}：{a}。", "312位顾客称赞{p}：{a}。", "{p}一直因{a}受到好评。", "顾客评价称赞{k}：{a}。",
        "{p}因{a}、{x}受到顾客好评。", "九成顾客称赞{p}：{a}。", "医生称赞{p}：{a}。", "{p}{a}第一。", "{p}的{a}获奖无数。", "{p}好评如潮。", "{p}以{a}闻名。", "{p}保证{a}。", "{p}口碑爆棚。",
        "人人都夸{p}。", "{p}五星好评。", "{p}比谁都{a}。", "没有谁比{p}更{a}。",
    ),
}  # fmt: skip
Case = tuple[str, CopyFacts, Message]


def cases(locale: Locale, times: int, seed: int) -> tuple[list[Case], list[Case]]:
    """(pattern, facts, message) of true praise, and of praise with a fault; every pattern `times` times."""
    carriers = [carrier for carrier in draw_true(locale, 200, seed) if carrier.facts.offer is not None]
    by_truth: tuple[list[Case], list[Case]] = ([], [])
    for patterns, into in ((TRUE[locale], by_truth[0]), (FALSE[locale], by_truth[1])):
        for pattern in patterns:
            draw = Random(f"{seed}|{locale}|{pattern}|praise")
            while sum(case[0] == pattern for case in into) < times:
                drawn = draw.choice(carriers)
                a, b, x = draw.sample(PRAISED[locale], 3)
                facts = replace(drawn.facts, praise=(a, b))
                product, offer = facts.product, facts.offer
                if offer is None or (offer.scope == product.name and "{k}" in pattern):
                    continue
                other = draw.choice([goods.name for goods in products(locale) if goods.name[-2:] != product.name[-2:]])
                sentence = pattern.format(p=product.name, k=offer.scope, o=other, a=a, b=b, x=x)
                sentence = sentence[:1].upper() + sentence[1:]
                before = list(drawn.texts.values())[-1]
                text = f"{before} {sentence}" if locale == "en" else before + sentence
                form: Form = "sms" if len(text) <= LIMITS["sms"] else "body"
                if len(text) <= LIMITS[form]:
                    into.append((pattern, facts, {form: text}))
    return by_truth
