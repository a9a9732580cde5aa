# ruff: noqa: E501  (a Chinese character counts twice)
"""Reads what a text states in figures: amounts with their role, percentages, dates, weekdays, other numbers.

Both languages are read in every text, because a writer may mix them. Texts are `folded` and their names masked first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Literal

from nightmarket.copywriting.patterns import patterns

Role = Literal["waived", "threshold", "price"]
MASK = "\u25a2"
"""Stands for a name that the facts hold: the words around it are read, its own are not."""
DAY, SHARE, WAIVED, LEAST, PRICE = "\u25c6\u25c8\u25c9\u25c0\u25ce"
"""Stand for a day, a share of the price, and an amount by its role in `TextFigures.typed`."""
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[!?])(?=[\u4e00-\u9fff])|[。；\n]\s*")
"""Between the sentences of a folded text, in which Chinese signs but the full stop have become ASCII ones."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
NUM = r"\d+(?:,\d{3})*(?:\.\d+)?"
HAN = "零〇一二两三四五六七八九十百千万"
_UNITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_TEENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {name: number for number, name in enumerate(_TEENS.split(" "))}
_WORDS |= {name: 10 * number for number, name in enumerate(_TENS.split(" "), 2)}
WORD = rf"(?:{'|'.join([*_WORDS, 'hundred'])})"
_SHARES = {"half": 50.0, "third": 100 / 3, "quarter": 25.0, "fifth": 20.0, "tenth": 10.0}


@dataclass(frozen=True)
class Amount:
    """Money that a text names, as what, and in which unit, as written and in lower case."""

    value: float
    role: Role
    unit: str


@dataclass(frozen=True)
class Day:
    """A date that a text names; year 0 where it names none, weekday (0 is Monday) -1 likewise.

    role  "first" or "last" where the words around it say which day of the offer it is, "only" where it is all of it
    """

    year: int
    month: int
    day: int
    weekday: int = -1
    role: str = field(default="", compare=False)

    def is_same(self, other: date) -> bool:
        """Whether this may be that date."""
        return (
            (self.month, self.day) == (other.month, other.day)
            and self.year in (0, other.year)
            and (self.weekday in (-1, other.weekday()))
        )


@dataclass(frozen=True)
class TextFigures:
    """All figures of a text; percents are shares of the price that are waived; others are numbers of no known sense.

    typed  the text with a sign for each figure of a known sense: the words around it are read
    """

    amounts: tuple[Amount, ...]
    percents: tuple[float, ...]
    days: tuple[Day, ...]
    weekdays: tuple[int, ...]
    others: tuple[str, ...]
    typed: str = ""


_DAY_EN = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{MONTH})|"
    rf"(?P<m2>{MONTH})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?)\b"
    r"\.?(?:,? (?P<y>\d{4})\b)?",
    re.IGNORECASE,
)
ISO_DAY = re.compile(r"(?<![\d-])(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?![\d-])")
_WEEKDAY_BEFORE = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)[a-z]*[.,]* $", re.IGNORECASE)
_WEEKDAY_AFTER = re.compile(
    r"^ ?[(（]?(?:周|星期|礼拜)([一二三四五六日天])|^,? ?\(?\b(mon|tue|wed|thu|fri|sat|sun)(?:day|nesday|rsday|sday|urday|s|rs|r)?\b",
    re.IGNORECASE,
)
_WEEKDAY_OF_DAY = re.compile(
    rf"(?:\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[.,]* +)?{DAY}(?:,? *\(?\b(?:mon|tue|wed|thu|fri|sat|sun)(?:day|nesday|rsday|sday|urday|s|rs|r)?\b\)?"
    r"| *\(?(?:周|星期|礼拜)[一二三四五六日天]\)?)?",
    re.IGNORECASE,
)
_FIRST_BEFORE = re.compile(
    r"\b(?:from|starts?(?: on)?|starting(?: on)?|between|beginning(?: on)?|after|since|as of)\W*$|[从自]$",
    re.IGNORECASE,
)
_LAST_BEFORE = re.compile(
    r"\b(?:until|till|through|by|up to|ends?(?: on)?|ending(?: on)?|closes?(?: on)?|finish(?:es)?(?: on)?|wraps? up(?: on)?|over(?: on)?|expires?(?: on)?|last day(?: is)?|including|than|deadline(?: is)?|good through|last day)\W*$|"
    r"(?:至|截至|截止|到)(?:日期|时间为?|于|年底)?:? ?$",
    re.IGNORECASE,
)
_FIRST_AFTER = re.compile(
    r"^ ?(?:[(（]?(?:周|星期|礼拜).[)）]?)?(?:起|开始|[之以]?后)|^ (?:on|onwards)\b", re.IGNORECASE
)
_ONLY_BEFORE = re.compile(r"\b(?:on|for|just|only)(?: the)? $|(?:仅限?|只限?|就在|在|限)$", re.IGNORECASE)
_ONLY_AFTER = re.compile(
    r"^,? only\b|^ ?(?:[(（]?(?:周|星期|礼拜).[)）]?)?(?:当[天日](?!仍|也|还|截|止|结|前|到|24|23)|[一那]天|有效|限定)",
    re.IGNORECASE,
)
_LAST_AFTER = re.compile(
    r"^ ?(?:[(（]?(?:周|星期|礼拜).[)）]?)?(?:截止|止|结束|之?前|到期|失效|过期|为止|收官|当[天日](?=仍|也|还|截|止|结|前|到))"
)
_DAY_ZH = re.compile(rf"(?:(?P<y>\d{{4}})年)?(?P<m>\d{{1,2}}|[{HAN}]{{1,2}})月(?P<d>\d{{1,2}}|[{HAN}]{{1,3}})[日号]?")
_WEEKDAY = re.compile(
    r"\b(mon|tues?|wed(?:nes)?|thurs?|fri|sat(?:ur)?|sun)(?:day)\b|(?:周|星期|礼拜)([一二三四五六日天])", re.IGNORECASE
)
_PERCENT = re.compile(
    rf"(?P<n>{NUM}|{WORD}(?:[- ]{WORD})*)\s?(?:%|percent\b|per cent\b|pct\b)|百分之(?P<h>[{HAN}\d.]+)",
    re.IGNORECASE,
)
_ZHE = re.compile(rf"(?P<n>\d+(?:\.\d+)?|[{HAN}]+)\s?折")
_MONEY = re.compile(
    rf"(?P<u>(?:US|AU|CA|HK)?[$€£¥]|\b(?-i:[A-Z]{{3}})\b) ?(?P<a>{NUM})(?!\d)"
    rf"|(?P<b>{NUM}|{WORD}(?:[- ]{WORD})*|[{HAN}]+)\s?"
    r"(?P<v>dollars?\b|bucks?\b|cents?\b|euros?\b|pounds?\b|yuan\b|rmb\b|(?-i:[A-Z]{3})\b|美元|欧元|英镑|日元|元|块)",
    re.IGNORECASE,
)
_FULL = re.compile(rf"满(?P<t>{NUM})减(?P<w>{NUM})(?![\d元块])")
"""满99减20: spend 99, pay 20 less; the unit is the shop's."""
_SHARE = re.compile(r"\b(half|third|quarter|fifth|tenth)\b|半价|对折|一半", re.IGNORECASE)
_OTHER = re.compile(
    rf"\d+(?:[.,]\d+)*|\b(?:{'|'.join(w for w in _WORDS if w not in ('one', 'zero'))}|hundreds?|thousands?|"
    rf"millions?|dozens?|"
    r"twice|double|doubled|triple|second|thirds|halves|bogo)\b"
    rf"|[{HAN}]+(?=[件份个倍天年周瓶盒斤包张袋支]|小时|分钟|分之)|fiver|tenner|quid|grand",
    re.IGNORECASE,
)
_HAN_FINE = {"一"}
_CLAUSE = 60
"""Characters around an amount that are read for its role: a clause is rarely longer."""
_THRESHOLD_AFTER = re.compile(
    r"^\s*(?:\+|spent\b|or (?:more|above|over)|and (?:more|over|up|above|upwards)|upwards?|minimum|(?:worth )?(?:in|of) (?:your|the|a) (?:basket|order|cart|trolley)|"
    r"及以上|以上|起(?!价))",
    re.IGNORECASE,
)
_WORTH_AFTER = re.compile(rf"^\s*(?:worth )?(?:of|on) (?:our |the |any )?{MASK}", re.IGNORECASE)
_WORTH_BEFORE = re.compile(
    r"^$|\b(?:spend|buy|shop|with|for|put|add|fill your (?:basket|cart) with|purchase|=)(?: at least)? $",
    re.IGNORECASE,
)
"""$40 of candles: what has to be bought, unless it is what one gets."""
_ORDER_AFTER = re.compile(rf"^[ -]*(?:{MASK} )?(?:orders?|shop|baskets?|carts?|purchases?|spend)\b", re.IGNORECASE)
_ORDER_BEFORE = re.compile(r"\b(?:an?|any|your|each|every) $", re.IGNORECASE)
"""A $60 cheese order."""
_WAIVED_AFTER = re.compile(
    r"^\s*(?:off\b|less\b|cheaper\b|discount\b|coupon\b|voucher\b|saving|towards?\b|lower\b|back\b|(?:to|you) save\b|"
    r"(?:comes?|is|are|gets?|will be|taken|knocked|disappears?|drops?) (?:taken |knocked |straight |right )?(?:off|from)\b|的?(?:优惠|减免)(?! ?[\d¥$€£零〇一二两三四五六七八九十百])|折扣|券|代金券)",
    re.IGNORECASE,
)


_LISTS = patterns(__package__, "reading")
_BREAK = re.compile(r"[,.;:!?](?!\d)|[，。；：！？、（(]")
_FULL_ROLES: tuple[tuple[str, Role], ...] = (("t", "threshold"), ("w", "waived"))


@lru_cache(maxsize=4096)
def read(text: str) -> TextFigures:
    """The figures of a masked text."""
    left = text
    days: list[Day] = []
    for pattern in (ISO_DAY, _DAY_EN, _DAY_ZH):
        for match in pattern.finditer(left):
            days.append(_day(match.groupdict(), left[: match.start()], left[match.end() :]))
        left = pattern.sub(f" {DAY} ", left)
    left = _WEEKDAY_OF_DAY.sub(DAY, left)
    weekdays = tuple(_weekday(match) for match in _WEEKDAY.finditer(left))
    left = _WEEKDAY.sub(" ", left)
    percents = [number(m["n"] or m["h"]) for m in _PERCENT.finditer(left)]
    left = _PERCENT.sub(f" {SHARE} ", left)
    for match in _ZHE.finditer(left):
        paid = number(match["n"])
        percents.append(100 - (paid * 10 if paid <= 10 else paid))
    left = _ZHE.sub(f" {SHARE} ", left)
    amounts = tuple(_amounts(left)) + tuple(
        Amount(number(m[key]), role, "¥") for m in _FULL.finditer(left) for key, role in _FULL_ROLES
    )
    left = _signed(left)
    left = _FULL.sub(f"满 {LEAST} 减 {WAIVED} ", left)
    percents += [50.0 if m[1] is None else _SHARES[m[1].lower()] for m in _SHARE.finditer(left)]
    left = _SHARE.sub(f" {SHARE} ", left)
    others = tuple(m[0] for m in _OTHER.finditer(left) if m[0] not in _HAN_FINE)
    return TextFigures(amounts, tuple(percents), tuple(days), weekdays, others, " ".join(left.split()))


_SIGNS: dict[Role, str] = {"waived": WAIVED, "threshold": LEAST, "price": PRICE}


def _signed(text: str) -> str:
    """The text with each amount's sign in its place."""
    signs = (_SIGNS[amount.role] for amount in _amounts(text))
    return _MONEY.sub(lambda _: f" {next(signs)} ", text)


def _amounts(text: str) -> Iterator[Amount]:
    matches = list(_MONEY.finditer(text))
    ends = [0, *(match.end() for match in matches)]
    for match, left in zip(matches, ends, strict=False):
        before = text[max(left, match.start() - _CLAUSE) : match.start()]
        after = text[match.end() : match.end() + _CLAUSE]
        unit = (match["u"] or match["v"]).lower().rstrip("s")
        value = number(match["a"] or match["b"]) / (100 if unit == "cent" else 1)
        yield Amount(value, _role(_BREAK.split(before)[-1].lstrip(), after), unit)


def _role(before: str, after: str) -> Role:
    """What an amount is: by the words right after it, else by the last word before it in its clause that tells."""
    if _THRESHOLD_AFTER.search(after) or (_WORTH_AFTER.search(after) and _WORTH_BEFORE.search(before)):
        return "threshold"
    if _WAIVED_AFTER.search(after):
        return "waived"
    if _ORDER_AFTER.search(after) and _ORDER_BEFORE.search(before):
        return "threshold"
    cues: tuple[tuple[re.Pattern[str], Role], ...] = (
        (_LISTS["price_before"], "price"),
        (_LISTS["threshold_before"], "threshold"),
        (_LISTS["waived_before"], "waived"),
    )
    last = -1
    role: Role = "price"
    for pattern, name in cues:
        for match in pattern.finditer(before):
            if match.end() > last:
                last, role = match.end(), name
    return role


def _day(groups: dict[str, str | None], before: str, after: str) -> Day:
    month = groups.get("m1") or groups.get("m2") or groups.get("m") or ""
    day = groups.get("d1") or groups.get("d2") or groups.get("d") or ""
    of_year = MONTHS.index(month[:3].lower()) + 1 if month[:3].lower() in MONTHS else int(number(month))
    named = _WEEKDAY_BEFORE.search(before[-12:]) or _WEEKDAY_AFTER.search(after)
    role = _day_role(before[-40:], after[:12])
    weekday = _weekday_number(named[named.lastindex or 1]) if named else -1
    return Day(int(groups.get("y") or 0), of_year, int(number(day)), weekday, role)


def _day_role(before: str, after: str) -> str:
    before = re.sub(r"\bthe $", "", _WEEKDAY_BEFORE.sub("", before), flags=re.IGNORECASE)
    if _FIRST_BEFORE.search(before) or _FIRST_AFTER.search(after):
        return "first"
    if _LAST_BEFORE.search(before) or _LAST_AFTER.search(after):
        return "last"
    return "only" if _ONLY_BEFORE.search(before) or _ONLY_AFTER.search(after) else ""


def _weekday(match: re.Match[str]) -> int:
    return _weekday_number(match[1] or match[2])


def _weekday_number(name: str) -> int:
    if name.isascii():
        return next(i for i, full in enumerate(WEEKDAYS) if full.startswith(name.lower()[:3]))
    return min("一二三四五六日天".index(name), 6)


def number(text: str) -> float:
    """The value of digits, English number words, or Chinese numerals."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return _english(text) if text[0].isascii() else _chinese(text)


def _english(text: str) -> float:
    total = 0
    for word in re.split(r"[- ]", text.lower()):
        total = max(total, 1) * 100 if word == "hundred" else total + _WORDS.get(word, 0)
    return float(total)


def _chinese(text: str) -> float:
    total = unit = 0
    digits = [_UNITS[c] for c in text if c in _UNITS]
    if not set(text) & set("十百千万"):  # read digit by digit, as in 七五折
        return float("".join(str(d) for d in digits) or 0)
    for c in text:
        if c in _UNITS:
            unit = _UNITS[c]
        else:
            scale = {"十": 10, "百": 100, "千": 1000, "万": 10000}.get(c, 1)
            total, unit = total + max(unit, 1) * scale, 0
    return float(total + unit)
