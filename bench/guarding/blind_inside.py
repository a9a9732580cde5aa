# ruff: noqa: E501  (a Chinese character counts twice)
"""False texts in ordinary words, inside a sentence that also says something true; the fields are those of `blind_true`."""

from random import Random

from bench.guarding.blind_true import facts_for, fields
from nightmarket.copywriting.facts import CopyFacts, Locale

PATTERNS: dict[Locale, tuple[str, ...]] = {
    "en": (
        "{b} off {c} for you and your friends until {e}.", "{b} off {c} each time you visit, until {e}.", "{b} off {c} and your next order until {e}.",
        "{b} off {c} on this order and the one after, until {e}.", "Until {e}, {b} off {c} and a lower price later.", "{b} off {c} in the evening until {e}.",
        "{b} off {c} at the weekend until {e}.", "{b} off {c} with your card until {e}.", "{b} off {c} when you bring a friend, until {e}.",
        "Pay {b} less for {c} than in other shops until {e}.", "{b} off {c} if you buy a dozen, until {e}.", "{b} off {c}, and you pay later, until {e}.",
        "{b} off {c}, brought to your house, until {e}.", "{b} off {c}: that is cheaper than last month. Until {e}.", "{b} off {c}, and it lasts for a month. Until {e}.",
        "{b} off {c}, ready in a minute. Until {e}.", "{b} off {c}, gentle and warm. Until {e}.", "{b} off {c}, good for kids. Until {e}.",
        "{c} helps you save on your bills: {b} off until {e}.", "{b} off {c} until {e}, and after that too.", "{b} off {c} until {e} for customers with a card.",
        "After {e} the price of {c} goes up, so save {b}.", "From {e} on, {b} off {c}.", "{b} off {c} starts {e}.", "{b} off {c} until {f}. See you by {e}.",
        "{b} off {c}, and you can change it later, until {e}.", "{b} off {c} and more on your bill, until {e}.", "{b} off {c} or what you like, until {e}.",
    ),
    "zh": (
        "{c}{z}，朋友也享，{e}截止。", "{c}{z}，下次也享，{e}截止。", "{c}和店里商品{z}，{e}截止。", "带朋友来，{c}{z}，{e}截止。", "早上到店，{c}{z}，{e}截止。", "周末到店，{c}{z}，{e}截止。",
        "{c}{z}，送到家，{e}截止。", "{c}{z}，可以换，{e}截止。", "{c}{z}，{e}后也有。", "{c}从{e}开始{z}。", "{c}{z}，{e}起有效。", "{c}{z}，用一年，{e}截止。", "{c}口味好，{z}，{e}截止。",
        "{c}{z}，拿走下次付，{e}截止。", "{c}{z}，结账也可减，{e}截止。", "顾客喜欢的{c}{z}，{e}截止。", "顾客常买的{c}，{z}，{e}截止。", "{c}{z}，用券便宜，{e}截止。", "{c}{z}，一年有效，{e}截止。",
        "{c}{z}，{f}截止，{e}见。", "{c}{z}，放冰箱里一个月也好，{e}截止。", "{c}{z}，为家里省钱，{e}截止。", "{c}{z}，见券减，{e}截止。", "选购商品，{c}{z}，其他也减，{e}截止。",
    ),
}  # fmt: skip


def inside(locale: Locale, times: int, seed: int) -> list[tuple[str, CopyFacts, str]]:
    """(pattern, facts, text), every pattern `times` times."""
    texts = []
    for pattern in PATTERNS[locale]:
        draw = Random(f"{seed}|{locale}|{pattern}|inside")
        for at in range(times):
            facts = facts_for("percent" if at % 2 else "amount", locale, draw)
            text = pattern.format(**fields(facts, str(draw.random())))
            texts.append((pattern, facts, text[:1].upper() + text[1:]))
    return texts
