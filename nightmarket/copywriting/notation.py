# ruff: noqa: E501  (a Chinese character counts twice)
"""One way to write what people write in many: days, periods, the last minute of a day, money, shares of a price.

What is rewritten keeps its meaning. What nobody can tell (a weekday alone, an hour) is left as it stands, for the rules
to stop.
"""

import calendar
import re
from collections.abc import Callable

from nightmarket.copywriting.reading import HAN, MONTH, MONTHS, NUM, WORD, number

Replacement = str | Callable[[re.Match[str]], str]
_NTH = "(?:st|nd|rd|th)?"
_DAY_OF = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? "
_DASH = r"\.?(?: ?[-\u2010-\u2015~\u301c] ?| (?:to|through|until) )"
_DASH_ZH = r" ?(?:[-\u2010-\u2015~\u301c]+|至|到) ?"
_DAY = rf"(?:\d{{1,2}}{_NTH}(?: of)? {MONTH}|{MONTH}\.? \d{{1,2}}{_NTH})\b(?:\.?,? \d{{4}}\b)?"
_DAY_ZH = r"(?:\d{4}年)?\d{1,2}月\d{1,2}[日号]?"
_NAMED_ZH = r"(?: ?\((?:周|星期|礼拜)[一二三四五六日天]\)| ?(?:周|星期|礼拜)[一二三四五六日天])?"
_MINUTE = r"(?:midnight|11[:.]59 ?p\.?m\b\.?|23[:.]59|24:00)"
_OCCASIONS = {
    "new year'?s eve": "31 Dec", "new year'?s day": "1 Jan", "valentine'?s day": "14 Feb", "christmas day": "25 Dec", "christmas eve": "24 Dec",
    "boxing day": "26 Dec", "halloween": "31 Oct", "元旦": "1月1日", "情人节": "2月14日", "圣诞节": "12月25日", "平安夜": "12月24日", "国庆节?": "10月1日",
    "儿童节": "6月1日", "五一|劳动节": "5月1日", "双十一|双11": "11月11日", "双十二|双12": "12月12日",
    r"(?:the )?(?:last day|end) of the year\b|\byear'?s end|\byear-end": "31 Dec", "年底|年末": "12月31日",
}  # fmt: skip
_STILL_DAY = "(?![囤买喝吃来必出假快送挑选逛])"
"""五一囤牛奶: the time of the year, and no day of an offer."""
_PARTS = {"二": "50%", "三": "33.33%", "四": "25%", "五": "20%", "十": "10%"}
_PRICE = r"(?:the |its |our |your )?(?:usual |normal |regular |full |original |list |marked )?price\b"
_SUM = (
    rf"(?:(?:US)?[$\u20ac\u00a3\u00a5] ?{NUM}(?!\d)|(?:{NUM}|{WORD}(?:[- ]{WORD})*) (?:dollars?|bucks?|euros?|pounds?))"
)
_LESS = "(?:减|省|便宜|优惠|让利|降价?)"


def plain(text: str, *, day_first: bool, year: int) -> str:
    """A folded text without names, in one notation.

    day_first  whether 9/12 is the ninth of December
    year       the year of a month that stands without one
    """
    text = _replaced(text, _SPELT)
    is_chinese = bool(re.search("[\u4e00-\u9fff]", text))
    text = _NUMERIC.sub(lambda match: _numeric(match, day_first=day_first, is_chinese=is_chinese), text)
    for pattern, form in _MONTHS:
        text = pattern.sub(lambda match, form=form: _of_month(match, form, year), text)  # type: ignore[misc]
    return _replaced(text, _PERIODS)


def _replaced(text: str, rules: tuple[tuple[re.Pattern[str], Replacement], ...]) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


_NO_MONEY = "(?<![\\d/$\u20ac\u00a3\u00a5-])(?<!\\d[.,])"
_NUMERIC = re.compile(
    r"(?<![\d/])(?<!\d[.,-])(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})(?!\d)"
    rf"|{_NO_MONEY}(?P<a1>\d{{1,2}})/(?P<b1>\d{{1,2}})(?:/(?P<y2>\d{{4}}|\d{{2}}))?(?![\d/%]|\.\d| ?(?:off|price)\b)"
    rf"|{_NO_MONEY}(?P<a2>\d{{1,2}})\.(?P<b2>\d{{1,2}})\.(?P<y3>\d{{4}})(?!\d)"
    r"|(?:(?<=[\d至到止间期:,;。!)\s-])|^)(?<!\d\.)(?<!\.)(?P<a3>1[0-2]|[1-9])\.(?P<b3>[12]\d|3[01]|[1-9])(?=\s?(?:日|号|截止|止|结束|前|为止|起(?!价)|开始|到期|[-\u2010-\u2015~\u301c至到]))"
    r"|(?<=[-\u2010-\u2015~\u301c至到])(?P<a4>1[0-2]|[1-9])\.(?P<b4>[12]\d|3[01]|[1-9])(?![\d.元折块%])"
)
"""2026-12-09, 12/9(/26), 9.12.2026; and 12.9 beside what is said of days."""


def _numeric(match: re.Match[str], *, day_first: bool, is_chinese: bool) -> str:
    """A day in figures, by the order of the shop's country; what is no day stays."""
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    if "y1" in groups:
        year, month, day = groups["y1"], int(groups["m1"]), int(groups["d1"])
    else:
        first, second = (int(value) for name, value in groups.items() if name[0] in "ab")
        year = next((value for name, value in groups.items() if name[0] == "y"), "")
        year = f"20{year}" if len(year) == 2 else year
        is_reversed = (day_first or "y3" in groups) and not is_chinese and second <= 12
        month, day = (second, first) if is_reversed or first > 12 else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31) or (("a3" in groups or "a4" in groups) and not is_chinese):
        return match[0]
    if is_chinese:
        return f"{year}年{month}月{day}日" if year else f"{month}月{day}日"
    return f"{day} {MONTHS[month - 1].title()} {year}".rstrip()


def _of_month(match: re.Match[str], form: str, year: int) -> str:
    """A month's last day, or all of a month, as days."""
    name = match["m"]
    month = MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in MONTHS else int(number(name))
    if not 1 <= month <= 12:
        return match[0]
    named = match.groupdict().get("y")
    days = calendar.monthrange(int(named or year), month)[1]
    return form.format(last=days, name=name if name[0].isascii() else month, year=f" {named}" if named else "")


def _joined(match: re.Match[str]) -> str:
    return f"from {match['a']} through {match['b']}"


def _of_one_month(match: re.Match[str]) -> str:
    if not int(match["a"]) < int(match["b"]) <= 31:
        return match[0]
    return f"from {match['a']} {match['m']} through {match['b']} {match['m']}{match['y'] or ''}"


def _made(rules: dict[str, Replacement]) -> tuple[tuple[re.Pattern[str], Replacement], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in rules.items())


def _decimal(match: re.Match[str]) -> str:
    return f"{number(match['a']):g}.{int(number(match['b'])) * (10 if len(match['b']) == 1 else 1):02d}{match['u']}"


def _was_now(match: re.Match[str]) -> str:
    return f"was {match['was']} now {match['now']}"


def _share_left(match: re.Match[str]) -> str:
    """What is paid of a price, as what is waived."""
    return f"{match['lead'] or ''}{100 - number(match['n']):g}% off"


def _share_left_zh(match: re.Match[str]) -> str:
    return f"省{100 - number(match['n'] or match['h']):g}%"


def _cents(match: re.Match[str]) -> str:
    return f"{number(match['a']):g}.{int(number(match['b'])):02d} {match['u']}"


_SPELT = _made(
    {
        r"(?<=[\U0001f000-\U0001faff\u2190-\u2bff])\ufe0f": "",
        r"\buntill\b|(?<!\w)'?til\b": "until",
        r"\bthru\b": "through",
        r"\bw/ ?(?=\w|$)": "with ",
        r"\bnow ?[-\u2010-\u2015] ?": "now through ",
        r"\b(?:a )?tenner\b": "10 pounds",
        r"\b(?:a )?fiver\b": "5 pounds",
        r"\bquid\b": "pounds",
        rf"(?<![\d.,$\u20ac\u00a3\u00a5])({NUM}) ?([$\u20ac\u00a3\u00a5])(?! ?\d)": r"\2\1",
        rf"\b(?P<a>{WORD}(?:[- ]{WORD})*|\d+) (?P<u>dollars?|euros?|pounds?) (?:and )?(?P<b>{WORD}(?:-{WORD})?|\d\d)(?: cents?| pence)?(?=[.,;!?)]|$)": _cents,
        rf"\b(?P<a>\d+)(?P<u>块)(?P<b>\d\d?|[{HAN}])(?![\d{HAN}折%元])": _decimal,
        rf"(?P<lead>\b(?:pay|pays|paying|at|for|costs?|costing) )(?:just |only )?(?P<n>{NUM}|{WORD}(?:[- ]{WORD})*) ?(?:%|per ?cent) of {_PRICE}": _share_left,
        rf"(?:按|以|只?付|只要|只需|仅需)?(?:原价|标价|售价|价格|价钱)的?(?:(?P<n>\d+(?:\.\d+)?)%|百分之(?P<h>[{HAN}]+))(?:结算|结账|付款|计算|购买|拿下|带走|支付|付|出售)?": _share_left_zh,
        rf"(?:\b(?:is|are|now|just|only|cut|down|reduced|dropped|lowered|priced)(?: at)? )*(?:\bto )?(?P<now>{_SUM})(?:, ?|,? \(?)(?:instead of|down from|from|rather than|not|was|were|used to be|usually|normally|regularly|before:?)(?: (?:the )?(?:usual|normal|regular|full))? (?P<was>{_SUM})\)?": _was_now,
        rf"(?:\b(?:cut|down|reduced|dropped|lowered|go(?:es)?|went) )?\bfrom (?P<was>{_SUM})(?: down)? to (?:just |only )?(?P<now>{_SUM})": _was_now,
        r"\bhalv(?:ed|es|ing) the price of\b": "half the price of",
        rf"({_LESS}了?)(?P<n>[一二两三四五六七八九])成": lambda match: f"{match[1]}{number(match['n']) * 10:g}%",
        rf"({_LESS}了?)([二三四五十])分之一": lambda match: match[1] + _PARTS[match[2]],
        r"满百(?=[减立送赠享打即元,])": "满100元",
        rf"满(\d+(?:\.\d+)?|[{HAN}]+)(?![\d.{HAN}])(?=[打享送赠立即])": r"满\1元",
        rf"满(\d+(?:\.\d+)?|[{HAN}]+)(?![\d.{HAN}])(?=减[{HAN}\d]+(?![\d.{HAN}]))": r"满\1元",
        rf"(?<=[减省抵])(\d+(?:\.\d+)?|[{HAN}]+)(?=[;!?。~)\s哦啦呀咯吧]|[.,](?!\d)|,\d+月|$)": r"\1元",
        rf"(?<=[减省抵])(\d+(?:\.\d+)?|[{HAN}]+)块钱": r"\1元",
        r"^0元(?=拿|带|领|送)": "免费",
        **{name if name[0].isascii() or name[0] == "(" else f"(?:{name}){_STILL_DAY}": day for name, day in _OCCASIONS.items()},
    }
)  # fmt: skip
_MONTHS = tuple(
    (re.compile(pattern, re.IGNORECASE), form)
    for pattern, form in (
        (rf"\b(?:the )?(?:end|last day) of (?P<m>{MONTH})\b(?:,? (?P<y>\d{{4}})\b)?", "{last} {name}{year}"),
        (rf"\b(?:throughout|all through|during all|(?:the )?(?:whole|entire)(?: month)?(?: of)?|all) (?P<m>{MONTH})\b(?: long)?(?:,? (?P<y>\d{{4}})\b)?", "from 1 {name} through {last} {name}{year}"),
        (r"(?P<m>1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])月(?:底|末)", "{name}月{last}日"),
        (r"(?:整个|全)(?P<m>1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])月(?!\d)", "从{name}月1日到{name}月{last}日"),
    )
)  # fmt: skip
_PERIODS = _made(
    {
        rf"\b(?P<m>{MONTH}),? (?:from|between) (?:the )?(?P<a>\d{{1,2}}){_NTH} (?:to|through|and|until) (?:the )?(?P<b>\d{{1,2}}){_NTH}(?P<y>)(?!\d|[:.]\d|%| ?(?:{MONTH}|of))": _of_one_month,
        rf"\bmidnight (?:on|of) (?=(?:the |{_DAY_OF})*{_DAY})": "",
        rf"(?P<d>\b{_DAY}),? (?:at )?{_MINUTE}": r"\g<d>",
        rf"{_MINUTE},? (?:on )?(?=(?:the |{_DAY_OF})*{_DAY})": "",
        rf"({_DAY_ZH}{_NAMED_ZH}) ?(?:24:00|23:59|24[点时]整?|23[点时]59分?|午夜|晚上?(?:12|十二)点)": r"\1",
        rf"(?<![\d.,$\u20ac\u00a3\u00a5])(?<!(?-i:[A-Z]{{3}}) )(?<!\w)(?P<a>\d{{1,2}}){_NTH}(?: ?[-\u2010-\u2015~\u301c] ?| (?:to|through) )(?P<b>\d{{1,2}}){_NTH}(?: of)? (?P<m>{MONTH})\b(?P<y>\.?,? \d{{4}}\b)?": _of_one_month,
        rf"\b({MONTH})\.? (\d{{1,2}}){_NTH}{_DASH}(\d{{1,2}}){_NTH}(?! ?(?:[%\d/]|{MONTH}))\b(,? \d{{4}}\b)?": r"from \1 \2 through \1 \3\4",
        rf"\b(?:from )?(?P<a>(?:{_DAY_OF})?{_DAY}){_DASH}(?P<b>(?:{_DAY_OF})?{_DAY})": _joined,
        r"\bfrom from\b": "from",
        rf"(?:从|自)?({_DAY_ZH}{_NAMED_ZH}){_DASH_ZH}({_DAY_ZH})": r"从\1到\2",
        rf"(?:从|自)?((?:\d{{4}}年)?)(\d{{1,2}})月(\d{{1,2}})[日号]?{_NAMED_ZH}{_DASH_ZH}(\d{{1,2}})[日号]": r"从\1\2月\3日到\2月\4日",
    }
)  # fmt: skip
