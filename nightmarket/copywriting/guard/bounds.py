# ruff: noqa: E501  (a Chinese character counts twice)
"""Words that move a bound are claims of their own: "up to 20%" is not 20%, "八折起" is not 八折.

An offer is one figure, one least spend and one period, so nothing but the least spend ("at least $60") and the period
("from 1 December") has a bound. The rules read `TextFigures.typed`: every bound that belongs to one of those is taken
out, and whatever bound is left is a violation, in whatever order the words stand.
"""

import re

from nightmarket.copywriting.facts import CopyFacts, Violation
from nightmarket.copywriting.reading import DAY, LEAST, MASK, PRICE, SHARE, WAIVED, read

_FIGURE = f"[{SHARE}{WAIVED}{PRICE}]"
_SMALL = r"(?:\s+(?:just|only|a|an|the|at|of|with|is|are|as|for|even|full|whole|mere)){0,3}"
_OWN_EN = re.compile(
    rf"\b(?:at (?:the )?least|from|over|above|upwards of|starting (?:at|from)|not less than|no less than|"
    rf"(?:a )?min(?:imum)?\b\.?(?: (?:spend(?:ing)?|basket|order|purchase))?(?: of| is|:)?) ?{LEAST}"
    rf"|{LEAST} ?(?:\+|(?:or|and) (?:more|above|over|up|upwards|higher)\b|upwards\b|min(?:imum)?\b\.?(?: (?:spend|basket|order|purchase))?)"
    rf"|\b(?:from|between|starting(?: on| from)?|beginning|as of) (?:the )?{DAY}|\bup to(?: and including)? (?:the )?{DAY}|\b(?:no|not) later than\b",
    re.IGNORECASE,
)
_ANY_EN = re.compile(
    r"\bup ?to\b|\bas (?:much|high|low|little|many|big|large|far|deep) as\b|\bat (?:the )?(?:very )?(?:least|most|best|max\w*|min\w*)\b|"
    r"\b(?:no|not|nothing|never|any) (?:less|more|fewer|lower|higher|under|over|below|above)\b|"
    r"\b(?:more|less|fewer|lower|higher|better|greater|bigger|other) than\b|\bmax(?:imum)?\b|\bmin(?:imum)?\b|\bupwards?\b|"
    r"\bapprox\w*|\b(?:almost|nearly|roughly|circa|exceed\w*|capped?)\b|"
    rf"\bor (?:even )?more\b|(?<!{MASK} )\band (?:even )?more\b|{MASK} and (?:even )?more\b(?! ?[:,.]|$)|"
    r"\b(?:or|and) (?:even )?(?:less|better|higher|above|over|up|beyond|below|under|lower)\b(?! (?:news|fun|ideas))|"
    rf"[{SHARE}] of (?:the |its |our |your )?(?:\w+ )?price\b(?! (?:is |comes |gets |goes )?(?:taken |knocked )?(?:off|away))|"
    rf"\bonly (?:on|for|in|with|at|by|through|via) |(?:{MASK}|{DAY}) only\b|\bonly {MASK}|"
    r"\b(?:might|may|could|should|perhaps|possibly|maybe|sometimes|usually|often|normally)\b"
    rf"[^.!?,:;{_FIGURE[1:-1]}{LEAST}]{{0,30}}[{SHARE}{WAIVED}]",
    re.IGNORECASE,
)
_NEAR_EN = re.compile(
    rf"\b(?:from|start(?:s|ing)?|over|under|above|below|beyond|between|around|about|within|another|again|plus|extra|further|"
    rf"additional|some|toward|towards|or){_SMALL}\s*[{SHARE}{WAIVED}{PRICE}]"
    rf"|{_FIGURE} ?(?:off |less |cheaper )?\(?(?:\+|\b(?:or so|or|plus|ish|upwards?|onwards?|again|twice)\b)"
    rf"|[{SHARE}{WAIVED}][^.!?;:]{{0,60}}\b(?:next|second|first)\b|\b(?:next|second|first)\b[^.!?;:]{{0,40}}[{SHARE}{WAIVED}]"
    rf"|{_FIGURE} ?[-\u2010-\u2015~/] ?{_FIGURE}",
    re.IGNORECASE,
)
_WAKE = re.compile(r"\b(?:wake|waking|warm|warming|cheer|listen) up (?:to|with)\b", re.IGNORECASE)
_OWN_ZH = re.compile(
    rf"(?:满足?|达到?|够|不低于|不少于|至少|不小于|最低消费)\s*{LEAST}(?:\s*(?:及以上|或以上|以上|起(?!价)))?|{LEAST}\s*(?:及以上|或以上|以上|起(?!价)|及更多)|"
    rf"{DAY}\s*(?:起|之?前|以前|以内)|[一今早]起|即日起|现在起|起(?:来|床|司)|达到|{LEAST}\s*以上"
)
_ANY_ZH = re.compile(
    r"低至|低到|最[高低多少大小]|至多|至少|顶多|不[低少高多大小]于|不超过|不[止只]|不到|不足|不满|未满|高达|多达|可达|达|封顶|[以之][上下内外]|左右|上下|大约|大概|约|"
    r"将近|接近|几乎|超(?!市)|[低高少多]于|起|或更?[多低高]|仅限|只限|仅(?!需|要)|上限|下限|区间"
    rf"|近\s*{_FIGURE}|(?:甚至|可能|或许|也许|一般|有时)[^。,!?:;]{{0,8}}[{SHARE}{WAIVED}]|"
    rf"[0-9零一二两三四五六七八九十{SHARE}{WAIVED}]\s*(?:到|至|或|[-\u2010-\u2015~])\s*[{SHARE}{WAIVED}]"
    rf"|{_FIGURE}\s*(?:\+|多|多点|出头|有余|不等|内)|不等|{MASK}等(?![您着你待候])|再\s*{_FIGURE}"
)


def bounds(text: str, masked: str, facts: CopyFacts) -> list[Violation]:
    """A bound, or a doubt, of anything but the least spend and the period."""
    typed = read(masked).typed
    if facts.locale == "zh":
        left = _OWN_ZH.sub(f" {LEAST} ", typed)
        return [Violation("bound without a fact", match[0]) for match in _ANY_ZH.finditer(left)]
    left = _OWN_EN.sub(f" {LEAST} ", _WAKE.sub(" ", typed))
    return [
        Violation("bound without a fact", match[0])
        for pattern in (_ANY_EN, _NEAR_EN)
        for match in pattern.finditer(left)
    ]
