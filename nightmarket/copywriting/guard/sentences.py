# ruff: noqa: E501  (a Chinese character counts twice)
"""Sentences that name nothing of the facts: a greeting, a thank-you, an invitation or a question, and nothing else.

Ordinary words make claims too ("it also holds for your friends"). A sentence with a name or a figure of the facts is read by the
other rules; one without can only be small talk, whose shapes are few.
"""

import re

from nightmarket.copywriting.facts import Facts, folded
from nightmarket.copywriting.guard.names import without
from nightmarket.copywriting.guard.violation import Violation
from nightmarket.copywriting.phrases import LANGUAGES
from nightmarket.copywriting.reading import MASK, SENTENCE, read

_TALK_EN = re.compile(
    r"(?:(?:so|and|well|psst|now|simply|just|please|oh)[,:]? )?(?:hello|hi|hey|dear|good (?:morning|evening|day|news|to know|afternoon)|thanks?|"
    r"see you|we (?:hope|look forward|would like to (?:see|welcome)|wish|thought|picked|are (?:glad|happy|pleased)|have something)|welcome|"
    r"news|enjoy|visit|come|drop|pop|stop by|swing|have a|treat yourself|let us|here(?:'s| is)|that'?s (?:it|all)|no (?:rush|hurry)|time (?:to|for)|"
    r"something|a (?:little|small|thought|note|gentle|reminder|good|nice)|plan|stock up|add|put|pick up|try|find|look|shop|ready|simple|small|"
    r"your (?:basket|shelf|table|kitchen|list)|for your|bring it|how about|happy|yours|until (?:then|soon)|we(?:'d| would) like to|"
    r"(?:enter|use|type|add|show) (?:it|(?:the|this|your) code) )",
    re.IGNORECASE,
)
_MORE_EN = re.compile(
    r"\b(?:also|too|again|another|more|lower|next (?!visit|basket|order|shop|time|trip)\w+|prices?(?!, big)|friends?|sav(?:e|es|ing|ings)|later|free|"
    r"coupons?|vouchers?|offers?|discounts?|gifts?|extra|same|both|any|every|kids|costs?|works?|holds?|before (?!you)|after|else|half|works|helps?)\b",
    re.IGNORECASE,
)
_TALK_ZH = re.compile(
    r"(?:亲爱的|尊敬的|您好|你好|大家好|亲|各位|小主|欢迎|期待|祝|感谢|谢谢|我们(?:店里)?见|我们等|店里见|再见|记得|别忘了|慢慢|不着急|随时|有空|来看看|看看|逛逛|来逛|"
    r"为您|想到您|家里|厨房|冰箱|餐桌|好好|该补货|温馨|小贴士|省心|下次购物|想试试|换个口味|常买的|过日子|这一单|给餐桌|给家里|给自己|犒劳|用心|好消息|一点|就等您|等您|结算时填|下单时填|付款前填|见$|给您写信|的?来信|上架)"
)
_MORE_ZH = re.compile(
    r"价格|减|也|还|都|再|可用|付|顾客(?![，,。！])|朋友也|送|免|下次(?!购物|见)|换别|别的|一年|券|礼|便宜|够用|适用|换(?!个口味)"
)
_KNOWN = {
    locale: frozenset(
        folded(text).strip(" .!?。！？").lower()
        for texts in (*language.openers.values(), language.closers)
        for text in texts
    )
    for locale, language in LANGUAGES.items()
}


def free_standing(text: str, masked: str, facts: Facts) -> list[Violation]:
    """Statements about nothing that the facts hold."""
    shop = folded(facts.shop)
    names = [name for name in facts.names if name != shop]
    talk, more, known = (
        (_TALK_EN, _MORE_EN, _KNOWN["en"]) if facts.locale == "en" else (_TALK_ZH, _MORE_ZH, _KNOWN["zh"])
    )
    found = []
    for sentence in SENTENCE.split(without(text, names)):
        bare = re.sub(re.escape(shop), "", sentence, flags=re.IGNORECASE).strip(" .!。！【】-—,，:：")
        if not bare or MASK in bare or bare.lower().rstrip("?？") in known or bare.endswith(("?", "？")):
            continue
        if any(c.isdigit() for c in bare) or _has_figures(bare):
            continue
        if not talk.match(bare) or more.search(bare):
            found.append(Violation("unsupported statement", bare[:20]))
    return found


def _has_figures(text: str) -> bool:
    found = read(text)
    return bool(found.amounts or found.percents or found.days or found.weekdays)
